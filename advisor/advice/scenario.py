"""From size, distance and probes to one of the four transfer scenarios (method.md sections 3 and 5)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from advisor.advice import priors
from advisor.advice.forecast import TUNING, Expected, Seen, forecast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.advice.distance import Distance
    from advisor.advice.probe import ProbeCurve
    from advisor.types import Vote

_CLEARLY = 2.5  # standard errors
SCENARIOS = {
    1: ("small", "similar", "a linear classifier on the frozen network"),
    2: ("large", "similar", "fine-tune the whole network"),
    3: ("small", "different", "a linear classifier on activations from earlier in the network"),
    4: ("large", "different", "fine-tune the whole network from the pretrained weights"),
}


@dataclass(frozen=True)
class Size:
    """Whether a dataset is large.

    Attributes:
        images: that may be trained on.
        per_class: harmonic mean over the classes.
        large: probability, 0..1.
    """

    images: int
    per_class: float
    large: float

    @property
    def side(self) -> str:
        """`small`, `large` or `borderline`."""
        if self.large < priors.SMALL_BELOW:
            return "small"
        return "large" if self.large > priors.LARGE_ABOVE else "borderline"

    def to_dict(self) -> dict[str, Any]:
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
        scenario: 1 to 4.
        probabilities: of the four scenarios from size and distance alone.
        expected: accuracy of each scenario's way (`1` to `4`) and of LP-FT (`lp-ft`).
        runner_up: the other scenario worth trying.
        learnable: whether any probe is clearly better than always saying the largest class.
        tap_stage: where the head should read, as the probes measured.
        earlier_helps: whether that is an earlier stage than the last.
        reasons: in words.
        flips: what would change the verdict, in words.
        pilot: the measured gain of fine-tuning; None where a prior served.
    """

    scenario: int
    probabilities: dict[int, float]
    expected: dict[str, Expected]
    runner_up: int
    learnable: bool
    tap_stage: int
    earlier_helps: bool
    reasons: tuple[str, ...]
    flips: tuple[str, ...]
    pilot: Pilot | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with text keys."""
        plain = asdict(self)
        plain["probabilities"] = {str(key): value for key, value in plain["probabilities"].items()}
        return plain


def judge_size(images: int, per_class: float) -> Size:
    """Soft size: both the total and the images per class must be large."""
    total = _sigmoid(math.log10(max(images, 1)), priors.IMAGES)
    each = _sigmoid(math.log10(max(per_class, 1e-9)), priors.IMAGES_PER_CLASS)
    return Size(images, per_class, min(total, each))


def decide(size: Size, distance: Distance, curve: ProbeCurve, pilot: Pilot | None = None) -> Verdict:
    """Weigh size, distance and the measured probes.

    Size and distance name a scenario. Another kind of way (a classifier on frozen features, or fine-tuning), or
    another stage to read features from, is recommended where its expected accuracy leads clearly, by the probes and a
    model fitted to measured cells. After a pilot its measured gain takes the place of model and size.
    """
    probabilities = {
        number: (size.large if large == "large" else 1 - size.large)
        * (distance.different if far == "different" else 1 - distance.different)
        for number, (large, far, _) in SCENARIOS.items()
    }
    last = curve.last
    earlier = max(curve.points[:-1], key=lambda point: (point.accuracy, point.stage), default=last)
    seen = _seen(curve, size.per_class, distance, earlier.accuracy)
    expected = forecast(seen) if pilot is None else _piloted(forecast(seen), curve, pilot)
    far = "different" if distance.different >= 0.5 else "similar"
    way = (
        choose(size.large, distance.different, expected)
        if pilot is None
        else choose(0.0, distance.different, expected, lead=pilot.se)
    )
    helps = way == "3"
    large = "large" if way in TUNING else "small"
    first = next(number for number, sides in SCENARIOS.items() if sides[:2] == (large, far))
    # The best of several stages is a little lucky.
    learnable = curve.best.accuracy - _CLEARLY * curve.best.se > curve.chance
    reasons = _reasons(size, distance, curve, expected, first, helps=helps, pilot=pilot)
    if not learnable:
        chance = f"{curve.best.accuracy:.3f} against {curve.chance:.3f} by chance"
        reasons = (f"no probe learns anything ({chance}): check the labels before anything else", *reasons)
    return Verdict(
        scenario=first,
        probabilities=probabilities,
        expected=expected,
        runner_up=_runner_up(first, probabilities),
        learnable=learnable,
        tap_stage=earlier.stage if helps else last.stage,
        earlier_helps=helps,
        reasons=reasons,
        flips=_flips(size, distance, curve, expected, first),
        pilot=pilot,
    )


def _seen(curve: ProbeCurve, per_class: float, distance: Distance, earlier: float) -> Seen:
    """What the forecast needs; leave-one-out accuracies below chance, as equal classes give it, count as chance."""
    last = max(curve.last.accuracy, curve.chance)
    return Seen(curve.effective, per_class, distance.different, last, max(earlier, curve.chance))


def choose(large: float, different: float, expected: Mapping[str, Expected], *, lead: float = priors.CLEAR_LEAD) -> str:
    """The way to recommend: that of the scenario, unless another is expected to lead it clearly.

    Args:
        large: probability of a large set.
        different: probability that the images are unlike the source data.
        expected: accuracy of every way.
        lead: 0..1; what is clear between a head and fine-tuning.

    Returns:
        `1` or `3` (a head on the last or on an earlier stage), `2` or `4` (fine-tuning).
    """
    usual, other, tune = ("3", "1", "4") if different >= 0.5 else ("1", "3", "2")
    head = other if expected[other].accuracy - expected[usual].accuracy > priors.CLEAR_LEAD else usual
    bar = -lead if large > 0.5 else lead
    return tune if expected[tune].accuracy - expected[head].accuracy > bar else head


def _runner_up(first: int, probabilities: dict[int, float]) -> int:
    """The likelier of the two scenarios that differ from the verdict in one respect."""
    size, far, _ = SCENARIOS[first]
    near = [n for n, (s, f, _) in SCENARIOS.items() if (s == size) != (f == far)]
    return max(near, key=lambda n: probabilities[n])


def _piloted(expected: dict[str, Expected], curve: ProbeCurve, pilot: Pilot) -> dict[str, Expected]:
    """The same, but tuning by the pilot's gain over the last layer's head in place of the model's."""
    accuracy = min(1.0, max(0.0, expected["1"].accuracy + pilot.gain))
    spread = 1.2816 * math.hypot(pilot.se, curve.last.se)
    measured = Expected(accuracy, max(0.0, accuracy - spread), min(1.0, accuracy + spread))
    return expected | dict.fromkeys(TUNING, measured)


