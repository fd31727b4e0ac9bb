"""How well a linear classifier does at every depth.

Each image is judged by a classifier that never saw it, nor any other of its family.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from advisor.advice import priors
from advisor.network.ridge import Ridge, fit_ridge, standardise
from advisor.task.interval import family_count

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from advisor.advice.together import JoinedProbe
    from advisor.network.stages import Stages
    from advisor.task import Labels, Task

NEIGHBOURS = 10  # at most
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
        gain: accuracy less that of the last stage, or less chance where the last stage is below it: of equal classes a
            probe that knows nothing is wrong every time, since the image left out makes its own class the rarest.
        gain_se: standard error of the gain, paired over the images.
        tied: whether the best stage's lead over this one is within two paired standard errors.
        neighbours: leave-one-out accuracy of the nearest neighbours (cosine; `neighbours_of`), as a second opinion.
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
        effective: how many independent images of one class would give errors as large as those of the last stage;
            fewer than `images` where images go together, or small classes weigh as much as large ones.
        chance: accuracy of always saying the largest class; one over the classes if balanced; the mean share of
            images that have a label, where there may be several.
        task: what was learnt and how it was judged: by balanced accuracy, with classes weighted equally, where they
            differ much in size.
        codes: how stages were read, one of `advisor.network.stages.CODES`.
        points: input side first.
        fits: the classifiers behind the points; not part of the plain data.
        image_scores: for each point (n,) what an image adds to the accuracy, as the task judges.
        labels: of the images, as the task counts them.
        families: (n,) equal for images that go together; None where each is by itself.
        joined: the probe that reads the best stages together; None where one alone is best, or it was not looked for.
    """

    images: int
    effective: int
    chance: float
    task: Task
    codes: str
    points: tuple[ProbePoint, ...]
    fits: tuple[Ridge, ...] = field(repr=False, compare=False)
    image_scores: tuple[NDArray[np.float64], ...] = field(repr=False, compare=False)
    labels: Labels = field(repr=False, compare=False)
    families: NDArray[np.int64] | None = field(default=None, repr=False, compare=False)
    joined: JoinedProbe | None = None

    @property
    def independent(self) -> int:
        """Images when those that go together count as one."""
        return family_count(self.families, self.images)

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
        return self.task.metric_name

    @property
    def balanced(self) -> bool:
        """Whether accuracies are means over the classes, and the probe weights classes equally."""
        return self.task.metric == "balanced"

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each stage, input side first, with the attributes of its `ProbePoint`; indexed by the stage."""
        import pandas as pd

        return pd.DataFrame([asdict(point) for point in self.points]).set_index("stage")

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        points = [asdict(point) for point in self.points]
        return {
            "images": self.images,
            "independent": self.independent,
            "chance": self.chance,
            "metric": self.metric,
            "codes": self.codes,
            "points": points,
            "joined": asdict(self.joined) if self.joined else None,
        }


def probe(
    features: list[NDArray[np.float32]],
    labels: Labels,
    task: Task,
    stages: Stages,
    advance: Callable[[int], None] = lambda _stages: None,
    families: NDArray[np.int64] | None = None,
) -> ProbeCurve:
    """Fit a ridge classifier at every stage.

    Args:
        features: for each stage (n, width).
        labels: of the n images, as the task counts them.
        task: of these classes; judged by balanced accuracy where they differ much in size.
        stages: of the network, for their names and how they were read.
        advance: told of every stage when its classifier is fitted.
        families: (n,) equal for images that go together, such as near copies; by default each is by itself.

    Returns:
        The curve, input side first.

    Raises:
        ValueError: a label is on all images or on none (see `advisor.task.Task.restricted`), or one family has all.
    """
    if task.imbalance(labels) > priors.IMBALANCED:
        task = task.with_metric("balanced")
    chance, classes, sample_weight = task.chance(labels), len(task.classes), task.sample_weight(labels)
    fits = []
    for stage in features:
        fits.append(fit_ridge(stage, labels, classes, weights=sample_weight, families=families))
        advance(1)
    image_scores = [task.image_scores(fit.loo, labels, families) for fit in fits]
    best = max(range(len(fits)), key=lambda i: (task.score(image_scores[i], labels), i))
    baseline = image_scores[-1]
    if task.score(baseline, labels) < chance:
        baseline = np.full_like(baseline, chance)
    points = []
    for index, fit in enumerate(fits):
        votes = nearest_votes(features[index], task.truth(labels), families)
        points.append(
            _point(
                stages,
                index,
                fit,
                accuracy=task.estimate(image_scores[index], labels, families),
                gain=task.compare(image_scores[index], baseline, labels, families),
                lead=task.compare(image_scores[best], image_scores[index], labels, families),
                neighbours=task.score(task.image_scores(votes, labels), labels),
            )
        )
    return ProbeCurve(
        len(labels), task.worth(image_scores[-1], labels, families), chance, task, codes=stages.codes,
        points=tuple(points), fits=tuple(fits), image_scores=tuple(image_scores), labels=labels, families=families,
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


def nearest_votes(
    features: NDArray[np.float32], truth: NDArray[np.bool_], families: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Votes (n, classes) of each image's nearest outside its family, by cosine of the standardised features.

    A vote counts its similarity, so that ties between classes are broken by closeness.

    Args:
        features: (n, width).
        truth: (n, classes), whether an image has a class.
        families: (n,) equal for images that go together; by default each is by itself.
    """
    family = np.arange(len(features)) if families is None else families
    X = standardise(features)[0].astype(np.float32)
    X /= np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)
    n = len(X)
    k = neighbours_of(truth, families)
    votes = np.zeros(truth.shape)
    for start in range(0, n, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n))
        similar = X[rows] @ X.T
        similar[family[rows, None] == family] = -np.inf
        near = np.argpartition(-similar, k - 1, axis=1)[:, :k]
        closeness = 1 + np.maximum(np.take_along_axis(similar, near, axis=1), -1)  # its own family has no vote
        for column in range(k):
            votes[rows] += closeness[:, column, None] * truth[near[:, column]]
    return votes


def neighbours_of(truth: NDArray[np.bool_], families: NDArray[np.int64] | None = None) -> int:
    """How many neighbours vote: ten, or fewer where a class has no ten others, since the rest would be strangers.

    Args:
        truth: (n, classes), whether an image has a class; at least two images.
        families: (n,) equal for images that go together, which count once; by default each is by itself.
    """
    family = np.arange(len(truth)) if families is None else families
    counts = [len(np.unique(family[own])) for own in truth.T if own.any()]
    others = int(np.median(counts)) - 1
    return max(1, min(NEIGHBOURS, others, len(truth) - 1))
