"""How well a linear classifier does at every depth, each image judged by a classifier that never saw it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from advisor.advice import priors
from advisor.network.precision import precision_scores
from advisor.network.ridge import Ridge, class_weights, fit_ridge, standardise

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from advisor.network.stages import Stages

NEIGHBOURS = 10
_BLOCK = 1024  # images whose similarities to all others are held at a time


@dataclass(frozen=True)
class ProbePoint:
    """The probe at one stage.

    Attributes:
        stage: 1 for the first.
        name: of the tapped module.
        tap: fraction of the stages, as a recipe's `features.tap`.
        width: features.
        accuracy: exact leave-one-out, 0..1, in the curve's metric.
        se: its standard error.
        gain: accuracy less that of the last stage.
        gain_se: standard error of the gain, paired over the images.
        tied: whether the best stage's lead over this one is within two paired standard errors.
        neighbours: leave-one-out accuracy of the ten nearest neighbours (cosine), as a second opinion.
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
    tied: bool
    neighbours: float
    penalty: float


@dataclass(frozen=True)
class ProbeCurve:
    """Probes at every stage.

    Attributes:
        images: that were probed.
        effective: how many images of one class would give errors as large; fewer than `images` where small
            classes weigh as much as large ones.
        chance: accuracy of always saying the largest class; one over the classes if balanced; the mean share of
            images that have a label, where there may be several.
        balanced: whether accuracies are means over the classes, and the probe weights classes equally,
            because the classes differ much in size.
        multilabel: whether an image may have several labels, and accuracies are mean average precisions.
        codes: how stages were read, one of `advisor.network.stages.CODES`.
        points: input side first.
        fits: the classifiers behind the points; not part of the plain data.
        image_scores: for each point (n,) what an image adds to the accuracy: 1 or 0 for right or wrong, or its
            `precision_scores`.
    """

    images: int
    effective: int
    chance: float
    balanced: bool
    multilabel: bool
    codes: str
    points: tuple[ProbePoint, ...]
    fits: tuple[Ridge, ...] = field(repr=False, compare=False)
    image_scores: tuple[NDArray[np.float64], ...] = field(repr=False, compare=False)

    @property
    def last(self) -> ProbePoint:
        """The probe on the penultimate vector."""
        return self.points[-1]

    @property
    def best(self) -> ProbePoint:
        """The most accurate stage; of equals the last."""
        return max(self.points, key=lambda point: (point.accuracy, point.stage))

    @property
    def metric(self) -> str:
        """What `accuracy` is, in words."""
        if self.multilabel:
            return "mean average precision"
        return "balanced accuracy" if self.balanced else "accuracy"

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each stage, input side first, with the attributes of its `ProbePoint`; indexed by the stage."""
        import pandas as pd

        return pd.DataFrame([asdict(point) for point in self.points]).set_index("stage")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        points = [asdict(point) for point in self.points]
        return {
            "images": self.images,
            "chance": self.chance,
            "metric": self.metric,
            "codes": self.codes,
            "points": points,
        }


def probe(
    features: list[NDArray[np.float32]],
    labels: NDArray[np.int64],
    classes: int,
    stages: Stages,
    advance: Callable[[int], None] = lambda _stages: None,
) -> ProbeCurve:
    """Fit a ridge classifier at every stage.

    Args:
        features: for each stage (n, width).
        labels: (n,).
        classes: number of classes.
        stages: of the network, for their names and how they were read.
        advance: told of every stage when its classifier is fitted.

    Returns:
        The curve, input side first.
    """
    n = len(labels)
    counts = np.bincount(labels, minlength=classes)
    balanced = bool(counts.max() > priors.IMBALANCED * counts[counts > 0].min())
    weights = class_weights(labels, classes)
    fits = []
    for stage in features:
        fits.append(fit_ridge(stage, labels, classes, weights=weights if balanced else None))
        advance(1)
    sample_weight = weights if balanced else np.ones(n)
    right = [fit.correct(labels).astype(np.float64) for fit in fits]
    best = max(range(len(fits)), key=lambda i: (np.mean(sample_weight * right[i]), i))

    def mean(values: NDArray[np.float64]) -> tuple[float, float]:
        return weighted_mean(values, labels, sample_weight, balanced=balanced)

    points = []
    for index, fit in enumerate(fits):
        near = nearest_votes(features[index], labels, classes).argmax(1) == labels
        points.append(
            _point(
                stages,
                index,
                fit,
                accuracy=mean(right[index]),
                gain=mean(right[index] - right[-1]),
                lead=mean(right[best] - right[index]),
                neighbours=float(np.mean(sample_weight * near)),
            )
        )
    chance = 1 / np.count_nonzero(counts) if balanced else counts.max() / n
    effective = round(np.count_nonzero(counts) ** 2 / np.sum(1 / counts[counts > 0])) if balanced else n
    return ProbeCurve(
        n, effective, float(chance), balanced, multilabel=False, codes=stages.codes, points=tuple(points),
        fits=tuple(fits), image_scores=tuple(right),
    )  # fmt: skip


def probe_multilabel(
    features: list[NDArray[np.float32]],
    truth: NDArray[np.bool_],
    stages: Stages,
    advance: Callable[[int], None] = lambda _stages: None,
) -> ProbeCurve:
    """Fit a ridge classifier at every stage where an image may have several labels or none.

    Judged by mean average precision, with jackknife errors that are paired between stages.

    Args:
        features: for each stage (n, width).
        truth: (n, classes), whether an image has a label.
        stages: of the network, for their names and how they were read.
        advance: told of every stage when its classifier is fitted.

    Returns:
        The curve, input side first.

    Raises:
        ValueError: a label is on all images or on none.
    """
    n, classes = truth.shape
    share = truth.mean(0)
    if not ((share > 0) & (share < 1)).all():
        raise ValueError(f"labels {np.flatnonzero((share == 0) | (share == 1)).tolist()} are on all images or on none")
    fits = []
    for stage in features:
        fits.append(fit_ridge(stage, truth, classes))
        advance(1)
    image_scores = [precision_scores(fit.loo, truth) for fit in fits]
    best = max(range(len(fits)), key=lambda i: (image_scores[i].mean(), i))
    points = []
    for index, fit in enumerate(fits):
        near = nearest_votes(features[index], truth, classes)
        points.append(
            _point(
                stages,
                index,
                fit,
                accuracy=_mean(image_scores[index]),
                gain=_mean(image_scores[index] - image_scores[-1]),
                lead=_mean(image_scores[best] - image_scores[index]),
                neighbours=float(precision_scores(near, truth).mean()),
            )
        )
    return ProbeCurve(
        n, n, float(share.mean()), balanced=False, multilabel=True, codes=stages.codes, points=tuple(points),
        fits=tuple(fits), image_scores=tuple(image_scores),
    )  # fmt: skip


def _point(
    stages: Stages,
    index: int,
    fit: Ridge,
    *,
    accuracy: tuple[float, float],
    gain: tuple[float, float],
    lead: tuple[float, float],
    neighbours: float,
) -> ProbePoint:
    """The probe at a stage from means and their standard errors: its accuracy, its gain, and the best one's lead."""
    return ProbePoint(
        stage=index + 1,
        name=stages.stages[index].name,
        tap=(index + 1) / len(stages),
        width=fit.weight.shape[1],
        accuracy=accuracy[0],
        se=accuracy[1],
        gain=gain[0],
        gain_se=gain[1],
        tied=lead[0] <= 2 * lead[1],
        neighbours=neighbours,
        penalty=fit.lam,
    )


