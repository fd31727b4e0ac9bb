"""With so much time, do this, expect that: every training that could be run, its seconds and its expected accuracy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from advisor.advice import priors
from advisor.advice.cost import fine_tuning_seconds
from advisor.advice.forecast import USUAL, Expected, Facts, Training, forecast, logit
from advisor.recipe.values import automatic_steps
from advisor.strategy import Strategy
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.advice.cost import StepCosts
    from advisor.advice.input_sizes import SizeCurve

_BATCH = 32
_SHORTEST = 60  # steps
_DEPTHS = (0.0, 0.5)  # everything trained, and the upper half
_LEAST_GAIN = 0.005  # of expected accuracy, for which a longer time is a row of its own


@dataclass(frozen=True)
class Offer:
    """Something that could be done, before it is.

    Attributes:
        strategy: the way.
        training: None for a classifier on frozen features.
        seconds: it takes here, reading the images' features included.
        expected: accuracy.
    """

    strategy: Strategy
    training: Training | None
    seconds: float
    expected: Expected

    @property
    def words(self) -> str:
        """What is done, for people."""
        if self.training is None:
            return self.strategy.label
        return f"fine-tune {self._what}"

    @property
    def noun(self) -> str:
        """The same as a noun."""
        return self.strategy.label if self.training is None else f"fine-tuning {self._what}"

    @property
    def _what(self) -> str:
        assert self.training is not None
        part = "the upper half" if self.training.depth else "everything"
        return f"{part} at {self.training.size} pixels, {self.training.steps} steps"

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "strategy": self.strategy.value,
            "training": asdict(self.training) if self.training else None,
            "seconds": round(self.seconds, 1),
            "expected": asdict(self.expected),
        }


@dataclass(frozen=True)
class Timetable:
    """What could be done, and what is advised.

    Attributes:
        offers: everything that could be done.
        budget: seconds of a whole search that were given; None where the time was left open.
    """

    offers: tuple[Offer, ...]
    budget: float | None = None

    @cached_property
    def rows(self) -> tuple[Offer, ...]:
        """The best within a growing time, each expected to be better than the one before; quickest first."""
        rows: list[Offer] = []
        for offer in sorted(self.offers, key=lambda one: (one.seconds, -one.expected.accuracy)):
            if not rows or offer.expected.accuracy >= rows[-1].expected.accuracy + _LEAST_GAIN:
                rows.append(offer)
        return tuple(rows)

    @cached_property
    def chosen(self) -> Offer:
        """What is advised.

        With a budget, the best of which one training takes at most its share of the search. Without one, the quickest
        that is expected to reach the best within an hour, but for a point: more time brings less than one could notice.
        """
        affordable = self._affordable(self.offers)
        best = max(affordable, key=lambda one: one.expected.accuracy)
        head = max((one for one in self.offers if one.training is None), key=lambda one: one.expected.accuracy)
        enough = head.expected.accuracy + self.required_lead
        if best.expected.accuracy <= enough:
            return head
        if self.budget is not None:
            return best
        enough = max(enough, best.expected.accuracy - priors.WORTH_MORE_TIME)
        return min((one for one in affordable if one.expected.accuracy > enough), key=lambda one: one.seconds)

    @property
    def required_lead(self) -> float:
        """Lead of fine-tuning over a classifier in expected accuracy, 0..1, from which it is advised."""
        return priors.WORTH_MORE_TIME if self.budget is None else 0.0

    @cached_property
    def tuning(self) -> Offer:
        """The fine-tuning that is weighed: what is advised, or the best there is time for, or else the quickest."""
        tuning = [offer for offer in self.offers if offer.training is not None]
        if self.chosen.training is not None:
            return self.chosen
        return max(self._affordable(tuning), key=lambda one: one.expected.accuracy)

    @property
    def training(self) -> Training:
        """That fine-tuning itself."""
        training = self.tuning.training
        assert training is not None
        return training

    @property
    def too_long(self) -> bool:
        """Whether even that fine-tuning takes more time than there is."""
        return self.tuning.seconds > self._limit

    @property
    def sentence(self) -> str:
        """Why this much time, in words."""
        best = self.rows[-1]
        gain = best.expected.accuracy - self.chosen.expected.accuracy
        if gain <= 0:
            return "no longer training is expected to do better"
        more = f"trainings of up to {show_duration(best.seconds)} are expected to bring {100 * gain:.1f} points more"
        if self.budget is None:
            return more
        return f"a search of {show_duration(self.budget)} has no room for more; {more}"

    def for_facts(self, facts: Facts) -> Timetable:
        """The same trainings in the same time for other facts."""
        return replace(self, offers=tuple(replace(offer, expected=_expected(offer, facts)) for offer in self.offers))

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "budget": self.budget,
            "chosen": self.chosen.to_dict(),
            "rows": [offer.to_dict() for offer in self.rows],
        }

    def _affordable(self, offers: Sequence[Offer]) -> list[Offer]:
        return [one for one in offers if one.seconds <= self._limit] or [min(offers, key=lambda one: one.seconds)]

    @property
    def _limit(self) -> float:
        """Seconds that one training may take."""
        return priors.USUAL_TIME if self.budget is None else priors.SHARE_OF_SEARCH * self.budget


def offers_of(
    facts: Facts,
    splits: Mapping[str, int],
    side: int,
    sizes: SizeCurve | None,
    forward: float,
    costs: StepCosts,
) -> tuple[Offer, ...]:
    """Classifiers on frozen features, and fine-tunings of several lengths, depths and input sizes.

    Args:
        facts: of the dataset.
        splits: images per split.
        side: of the backbone's own input, pixels.
        sizes: the probe at smaller inputs.
        forward: seconds of one image through the whole network at its own size.
        costs: of training steps with everything unfrozen.
    """
    reading, batch = forward * (splits["train"] + splits["val"]), min(_BATCH, splits["train"])
    heads = forecast(facts)
    offers = [Offer(way, None, reading, heads[way]) for way in (Strategy.LAST_LAYER, Strategy.EARLIER_LAYER)]
    tuning = Strategy.TUNE_DIFFERENT if facts.different >= 0.5 else Strategy.TUNE_SIMILAR
    longest = max(automatic_steps(splits["train"], _BATCH), 1000)
    for size, gap in _gaps(sizes, side).items():
        steps = _SHORTEST
        while steps <= longest:
            for depth in _DEPTHS:
                training = Training(steps, size, depth, gap)
                shrunk = forward * (size / side) ** 2
                seconds = reading + fine_tuning_seconds(costs, splits, size, shrunk, steps, batch, depth)
                offers.append(Offer(tuning, training, seconds, forecast(facts, training)[tuning]))
            steps *= 2
    return tuple(offers)


def _expected(offer: Offer, facts: Facts) -> Expected:
    return forecast(facts, offer.training or USUAL)[offer.strategy]


def _gaps(sizes: SizeCurve | None, side: int) -> dict[int, float]:
    """Input sizes, and how far the probe falls behind there, log odds."""
    if sizes is None:
        return {side: 0.0}
    own = logit(sizes.points[-1].accuracy, sizes.images)
    return {point.size: logit(point.accuracy, sizes.images) - own for point in sizes.points}
