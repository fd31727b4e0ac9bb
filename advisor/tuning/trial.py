"""One trial: values in, a scored model out, and proof that what was frozen did not move."""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.allocator import give_back
from advisor.errors import BackboneError
from advisor.network.fast_training import fast_training
from advisor.network.parts import copied_bytes, merge_updates, train_parts
from advisor.network.sweep import batch_for
from advisor.network.threads import one_blas_thread
from advisor.recipe.values import JUDGEMENTS, steps_per_epoch
from advisor.records.trial import CurvePoint
from advisor.tuning.failures import OutOfTimeError, TrialFailedError
from advisor.tuning.finished import Finished, joined
from advisor.tuning.gates import Gate
from advisor.tuning.judging import Judgement, score
from advisor.tuning.loop import Moment, Schedule, Trained, train
from advisor.tuning.memory import fitting_batch, used_memory
from advisor.tuning.precision import FAST_ENOUGH, WORTH_TIMING, has_bfloat16
from advisor.tuning.settings import balance_mode, batchnorm_mode, class_repeats, learning_rates, schedule_of, undecayed
from advisor.tuning.source import TrainingSource, source_of, views_learnt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from advisor.network.kept import View
    from advisor.network.stages import Reading
    from advisor.network.transfer import TransferNetwork
    from advisor.recipe.values import TrialValues
    from advisor.tuning.context import TrialContext
    from advisor.types import Head

_HEAD_EPOCHS, _HEAD_LR = 30, 1e-2  # of a head without closed form, before anything below it is unfrozen
_NEVER = 1e9  # seconds
_COPIES_OF_INPUT = 5
_BYTES_PER_WEIGHT = 12  # its gradient and AdamW's two moments, float32


@dataclass
class _Course:
    """One trial while it runs."""

    context: TrialContext
    values: TrialValues
    seed: int
    deadline: float
    report: Callable[[CurvePoint], None]
    read: Reading
    frozen: int
    gated: bool
    curve: list[CurvePoint] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def tap(self) -> int:
        return self.read.tap

    @property
    def kind(self) -> Head:
        return self.context.catalog.head(self.values.head.name)

    def tell(self, epoch: int, step: int, seconds: float, image_scores: NDArray[np.float64]) -> None:
        sample_weight = self.context.sample_weight(self.context.rows("val"))
        accuracy = float(sample_weight @ image_scores / max(1e-12, sample_weight.sum()))
        self.curve.append(CurvePoint(epoch, step, seconds, accuracy))
        self.report(self.curve[-1])


def run_trial(
    context: TrialContext,
    values: TrialValues,
    *,
    seed: int,
    deadline: float,
    report: Callable[[CurvePoint], None] = lambda _progress: None,
    gated: bool = True,
    start: Mapping[str, Tensor] | None = None,
) -> Finished:
    """Fit the head, then train what the values unfreeze, and score on the validation images.

    Args:
        context: what trials share; its network is the one that the values ask for.
        values: scalars by key path.
        seed: of the head's start, the shuffling and the augmentation.
        deadline: on `time.monotonic`.
        report: told when the validation images were judged; may raise to stop the trial.
        gated: whether a training that cannot come to anything is stopped.
        start: weights of a network with its head that the training goes on from, in place of the pretrained ones.

    Raises:
        TrialFailedError: there is no score; the reason is its text.
        HopelessError: it was stopped.
        OutOfTimeError: the deadline leaves no room.
        BackboneError: the network cannot be cut at this tap.
    """
    torch.manual_seed(seed)
    deadline = min(deadline, time.monotonic() + _NEVER)
    read = values.features.reading(context.stages)
    if read.also and context.segments is None:
        raise BackboneError(
            f"A head cannot read several stages of `{context.backbone.name}`, which cannot be traced.",
            ways=["let it read one stage: leave [features] also out", "use another backbone"],
            hint="advisor recommend --backbone lite0",
        )
    tap, frozen = read.tap, context.stages.frozen_index(values.freeze.depth, read.tap)
    course = _Course(context, values, seed, deadline, report, read, frozen, gated)
    params: dict[str, object] = dict(values.head.params)
    tokens = course.kind.tokens
    head = course.kind.create(context.standardise(read, tokens=tokens).mean.numel(), context.classes, **params)
    if start is not None:
        return _train_on_views(course, head, start)
    fitted = course.kind.fit is not None and values.head.init == "probe"
    if fitted and course.kind.fit is not None:
        _fit(course, head, params)
    viewed = values.augment != "none"  # a head alone has views only where the recipe says so
    if frozen == tap and not tokens and (fitted or not viewed):
        return _head_only(course, head, fitted=fitted)
    if frozen < tap and not tokens and not fitted and values.head.init == "probe":
        _train_head(course, head)
    return _train_on_views(course, head)


