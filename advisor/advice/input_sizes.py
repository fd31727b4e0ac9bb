"""How large the input has to be: the probe at smaller inputs on a sample, and what each size costs (method.md 6)."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from advisor.advice.probe import probe
from advisor.advice.sampled import SAMPLE, features_of
from advisor.errors import BackboneError
from advisor.network.input_size import resize_input
from advisor.network.opening import stages_for

if TYPE_CHECKING:
    from torch import nn

    from advisor.advice.measure import Measured
    from advisor.advice.probe import ProbeCurve
    from advisor.data.prepare import Prepared
    from advisor.network.stages import Stages
    from advisor.progress import Progress
    from advisor.types import Backbone

LADDER = (64, 96, 128, 160, 192)
_TIMED = 32  # images
_LARGEST = 4  # times the images' own shorter side; beyond it there is nothing to see
_LEAST_OF_TOKENS = 128  # pixels; fewer leave a transformer a handful of patches


@dataclass(frozen=True)
class SizePoint:
    """One input size.

    Attributes:
        size: side, pixels.
        accuracy: of the best stage's probe on the sample, leave-one-out, in the curve's metric.
        behind: of the best size's accuracy less this one's, 0..1.
        behind_se: paired standard error of that.
        seconds: of one image's forward pass, measured here.
    """

    size: int
    accuracy: float
    behind: float
    behind_se: float
    seconds: float

    @property
    def tied(self) -> bool:
        """Whether it is within one standard error of the best size."""
        return self.behind <= self.behind_se


@dataclass(frozen=True)
class SizeCurve:
    """The probe at several input sizes.

    Attributes:
        images: of the sample.
        own: shorter side of the images themselves, median, pixels.
        points: ascending; the last is the backbone's own size.
    """

    images: int
    own: int
    points: tuple[SizePoint, ...]

    @property
    def start(self) -> int:
        """The smallest size within one standard error of the best: where fine-tuning begins."""
        return next(point.size for point in self.points if point.tied)

    @property
    def sentence(self) -> str:
        """What the sizes say, in words."""
        first, last = next(point for point in self.points if point.tied), self.points[-1]
        if first is last:
            return f"fine-tuning needs the full {last.size} pixels: smaller inputs lose accuracy in the probe"
        cost = first.seconds / last.seconds
        return (
            f"{first.size} pixels do for fine-tuning: the probe reaches {first.accuracy:.3f} there, "
            f"{max(point.accuracy for point in self.points):.3f} at best, for {cost:.0%} of the time at {last.size}"
        )

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        points = [asdict(point) for point in self.points]
        return {"images": self.images, "own": self.own, "start": self.start, "points": points}


def measure_sizes(
    prepared: Prepared,
    backbone: Backbone,
    network: nn.Module,
    stages: Stages,
    measured: Measured,
    *,
    progress: Progress,
) -> SizeCurve | None:
    """Probe a sample of the images that may be trained on at the sizes of the ladder below the backbone's own.

    Args:
        prepared: the dataset.
        backbone: what the network is.
        network: pretrained, in evaluation mode, on the device to compute on; it is not changed.
        stages: of the network at its own size.
        measured: what the network says at its own size; the sample is the first of its images.
        progress: told how far it is.

    Returns:
        None where the network takes no smaller input.
    """
    rows = measured.rows[:SAMPLE]
    frame = prepared.dataset.frame
    trainable = frame.loc[frame["split"] != "test"]
    own = int(np.median(np.minimum(trainable["width"], trainable["height"])))
    task, labels, _ = prepared.dataset.task.restricted(prepared.dataset.targets(rows))
    families = prepared.dataset.families(rows)
    curves: dict[int, tuple[ProbeCurve, float]] = {}
    wanted = sizes_below(backbone.input.size, own, tokens=stages.tokens)
    with progress.task("Trying input sizes", len(rows) * len(wanted)) as advance:
        for size in wanted:
            smaller = copy.deepcopy(network)
            try:
                spec = resize_input(smaller, backbone.input, size)
                parts = stages_for(replace(backbone, input=spec), smaller, codes=stages.codes)
            except BackboneError:
                continue  # this network does not take this size; the others say enough
            features, seconds = features_of(prepared.pixels.batch, rows, spec, smaller, parts, advance)
            curves[size] = probe(features, labels, task, parts, families=families), seconds
    if not curves:
        return None
    whole = [stage[: len(rows)] for stage in measured.features]
    # The features are there; what an image takes is timed once more, as at the smaller sizes.
    _, seconds = features_of(prepared.pixels.batch, rows[:_TIMED], backbone.input, network, stages, lambda _: None)
    curves[backbone.input.size] = probe(whole, labels, task, stages, families=families), seconds
    best = max(curves, key=lambda size: (curves[size][0].best.accuracy, size))
    top = curves[best][0]
    points = []
    for size, (curve, seconds) in curves.items():
        gap, error = _behind(top, curve)
        points.append(SizePoint(size, curve.best.accuracy, gap, error, seconds))
    return SizeCurve(len(rows), own, tuple(points))


def sizes_below(largest: int, own: int, *, tokens: bool) -> list[int]:
    """The ladder's sizes that are worth a look below a network's own; the smallest of them always.

    Args:
        largest: the network's own size, pixels.
        own: shorter side of the images, pixels.
        tokens: whether the network is a transformer.
    """
    rungs = [size for size in LADDER if (_LEAST_OF_TOKENS if tokens else 1) <= size < largest]
    return [size for size in rungs if size <= _LARGEST * own] or rungs[:1]


def _behind(top: ProbeCurve, other: ProbeCurve) -> tuple[float, float]:
    """What a probe is behind another on the same images, and its paired standard error."""
    if top is other:
        return 0.0, 0.0
    first, second = (one.image_scores[one.best.stage - 1] for one in (top, other))
    return top.task.compare(first, second, top.labels, top.families)
