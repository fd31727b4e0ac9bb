"""One trial: values in, a scored model out, and proof that what was frozen did not move."""

from __future__ import annotations

import inspect
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.network.ridge import class_weights
from advisor.network.sweep import batch_for
from advisor.network.threads import one_blas_thread
from advisor.tuning.judging import Judgement, score
from advisor.tuning.loop import Schedule, TrialFailedError, train
from advisor.tuning.memory import fitting_batch, used_memory
from advisor.tuning.source import TrainingSource, source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from advisor.network.transfer import TransferNetwork
    from advisor.tuning.context import TrialContext
    from advisor.tuning.space import Values
    from advisor.types import Head

# Below either, BatchNorm keeps its pretrained statistics: running averages need many steps to follow
# (timm's ports from TensorFlow move them by 1 % a step), and the head was fitted to the pretrained ones.
_SMALL_BATCH, _FEW_STEPS = 16, 1000
_UNEQUAL = 3.0  # largest class over smallest, from which on `auto` weights the loss
_MOST_TIMES = 20  # that one image of a small class comes up when classes are evened out
_HEAD_EPOCHS, _HEAD_LR = 30, 1e-2  # of a head without closed form, before anything below it is unfrozen
_NEVER = 1e9  # seconds
_COPIES_OF_INPUT = 5
_BYTES_PER_WEIGHT = 12  # its gradient and AdamW's two moments, float32


@dataclass(frozen=True)
class Progressed:
    """How far a training is.

    Attributes:
        epoch: finished ones.
        steps: optimiser steps so far.
        seconds: of training so far.
        accuracy: on the validation images.
    """

    epoch: int
    steps: int
    seconds: float
    accuracy: float


