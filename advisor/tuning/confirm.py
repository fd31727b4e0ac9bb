"""Which trial to believe: the best of many noisy figures is a lucky one (method.md section 6).

The leaders are judged again under other seeds. What being the best of so many is worth by luck alone is estimated by a
bootstrap, apart for fine-tunings and for heads on frozen features, and taken off; then the best estimate wins. Cost
decides between equals only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from advisor.records.trial import TrialKind
from advisor.task.interval import paired

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from advisor.recipe.values import TrialValues
    from advisor.records.trial import TrialRecord

TOP = 3
_DRAWS = 300
_MORE_IMAGES = 0.3  # the error of image classifiers falls with this power of the images [Hestness 2017]


@dataclass(frozen=True)
class ScoredTrial:
    """A finished trial as all its seeds left it.

    Attributes:
        record: of the trial.
        image_scores: (seeds, n) what each validation image adds to the score of a seed's model: 1 or 0 for right or
            wrong, or, where images may have several labels, its `advisor.task.precision.precision_scores`.
        linear: whether the head is one linear layer.
        deterministic: whether another seed would say the same.
        tried: (k, n) the same of all averages of weights that were judged before this one was chosen among them.
        unlearnt: share of the images that may be trained on that the model would be handed over without, where others
            learn from all of them.
    """

    record: TrialRecord
    image_scores: NDArray[np.float64] = field(repr=False)
    linear: bool
    deterministic: bool
    tried: NDArray[np.float64] | None = field(default=None, repr=False)
    unlearnt: float = 0.0

    @property
    def number(self) -> int:
        """In the study; that of a probe is negative."""
        return self.record.number

    @property
    def is_probe(self) -> bool:
        """Whether it is a closed-form probe."""
        return self.record.kind is TrialKind.PROBE

    @property
    def is_soup(self) -> bool:
        """Whether it is an average of trainings."""
        return self.record.kind is TrialKind.SOUP

    @property
    def values(self) -> TrialValues:
        """Of the trial."""
        assert self.record.values is not None
        return self.record.values

    @property
    def tap(self) -> int:
        """Stages kept."""
        assert self.record.tap is not None
        return self.record.tap

    @property
    def frozen(self) -> int:
        """Stages frozen."""
        assert self.record.frozen is not None
        return self.record.frozen

    @property
    def seconds(self) -> float:
        """That the trial took."""
        return self.record.seconds or 0.0

    @property
    def loss(self) -> float:
        """Cross-entropy under the first seed, nats."""
        return math.inf if self.record.loss is None else self.record.loss

    @property
    def temperature(self) -> float:
        """Factor that turns logits into calibrated ones, fitted on the validation images under the first seed."""
        return self.record.temperature

    @property
    def trained(self) -> float:
        """Share of the recipe's steps that the time allowed."""
        return 1.0 if self.record.trained is None else self.record.trained

    @property
    def head_only(self) -> bool:
        """Whether nothing below the head was trained."""
        return self.tap == self.frozen

    @property
    def cost(self) -> tuple[float, ...]:
        """What is cheaper sorts first: one pass, fewer trained stages, a shorter network, fewer read, a plain head."""
        twice = bool(self.values.features.mirrored)
        return (twice, self.tap - self.frozen, self.tap, len(self.record.also), not self.linear)

    def mean(self) -> NDArray[np.float64]:
        """(n,) share of the seeds under which each image was right."""
        return np.asarray(self.image_scores.mean(0))

    def accuracy(self, sample_weight: NDArray[np.float64], seeds: int | None = None) -> float:
        """Over its seeds, the first so many or all; 0..1."""
        return float(sample_weight @ self.image_scores[:seeds].mean(0) / sample_weight.sum())


@dataclass(frozen=True)
class Choice:
    """Which trial is handed over, and why it and not another.

    Attributes:
        chosen: the trial.
        best: the most accurate one over all its seeds.
        behind: how much less accurate the chosen one is, in points of accuracy 0..1.
        behind_se: paired standard error of that.
        optimism: by how much the best figure of the search is too high, from being the best.
        rivals: the trials that were compared.
        sure: of the leaders how many were judged under every seed asked for.
        unsure: how many were not, for want of time.
    """

    chosen: ScoredTrial
    best: ScoredTrial
    behind: float
    behind_se: float
    optimism: float
    rivals: tuple[ScoredTrial, ...] = field(repr=False)
    sure: int
    unsure: int


def leaders(
    scored_trials: Sequence[ScoredTrial], sample_weight: NDArray[np.float64], count: int = TOP
) -> list[ScoredTrial]:
    """The most accurate trials by their first seed, of equals the cheaper and then the one with the lower loss.

    By the first seed only: a trial that was never judged again must not overtake one that was and lost its luck.
    """
    return sorted(scored_trials, key=lambda s: (-round(float(sample_weight @ s.image_scores[0]), 9), s.cost, s.loss))[
        :count
    ]


def to_confirm(scored_trials: Sequence[ScoredTrial], sample_weight: NDArray[np.float64]) -> list[ScoredTrial]:
    """Whom to judge again: the leaders, and the best of the closed-form probes, which is the floor."""
    scored_trials = [one for one in scored_trials if not one.is_soup]  # its members are judged themselves
    ahead = leaders(scored_trials, sample_weight)
    probes = leaders([scored_trial for scored_trial in scored_trials if scored_trial.is_probe], sample_weight, 1)
    return ahead + [probe for probe in probes if all(probe.number != leader.number for leader in ahead)]


