"""One trial: values in, a scored model out, and proof that what was frozen did not move."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

from advisor.data.views import augmented_view, clean_view
from advisor.network.features import FeatureStore, compute_features, weights_digest
from advisor.network.sweep import BATCH, Sweeper
from advisor.network.transfer import Standardise, TransferNetwork
from advisor.tuning.loop import Schedule, TrialFailedError, train

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from advisor.data.prepare import Prepared
    from advisor.network.stages import Stages
    from advisor.plugins import Catalog
    from advisor.progress import Progress
    from advisor.tuning.space import Values
    from advisor.types import Backbone, Head

# Below either, BatchNorm keeps its pretrained statistics: running averages need many steps to follow
# (timm's ports from TensorFlow move them by 1 % a step), and the head was fitted to the pretrained ones.
_SMALL_BATCH, _FEW_STEPS = 16, 1000


@dataclass(frozen=True)
class Finished:
    """A trial with a score.

    Attributes:
        accuracy: on the validation images, 0..1.
        loss: cross-entropy there, nats.
        tap: stages kept.
        frozen: stages frozen; equal to `tap` when only the head was fitted.
        frozen_share: share of the kept parameters that were frozen.
        steps: optimiser steps; 0 for a closed form.
        planned_steps: what the recipe asked for.
        audit: SHA-256 of everything frozen, the same before and after.
        network: builds the scored model.
    """

    accuracy: float
    loss: float
    tap: int
    frozen: int
    frozen_share: float
    steps: int
    planned_steps: int
    audit: str
    network: Callable[[], TransferNetwork]


class Workbench:
    """What all trials of a run share: the pretrained network, the pixels, the features.

    Args:
        backbone: its description.
        network: pretrained, in evaluation mode, on `device`; trials copy it and never change it.
        stages: of the network.
        prepared: the dataset and its pixels.
        catalog: for heads.
        device: where to compute.
        progress: told how far the features are.
    """

    def __init__(
        self,
        backbone: Backbone,
        network: nn.Module,
        stages: Stages,
        prepared: Prepared,
        catalog: Catalog,
        device: torch.device,
        progress: Progress,
    ) -> None:
        self.backbone = backbone
        self.network = network
        self.stages = stages
        self.prepared = prepared
        self.catalog = catalog
        self.device = device
        self.progress = progress
        self.classes = len(prepared.dataset.classes)
        self._store = FeatureStore.open(prepared.pixels, network, stages, backbone.input)
        self._features: dict[str, list[Tensor]] = {}
        self._standardise: dict[int, Standardise] = {}

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of the pixel store in a split."""
        return self.prepared.dataset.rows(split)

    def labels(self, split: str) -> Tensor:
        """(n,) int64 on the CPU."""
        return torch.from_numpy(self.prepared.dataset.labels(split).copy())

    def features(self, split: str, tap: int) -> Tensor:
        """Standardised pooled features (n, width) of a split at a tap, on the CPU."""
        standardised: Tensor = self.standardise(tap)(self.raw_features(split, tap))
        return standardised

    def standardise(self, tap: int) -> Standardise:
        """The standardisation at a tap, from the training images."""
        if tap not in self._standardise:
            self._standardise[tap] = Standardise.of(self.raw_features("train", tap))
        return self._standardise[tap]

    def raw_features(self, split: str, tap: int) -> Tensor:
        """Pooled features (n, width) of a split at a tap, on the CPU; computed once per image."""
        if split not in self._features:
            arrays = compute_features(
                Sweeper(self.network, self.stages),
                self.prepared.pixels,
                self.rows(split),
                self.backbone.input,
                store=self._store,
                device=self.device,
                progress=self.progress,
            )
            self._features[split] = [torch.from_numpy(array) for array in arrays]
        return self._features[split][tap - 1]

    def build(self, tap: int, head: nn.Module) -> TransferNetwork:
        """A fresh copy of the pretrained network, cut at a tap, with a copy of a head."""
        network = TransferNetwork(
            copy.deepcopy(self.network),
            self.stages,
            tap,
            copy.deepcopy(self.standardise(tap)),
            copy.deepcopy(head),
        )
        return network.to(device=self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]

    def seconds_per_image(self) -> float:
        """Forward time through the whole network, measured on a few images."""
        rows = self.rows("train")[: 2 * BATCH]
        images = [self.clean(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH)]
        with torch.inference_mode():
            self.network(images[0])
            began = time.perf_counter()
            for batch in images:
                self.network(batch).sum().item()
        return (time.perf_counter() - began) / len(rows)

    def clean(self, rows: NDArray[np.int64]) -> Tensor:
        """Evaluation views (B, 3, size, size) of some rows, on the device."""
        pixels = torch.from_numpy(self.prepared.pixels.batch(rows)).to(self.device)
        return clean_view(pixels, self.backbone.input)


def run_trial(
    bench: Workbench,
    values: Values,
    *,
    seed: int,
    deadline: float,
    report: Callable[[int, float], None],
) -> Finished:
    """Train and score one set of values.

    Args:
        bench: what all trials share.
        values: by key path, scalars.
        seed: of everything random in the trial.
        deadline: on `time.monotonic`.
        report: told the validation accuracy after each epoch; may raise to stop the trial.

    Raises:
        TrialFailedError: with the reason.
        OutOfTimeError: the deadline leaves no room.
    """
    torch.manual_seed(seed)
    tap = bench.stages.tap_index(values["features.tap"])
    frozen = bench.stages.frozen_index(values["freeze.depth"], tap)
    head_kind, params = bench.catalog.head(values["head.name"]), head_params(values)
    features = bench.features("train", tap)
    head = head_kind.create(features.shape[1], bench.classes, **params)
    fitted = head_kind.fit is not None and values["head.init"] == "probe"
    if fitted and head_kind.fit is not None:
        head_kind.fit(head, features, bench.labels("train"), **params)
    if frozen == tap:
        return _head_only(bench, head, head_kind, values, tap, seed, deadline, report, fitted=fitted)
    return _fine_tune(bench, head, head_kind, values, tap, frozen, seed, deadline, report)


