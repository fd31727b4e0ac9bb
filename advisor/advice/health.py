"""What the probes say about the data itself: labels that look wrong, classes that are confused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from advisor.advice.probe import nearest_votes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from advisor.advice.probe import ProbeCurve

_DOUBT = 0.1  # an image is suspected when its own label is at most this likely, relative to the other
_LEAST_CONFUSED = 2  # images; one is an accident
_LEAST_PROBABLE = 0.5  # for the other label


@dataclass(frozen=True)
class Suspect:
    """An image whose label looks wrong.

    Attributes:
        path: its identifier.
        label: as given.
        looks_like: what both opinions say, not having seen it.
        probability: of that, by the calibrated probe, 0..1.
    """

    path: str
    label: str
    looks_like: str
    probability: float


@dataclass(frozen=True)
class ConfusedClasses:
    """Two classes that the probe mixes up.

    Attributes:
        label: as given.
        taken_for: what the probe says instead.
        share: of the images of `label`, 0..1.
        images: how many.
    """

    label: str
    taken_for: str
    share: float
    images: int


def find_suspects(
    curve: ProbeCurve,
    features: list[NDArray[np.float32]],
    labels: NDArray[np.int64],
    paths: Sequence[str],
    classes: Sequence[str],
) -> tuple[Suspect, ...]:
    """Images whose label two opinions contradict, neither having seen the image or its family; the surest first.

    The first is the calibrated leave-one-out probe of the best stage, which must find the other label at
    least as likely as it is on average for images that carry it [Northcutt 2021] and the given label hardly
    possible; the second are the ten nearest neighbours.

    Args:
        curve: of these images.
        features: for each stage (n, width).
        labels: (n,).
        paths: (n,).
        classes: names.
    """
    best = curve.best.stage - 1
    fit = curve.fits[best]
    p = _softmax(fit.loo * fit.temperature)
    rows = np.arange(len(labels))
    own = p[rows, labels]
    usual = np.array([own[labels == c].mean() if (labels == c).any() else 1.0 for c in range(len(classes))])
    other = p.argmax(1)
    sure = p[rows, other]
    near = nearest_votes(features[best], curve.task.truth(labels), curve.families).argmax(1)
    doubted = (
        (other != labels)
        & (near == other)
        & (sure >= np.maximum(usual[other], _LEAST_PROBABLE))
        & (own <= _DOUBT * sure)
    )
    order: list[int] = sorted(np.flatnonzero(doubted).tolist(), key=lambda i: own[i] / sure[i])
    return tuple(Suspect(str(paths[i]), classes[labels[i]], classes[other[i]], round(float(sure[i]), 4)) for i in order)


def find_confusions(
    curve: ProbeCurve, labels: NDArray[np.int64], classes: Sequence[str], *, most: int = 5
) -> tuple[ConfusedClasses, ...]:
    """The pairs of classes that the best stage's probe mixes up most often, in images; at least two each."""
    said = curve.fits[curve.best.stage - 1].loo.argmax(1)
    total = np.bincount(labels, minlength=len(classes))
    wrong = said != labels
    pairs, counts = np.unique(np.stack([labels[wrong], said[wrong]], axis=1), axis=0, return_counts=True)
    return tuple(
        ConfusedClasses(classes[i], classes[j], round(count / int(total[i]), 4), count)
        for (i, j), count in sorted(zip(pairs.tolist(), counts.tolist(), strict=True), key=lambda pair: -pair[1])[:most]
        if count >= _LEAST_CONFUSED
    )


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import softmax

    return np.asarray(softmax(logits, axis=1))
