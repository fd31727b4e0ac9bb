"""A dataset as a backbone sees it: every measurement, before any decision."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from advisor.advice.examples import Examples, find_examples
from advisor.advice.health import ConfusedClasses, Suspect, find_confusions, find_suspects
from advisor.advice.labels import LabelCurve, label_curve
from advisor.advice.measure import Lender, Measured, measure
from advisor.advice.probe import ProbeCurve, probe
from advisor.errors import DatasetError
from advisor.network.opening import open_network, stages_for
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
        recall: leave-one-out, at the best stage, 0..1; the task's `class_metric`, so average precision of a label.
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

    def to_dict(self) -> dict[str, object]:
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
    # Of very many classes only a part is probed; what follows knows no others.
    task, labels, kept = prepared.dataset.task.restricted(prepared.dataset.targets(measured.rows))
    if not len(kept):
        raise DatasetError(
            f"No label of `{prepared.dataset.location}` is on some of the {len(labels)} images looked at and not on "
            "others.",
            ways=["look at more images with --images", "check how labels are separated"],
            hint="advisor profile shows the number of images per label",
        )
    families = prepared.dataset.families(measured.rows)
    if len(set(families.tolist())) == 1:
        raise DatasetError(
            f"All {len(labels)} images to train on belong together: copies of one picture, or one given group. So "
            "nothing can be said of how others would do.",
            ways=["add images of others", "give smaller groups"],
            hint="photos.csv?group= reads a table without its groups",
        )
    paths = list(prepared.dataset.frame.set_index("row")["path"][measured.rows])
    growth: LabelCurve | None = None
    suspects: tuple[Suspect, ...] = ()
    confusions: tuple[ConfusedClasses, ...] = ()
    with progress.task("Probing every stage", len(measured.features) + task.exclusive) as advance:
        curve = probe(measured.features, labels, task, stages, advance, families)
        task, best = curve.task, curve.best
        if task.exclusive:  # labels that do not exclude each other cannot be confused, nor one be doubted for another
            growth = label_curve(
                measured.features[best.stage - 1], labels, task, (best.accuracy, best.se),
                have=prepared.profile.independent_trainable, seed=seed, families=families,
            )  # fmt: skip
            advance(1)
            suspects = find_suspects(curve, measured.features, labels, paths, task.classes)
            confusions = find_confusions(curve, labels, task.classes)
    scores = task.per_class(curve.fits[best.stage - 1].loo, labels)
    return Inspected(
        measured=measured,
        stages=stages,
        curve=curve,
        labels=growth,
        classes=tuple(
            ClassAdvice(score.name, score.images, score.value, measured.class_distances.get(int(label)))
            for label, score in zip(kept, scores, strict=True)
        ),
        suspects=suspects,
        confusions=confusions,
        examples=find_examples(measured.features[best.stage - 1], task.truth(labels), paths, task.classes),
    )
