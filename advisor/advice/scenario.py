"""From size, distance and probes to one of the four transfer scenarios (method.md sections 3 and 5)."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from advisor.advice import priors

if TYPE_CHECKING:
    from advisor.advice.distance import Distance
    from advisor.advice.probe import ProbeCurve
    from advisor.types import Vote

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
class Expected:
    """Expected accuracy of a scenario's way, 0..1, with an 80 % interval."""

    accuracy: float
    low: float
    high: float


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
        expected: of each scenario's way, from the probes and the prior gain of fine-tuning.
        lp_ft: of fitting the head first and then tuning everything gently, likewise.
        runner_up: the other scenario worth trying.
        close: whether the probabilities were too close, so that the expected accuracies decided.
        tap_stage: where the head should read, as the probes measured.
        earlier_helps: whether that stage beats the last by more than chance.
        reasons: in words.
        flips: what would change the verdict, in words.
        pilot: the measured gain of fine-tuning; None where a prior served.
    """

    scenario: int
    probabilities: dict[int, float]
    expected: dict[int, Expected]
    lp_ft: Expected
    runner_up: int
    close: bool
    tap_stage: int
    earlier_helps: bool
    reasons: tuple[str, ...]
    flips: tuple[str, ...]
    pilot: Pilot | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with text keys."""
        plain = asdict(self)
        for name in ("probabilities", "expected"):
            plain[name] = {str(key): value for key, value in plain[name].items()}
        return plain


def judge_size(images: int, per_class: float) -> Size:
    """Soft size: both the total and the images per class must be large."""
    total = _sigmoid(math.log10(max(images, 1)), priors.IMAGES)
    each = _sigmoid(math.log10(max(per_class, 1e-9)), priors.IMAGES_PER_CLASS)
    return Size(images, per_class, min(total, each))


def decide(size: Size, distance: Distance, curve: ProbeCurve, classes: int, pilot: Pilot | None = None) -> Verdict:
    """Weigh size, distance and the measured probes.

    The likeliest scenario wins, unless the two likeliest are within 0.2 of each other: then the one with
    the higher expected accuracy does. After a pilot the measurement decides alone: fine-tuning is
    recommended where it gains more than its standard error over the best head.
    """
    probabilities = {
        number: (size.large if large == "large" else 1 - size.large)
        * (distance.different if far == "different" else 1 - distance.different)
        for number, (large, far, _) in SCENARIOS.items()
    }
    best, last = curve.best, curve.last
    helps = best.gain > 2 * best.gain_se and 100 * best.gain >= priors.MIN_DEPTH_GAIN
    tap_stage = best.stage if helps else last.stage
    expected, lp_ft = _expectations(size, distance, curve, tap_stage, pilot)
    first, second = sorted(SCENARIOS, key=lambda n: -probabilities[n])[:2]
    close = probabilities[first] - probabilities[second] < priors.CLOSE_CALL
    if pilot is not None:
        first, second = _after_pilot(probabilities, expected, pilot)
        close = False
    elif close and expected[second].accuracy > expected[first].accuracy:
        first, second = second, first
    return Verdict(
        scenario=first,
        probabilities=probabilities,
        expected=expected,
        lp_ft=lp_ft,
        runner_up=second,
        close=close,
        tap_stage=tap_stage,
        earlier_helps=helps,
        reasons=_reasons(size, distance, curve, pilot, helps=helps, close=close, pair=(first, second)),
        flips=_flips(size, distance, curve, classes, helps=helps),
        pilot=pilot,
    )


def _after_pilot(probabilities: dict[int, float], expected: dict[int, Expected], pilot: Pilot) -> tuple[int, int]:
    """The scenario that the pilot speaks for, and the likelier one of the other kind."""
    heads, tuning = ((1, 3), (2, 4))
    gained = expected[2].accuracy - max(expected[number].accuracy for number in heads)
    chosen, other = (tuning, heads) if gained > pilot.se else (heads, tuning)
    return max(chosen, key=lambda n: probabilities[n]), max(other, key=lambda n: probabilities[n])


