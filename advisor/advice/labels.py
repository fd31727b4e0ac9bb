"""Accuracy against labels: what more of them would bring (method.md section 5)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from advisor.data.sampling import stratified_order
from advisor.network.ridge import fit_ridge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advisor.task import Task

_SHARES = (0.1, 0.16, 0.25, 0.4)  # of the images; the rest judges
_MOST_IMAGES = 300  # in a part; larger ones cost more than they tell
_REPEATS = 2
_LEAST_IMAGES, _LEAST_SIZES = 10, 3
_GAIN = 0.02
_Z80 = 1.2816
# Both from real sets, `benchmarks/health.py`: without the first, curves saturate too early; the second, of the error
# rate, is how far a power law is off beyond noise.
_CEILING_PENALTY, _MODEL_ERROR = 0.3, 0.1
ALL_IMAGES, ONE_OF_EACH = "labelled images", "independent labelled images"
_FARTHEST = 16  # times the labels there are; an extrapolation beyond is a guess


@dataclass(frozen=True)
class LabelCurve:
    """How the probe's accuracy grows with the number of labelled images.

    Attributes:
        points: (independent images, accuracy) as measured; the last is the leave-one-out accuracy on all of them.
        ceiling: accuracy that the fitted curve tends to.
        doubled: expected accuracy with twice the labels.
        doubled_interval: 80 %, from the spread of the fits and how far such curves are off.
        images_for_gain: labelled images for two points more; None where sixteen times the labels there are would
            not bring them.
        fit: a, b and c of error = a·n^-b + c.
        counted: what all these numbers count, in words: images that go together are one.
    """

    points: tuple[tuple[int, float], ...]
    ceiling: float
    doubled: float
    doubled_interval: tuple[float, float]
    images_for_gain: int | None
    fit: tuple[float, float, float]
    counted: str = ALL_IMAGES

    def at(self, images: float) -> float:
        """Accuracy that the fitted curve expects with so many labelled images."""
        return 1 - float(_error(self.fit, images))

    @property
    def more(self) -> str:
        """What two points more would take, in words."""
        if self.images_for_gain is None:
            return f"{_FARTHEST} times the labels would not bring {100 * _GAIN:.0f} more points"
        return f"{100 * _GAIN:.0f} more points would take about {self.images_for_gain} {self.counted}"

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)


def label_curve(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    task: Task,
    accuracy: tuple[float, float],
    *,
    have: int,
    seed: int,
    families: NDArray[np.int64] | None = None,
) -> LabelCurve | None:
    """Probe growing parts of the images, judge on the rest, and fit err = a·n^-b + c.

    Args:
        features: (n, width) of one stage.
        labels: (n,).
        task: with one class an image.
        accuracy: leave-one-out, on all images, in the task's metric, and its standard error.
        have: independent labelled images there are, of which the n are a sample.
        seed: of the draws.
        families: (n,) equal for images that go together: they are drawn together, and count as one.

    Returns:
        None with too few images to draw parts from.
    """
    rng = np.random.default_rng(seed)
    _, first, family = np.unique(
        np.arange(len(labels)) if families is None else families, return_index=True, return_inverse=True
    )
    n, (reached, error) = len(first), accuracy
    sizes = [round(share * min(n, _MOST_IMAGES / _SHARES[-1])) for share in _SHARES]
    sizes = [size for size in sizes if size >= max(_LEAST_IMAGES, len(task.classes))]
    if len(sizes) < _LEAST_SIZES:
        return None
    runs = np.array([[_held_out(features, labels, task, stratified_order(labels[first], rng)[:size], family)
                      for size in sizes]
                     for _ in range(_REPEATS)])  # fmt: skip
    at = np.array([*sizes, n], dtype=float)
    curve = _fit(at, 1 - np.append(runs.mean(0), reached))
    # Each repeat alone shows how far the fit moves with the draw; the end point's own error is added.
    spread = [_fit(at, 1 - np.append(run, reached + rng.normal() * error)) for run in runs for _ in range(8)]
    doubled = 1 - _error(curve, 2 * have)
    moved = float(np.std([float(_error(other, 2 * have)) for other in spread]))
    reach = _Z80 * float(np.hypot(moved, _MODEL_ERROR * (1 - doubled)))
    ahead = np.geomspace(have, _FARTHEST * have, 200)
    enough = ahead[_error(curve, have) - _error(curve, ahead) >= _GAIN]
    return LabelCurve(
        points=tuple(
            (int(size), round(float(value), 4)) for size, value in zip(at, [*runs.mean(0), reached], strict=True)
        ),
        ceiling=float(1 - curve[2]),
        doubled=float(doubled),
        doubled_interval=(max(0.0, float(doubled) - reach), min(1.0, float(doubled) + reach)),
        images_for_gain=int(np.ceil(enough[0])) if len(enough) else None,
        fit=curve,
        counted=ALL_IMAGES if n == len(labels) else ONE_OF_EACH,
    )


def _held_out(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    task: Task,
    drawn: NDArray[np.int64],
    family: NDArray[np.int64],
) -> float:
    """Accuracy of a probe on the families drawn, judged on the others."""
    inside = np.isin(family, drawn)
    few, rest = np.flatnonzero(inside), np.flatnonzero(~inside)
    fit = fit_ridge(
        features[few], labels[few], len(task.classes), weights=task.sample_weight(labels[few]), families=family[few]
    )
    scores = features[rest] @ fit.weight.T + fit.bias
    return task.score(task.image_scores(scores, labels[rest]), labels[rest])


def _fit(n: NDArray[np.float64], error: NDArray[np.float64]) -> tuple[float, float, float]:
    """a, b, c of err = a·n^-b + c, with 0 ≤ c and b in 0.05..1.5; larger sizes count more, and a small c is likely."""
    from scipy.optimize import least_squares

    scale = n / n[-1]

    def residual(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.append((x[0] * scale ** -x[1] + x[2] - error) * np.sqrt(scale), _CEILING_PENALTY * x[2])

    end = max(float(error[-1]), 1e-3)
    result = least_squares(residual, (end / 2, 0.5, end / 2), bounds=([0, 0.05, 0], [1, 1.5, 1]))
    a, b, c = (float(value) for value in result.x)
    return a * n[-1] ** b, b, c


def _error(curve: tuple[float, float, float], n: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    a, b, c = curve
    return a * n**-b + c
