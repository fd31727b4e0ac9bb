"""From size, distance and probes to a scenario and a way of transferring (method.md sections 3 and 5)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from advisor.advice import priors
from advisor.advice.forecast import Z80, Expected, Facts, forecast
from advisor.advice.reasons import flips_of, reasons_of
from advisor.strategy import SCENARIOS, Strategy, scenario_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.advice.distance import Distance
    from advisor.advice.probe import ProbeCurve
    from advisor.advice.timetable import Timetable
    from advisor.types import Vote

_CLEARLY = 2.5  # standard errors


@dataclass(frozen=True)
class Size:
    """Whether a dataset is large.

    Attributes:
        images: that may be trained on.
        per_class: independent ones, harmonic mean over the classes.
        large: probability, 0..1, by the independent ones.
        independent: images when those that go together (near copies, or a given group) count as one.
    """

    images: int
    per_class: float
    large: float
    independent: int

    @property
    def side(self) -> str:
        """`small`, `large` or `borderline`."""
        if self.large < priors.SMALL_BELOW:
            return "small"
        return "large" if self.large > priors.LARGE_ABOVE else "borderline"

    @property
    def counted(self) -> str:
        """What `independent` and `per_class` count, in words."""
        return "images" if self.independent == self.images else "independent images"

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {**asdict(self), "side": self.side}


@dataclass(frozen=True)
class Pilot:
    """A short fine-tuning, measured.

    Attributes:
        gain: accuracy over the head alone on the same validation images, of the better depth.
        se: its paired standard error.
        depth: fraction of the stages that stayed frozen in it.
        images: trained on.
        judged_on: validation images.
        seconds: the pilot as a whole.
    """

    gain: float
    se: float
    depth: float
    images: int
    judged_on: int
    seconds: float


@dataclass(frozen=True)
class Verdict:
    """The decision.

    Attributes:
        scenario: 1 to 4, named by the kind of way that is recommended and by the distance; its recipe is planned.
        strategy: the way that is recommended. It is the scenario's own, or that of the other scenario with the same
            size: an earlier layer may serve similar images better, and the last layer different ones.
        rival: the best way of the other kind (a classifier, or fine-tuning), which it was weighed against.
        required_lead: of fine-tuning over a classifier in expected accuracy, from which it is recommended; 0..1.
        probabilities: of the four scenarios from size and distance alone.
        expected: accuracy of every way.
        runner_up: the other scenario worth trying.
        learnable: whether any probe is clearly better than always saying the largest class.
        tap_stage: where the head should read, as the probes measured.
        reasons: in words.
        flips: what would change the verdict, in words.
        pilot: the measured gain of fine-tuning; None where a prior served.
    """

    scenario: int
    strategy: Strategy
    rival: Strategy
    required_lead: float
    probabilities: Mapping[int, float]
    expected: Mapping[Strategy, Expected]
    runner_up: int
    learnable: bool
    tap_stage: int
    reasons: tuple[str, ...] = ()
    flips: tuple[str, ...] = ()
    pilot: Pilot | None = None

    @property
    def forecast(self) -> Expected:
        """Accuracy that is expected of the recommended way."""
        return self.expected[self.strategy]

    @property
    def earlier_helps(self) -> bool:
        """Whether the head should read an earlier stage than the last."""
        return self.strategy is Strategy.EARLIER_LAYER

    @property
    def head(self) -> Strategy:
        """The classifier on frozen features that was weighed: what is recommended, or its rival."""
        return self.rival if self.strategy.fine_tunes else self.strategy

    @property
    def tuning(self) -> Strategy:
        """The fine-tuning that was weighed: what is recommended, or its rival."""
        return self.strategy if self.strategy.fine_tunes else self.rival

    @property
    def lead(self) -> float:
        """Expected accuracy of that fine-tuning less that of that classifier."""
        return self.expected[self.tuning].accuracy - self.expected[self.head].accuracy

    @property
    def departure(self) -> str:
        """A sentence where the recommended way is that of another scenario; else empty."""
        if self.strategy.scenario == self.scenario:
            return ""
        usual, here = ("the last layer", "an earlier one") if self.earlier_helps else ("an earlier layer", "the last")
        return (
            f"Scenario {self.scenario} usually reads {usual}; here {here} is expected to do better, as in scenario "
            f"{self.strategy.scenario}."
        )

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON, with text keys."""
        return {
            **asdict(self),
            "strategy": self.strategy.value,
            "rival": self.rival.value,
            "probabilities": {str(number): value for number, value in self.probabilities.items()},
            "expected": {strategy.value: asdict(entry) for strategy, entry in self.expected.items()},
            "earlier_helps": self.earlier_helps,
        }


def judge_size(images: int, per_class: float, independent: int | None = None) -> Size:
    """Soft size: both the total and the images per class must be large.

    Args:
        images: that may be trained on.
        per_class: independent ones, harmonic mean over the classes.
        independent: of the images; all by default.
    """
    independent = images if independent is None else independent
    total = _sigmoid(math.log10(max(independent, 1)), priors.IMAGES)
    each = _sigmoid(math.log10(max(per_class, 1e-9)), priors.IMAGES_PER_CLASS)
    return Size(images, per_class, min(total, each), independent)