@dataclass(frozen=True)
class Finished:
    """A trial with a score.

    Attributes:
        rows: validation images, ascending rows of the pixel store.
        image_scores: (n,) what each of them adds to the score: 1 or 0 for right or wrong, or its `precision_scores`
            where images may have several labels.
        sample_weight: (n,) what each of them counts in the metric.
        loss: cross-entropy there, nats; binary where images may have several labels.
        temperature: factor that turns logits into calibrated ones, fitted there.
        tap: stages kept.
        frozen: stages frozen; equal to `tap` when only the head was fitted.
        frozen_share: share of the kept parameters that were frozen.
        steps: optimiser steps; 0 for a closed form.
        planned_steps: what the recipe asked for.
        audit: SHA-256 of everything frozen, the same before and after.
        network: builds the scored model.
        curve: after each epoch.
        notes: what a person should know.
    """

    rows: NDArray[np.int64]
    image_scores: NDArray[np.float64]
    sample_weight: NDArray[np.float64]
    loss: float
    temperature: float
    tap: int
    frozen: int
    frozen_share: float
    steps: int
    planned_steps: int
    audit: str
    network: Callable[[], TransferNetwork]
    curve: tuple[Progressed, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float:
        """On the validation images, 0..1; as the metric is: accuracy, balanced or not, or mean average precision."""
        return float(self.sample_weight @ self.image_scores / max(1e-12, self.sample_weight.sum()))


@dataclass
class _Course:
    """One trial while it runs."""

    context: TrialContext
    values: Values
    seed: int
    deadline: float
    report: Callable[[Progressed], None]
    tap: int
    frozen: int
    curve: list[Progressed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def kind(self) -> Head:
        return self.context.catalog.head(self.values["head.name"])

    def tell(self, epoch: int, seconds: float, image_scores: NDArray[np.float64]) -> None:
        sample_weight = self.context.sample_weight(self.context.rows("val"))
        accuracy = float(sample_weight @ image_scores / max(1e-12, sample_weight.sum()))
        per_epoch = math.ceil(len(self.context.rows("train")) / self.values["train.batch_size"])
        self.curve.append(Progressed(epoch, epoch * per_epoch, seconds, accuracy))
        self.report(self.curve[-1])


def run_trial(
    context: TrialContext,
    values: Values,
    *,
    seed: int,
    deadline: float,
    report: Callable[[Progressed], None] = lambda _progress: None,
) -> Finished:
    """Fit the head, then train what the values unfreeze, and score on the validation images.

    Args:
        context: what trials share; its network is the one that the values ask for.
        values: scalars by key path.
        seed: of the head's start, the shuffling and the augmentation.
        deadline: on `time.monotonic`.
        report: told after each epoch; may raise to stop the trial.

    Raises:
        TrialFailedError: there is no score; the reason is its text.
        OutOfTimeError: the deadline leaves no room.
        BackboneError: the network cannot be cut at this tap.
    """
    torch.manual_seed(seed)
    deadline = min(deadline, time.monotonic() + _NEVER)
    tap = context.stages.tap_index(values["features.tap"])
    frozen = context.stages.frozen_index(values["freeze.depth"], tap)
    course = _Course(context, values, seed, deadline, report, tap, frozen)
    params = head_params(values)
    tokens = course.kind.tokens
    head = course.kind.create(context.standardise(tap, tokens=tokens).mean.numel(), context.classes, **params)
    fitted = course.kind.fit is not None and values["head.init"] == "probe"
    if fitted and course.kind.fit is not None:
        _fit(course, head, params)
    viewed = values.get("train.augment", "none") != "none"  # a head alone has views only where the recipe says so
    if frozen == tap and not tokens and (fitted or not viewed):
        return _head_only(course, head, fitted=fitted)
    if frozen < tap and not tokens and not fitted and values["head.init"] == "probe":
        _train_head(course, head)
    return _train_on_views(course, head)


def run_folds(
    fold_contexts: Sequence[TrialContext],
    values: Values,
    *,
    seed: int,
    deadline: float,
    report: Callable[[Progressed], None] = lambda _progress: None,
) -> Finished:
    """A trial on every fold, scored on all their validation images together; of one context, `run_trial`.

    What is reported is the mean over the images judged so far, and the seconds of all folds.
    """
    if len(fold_contexts) == 1:
        return run_trial(fold_contexts[0], values, seed=seed, deadline=deadline, report=report)
    done: list[Finished] = []
    seconds, steps, last = 0.0, 0, Progressed(0, 0, 0.0, 0.0)
    for index, context in enumerate(fold_contexts):
        right, judged = sum(len(part.rows) * part.accuracy for part in done), sum(len(part.rows) for part in done)
        held = len(context.rows("val"))

        def tell(
            now: Progressed, right: float = right, judged: int = judged, held: int = held,
            before: tuple[int, float] = (steps, seconds),
        ) -> None:  # fmt: skip
            nonlocal last
            mean = (right + held * now.accuracy) / (judged + held)
            last = Progressed(now.epoch, before[0] + now.steps, before[1] + now.seconds, mean)
            report(last)

        share = (deadline - time.monotonic()) / (len(fold_contexts) - index)
        done.append(run_trial(context, values, seed=seed, deadline=time.monotonic() + share, report=tell))
        steps, seconds = max(steps, last.steps), max(seconds, last.seconds)
    rows = np.concatenate([part.rows for part in done])
    order = np.argsort(rows)
    first = done[0]
    return Finished(
        rows=rows[order],
        image_scores=np.concatenate([part.image_scores for part in done])[order],
        sample_weight=fold_contexts[0].sample_weight(rows[order]),
        loss=sum(part.loss * len(part.rows) for part in done) / len(rows),
        temperature=math.exp(sum(math.log(part.temperature) * len(part.rows) for part in done) / len(rows)),
        tap=first.tap,
        frozen=first.frozen,
        frozen_share=first.frozen_share,
        steps=sum(part.steps for part in done),
        planned_steps=sum(part.planned_steps for part in done),
        audit=first.audit,
        network=first.network,
        curve=first.curve,
        notes=tuple(dict.fromkeys(note for part in done for note in part.notes)),
    )


def _fit(course: _Course, head: nn.Module, params: dict[str, object]) -> None:
    """The head's closed form; where classes shall count alike, by weights if it knows them, else by repetition.

    Of several labels each is a problem of its own, and all images count.
    """
    context, fit = course.context, course.kind.fit
    assert fit is not None
    features, labels = context.features("train", course.tap), context.labels("train")
    if labels.ndim == 1 and balance_mode(course.values, context) != "none":
        if "weights" in inspect.signature(fit).parameters:
            params = {**params, "weights": torch.from_numpy(class_weights(labels.numpy(), context.classes))}
        else:
            evened = _evened(labels)
            features, labels = features[evened], labels[evened]
    with one_blas_thread():
        fit(head, features, labels, **params)


def head_params(values: Values) -> dict[str, object]:
    """The values that belong to the trial's own head."""
    prefix = f"head.{values['head.name']}."
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


def predict_logits(
    network: nn.Module,
    context: TrialContext,
    rows: NDArray[np.int64],
    advance: Callable[[int], None] = lambda _count: None,
) -> Tensor:
    """Logits (len(rows), classes) on the clean views, on the CPU."""
    network.eval()
    parts, size = [], batch_for(context.device)
    with torch.inference_mode():
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            parts.append(network(context.clean(batch)).float().cpu())
            advance(len(batch))
    return torch.cat(parts)


def _head_only(course: _Course, head: nn.Module, *, fitted: bool) -> Finished:
    """Everything below the head is frozen, so its features are all that is needed."""
    context, tap = course.context, course.tap
    before = context.audit()
    held, labels = context.features("val", tap), context.labels("val")
    steps = planned = 0
    if not fitted:
        features = context.features("train", tap)
        trained = train(
            head,
            lambda batch, _epoch: features[batch],
            context.labels("train"),
            _schedule(course.values, context),
            rates={name: _head_rate(course.values) for name, _ in head.named_parameters()},
            head="",
            loss=course.kind.loss,
            seed=course.seed,
            deadline=course.deadline,
            after_epoch=lambda epoch, seconds: course.tell(
                epoch, seconds, _head_score(head, held, labels).image_scores
            ),
            say=course.notes.append,
        )
        steps, planned = trained.steps, trained.planned
    judged = _head_score(head, held, labels)
    after = context.audit()
    _audit(before, after)
    return Finished(
        rows=context.rows("val"), image_scores=judged.image_scores,
        sample_weight=context.sample_weight(context.rows("val")), loss=judged.loss,
        temperature=judged.temperature, tap=tap, frozen=tap, frozen_share=1.0, steps=steps, planned_steps=planned,
        audit=after, network=lambda: context.build(tap, head), curve=tuple(course.curve), notes=tuple(course.notes),
    )  # fmt: skip


def _head_score(head: nn.Module, features: Tensor, labels: Tensor) -> Judgement:
    head.eval()
    with torch.inference_mode():
        return score(head(features), labels)


def _train_head(course: _Course, head: nn.Module) -> None:
    """A head without closed form learns on the frozen features first: random, it would spoil what lies below it."""
    features = course.context.features("train", course.tap)
    schedule = Schedule(
        "adamw", weight_decay=course.values["optimizer.weight_decay"], epochs=_HEAD_EPOCHS,
        batch_size=course.values["train.batch_size"], warmup=course.values["train.warmup"],
        balance=balance_mode(course.values, course.context),
    )  # fmt: skip
    train(
        head, lambda batch, _epoch: features[batch], course.context.labels("train"), schedule,
        rates={name: _HEAD_LR for name, _ in head.named_parameters()}, head="", loss=course.kind.loss,
        seed=course.seed, deadline=course.deadline, after_epoch=lambda _epoch, _seconds: None, say=course.notes.append,
    )  # fmt: skip


def _train_on_views(course: _Course, head: nn.Module) -> Finished:
    """The head and the unfrozen stages, if any, train together on views of the images."""
    context, values = course.context, course.values
    network = context.build(
        course.tap, head, tokens=course.kind.tokens, drop_path=values.get("train.drop_path", 0.0)
    )  # fmt: skip
    network.freeze(course.frozen, batchnorm=batchnorm_mode(values, context))
    before = network.frozen_digest()
    held, held_labels = context.rows("val"), context.labels("val")
    source = source_of(
        course.context, network, values, frozen=course.frozen, seed=course.seed, deadline=course.deadline
    )
    if course.frozen:
        course.notes += context.notes
    size = batch_for(context.device)

    def judge() -> Judgement:
        network.eval()
        with torch.inference_mode():
            parts = [source.model(*source.judged(slice(i, i + size))).float().cpu() for i in range(0, len(held), size)]
        return score(torch.cat(parts) if parts else torch.zeros(0), held_labels)

    last = Judgement(np.zeros(len(held)), 0.0, torch.zeros(0, context.classes), held_labels[:0])

    def after_epoch(epoch: int, seconds: float) -> None:
        nonlocal last
        last = judge()
        course.tell(epoch, seconds, last.image_scores)

    labels, schedule = context.labels("train").to(context.device), _schedule(values, context)
    steps = schedule.epochs * math.ceil(len(labels) / schedule.batch_size)
    with context.progress.task("Training", steps, seconds=course.deadline - time.monotonic()) as advance:

        def take(rows: Tensor, epoch: int) -> Tensor | tuple[Tensor, ...]:
            advance(1)
            return source.take(rows, epoch)

        trained = train(
            source.model,
            take,
            labels,
            schedule,
            rates=_rates(network, source.model, values),
            loss=course.kind.loss,
            seed=course.seed,
            # Leave time to score the last epoch.
            deadline=course.deadline - len(held) * context.seconds_per_image() * source.share,
            micro_batch=_micro_batch(course, source),
            after_epoch=after_epoch,
            say=course.notes.append,
        )
    after = network.frozen_digest()
    _audit(before, after)
    kept = sum(p.numel() for p in network.trunk.parameters())
    still = sum(p.numel() for p in network.trunk.parameters() if not p.requires_grad)
    return Finished(
        rows=held, image_scores=last.image_scores, sample_weight=context.sample_weight(held), loss=last.loss,
        temperature=last.temperature,
        tap=course.tap, frozen=course.frozen,
        frozen_share=still / kept, steps=trained.steps, planned_steps=trained.planned, audit=after,
        network=lambda: network, curve=tuple(course.curve), notes=tuple(course.notes),
    )  # fmt: skip


def _micro_batch(course: _Course, source: TrainingSource) -> int | None:
    """How many images fit into the memory that the run may take; None without a limit."""
    context, cap = course.context, course.context.limits.memory
    if cap is None:
        return None
    inputs = source.take(torch.arange(min(2, len(context.rows("train")))), 0)
    key = f"{course.tap}/{course.frozen}/{tuple(inputs[0].shape[1:])}"
    per_image = context.bytes_per_image(key, source.model, inputs)
    trained = sum(p.numel() for p in source.model.parameters() if p.requires_grad)
    # A whole batch is drawn at once, in a few steps that each leave a copy.
    drawn = _COPIES_OF_INPUT * int(course.values["train.batch_size"]) * sum(one[0].nbytes for one in inputs)
    return fitting_batch(cap, used_memory(context.device), _BYTES_PER_WEIGHT * trained + drawn, per_image)


def _rates(network: TransferNetwork, model: nn.Module, values: Values) -> dict[str, float]:
    """Peak learning rate of every parameter that trains: the stage below the head has `lr`, each below it less."""
    lr, decay = values["optimizer.lr"], values.get("optimizer.layer_decay", 1.0)
    from_top = network.stages_from_top()
    return {
        name: _head_rate(values) if name.startswith("head.") else lr * decay ** from_top[name.removeprefix("trunk.")]
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def _head_rate(values: Values) -> float:
    return float(values["optimizer.lr"] * values["optimizer.lr_ratio"])


def _audit(before: str, after: str) -> None:
    if before != after:
        raise TrialFailedError("the frozen part changed during the trial, so its score is not that of the recipe")


def batchnorm_mode(values: Values, context: TrialContext) -> str:
    """What BatchNorm does in the part that trains: `eval` keeps the statistics it begins with, `train` follows."""
    asked = str(values["freeze.batchnorm"])
    if asked == "adabn":
        return "eval"  # re-estimated once, before anything was fitted to them
    if asked != "auto":
        return asked
    if not context.pretrained:
        return "train"
    steps = values["train.epochs"] * len(context.rows("train")) / values["train.batch_size"]
    return "eval" if values["train.batch_size"] < _SMALL_BATCH or steps < _FEW_STEPS else "train"


def balance_mode(values: Values, context: TrialContext) -> str:
    """How classes are made to count alike: `none`, `weights` or `sampling`."""
    asked = str(values["train.balance"])
    if asked != "auto":
        return asked
    labels = context.labels("train")
    if labels.ndim == 2:
        return "none"  # mean average precision counts labels alike, however many images have them
    counts = torch.bincount(labels, minlength=context.classes)
    unequal = bool(counts.max() >= _UNEQUAL * counts[counts > 0].min())
    return "weights" if unequal and context.metric == "balanced" else "none"


def _evened(labels: Tensor) -> Tensor:
    """Positions in which images of small classes come several times, for heads that know no weights."""
    counts = torch.bincount(labels)
    times = (counts.max() / counts.clamp(min=1)).round().clamp(max=_MOST_TIMES).long()
    return torch.arange(len(labels)).repeat_interleave(times[labels])


def _schedule(values: Values, context: TrialContext) -> Schedule:
    return Schedule(
        optimizer=values["optimizer.name"],
        weight_decay=values["optimizer.weight_decay"],
        epochs=values["train.epochs"],
        batch_size=values["train.batch_size"],
        warmup=values["train.warmup"],
        label_smoothing=values["train.label_smoothing"],
        mixup=values["train.mixup"],
        ema=values["train.ema"],
        l2_sp=values.get("optimizer.l2_sp", 0.0),
        balance=balance_mode(values, context),
    )