def head_params(values: Values) -> dict[str, object]:
    """The values that belong to the trial's own head."""
    prefix = f"head.{values['head.name']}."
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


def score(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy 0..1 and mean cross-entropy in nats of logits (n, classes).

    Raises:
        TrialFailedError: a logit is not a finite number.
    """
    logits = logits.float()
    if not torch.isfinite(logits).all():
        raise TrialFailedError("the model answers with numbers that are not finite")
    return (
        float((logits.argmax(1) == labels).float().mean()),
        float(F.cross_entropy(logits, labels)),
    )


def predict_logits(network: nn.Module, bench: Workbench, rows: NDArray[np.int64]) -> Tensor:
    """Logits (len(rows), classes) on the clean views, on the CPU."""
    network.eval()
    with torch.inference_mode():
        parts = [network(bench.clean(rows[i : i + BATCH])).float().cpu() for i in range(0, len(rows), BATCH)]
    return torch.cat(parts)


def _head_only(
    bench: Workbench,
    head: nn.Module,
    kind: Head,
    values: Values,
    tap: int,
    seed: int,
    deadline: float,
    report: Callable[[int, float], None],
    *,
    fitted: bool,
) -> Finished:
    """Everything below the head is frozen, so its features are all that is needed."""
    before = weights_digest(bench.network)
    steps = planned = 0
    held, held_labels = bench.features("val", tap), bench.labels("val")
    if not fitted:
        features = bench.features("train", tap)
        trained = train(
            head,
            head,
            lambda batch: features[batch],
            bench.labels("train"),
            _schedule(values),
            loss=kind.loss,
            seed=seed,
            deadline=deadline,
            after_epoch=lambda epoch: report(epoch, _head_score(head, held, held_labels)[0]),
        )
        steps, planned = trained.steps, trained.planned
    accuracy, loss = _head_score(head, held, held_labels)
    after = weights_digest(bench.network)
    _audit(before, after)
    return Finished(accuracy, loss, tap, tap, 1.0, steps, planned, after, lambda: bench.build(tap, head))


def _head_score(head: nn.Module, features: Tensor, labels: Tensor) -> tuple[float, float]:
    head.eval()
    with torch.inference_mode():
        return score(head(features), labels)


def _fine_tune(
    bench: Workbench,
    head: nn.Module,
    kind: Head,
    values: Values,
    tap: int,
    frozen: int,
    seed: int,
    deadline: float,
    report: Callable[[int, float], None],
) -> Finished:
    """The head has been fitted first; now it and the unfrozen stages train together."""
    network = bench.build(tap, head)
    rows, labels = bench.rows("train"), bench.labels("train").to(bench.device)
    network.freeze(frozen, batchnorm=_batchnorm(values, len(rows)))
    before = network.frozen_digest()
    held, held_labels = bench.rows("val"), bench.labels("val")
    generator = torch.Generator().manual_seed(seed)

    def take(batch: Tensor) -> Tensor:
        pixels = torch.from_numpy(bench.prepared.pixels.batch(rows[batch.numpy()])).to(bench.device)
        return augmented_view(pixels, bench.backbone.input, values["train.augment"], generator)

    last = (0.0, 0.0)

    def after_epoch(epoch: int) -> None:
        nonlocal last
        last = score(predict_logits(network, bench, held), held_labels)
        report(epoch, last[0])

    # Leave time to score the last epoch.
    scoring = len(held) * bench.seconds_per_image()
    trained = train(
        network,
        network.head,
        take,
        labels,
        _schedule(values),
        loss=kind.loss,
        seed=seed,
        deadline=deadline - scoring,
        after_epoch=after_epoch,
    )
    after = network.frozen_digest()
    _audit(before, after)
    kept = sum(p.numel() for p in network.trunk.parameters())
    still = sum(p.numel() for p in network.trunk.parameters() if not p.requires_grad)
    return Finished(
        accuracy=last[0],
        loss=last[1],
        tap=tap,
        frozen=frozen,
        frozen_share=still / kept,
        steps=trained.steps,
        planned_steps=trained.planned,
        audit=after,
        network=lambda: network,
    )


def _audit(before: str, after: str) -> None:
    if before != after:
        raise TrialFailedError("the frozen part changed during the trial, so its score is not that of the recipe")


def _batchnorm(values: Values, images: int) -> str:
    if values["freeze.batchnorm"] != "auto":
        return str(values["freeze.batchnorm"])
    steps = values["train.epochs"] * images / values["train.batch_size"]
    return "eval" if values["train.batch_size"] < _SMALL_BATCH or steps < _FEW_STEPS else "train"


def _schedule(values: Values) -> Schedule:
    return Schedule(
        lr=values["optimizer.lr"],
        lr_head=values["optimizer.lr"] * values["optimizer.lr_ratio"],
        weight_decay=values["optimizer.weight_decay"],
        epochs=values["train.epochs"],
        batch_size=values["train.batch_size"],
        warmup=values["train.warmup"],
        label_smoothing=values["train.label_smoothing"],
    )