def choose(
    scored_trials: Sequence[ScoredTrial],
    sample_weight: NDArray[np.float64],
    *,
    seeds: int,
    families: NDArray[np.int64] | None = None,
    cost: Callable[[ScoredTrial], float] | None = None,
) -> Choice:
    """The trial with the best estimate of its accuracy on images that nobody chose by.

    Compared are the three leaders, the best of the closed-form probes, which is the floor, and the average of
    trainings. A leader for which there was no time under further seeds stays in; all of the luck of having been chosen
    is taken off its figure, a third of it where three seeds judged. The luck of an average is that of the best of all
    fine-tunings and of all averages that were tried. It is handed over as it was judged, so what other winners gain by
    learning from the validation images, too, is taken off it.

    Args:
        scored_trials: every finished trial, at least one.
        sample_weight: (n,) what each validation image counts.
        seeds: under how many a trial that is not deterministic should have been judged.
        families: (n,) equal for validation images that go together; by default each is by itself.
        cost: where a person asks for a fast or a small model, what it costs; of all trials whose figure is within one
            paired standard error of that trial's, the one that costs least is taken in its place.
    """
    soups = [one for one in scored_trials if one.is_soup]
    singles = [one for one in scored_trials if not one.is_soup]
    rivals = [*to_confirm(singles, sample_weight), *soups]
    luck = {
        kind: _luck([one for one in singles if one.head_only is kind], sample_weight, families)
        for kind in (True, False)
    }

    def estimate(rival: ScoredTrial) -> float:
        accuracy = rival.accuracy(sample_weight)
        if rival.is_soup:
            tuned = [one for one in singles if not one.head_only]
            forgone = (1 - accuracy) * (1 - math.pow(1 - rival.unlearnt, _MORE_IMAGES))
            return accuracy - _luck([*tuned, rival], sample_weight, families, rival.tried) - forgone
        return accuracy - luck[rival.head_only] / (1 if rival.deterministic else len(rival.image_scores))

    best = min(rivals, key=lambda s: (-round(s.accuracy(sample_weight), 9), s.cost, s.loss))
    chosen = min(rivals, key=lambda s: (-round(estimate(s), 6), s.cost, s.loss))
    if cost is not None:
        chosen = _cheapest(chosen, scored_trials, sample_weight, families, cost)
        rivals += [] if any(one is chosen for one in rivals) else [chosen]
    gap, se = paired(best.mean() - chosen.mean(), sample_weight, families)
    sure = sum(rival.deterministic or len(rival.image_scores) >= seeds for rival in rivals)
    return Choice(
        chosen=chosen,
        best=best,
        behind=gap,
        behind_se=0.0 if chosen is best else se,
        optimism=_luck(scored_trials, sample_weight, families, soups[0].tried if soups else None),
        rivals=tuple(rivals),
        sure=sure,
        unsure=len(rivals) - sure,
    )


def _cheapest(
    chosen: ScoredTrial,
    scored_trials: Sequence[ScoredTrial],
    sample_weight: NDArray[np.float64],
    families: NDArray[np.int64] | None,
    cost: Callable[[ScoredTrial], float],
) -> ScoredTrial:
    """Of the trials that cannot be told from a chosen one, the one that costs least; of equals the more accurate."""

    def tied(one: ScoredTrial) -> bool:
        gap, se = paired(chosen.mean() - one.mean(), sample_weight, families)
        return gap <= se

    candidates = [chosen, *(one for one in scored_trials if one is not chosen and tied(one))]
    return min(candidates, key=lambda one: (cost(one), -one.accuracy(sample_weight)))


def _luck(
    scored_trials: Sequence[ScoredTrial],
    sample_weight: NDArray[np.float64],
    families: NDArray[np.int64] | None,
    tried: NDArray[np.float64] | None = None,
) -> float:
    """What being the best of these is worth by luck, and of the averages that were tried, if any."""
    if not scored_trials:
        return 0.0
    first = np.stack([one.image_scores[0] for one in scored_trials])
    scores = first if tried is None else np.concatenate([first, tried])
    return optimism(scores, sample_weight, families=families)


def optimism(
    image_scores: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    seed: int = 0,
    *,
    families: NDArray[np.int64] | None = None,
) -> float:
    """How much too high the best of several accuracies is, for being the best.

    The best trial on a bootstrap sample of the validation images is judged on the images outside the sample; the
    mean difference over samples is what choosing by those images adds [Efron 1983]. Families are drawn whole.

    Args:
        image_scores: (trials, n).
        sample_weight: (n,) what each image counts.
        seed: of the samples.
        families: (n,) equal for images that go together; by default each is by itself.

    Returns:
        Points of accuracy 0..1, not below 0.
    """
    rng = np.random.default_rng(seed)
    n = image_scores.shape[1]
    family = np.arange(n) if families is None else np.unique(families, return_inverse=True)[1]
    count = int(family.max()) + 1
    found = []
    for _ in range(_DRAWS):
        times = np.bincount(rng.integers(0, count, count), minlength=count)[family]
        inside, outside = sample_weight * times, sample_weight * (times == 0)
        if outside.sum() == 0:
            continue
        on_sample = image_scores @ inside / inside.sum()
        best = int(on_sample.argmax())
        found.append(on_sample[best] - image_scores[best] @ outside / outside.sum())
    return max(0.0, float(np.mean(found))) if found else 0.0