def weighted_mean(
    values: NDArray[np.float64], labels: NDArray[np.int64], sample_weight: NDArray[np.float64], *, balanced: bool
) -> tuple[float, float]:
    """Mean of per-image values (n,) and its standard error.

    The error of a balanced mean is that of a stratified one: a class of four images is as uncertain as
    four images are, however many others there are. Where all values agree, one more image that does not
    is taken into account (the rule of succession), so that no error is zero.
    """
    mean = float(np.mean(sample_weight * values))
    if not balanced:
        return mean, _standard_error(values)
    kinds = np.unique(labels)
    errors = [_standard_error(values[labels == kind]) for kind in kinds]
    return mean, float(np.sqrt(np.sum(np.square(errors)))) / len(kinds) if len(values) else 0.0


def nearest_votes(
    features: NDArray[np.float32], labels: NDArray[np.int64] | NDArray[np.bool_], classes: int
) -> NDArray[np.float64]:
    """Votes (n, classes) of each image's ten nearest others, by cosine of the standardised features.

    Labels are (n,) indices, or (n, classes) of True and False. A vote counts its similarity, so that ties between
    classes are broken by closeness.
    """
    X = standardise(features)[0].astype(np.float32)
    X /= np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)
    n = len(X)
    k = min(NEIGHBOURS, n - 1)
    votes = np.zeros((n, classes))
    for start in range(0, n, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n))
        similar = X[rows] @ X.T
        similar[np.arange(len(rows)), rows] = -np.inf
        near = np.argpartition(-similar, k - 1, axis=1)[:, :k]
        closeness = 1 + np.take_along_axis(similar, near, axis=1)
        for column in range(k):
            if labels.ndim == 2:
                votes[rows] += closeness[:, column, None] * labels[near[:, column]]
            else:
                votes[rows, labels[near[:, column]]] += closeness[:, column]
    return votes


def _mean(values: NDArray[np.float64]) -> tuple[float, float]:
    """Of values in -1..1, with its standard error."""
    return float(values.mean()), _standard_error(values)


def _standard_error(values: NDArray[np.float64]) -> float:
    """Of a mean of values in -1..1."""
    n = len(values)
    spread = float(values.std())
    if spread == 0:
        p = 1 / (n + 2)
        spread = float(np.sqrt(p * (1 - p)))
    return spread / float(np.sqrt(n))