def run_folds(
    fold_contexts: Sequence[TrialContext],
    values: TrialValues,
    *,
    seed: int,
    deadline: float,
    report: Callable[[CurvePoint], None] = lambda _progress: None,
    start: Callable[[int, float], Mapping[str, Tensor] | None] = lambda _fold, _deadline: None,
) -> Finished:
    """A trial on every fold, scored on all their validation images together; of one context, `run_trial`.

    What is reported is the mean over the images judged so far, and the seconds of all folds. `start` gives the weights
    that the training of a fold goes on from, given its number and deadline.
    """
    if len(fold_contexts) == 1:
        begin = start(0, deadline)
        return run_trial(fold_contexts[0], values, seed=seed, deadline=deadline, report=report, start=begin)
    done: list[Finished] = []
    seconds, steps, last = 0.0, 0, CurvePoint(0, 0, 0.0, 0.0)
    for index, context in enumerate(fold_contexts):
        right, judged = sum(len(part.rows) * part.accuracy for part in done), sum(len(part.rows) for part in done)
        held = len(context.rows("val"))

        def tell(
            now: CurvePoint, right: float = right, judged: int = judged, held: int = held,
            before: tuple[int, float] = (steps, seconds),
        ) -> None:  # fmt: skip
            nonlocal last
            mean = (right + held * now.accuracy) / (judged + held)
            last = CurvePoint(now.epoch, before[0] + now.steps, before[1] + now.seconds, mean)
            report(last)

        share = (deadline - time.monotonic()) / (len(fold_contexts) - index)
        last_moment = time.monotonic() + share
        begin = start(index, last_moment)
        done.append(run_trial(context, values, seed=seed, deadline=last_moment, report=tell, start=begin))
        steps, seconds = max(steps, last.steps), max(seconds, last.seconds)
    return joined(done, fold_contexts[0].sample_weight)


def _fit(course: _Course, head: nn.Module, params: dict[str, object]) -> None:
    """The head's closed form; where classes shall count alike, by weights if it knows them, else by repetition.

    Of several labels each is a problem of its own, and all images count.
    """
    context, fit = course.context, course.kind.fit
    assert fit is not None
    known = inspect.signature(fit).parameters
    features, labels = context.features("train", course.read), context.labels("train")
    params = {**params, **context.scaling_known(fit)}
    families = context.families("train")
    if not families.any():  # one family leaves none to fit to
        families = np.arange(len(families))
    if len(views := views_learnt(course.values, course.seed, context.draw)) > 1:
        _require_time(course, views)
        features = torch.cat([context.features("train", course.read, view) for view in views])
        labels = torch.cat([labels] * len(views))
    elif course.values.features.cache not in (None, "auto"):
        course.notes.append("there is only one view of an image to learn from: train.augment is none, or views is 1")
    if "families" in known:  # what is left out where a penalty is chosen must leave with all its views
        params = {**params, "families": torch.from_numpy(families).repeat(len(views))}
    if context.task.exclusive and balance_mode(course.values, context) != "none":
        if "weights" in known:
            params = {**params, "weights": torch.from_numpy(context.task.class_weights(labels.numpy()))}
        else:
            evened = class_repeats(labels)
            features, labels = features[evened], labels[evened]
            if "families" in params:
                params = {**params, "families": torch.as_tensor(params["families"])[evened]}
    with one_blas_thread():
        fit(head, features, labels, **params)