def _reasons(
    size: Size,
    distance: Distance,
    curve: ProbeCurve,
    expected: dict[str, Expected],
    verdict: int,
    *,
    helps: bool,
    pilot: Pilot | None,
) -> tuple[str, ...]:
    best, last = curve.best, curve.last
    lead = f"{100 * best.gain:.1f} ± {100 * best.gain_se:.1f} points"
    both = f"{best.accuracy:.3f} against {last.accuracy:.3f}"
    if distance.votes:
        looks = {
            "similar": "the images look like those the network was trained on",
            "different": "the images look unlike those the network was trained on",
            "borderline": "the images are neither clearly like nor clearly unlike those the network was trained on",
        }[distance.side]
        low, high = distance.interval
        far = f"{looks} (probability of different {distance.different:.2f}, 95 % interval {low:.2f} to {high:.2f})"
    else:
        far = "the distance could not be measured: this backbone has neither BatchNorm nor a classifier"
    if best.stage == last.stage:
        depth = f"no earlier layer beats the last one's leave-one-out {curve.metric} of {last.accuracy:.3f}"
        depth += "; on sets like this one the best of them did better in the end" if helps else ""
    elif last.tied:
        depth = f"the best earlier layer ({best.name}) and the last are tied: {lead} ({both})"
        depth += "; on sets like this one the earlier one did better in the end" if helps else ""
    else:
        depth = f"an earlier layer ({best.name}) beats the last by {lead} in leave-one-out {curve.metric} ({both})"
    count = f"{size.images} images may be trained on, {size.per_class:.0f} per class: {size.side}"
    reasons = [f"{count} (probability of large {size.large:.2f})", far, depth]
    shift = {
        "low-level": "the early layers see another kind of image (gray, small, blurred, another sensor) while the "
        "content is familiar: if you can, give images like photographs; else tune the early stages too",
        "content": "the late layers see unfamiliar content or texture: read earlier, or tune the late stages",
    }
    if distance.shift in shift:
        reasons.append(shift[distance.shift])
    if distance.borrowed:
        reasons.append(f"this backbone has no BatchNorm; the distance borrows the statistics of {distance.borrowed}")
    if pilot is not None:
        reasons.append(
            f"the pilot fine-tuned {pilot.images} images for {pilot.seconds:.0f} s: "
            f"{100 * pilot.gain:+.1f} ± {100 * pilot.se:.1f} points over the last layer's head on "
            f"{pilot.judged_on} validation images; it decided"
        )
    heads, tuning = (max(expected[way].accuracy for way in ways) for ways in (("1", "3"), ("2", "4")))
    kind = "a classifier on frozen features" if verdict in (1, 3) else "fine-tuning"
    reasons.append(
        f"expected {curve.metric}: {heads:.2f} for a classifier on frozen features, {tuning:.2f} for fine-tuning; "
        f"{kind} is recommended"
    )
    if curve.multilabel:
        reasons.append(
            "what is expected was fitted to sets with one label an image; of mean average precision it is a guess, and "
            "--pilot measures it"
        )
    if (size.large > 0.5) != (verdict in (2, 4)):
        # Beside the size, which the verdict seems to contradict.
        reasons.insert(
            1,
            f"by size alone this would be called {'large' if size.large > 0.5 else 'small'}; the expected accuracies "
            f"speak for the way of a {SCENARIOS[verdict][0]} set",
        )
    return tuple(reasons)


