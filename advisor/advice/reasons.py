"""A verdict in words: why, and what would change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.strategy import SCENARIOS, Strategy, scenario_for
from advisor.units import show_duration

if TYPE_CHECKING:
    from advisor.advice.distance import Distance
    from advisor.advice.probe import ProbeCurve
    from advisor.advice.scenario import Size, Verdict
    from advisor.advice.timetable import Timetable

_FEW = 25  # images per class; the panel's middle (docs/method.md)
_SHIFTS = {
    "low-level": "the content is familiar, but the early layers see another kind of image (gray, small, blurred or "
    "from another sensor): give images more like photographs if you can, else fine-tune the early stages too",
    "content": "the late layers see unfamiliar content or texture: read an earlier layer, or fine-tune the late stages",
}


def reasons_of(
    verdict: Verdict, size: Size, distance: Distance, curve: ProbeCurve, times: Timetable
) -> tuple[str, ...]:
    """Why the verdict is what it is, the most important first.

    Args:
        verdict: its own reasons are not read.
        size: of the dataset.
        distance: from the source data.
        curve: probes at every stage.
        times: what could be done in how much time.
    """
    if not verdict.learnable:
        return _nothing_learnt(curve), _on_size(size), _on_distance(distance), *_on_pilot(verdict)
    reasons = [_on_size(size)]
    if (size.large > 0.5) != verdict.strategy.fine_tunes:
        reasons.append(_against_size(verdict, size))  # beside the size, which the verdict seems to contradict
    reasons += [_on_distance(distance), _on_depth(verdict, curve)]
    if distance.shift in _SHIFTS:
        reasons.append(_SHIFTS[distance.shift])
    reasons += [f"{line}; this decided" for line in _on_pilot(verdict)]
    reasons.append(
        f"expected {curve.metric}: {verdict.expected[verdict.head].accuracy:.2f} for a classifier on frozen features, "
        f"{verdict.expected[verdict.tuning].accuracy:.2f} for {times.tuning.noun} "
        f"({show_duration(times.tuning.seconds)} here); {_weighed(verdict, times)}"
    )
    if curve.task.caution:
        reasons.append(curve.task.caution)
    return tuple(reasons)


def _weighed(verdict: Verdict, times: Timetable) -> str:
    """What follows from the expected accuracies, and from the time."""
    if verdict.strategy.fine_tunes:
        return f"fine-tuning is recommended; {times.sentence}"
    if times.too_long:
        return "that takes longer than there is time, so a classifier on frozen features is recommended"
    if 0 < verdict.lead <= verdict.required_lead:
        return "so little more is not worth the time"
    return "a classifier on frozen features is recommended"


def checks_of(size: Size, curve: ProbeCurve) -> tuple[str, ...]:
    """What to look at where no probe learns anything, the likeliest cause first.

    Args:
        size: of the dataset.
        curve: probes at every stage.
    """
    kind, kinds = curve.task.noun
    checks = [
        f"open ten images of each {kind} and name them yourself: what you cannot tell, the network hardly can",
        "compare labels and file names where they were joined from a table: rows out of order look just like this",
        f"ask whether what tells the {kinds} apart survives the network's view, which is small and without the edges",
        "try networks that were trained on images more like yours: --backbones A,B",
    ]
    if size.per_class < _FEW:
        checks.insert(2, f"label more images: {size.per_class:.0f} per {kind} show only what is easy to see")
    return tuple(checks)


def _nothing_learnt(curve: ProbeCurve) -> str:
    best = curve.best
    return (
        f"no probe learns anything: the best stage has a leave-one-out {curve.metric} of {best.accuracy:.3f} ± "
        f"{best.se:.3f} where guessing gives {curve.chance:.3f}, so no way is recommended"
    )


def _on_pilot(verdict: Verdict) -> list[str]:
    pilot = verdict.pilot
    if pilot is None:
        return []
    words = (
        f"a pilot of {show_duration(pilot.seconds)} measured {100 * pilot.gain:+.1f} ± {100 * pilot.se:.1f} points "
        f"for fine-tuning against a classifier on the last layer, with {pilot.images} images to train on and "
        f"{pilot.judged_on} to validate"
    )
    return [words]


def _on_size(size: Size) -> str:
    apart = "" if size.independent == size.images else f", {size.independent} of them independent"
    count = f"{size.images} images to train on{apart}, {size.per_class:.0f} per class: {size.side}"
    return f"{count} (probability of large {size.large:.2f})"


def _against_size(verdict: Verdict, size: Size) -> str:
    by_size = "large" if size.large > 0.5 else "small"
    return (
        f"by size alone this would be called {by_size}, but the expected accuracies favour the way of a "
        f"{SCENARIOS[verdict.scenario].size} set"
    )


def _on_distance(distance: Distance) -> str:
    if not distance.votes:
        return (
            "the distance could not be measured: this backbone has no BatchNorm to remember its training data, and "
            "no lite0 is installed to judge in its place"
        )
    whose = distance.borrowed or "the network"
    looks = {
        "similar": f"the images look like those {whose} was trained on",
        "different": f"the images look unlike those {whose} was trained on",
        "borderline": f"the images are neither clearly like nor clearly unlike those {whose} was trained on",
    }[distance.side]
    low, high = distance.interval
    words = f"{looks} (probability of different {distance.different:.2f}, 95 % interval {low:.2f} to {high:.2f})"
    if distance.borrowed:
        return f"{words}; this backbone has no BatchNorm to remember its own training data, so the interval is wide"
    if not distance.calibrated:
        return f"{words}; this backbone brings no constants, so scrambled copies of the images are the yardstick"
    return words


def _on_depth(verdict: Verdict, curve: ProbeCurve) -> str:
    best, last = curve.best, curve.last
    lead = f"{100 * best.gain:.1f} ± {100 * best.gain_se:.1f} points"
    both = f"{best.accuracy:.3f} against {last.accuracy:.3f}"
    in_the_end = "; on sets like this one, an earlier layer did better in the end" if verdict.earlier_helps else ""
    if best.stage == last.stage:
        return f"no earlier layer beats the last one's leave-one-out {curve.metric} of {last.accuracy:.3f}{in_the_end}"
    if last.tied:
        return f"the best earlier layer ({best.name}) and the last are tied: {lead} ({both}){in_the_end}"
    return f"an earlier layer ({best.name}) beats the last by {lead} in leave-one-out {curve.metric} ({both})"


def flips_of(
    verdict: Verdict, size: Size, distance: Distance, curve: ProbeCurve, *, turning: int | None
) -> tuple[str, ...]:
    """What would change the verdict, each as a condition and what would then be advised.

    Args:
        verdict: its own flips are not read.
        size: of the dataset.
        distance: from the source data.
        curve: probes at every stage.
        turning: images per class at which the other kind of way would be recommended; None where no number does it.
    """
    if not verdict.learnable:
        return (f"a probe that is clearly above {curve.chance:.3f}, which guessing gives: a way is recommended",)
    side, then = ("below", "use a classifier") if verdict.strategy.fine_tunes else ("above", "fine-tune")
    required = f"{100 * verdict.required_lead:+.2g}" if verdict.required_lead else "0"
    lead = f"{100 * verdict.lead:+.1f}"
    flips = [f"an expected lead of fine-tuning {side} {required} points (now {lead}): {then}"]
    if turning:
        number = f"labelled {size.counted} per class (now {size.per_class:.0f})"
        flips.append(
            f"fewer than about {turning} {number}: use a classifier"
            if verdict.strategy.fine_tunes
            else f"about {turning} {number}: fine-tune"
        )
    different = distance.different >= 0.5
    if distance.votes:
        other = scenario_for(large=verdict.strategy.fine_tunes, different=not different).number
        side, kind = ("below", "more") if different else ("above", "less")
        whose = f"{distance.borrowed or 'the network'}'s"
        flips.append(
            f"a probability of different {side} 0.50 (now {distance.different:.2f}), from images {kind} like {whose} "
            f"training data: scenario {other}"
        )
    if curve.best.stage != curve.last.stage and not verdict.strategy.fine_tunes:
        gap = verdict.expected[Strategy.EARLIER_LAYER].accuracy - verdict.expected[Strategy.LAST_LAYER].accuracy
        side, layer = ("below", "the last layer") if verdict.earlier_helps else ("above", curve.best.name)
        flips.append(
            f"an expected lead of {curve.best.name} over the last layer {side} 0 points (now {100 * gap:+.1f}): read "
            f"{layer}"
        )
    return tuple(flips)