def _require_time(course: _Course, views: Sequence[View]) -> None:
    """Refuse a fit whose views would not be computed in time, before any is."""
    missing = course.context.missing_views(views, "train")
    if time.monotonic() + missing * course.context.seconds_per_image() > course.deadline:
        raise OutOfTimeError(f"{missing} views would not be read in the time left")


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
    context, read = course.context, course.read
    tap, before = read.tap, context.audit()
    held, labels = context.features("val", read), context.labels("val")
    steps = planned = 0
    if not fitted:
        features = context.features("train", read)
        trained = train(
            head,
            lambda batch, _epoch: features[batch],
            context.labels("train"),
            schedule_of(course.values, context),
            rates={name: course.values.steps[0].head_lr for name, _ in head.named_parameters()},
            head="",
            loss=course.kind.loss,
            seed=course.seed,
            deadline=course.deadline,
            judge=lambda now: course.tell(
                now.epoch, now.step, now.seconds, _head_score(head, held, labels).image_scores
            ),
            judgements=JUDGEMENTS,
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
        audit=after, network=lambda: context.build(read, head), curve=tuple(course.curve),
        notes=tuple(course.notes), also=read.also,
    )  # fmt: skip


def _head_score(head: nn.Module, features: Tensor, labels: Tensor) -> Judgement:
    head.eval()
    with torch.inference_mode():
        return score(head(features), labels)


def _train_head(course: _Course, head: nn.Module) -> None:
    """A head without closed form learns on the frozen features first: random, it would spoil what lies below it."""
    features = course.context.features("train", course.read)
    optimizer, train_values = course.values.steps
    schedule = Schedule(
        "adamw", weight_decay=optimizer.weight_decay, batch_size=train_values.batch_size, warmup=train_values.warmup,
        steps=_HEAD_EPOCHS * steps_per_epoch(len(features), train_values.batch_size),
        balance=balance_mode(course.values, course.context),
    )  # fmt: skip
    train(
        head, lambda batch, _epoch: features[batch], course.context.labels("train"), schedule,
        rates={name: _HEAD_LR for name, _ in head.named_parameters()}, head="", loss=course.kind.loss,
        seed=course.seed, deadline=course.deadline, judge=lambda _now: None, say=course.notes.append,
    )  # fmt: skip


def _train_on_views(course: _Course, head: nn.Module, start: Mapping[str, Tensor] | None = None) -> Finished:
    """The head and the unfrozen stages, if any, train together on views of the images."""
    context, values = course.context, course.values
    network = context.build(
        course.read, head, tokens=course.kind.tokens, drop_path=values.drop_path
    )  # fmt: skip
    if start is not None:
        network.load_state_dict(start)
    network.freeze(course.frozen, batchnorm=batchnorm_mode(values, context))
    train_parts(network, values.parts, (values.train and values.train.lora_rank) or 0)
    before = network.frozen_digest()
    source = source_of(
        course.context, network, values, frozen=course.frozen, seed=course.seed, deadline=course.deadline
    )
    if course.frozen:
        course.notes += context.notes
        if (course.read.also or course.read.mirrored) and values.features.cache == "views":
            course.notes.append("views are fresh in every epoch: a head that reads several things at once keeps none")
    # The first validation image, where there is one, so that no draw of the training's views is used up.
    example = source.judged(slice(0, 1)) if len(context.rows("val")) else source.take(torch.arange(1), 0)
    with fast_training(source.model, example, values.steps[1].batch_size):
        trained, judgement = _train_whole(course, network, source, example)
    after = network.frozen_digest()
    _audit(before, after)
    kept = sum(p.numel() for p in network.trunk.parameters())
    still = sum(p.numel() for p in network.trunk.parameters() if not p.requires_grad)
    merge_updates(network)
    held = context.rows("val")
    return Finished(
        rows=held, image_scores=judgement.image_scores, sample_weight=context.sample_weight(held), loss=judgement.loss,
        temperature=judgement.temperature,
        tap=course.tap, frozen=course.frozen,
        frozen_share=still / kept, steps=trained.steps, planned_steps=trained.planned, audit=after,
        network=lambda: network, curve=tuple(course.curve), notes=tuple(course.notes),
        train_accuracy=trained.accuracy, also=course.read.also,
    )  # fmt: skip