def _flips(
    size: Size, distance: Distance, curve: ProbeCurve, expected: dict[str, Expected], verdict: int
) -> tuple[str, ...]:
    flips = []
    head = max(expected["1"].accuracy, expected["3"].accuracy)
    tune = expected["4" if distance.different >= 0.5 else "2"].accuracy
    lead = 100 * (tune - head)
    bar = 100 * (-priors.CLEAR_LEAD if size.large > 0.5 else priors.CLEAR_LEAD)
    if verdict in (1, 3):
        flips.append(f"fine-tuning's expected lead (now {lead:+.1f} points) rising above {bar:+.0f}: fine-tune")
        more = overtaking(size, distance, curve)
        if more:
            flips.append(f"about {more} labelled images per class (now {size.per_class:.0f}): fine-tune")
    else:
        flips.append(f"fine-tuning's expected lead (now {lead:+.1f} points) falling under {bar:+.0f}: a classifier")
        if size.large > 0.5:
            images, each = (round(10**vote.middle) for vote in (priors.IMAGES, priors.IMAGES_PER_CLASS))
            flips.append(
                f"fewer than about {images} images to train on (now {size.images}) or {each} per class "
                f"(now {size.per_class:.0f}): a classifier, unless that lead is clear"
            )
    if distance.votes:
        side, kind = ("above", "less") if distance.different < 0.5 else ("below", "more")
        flips.append(
            f"probability of different {side} 0.50 (now {distance.different:.2f}): "
            f"images {kind} like the network's training data"
        )
    if curve.best.stage != curve.last.stage:
        gap = 100 * (expected["3"].accuracy - expected["1"].accuracy)
        flips.append(f"the expected lead of {curve.best.name} over the last layer (now {gap:+.1f}) changing its sign")
    return tuple(flips)


def overtaking(size: Size, distance: Distance, curve: ProbeCurve) -> int | None:
    """Images per class at which fine-tuning would be recommended, all else equal; None beyond reach."""
    best = max(point.accuracy for point in curve.points)
    for factor in (1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32):
        each = factor * size.per_class
        expected = forecast(_seen(curve, each, distance, best))
        large = judge_size(round(factor * size.images), each).large
        if choose(large, distance.different, expected) in TUNING:
            return round(each)
    return None


def _sigmoid(value: float, vote: Vote) -> float:
    return 1 / (1 + math.exp(-(value - vote.middle) / vote.scale))
