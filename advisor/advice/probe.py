"""How well a linear classifier does at every depth, each image judged by a classifier that never saw it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from advisor.network.ridge import fit_ridge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advisor.network.stages import Stages


@dataclass(frozen=True)
class ProbePoint:
    """The probe at one stage.

    Attributes:
        stage: 1 for the first.
        name: of the tapped module.
        tap: fraction of the stages, as a recipe's `features.tap`.
        width: features.
        accuracy: exact leave-one-out, 0..1.
        se: its binomial standard error.
        gain: accuracy less that of the last stage.
        gain_se: standard error of the gain, paired over the images.
        penalty: chosen ridge penalty.
    """

    stage: int
    name: str
    tap: float
    width: int
    accuracy: float
    se: float
    gain: float
    gain_se: float
    penalty: float


@dataclass(frozen=True)
class ProbeCurve:
    """Probes at every stage.

    Attributes:
        images: that were probed.
        chance: accuracy of always saying the largest class.
        points: input side first.
    """

    images: int
    chance: float
    points: tuple[ProbePoint, ...]

    @property
    def last(self) -> ProbePoint:
        """The probe on the penultimate vector."""
        return self.points[-1]

    @property
    def best(self) -> ProbePoint:
        """The most accurate stage; of equals the last."""
        return max(self.points, key=lambda point: (point.accuracy, point.stage))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def probe(features: list[NDArray[np.float32]], labels: NDArray[np.int64], classes: int, stages: Stages) -> ProbeCurve:
    """Fit a ridge classifier at every stage.

    Args:
        features: for each stage (n, width).
        labels: (n,).
        classes: number of classes.
        stages: of the network, for their names.

    Returns:
        The curve, input side first.
    """
    fits = [fit_ridge(stage, labels, classes) for stage in features]
    correct = [fit.correct(labels) for fit in fits]
    n = len(labels)
    points = []
    for index, (fit, right) in enumerate(zip(fits, correct, strict=True)):
        accuracy = float(right.mean())
        difference = right.astype(np.float64) - correct[-1]
        points.append(
            ProbePoint(
                stage=index + 1,
                name=stages.stages[index].name,
                tap=(index + 1) / len(stages),
                width=features[index].shape[1],
                accuracy=accuracy,
                se=float(np.sqrt(accuracy * (1 - accuracy) / n)),
                gain=float(difference.mean()),
                gain_se=float(difference.std() / np.sqrt(n)),
                penalty=fit.lam,
            )
        )
    chance = float(np.bincount(labels, minlength=classes).max() / n)
    return ProbeCurve(n, chance, tuple(points))