def _train_whole(
    course: _Course, network: TransferNetwork, source: TrainingSource, example: tuple[Tensor, ...]
) -> tuple[Trained, Judgement]:
    """Train and judge what the source's model holds; the last judgement is that of the weights at the end."""
    context, values = course.context, course.values
    held, held_labels = context.rows("val"), context.labels("val")
    size = batch_for(context.device)

    def judge() -> Judgement:
        network.eval()
        with torch.inference_mode():
            parts = [source.model(*source.judged(slice(i, i + size))).float().cpu() for i in range(0, len(held), size)]
        return score(torch.cat(parts) if parts else torch.zeros(0), held_labels)

    last = Judgement(np.zeros(len(held)), 0.0, torch.zeros(0, context.classes), held_labels[:0])
    gate = None
    if values.head.init == "probe" and len(held):
        last = judge()
        course.tell(0, 0, 0.0, last.image_scores)
        gate = Gate(context, values, last.image_scores) if course.gated else None

    def judged(now: Moment) -> None:
        nonlocal last
        last = judge()
        course.tell(now.epoch, now.step, now.seconds, last.image_scores)
        if gate is not None:
            gate.check(now, last.image_scores)

    labels = context.labels("train").to(context.device)
    schedule = replace(schedule_of(values, context), bfloat16=_lowers_precision(course, source, example))
    with context.progress.task("Training", schedule.steps, seconds=course.deadline - time.monotonic()) as advance:

        def take(rows: Tensor, epoch: int) -> Tensor | tuple[Tensor, ...]:
            advance(1)
            return source.take(rows, epoch)

        trained = train(
            source.model,
            take,
            labels,
            schedule,
            rates=learning_rates(network, source.model, values),
            undecayed=undecayed(network),
            loss=course.kind.loss,
            seed=course.seed,
            # Leave time to score the last epoch.
            deadline=course.deadline - len(held) * context.seconds_per_image() * source.share,
            micro_batch=_micro_batch(course, source),
            judge=judged,
            judgements=JUDGEMENTS,
            say=course.notes.append,
        )
    return trained, last


def _lowers_precision(course: _Course, source: TrainingSource, example: tuple[Tensor, ...]) -> bool:
    """Whether the training is in bfloat16: where the processor has it and a step is clearly faster so."""
    context, values = course.context, course.values
    if context.device.type != "cpu" or not has_bfloat16() or schedule_of(values, context).steps < WORTH_TIMING:
        return False
    ratio = context.bfloat16_ratio(f"{course.tap}/{course.frozen}", source.model, example, values.steps[1].batch_size)
    if ratio > FAST_ENOUGH:
        return False
    course.notes.append(f"Trained in bfloat16: a step takes {100 * ratio:.0f} % of its time in float32 here.")
    return True


def _micro_batch(course: _Course, source: TrainingSource) -> int | None:
    """How many images fit into the memory that the run may take; None without a limit."""
    context, cap = course.context, course.context.limits.memory
    if cap is None:
        return None
    inputs = source.take(torch.arange(min(2, len(context.rows("train")))), 0)
    key = f"{course.tap}/{course.frozen}/{tuple(inputs[0].shape[1:])}"
    per_image = context.bytes_per_image(key, source.model, inputs)
    trained = sum(p.numel() for p in source.model.parameters() if p.requires_grad)
    weights = _BYTES_PER_WEIGHT * trained + copied_bytes(source.model)
    # A whole batch is drawn at once, in a few steps that each leave a copy.
    drawn = _COPIES_OF_INPUT * course.values.steps[1].batch_size * sum(one[0].nbytes for one in inputs)
    give_back()
    return fitting_batch(cap, used_memory(context.device), weights + drawn, per_image)


def _audit(before: str, after: str) -> None:
    if before != after:
        raise TrialFailedError("the frozen part changed during the trial, so its score is not that of the recipe")