def fine_tune_gain(per_class: float, different: float) -> tuple[float, float]:
    """Prior gain of fine-tuning over the last-layer probe, points, and its standard deviation.

    Interpolated in the logarithm of the images per class, and between similar and different.
    """
    found = []
    for side in ("similar", "different"):
        table = priors.FINE_TUNE_GAIN[side]
        x = min(max(math.log(max(per_class, 1e-9)), math.log(table[0][0])), math.log(table[-1][0]))
        for (n0, gain0, sd0), (n1, gain1, sd1) in itertools.pairwise(table):
            if x <= math.log(n1) or n1 == table[-1][0]:
                t = (x - math.log(n0)) / (math.log(n1) - math.log(n0))
                found.append((gain0 + t * (gain1 - gain0), sd0 + t * (sd1 - sd0)))
                break
    (near, near_sd), (far, far_sd) = found
    return near + different * (far - near), near_sd + different * (far_sd - near_sd)


def _expectations(
    size: Size, distance: Distance, curve: ProbeCurve, tap_stage: int, pilot: Pilot | None
) -> tuple[dict[int, Expected], Expected]:
    z80 = 1.28
    last, tapped = curve.last, curve.points[tap_stage - 1]

    def probed(accuracy: float, se: float) -> Expected:
        return Expected(accuracy, max(0.0, accuracy - z80 * se), min(1.0, accuracy + z80 * se))

    def tuned(side: float) -> Expected:
        gain, sd = fine_tune_gain(size.per_class, side) if pilot is None else (100 * pilot.gain, 100 * pilot.se)
        raised = min(gain / 100, priors.MAX_SHARE_OF_HEADROOM * (1 - last.accuracy))
        # Errors cannot spread further than the headroom lets them.
        spread = z80 * math.hypot(min(sd / 100, (1 - last.accuracy)), last.se)
        accuracy = min(1.0, max(0.0, last.accuracy + raised))
        return Expected(accuracy, max(0.0, accuracy - spread), min(1.0, accuracy + spread))

    fine_tuned = tuned(distance.different)
    ways = {
        1: probed(last.accuracy, last.se),
        2: fine_tuned,
        3: probed(tapped.accuracy, tapped.se),
        4: fine_tuned,
    }
    return ways, fine_tuned


def _reasons(
    size: Size,
    distance: Distance,
    curve: ProbeCurve,
    pilot: Pilot | None,
    *,
    helps: bool,
    close: bool,
    pair: tuple[int, int],
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
    if helps:
        depth = f"an earlier layer ({best.name}) beats the last by {lead} in leave-one-out accuracy ({both})"
    elif best.stage != last.stage:
        depth = f"the best earlier layer ({best.name}) and the last are tied: {lead} ({both})"
    else:
        depth = f"no earlier layer beats the last one's leave-one-out accuracy of {last.accuracy:.3f}"
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
    if best.accuracy - 2 * best.se <= curve.chance:
        reasons.append(
            f"the best probe ({best.accuracy:.3f}) is no better than always saying the largest class "
            f"({curve.chance:.3f}): check the labels before anything else"
        )
    if close:
        reasons.append(
            f"size and distance leave scenarios {pair[0]} and {pair[1]} close together; "
            "the higher expected accuracy decided"
        )
    return tuple(reasons)


def _flips(size: Size, distance: Distance, curve: ProbeCurve, classes: int, *, helps: bool) -> tuple[str, ...]:
    images, each = round(10**priors.IMAGES.middle), round(10**priors.IMAGES_PER_CLASS.middle)
    need = max(images, each * classes)
    if size.large < 0.5:
        now = f"now {size.images}, {size.per_class:.0f} per class"
        wanted = f"{need} labelled images to train on ({math.ceil(need / classes)} per class; {now})"
        flips = [f"{wanted} would count as large: fine-tune deeper"]
    else:
        flips = [f"fewer than {images} images to train on, or fewer than {each} per class, would count as small"]
    if distance.votes:
        side, kind = ("above", "less") if distance.different < 0.5 else ("below", "more")
        flips.append(
            f"probability of different {side} 0.50 (now {distance.different:.2f}): "
            f"images {kind} like the network's training data"
        )
    best = curve.best
    bar = max(200 * best.gain_se, priors.MIN_DEPTH_GAIN)
    if helps:
        flips.append(f"the last layer would be read if {best.name}'s lead fell under {bar:.1f} points")
    elif best.stage != curve.last.stage:
        flips.append(f"{best.name} would be read if its lead exceeded {bar:.1f} points")
    return tuple(flips)


def _sigmoid(value: float, vote: Vote) -> float:
    return 1 / (1 + math.exp(-(value - vote.middle) / vote.scale))