def decide(size: Size, distance: Distance, curve: ProbeCurve, times: Timetable, pilot: Pilot | None = None) -> Verdict:
    """Weigh size, distance, the measured probes, and the time that trainings take.

    Size and distance name a scenario; expected accuracies, by the probes and a model fitted to measured cells, and the
    time that there is say what to do. After a pilot its measured gain takes the place of the model.

    Args:
        size: of the dataset.
        distance: from the source data.
        curve: probes at every stage.
        times: what could be done in how much time, for the `facts_of` these.
        pilot: a short fine-tuning, measured.
    """
    last = curve.last
    earlier = max(curve.points[:-1], key=lambda point: (point.accuracy, point.stage), default=last)
    expected = forecast(facts_of(curve, size.per_class, distance), times.training)
    head, tuning = contenders(distance.different, expected)
    strategy, required = times.chosen.strategy, times.required_lead
    if pilot is not None:
        expected, required = piloted(expected, pilot), pilot.se
        strategy = tuning if expected[tuning].accuracy - expected[head].accuracy > required else head
    elif not strategy.fine_tunes:
        strategy = head
    scenario = scenario_for(large=strategy.fine_tunes, different=distance.different >= 0.5).number
    probabilities = {
        number: (size.large if one.size == "large" else 1 - size.large)
        * (distance.different if one.distance == "different" else 1 - distance.different)
        for number, one in SCENARIOS.items()
    }
    verdict = Verdict(
        scenario=scenario,
        strategy=strategy,
        rival=head if strategy is tuning else tuning,
        required_lead=required,
        probabilities=probabilities,
        expected=expected,
        runner_up=_runner_up(scenario, probabilities),
        # The best of several stages is a little lucky.
        learnable=curve.best.accuracy - _CLEARLY * curve.best.se > curve.chance,
        tap_stage=earlier.stage if strategy is Strategy.EARLIER_LAYER else last.stage,
        pilot=pilot,
    )
    return replace(
        verdict,
        reasons=reasons_of(verdict, size, distance, curve, times),
        flips=flips_of(verdict, size, distance, curve, turning=turning_point(size, distance, curve, times)),
    )


def facts_of(curve: ProbeCurve, per_class: float, distance: Distance) -> Facts:
    """What the forecast needs; leave-one-out accuracies below chance, as equal classes give it, count as chance.

    Args:
        curve: probes at every stage.
        per_class: images per class that may be trained on.
        distance: from the source data.
    """
    last = curve.last
    earlier = max(curve.points[:-1], key=lambda point: (point.accuracy, point.stage), default=last).accuracy
    return Facts(
        curve.effective, per_class, distance.different, max(last.accuracy, curve.chance), max(earlier, curve.chance)
    )


def contenders(different: float, expected: Mapping[Strategy, Expected]) -> tuple[Strategy, Strategy]:
    """The classifier and the fine-tuning that are weighed against each other.

    Args:
        different: probability that the images are unlike the source data.
        expected: accuracy of every way; of equal classifiers the side of the distance decides.
    """
    if different >= 0.5:
        heads, tuning = (Strategy.EARLIER_LAYER, Strategy.LAST_LAYER), Strategy.TUNE_DIFFERENT
    else:
        heads, tuning = (Strategy.LAST_LAYER, Strategy.EARLIER_LAYER), Strategy.TUNE_SIMILAR
    return max(heads, key=lambda head: expected[head].accuracy), tuning


def _runner_up(first: int, probabilities: Mapping[int, float]) -> int:
    """The likelier of the two scenarios that differ from the verdict in one respect."""
    mine = SCENARIOS[first]
    near = [n for n, one in SCENARIOS.items() if (one.size == mine.size) != (one.distance == mine.distance)]
    return max(near, key=lambda n: probabilities[n])


def piloted(expected: Mapping[Strategy, Expected], pilot: Pilot) -> dict[Strategy, Expected]:
    """The same, but tuning by the pilot's gain over the last layer's head in place of the model's.

    Its interval is that of the last layer, wider by the pilot's own error.
    """
    last, error = expected[Strategy.LAST_LAYER], Z80 * pilot.se
    measured = Expected(
        min(1.0, max(0.0, last.accuracy + pilot.gain)),
        min(1.0, max(0.0, last.accuracy + pilot.gain - math.hypot(error, last.accuracy - last.low))),
        min(1.0, max(0.0, last.accuracy + pilot.gain + math.hypot(error, last.high - last.accuracy))),
    )
    return {strategy: measured if strategy.fine_tunes else entry for strategy, entry in expected.items()}


def turning_point(size: Size, distance: Distance, curve: ProbeCurve, times: Timetable) -> int | None:
    """Independent images per class at which the other kind of way would be recommended in the same time.

    Returns:
        More than there are where a classifier is recommended, fewer where fine-tuning is; None where none would do.
    """
    tuned = times.chosen.strategy.fine_tunes
    for factor in (1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32):
        each = size.per_class / factor if tuned else factor * size.per_class
        other = times.for_facts(facts_of(curve, each, distance))
        if each >= 1 and other.chosen.strategy.fine_tunes != tuned:
            return round(each)
    return None


def _sigmoid(value: float, vote: Vote) -> float:
    return 1 / (1 + math.exp(-(value - vote.middle) / vote.scale))
