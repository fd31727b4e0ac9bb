"""A dataset as a backbone sees it: every measurement, before any decision."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from advisor.advice.examples import Examples, find_examples
from advisor.advice.health import ConfusedClasses, Suspect, find_confusions, find_suspects
from advisor.advice.labels import LabelCurve, label_curve
from advisor.advice.measure import Lender, Measured, measure
from advisor.advice.probe import ProbeCurve, probe, probe_multilabel
from advisor.errors import DatasetError
from advisor.network.opening import open_network, stages_for
from advisor.network.precision import average_precisions
from advisor.plugins import DEFAULT_BACKBONE

if TYPE_CHECKING:
    from torch import nn

    from advisor.advice.distance import Estimate
    from advisor.data.prepare import Prepared
    from advisor.network.stages import Stages
    from advisor.plugins import Catalog
    from advisor.progress import Progress
    from advisor.types import Backbone


@dataclass(frozen=True)
class ClassAdvice:
    """What the measurements say about one class.

    Attributes:
        name: of the class.
        images: that were probed.
        recall: leave-one-out, at the best stage, 0..1; average precision where images may have several labels.
        distance: D_late of its images; None without BatchNorm or with fewer than eight of them.
    """

    name: str
    images: int
    recall: float
    distance: Estimate | None


@dataclass(frozen=True)
class Inspected:
    """A dataset as a backbone sees it, before any decision."""

    measured: Measured
    stages: Stages
    curve: ProbeCurve
    labels: LabelCurve | None
    classes: tuple[ClassAdvice, ...]
    suspects: tuple[Suspect, ...]
    confusions: tuple[ConfusedClasses, ...]
    examples: tuple[Examples, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What it says of the data, plain for JSON."""
        return {
            "labels": self.labels.to_dict() if self.labels else None,
            "classes": [asdict(entry) for entry in self.classes],
            "suspects": [asdict(entry) for entry in self.suspects],
            "confusions": [asdict(entry) for entry in self.confusions],
            "examples": [asdict(entry) for entry in self.examples],
        }


def inspect(
    prepared: Prepared,
    backbone: Backbone,
    network: nn.Module,
    *,
    catalog: Catalog,
    images: int,
    seed: int,
    progress: Progress,
    codes: str = "mean",
) -> Inspected:
    """Pass images through a network, probe every stage, and look at labels and classes.

    Args:
        prepared: the dataset.
        backbone: what the network is.
        network: pretrained, in evaluation mode, on the device to compute on.
        catalog: for the network that lends BatchNorm statistics where this one has none.
        images: at most this many.
        seed: of samples.
        progress: told how far it is.
        codes: how stages are read, one of `CODES`.
    """
    device = next(network.parameters()).device
    stages = stages_for(backbone, network, codes=codes)

    def lend() -> Lender:
        lender = catalog.backbone(DEFAULT_BACKBONE)
        other = open_network(lender, device)
        return Lender(lender, other, stages_for(lender, other))

    lender = lend if DEFAULT_BACKBONE in catalog.backbones and backbone.name != DEFAULT_BACKBONE else None
    measured = measure(prepared, backbone, network, stages, images=images, seed=seed, progress=progress, lender=lender)
    splits = prepared.profile.splits
    if prepared.dataset.multilabel:
        return _inspect_multilabel(prepared, measured, stages, progress)
    # Of very many classes only a part is probed; what follows knows no others.
    kinds, labels = np.unique(measured.labels, return_inverse=True)
    names = [prepared.dataset.classes[int(kind)] for kind in kinds]
    with progress.task("Probing every stage", len(measured.features) + 1) as advance:
        curve = probe(measured.features, labels, len(names), stages, advance)
        best = curve.best
        growth = label_curve(
            measured.features[best.stage - 1], labels, len(names), best.accuracy,
            balanced=curve.balanced, have=splits["train"] + splits["val"], seed=seed,
        )  # fmt: skip
        advance(1)
    paths = list(prepared.dataset.frame.set_index("row")["path"][measured.rows])
    right = curve.image_scores[best.stage - 1]
    classes = []
    for label, name in enumerate(names):
        mine = labels == label
        classes.append(
            ClassAdvice(
                name, int(mine.sum()), float(right[mine].mean()), measured.class_distances.get(int(kinds[label]))
            )
        )
    return Inspected(
        measured=measured,
        stages=stages,
        curve=curve,
        labels=growth,
        classes=tuple(classes),
        suspects=find_suspects(curve, measured.features, labels, paths, names),
        confusions=find_confusions(curve, labels, names),
        examples=find_examples(measured.features[best.stage - 1], labels, paths, names),
    )


def _inspect_multilabel(prepared: Prepared, measured: Measured, stages: Stages, progress: Progress) -> Inspected:
    """What can be said where images have several labels: nothing of confusions, doubtful labels or further labels."""
    truth = prepared.dataset.truth(measured.rows)
    telling = np.flatnonzero(truth.any(0) & ~truth.all(0))
    if not len(telling):
        raise DatasetError(
            f"No label of `{prepared.dataset.location}` is on some of the {len(truth)} images looked at and not on "
            "others.",
            ways=["look at more images with --images", "check how labels are separated"],
            hint="advisor profile shows the number of images per label",
        )
    truth = truth[:, telling]
    with progress.task("Probing every stage", len(measured.features)) as advance:
        curve = probe_multilabel(measured.features, truth, stages, advance)
    precision = average_precisions(curve.fits[curve.best.stage - 1].loo, truth)
    classes = tuple(
        ClassAdvice(
            prepared.dataset.classes[int(label)], int(truth[:, place].sum()), float(precision[place]),
            measured.class_distances.get(int(label)),
        )
        for place, label in enumerate(telling)
    )  # fmt: skip
    paths = list(prepared.dataset.frame.set_index("row")["path"][measured.rows])
    names = [prepared.dataset.classes[int(label)] for label in telling]
    return Inspected(
        measured, stages, curve, labels=None, classes=classes, suspects=(), confusions=(),
        examples=find_examples(measured.features[curve.best.stage - 1], truth, paths, names),
    )  # fmt: skip
