"""How large the input has to be: the probe at smaller inputs on a sample, and what each size costs (method.md 6)."""

from __future__ import annotations

import copy
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.advice.probe import probe
from advisor.data.sampling import sample_rows
from advisor.data.views import clean_view
from advisor.errors import BackboneError
from advisor.network.input_size import resize_input
from advisor.network.opening import stages_for
from advisor.network.sweep import BATCH, Sweeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import nn

    from advisor.advice.probe import ProbeCurve
    from advisor.data.prepare import Prepared
    from advisor.network.stages import Stages
    from advisor.progress import Progress
    from advisor.types import Backbone

LADDER = (64, 96, 128, 160, 192)
_SAMPLE = 400  # images
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
    prepared: Prepared, backbone: Backbone, network: nn.Module, stages: Stages, *, seed: int, progress: Progress
) -> SizeCurve | None:
    """Probe a sample of the images that may be trained on at the sizes of the ladder below the backbone's own.

    Args:
        prepared: the dataset.
        backbone: what the network is.
        network: pretrained, in evaluation mode, on the device to compute on; it is not changed.
        stages: of the network at its own size.
        seed: of the sample.
        progress: told how far it is.

    Returns:
        None where the network takes no smaller input.
    """
    frame = prepared.dataset.frame
    trainable = frame.loc[frame["split"] != "test"]
    rows, _ = sample_rows(trainable["row"].to_numpy(np.int64), trainable["label"].to_numpy(np.int64), _SAMPLE, seed)
    own = int(np.median(np.minimum(trainable["width"], trainable["height"])))
    least = _LEAST_OF_TOKENS if stages.tokens else 1
    wanted = [size for size in LADDER if least <= size < backbone.input.size and size <= _LARGEST * own]
    curves: dict[int, tuple[ProbeCurve, float]] = {}
    with progress.task("Trying input sizes", len(rows) * (len(wanted) + 1)) as advance:
        for size in (*wanted, backbone.input.size):
            smaller = copy.deepcopy(network)
            try:
                spec = resize_input(smaller, backbone.input, size)
                card = replace(backbone, input=spec)
                parts = stages_for(card, smaller, codes=stages.codes)
            except BackboneError:
                continue  # this network does not take this size; the others say enough
            curves[size] = _probed(prepared, card, smaller, parts, rows, advance)
    if len(curves) < 2:
        return None
    best = max(curves, key=lambda size: (curves[size][0].best.accuracy, size))
    top = curves[best][0]
    points = []
    for size, (curve, seconds) in curves.items():
        gap, error = _behind(top, curve)
        points.append(SizePoint(size, curve.best.accuracy, gap, error, seconds))
    return SizeCurve(len(rows), own, tuple(points))


def _probed(
    prepared: Prepared,
    backbone: Backbone,
    network: nn.Module,
    stages: Stages,
    rows: NDArray[np.int64],
    advance: Callable[[int], None],
) -> tuple[ProbeCurve, float]:
    device = next(network.parameters()).device
    sweeper: Sweeper | None = None
    parts: list[list[NDArray[np.float32]]] = []
    seconds = 0.0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        images = clean_view(torch.from_numpy(prepared.pixels.batch(batch)).to(device), backbone.input)
        if sweeper is None:
            sweeper = Sweeper(network, stages).folded(images[:1])
            sweeper(images)  # the first pass sets up, and says nothing about the others
        began = time.perf_counter()
        parts.append([value.cpu().numpy() for value in sweeper(images).pooled])
        seconds += time.perf_counter() - began
        advance(len(batch))
    features = [np.concatenate(stage) for stage in zip(*parts, strict=True)]
    task, labels, _ = prepared.dataset.task.restricted(prepared.dataset.targets(rows))
    return probe(features, labels, task, stages, families=prepared.dataset.families(rows)), seconds / len(rows)


def _behind(top: ProbeCurve, other: ProbeCurve) -> tuple[float, float]:
    """Mean difference of two probes on the same images, and its paired standard error."""
    if top is other:
        return 0.0, 0.0
    scores, others = (curve.image_scores[curve.best.stage - 1] for curve in (top, other))
    return top.task.compare(scores, others, top.labels, top.families)
