"""The probe that reads several stages at once, and what it has over the best single one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.network.joining import best_together, joined
from advisor.network.ridge import fit_ridge

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from advisor.advice.probe import ProbeCurve


@dataclass(frozen=True)
class JoinedProbe:
    """The probe that reads the best stages together.

    Attributes:
        stages: their numbers, ascending.
        names: of the tapped modules.
        width: features of all of them.
        accuracy: exact leave-one-out, 0..1, in the curve's metric.
        se: its standard error.
        gain: accuracy less that of the best single stage.
        gain_se: standard error of the gain, paired over the images.
        penalty: chosen ridge penalty.
    """

    stages: tuple[int, ...]
    names: tuple[str, ...]
    width: int
    accuracy: float
    se: float
    gain: float
    gain_se: float
    penalty: float


def probe_together(
    curve: ProbeCurve, features: Sequence[NDArray[np.float32]], families: NDArray[np.int64] | None = None
) -> JoinedProbe | None:
    """Fit a ridge classifier to the stages that do best together, the best single one among them.

    They are chosen by the leave-one-out error of the same images, so the gain is a little optimistic; a search judges
    the same classifier by images that took no part in the choice.

    Args:
        curve: probes at every stage.
        features: for each stage (n, width), of the curve's images.
        families: (n,) equal for images that are left out together.

    Returns:
        None where no second stage lowers the error of the best.
    """
    task, labels, best = curve.task, curve.labels, curve.best.stage
    classes, sample_weight = len(task.classes), task.sample_weight(labels)
    read = best_together(features, labels, classes, best, sample_weight, families)
    if len(read) == 1:
        return None
    if families is not None and not families.any():
        families = None  # all are of one family, and none would be left to fit to
    columns = joined([features[stage - 1] for stage in read])
    fit = fit_ridge(columns, labels, classes, weights=sample_weight, families=families, scaled=True)
    scores = task.image_scores(fit.loo, labels)
    accuracy, se = task.estimate(scores, labels)
    gain, gain_se = task.compare(scores, curve.image_scores[best - 1], labels)
    names = tuple(curve.points[stage - 1].name for stage in read)
    return JoinedProbe(read, names, columns.shape[1], accuracy, se, gain, gain_se, fit.lam)
