"""The charts of a recommendation: each with what it shows, what is to be seen in it in words, and its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from advisor.advice import priors
from advisor.report.blocks import Chart, Column, Name, Table, said
from advisor.report.drawing import (
    ACCENT,
    CARD,
    LINE,
    MUTED,
    ROW,
    SECOND,
    SOFT,
    beside_edge,
    chart,
    dots,
    finish,
    geometric,
    row_labels,
    soft_band,
    tips,
    unit_axis,
    upright_rules,
    within,
)
from advisor.report.words import IN_A_SENTENCE, WAYS, interval, number, points, whole
from advisor.strategy import SCENARIOS
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from advisor.advice.cost import WayCost
    from advisor.advice.distance import Distance
    from advisor.advice.labels import LabelCurve
    from advisor.advice.probe import ProbeCurve
    from advisor.advice.recommendation import Recommendation
    from advisor.advice.scenario import Size, Verdict
    from advisor.report.drawing import Layer, Row
    from advisor.strategy import Strategy

_Z95 = 1.96
_FARTHEST = 16  # times the labels there are; beyond, nothing is drawn


def scenario_map(verdict: Verdict, size: Size, distance: Distance) -> Chart:
    """The plane of size and distance with its four quadrants and where the dataset stands."""
    low, high = distance.interval
    here = {"x": distance.different, "y": size.large, "low": low, "high": high, "words": (
        f"different {distance.different:.2f} ({low:.2f} to {high:.2f}), large {size.large:.2f}")}  # fmt: skip
    mine = SCENARIOS[verdict.scenario]
    left, right = (priors.DIFFERENT_ABOVE, 1) if mine.distance == "different" else (0, priors.SIMILAR_BELOW)
    bottom, top = (priors.LARGE_ABOVE, 1) if mine.size == "large" else (0, priors.SMALL_BELOW)
    layers: list[Layer] = [
        chart([{"x": left, "x2": right, "y": bottom, "y2": top}])
        .mark_rect(color=SOFT)
        .encode(
            x=unit_axis(alt.X, "x", "similar  ←  probability of different  →  different"),
            x2="x2:Q",
            y=unit_axis(alt.Y, "y", "small  ←  probability of large  →  large"),
            y2="y2:Q",
        ),
        soft_band(
            {"x": priors.SIMILAR_BELOW, "x2": priors.DIFFERENT_ABOVE, "y": 0, "y2": 1}, across=True
        ),
        soft_band({"x": 0, "x2": 1, "y": priors.SMALL_BELOW, "y2": priors.LARGE_ABOVE}, across=False),
    ]  # fmt: skip
    for line in (0, 1):
        labels = chart([_quadrant(n, verdict, here)[line] for n in SCENARIOS])
        text = labels.mark_text(fontWeight=400 if line else 700, dy=16 * line - 8, fontSize=13 - line)
        layers.append(text.encode(x="x:Q", y="y:Q", text="t:N"))
    layers += [
        chart([here]).mark_rule(strokeWidth=2, color=ACCENT).encode(x="low:Q", x2="high:Q", y="y:Q"),
        chart([here])
        .mark_point(shape="diamond", size=190, filled=True, color=ACCENT, stroke=CARD, strokeWidth=2, opacity=1)
        .encode(x="x:Q", y="y:Q", tooltip=alt.Tooltip("words:N", title="this dataset")),
    ]
    p = verdict.probabilities
    told = ", ".join(f"{n} ({SCENARIOS[n].words}) {p[n]:.2f}" for n in sorted(p, key=lambda n: -p[n]))
    likeliest = max(p, key=lambda n: p[n])
    turned = (
        f" Expected accuracies speak for scenario {verdict.scenario} all the same."
        if likeliest != verdict.scenario
        else ""
    )
    rows = tuple(
        (f"{n} {one.size}, {one.distance}", f"{p[n]:.2f}", "advised" if n == verdict.scenario else "")
        for n, one in SCENARIOS.items()
    )
    return Chart(
        "The four scenarios, and where this dataset stands",
        f"The diamond: probability of different {distance.different:.2f} (95 % interval {low:.2f} to {high:.2f}, its "
        f"bar), of large {size.large:.2f}. By these alone the scenarios have the probabilities {told}.{turned}",
        finish(layers, height=330),
        Table(
            "Probability of each scenario by size and distance alone",
            (Column("scenario"), Column("probability", number=True), Column("")),
            rows,
            marked=frozenset({verdict.scenario - 1}),
        ),
    )


def depth_profile(distance: Distance) -> Chart | None:
    """How far the images are from the source data in early, middle and late layers."""
    found = {"early third": distance.early, "middle third": distance.middle, "late third": distance.late}
    rows: list[Row] = [
        {"part": part, "value": e.value, "low": within(e.value - _Z95 * e.se), "high": within(e.value + _Z95 * e.se)}
        for part, e in found.items()
        if e is not None
    ]
    if not rows:
        return None
    base = chart(rows).encode(x=alt.X("part:N", sort=None, title="layers of the network, input side first",
                                       axis=alt.Axis(labelAngle=0, grid=False)))  # fmt: skip
    y = alt.Y("value:Q", title="distance (0 the same, 1 apart)", scale=alt.Scale(domainMin=0, nice=True))
    shown = tips(("part:N", "layers"), ("value:Q", "distance"), ("low:Q", "from"), ("high:Q", "to"), form=".4f")
    layers: list[Layer] = [
        base.mark_line(color=ACCENT, strokeWidth=1.5).encode(y=y),
        *([base.mark_rule(color=ACCENT, strokeWidth=2).encode(y="low:Q", y2="high:Q")]
          if all(r["low"] is not None for r in rows) else []),
        base.mark_point(filled=True, size=90, color=ACCENT, opacity=1).encode(y="value:Q", tooltip=shown),
    ]  # fmt: skip
    most = max(rows, key=lambda r: r["value"])["part"]
    shift = {
        "content": "The late layers, which see content, meet something unfamiliar.",
        "low-level": "Only the early layers, which see colour and sharpness, meet something unfamiliar; the content "
        "is familiar.",
        "none": "No depth meets much that is unfamiliar.",
        "unknown": "",
    }[distance.shift]
    words = ", ".join(f"{r['part']} {r['value']:.3f}" for r in rows)
    return Chart(
        "Distance by depth",
        f"Squared Hellinger distance between the channel statistics of these images and of the network's training "
        f"data: {words}; largest in the {most}. {shift}".strip(),
        finish(layers, height=220),
        Table(
            "Distance by depth, with 95 % intervals (jackknife)",
            (Column("layers"), Column("distance", number=True), Column("from", number=True), Column("to", number=True)),
            tuple((r["part"], number(r["value"], 4), number(r["low"], 4), number(r["high"], 4)) for r in rows),
        ),
    )


_VOTES = {
    "late": "late layers' statistics",
    "gain": "spread of the class predictions",
    "kurtosis": "peaks of the class scores",
}


def distance_votes(distance: Distance) -> Chart | None:
    """What each vote says of similar or different, and all together."""
    if not distance.votes:
        return None
    together = "all votes together"
    rows: list[Row] = [
        {"vote": _VOTES.get(name, name), "p": p, "low": distance.vote_intervals[name][0],
         "high": distance.vote_intervals[name][1], "marked": False}
        for name, p in distance.votes.items()
    ]  # fmt: skip
    rows.append({"vote": together, "p": distance.different, "low": distance.interval[0],
                 "high": distance.interval[1], "marked": True})  # fmt: skip
    for row in rows:
        row["words"] = interval(row["p"], row["low"], row["high"])
    border = {"x": priors.SIMILAR_BELOW, "x2": priors.DIFFERENT_ABOVE}
    band = chart([border]).mark_rect(color=LINE, opacity=0.5).encode(x="x:Q", x2="x2:Q")
    layers = [band, *dots(rows, "vote", unit_axis(alt.X, "p", "probability of different"))]
    sides = [f"{row['vote']} {row['p']:.2f}" for row in rows[:-1]]
    return Chart(
        "Votes on the distance",
        f"Together {distance.different:.2f}, which counts as {distance.side} (the grey band from "
        f"{priors.SIMILAR_BELOW:.2f} to {priors.DIFFERENT_ABOVE:.2f} is borderline): {', '.join(sides)}.",
        finish(layers, height=ROW * len(rows)),
        Table(
            "Probability that the images are unlike the training data, with 95 % intervals",
            (
                Column("vote"),
                Column("probability", number=True),
                Column("from", number=True),
                Column("to", number=True),
            ),
            tuple((row["vote"], number(row["p"]), number(row["low"]), number(row["high"])) for row in rows),
            marked=frozenset({len(rows) - 1}),
        ),
    )


def probe_curve(curve: ProbeCurve, tap_stage: int) -> Chart:
    """Accuracy of a linear classifier at every stage, beside that of the nearest neighbours."""
    probe, near = "linear classifier", "nearest neighbours"
    rows: list[Row] = [
        {"stage": p.stage, "name": Name(p.name).short, "value": p.accuracy, "low": within(p.accuracy - p.se),
         "high": within(p.accuracy + p.se), "kind": probe, "tied": p.tied,
         "note": _probe_note(p.tied, p.stage, curve.best.stage, tap_stage)}
        for p in curve.points
    ]  # fmt: skip
    others = [{"stage": p.stage, "name": Name(p.name).short, "value": p.neighbours, "kind": near} for p in curve.points]
    x = alt.X("stage:O", title="stage of the network, input side first", axis=alt.Axis(labelAngle=0, grid=False))
    y = alt.Y("value:Q", title=curve.metric, scale=alt.Scale(zero=False, nice=True, padding=14))
    colour = alt.Color("kind:N", scale=alt.Scale(domain=[probe, near], range=[ACCENT, SECOND]))
    dash = alt.StrokeDash("kind:N", scale=alt.Scale(domain=[probe, near], range=[[1, 0], [5, 4]]))
    shown = tips(("name:N", "stage"), ("value:Q", curve.metric), ("note:N", ""))
    chosen = [row for row in rows if row["stage"] == tap_stage]
    layers: list[Layer] = [
        *_by_chance(curve),
        chart([*rows, *others]).mark_line(strokeWidth=2).encode(x=x, y=y, color=colour, strokeDash=dash),
        chart(rows).mark_rule(strokeWidth=2, color=ACCENT).encode(x="stage:O", y="low:Q", y2="high:Q"),
        chart(chosen)
        .mark_point(size=330, color=ACCENT, strokeWidth=2, opacity=1)
        .encode(x="stage:O", y="value:Q"),
        chart([{**row, "t": "read here"} for row in chosen])
        .mark_text(dy=-17, fontWeight="bold", **beside_edge(tap_stage, len(rows)))
        .encode(x="stage:O", y="high:Q", text="t:N"),
        chart(others)
        .mark_point(filled=True, size=45, shape="square", color=SECOND, opacity=1)
        .encode(x="stage:O", y="value:Q", tooltip=tips(("name:N", "stage"), ("value:Q", near))),
        chart(rows)
        .mark_point(size=85, color=ACCENT, filled=True, stroke=ACCENT, strokeWidth=1.8, opacity=1)
        .encode(x="stage:O", y="value:Q", tooltip=shown,
                fill=alt.condition("datum.tied", alt.value(ACCENT), alt.value(CARD))),
    ]  # fmt: skip
    best, last = curve.best, curve.last
    lead = f"{points(best.gain)} ± {points(best.gain_se, sign=False)} points over the last"
    found = (
        f"The last stage is the best: {last.accuracy:.3f} ± {last.se:.3f}."
        if best.stage == last.stage
        else f"Stage {best.stage} ({said(best.name)}) is the best with {best.accuracy:.3f} ± {best.se:.3f}, {lead} "
        f"({last.accuracy:.3f})."
    )
    return Chart(
        "A linear classifier at every stage",
        f"{found} Bars are one standard error; filled points are tied with the best; the ring is where the head should "
        f"read (stage {tap_stage}, {said(curve.points[tap_stage - 1].name)}). Leave-one-out {curve.metric}, beside "
        f"that of the ten nearest neighbours, on {whole(curve.images)} images; by chance {curve.chance:.2f}.",
        finish(layers, height=300),
        Table(
            f"Leave-one-out {curve.metric} at every stage",
            (Column("stage", number=True), Column("layer"), Column("features", number=True),
             Column(curve.metric, number=True), Column("± error", number=True),
             Column("over the last, points", number=True), Column("nearest neighbours", number=True), Column("")),
            tuple(
                (str(p.stage), Name(p.name), whole(p.width), number(p.accuracy, 3), number(p.se, 3),
                 points(p.gain), number(p.neighbours, 3),
                 _probe_note(p.tied, p.stage, curve.best.stage, tap_stage))
                for p in curve.points
            ),
            marked=frozenset({tap_stage - 1}),
        ),
    )  # fmt: skip


def ways_accuracy(verdict: Verdict, metric: str) -> Chart:
    """Expected accuracy of every way, with intervals."""
    rows: list[Row] = [
        {"way": WAYS[way], "p": e.accuracy, "low": e.low, "high": e.high, "marked": way is verdict.strategy,
         "words": interval(e.accuracy, e.low, e.high)}
        for way, e in verdict.expected.items()
    ]  # fmt: skip
    x = alt.X("p:Q", title=f"expected {metric}", scale=alt.Scale(zero=False, nice=True),
              axis=alt.Axis(grid=False, tickCount=5, format=".2f"))  # fmt: skip
    best = max(verdict.expected, key=lambda way: verdict.expected[way].accuracy)
    mine = verdict.forecast
    lead = verdict.expected[best].accuracy - mine.accuracy
    more = f"{points(lead, sign=False)} points more"
    beside = (
        f"for {IN_A_SENTENCE[best]} {more} are expected, less than what counts as clear"
        if 0 < lead <= priors.CLEAR_LEAD
        else f"for {IN_A_SENTENCE[best]} {more} are expected"
        if lead > 0
        else "for no other way more is expected"
    )
    return Chart(
        f"Expected {metric}",
        f"For {IN_A_SENTENCE[verdict.strategy]}, the advised way, {mine.accuracy:.2f} is expected (80 % interval "
        f"{mine.low:.2f} to {mine.high:.2f}); {beside}.",
        finish(dots(rows, "way", x), height=ROW * len(rows)),
        Table(
            f"Expected {metric} of every way, with 80 % intervals",
            (Column("way"), Column(metric, number=True), Column("from", number=True), Column("to", number=True)),
            tuple(
                (WAYS[way], number(e.accuracy), number(e.low), number(e.high)) for way, e in verdict.expected.items()
            ),
            marked=frozenset({[*verdict.expected].index(verdict.strategy)}),
        ),
    )


def ways_cost(ways: Mapping[Strategy, WayCost], chosen: Strategy) -> Chart:
    """How long one training of every way takes here."""
    unit, seconds = _unit(max(way.seconds for way in ways.values()))
    rows: list[Row] = [
        {"way": WAYS[name], "p": way.seconds / seconds, "words": show_duration(way.seconds),
         "marked": name is chosen}
        for name, way in ways.items()
    ]  # fmt: skip
    y = alt.Y("way:N", sort=None, axis=None)
    x = alt.X("p:Q", title=f"one training on this machine, {unit}", axis=alt.Axis(grid=False, tickCount=4))
    layers = [
        chart(rows)
        .mark_bar(height=9, cornerRadiusEnd=2, yOffset=9)
        .encode(x=x, y=y, color=alt.condition("datum.marked", alt.value(ACCENT), alt.value(MUTED)),
                tooltip=tips(("way:N", "way"), ("words:N", "one training"))),
        *row_labels(rows, "way", y),
    ]  # fmt: skip
    longest, mine = max(ways.values(), key=lambda way: way.seconds), ways[chosen]
    return Chart(
        "What a training costs here",
        f"One training of the advised way takes about {show_duration(mine.seconds)}; the longest of them "
        f"{show_duration(longest.seconds)}. A classifier on frozen features reads every image once.",
        finish(layers, height=ROW * len(rows)),
        Table(
            "One training of every way on this machine",
            (Column("way"), Column("time", number=True), Column("further memory", number=True)),
            tuple(
                (WAYS[name], show_duration(way.seconds),
                 f"{way.extra_bytes / 1e9:.1f} GB" if way.extra_bytes else "none")
                for name, way in ways.items()
            ),
            marked=frozenset({[*ways].index(chosen)}),
        ),
    )  # fmt: skip


def label_curve(found: Recommendation, curve: LabelCurve) -> Chart:
    """Accuracy against labelled images, as measured and as the fitted curve goes on."""
    have, metric = found.size.images, found.curve.metric
    overtaking = found.overtaking
    tuned = None if overtaking is None else round(overtaking / found.size.per_class * have)
    end = 2 * have if tuned is None else min(max(2 * have, 1.1 * tuned), _FARTHEST * have)
    start = curve.points[0][0]
    fitted = [{"n": n, "value": curve.at(n)} for n in geometric(start, end)]
    rows = [{"n": n, "value": value} for n, value in curve.points]
    low, high = curve.doubled_interval
    twice = {"n": 2 * have, "value": curve.doubled, "low": low, "high": high,
             "words": interval(curve.doubled, low, high)}  # fmt: skip
    marks: list[tuple[float, str]] = [(have, f"{whole(have)} now")]
    if tuned is not None and tuned <= end:
        marks.append((tuned, f"fine-tuning ahead from about {whole(tuned)}"))
    x = alt.X("n:Q", title="labelled images", axis=alt.Axis(grid=False, format=",", tickCount=4),
              scale=alt.Scale(type="log", nice=False, domain=[0.85 * start, 1.15 * end]))  # fmt: skip
    y = alt.Y("value:Q", title=metric, scale=alt.Scale(zero=False, nice=True))
    layers: list[Layer] = [
        *upright_rules(marks, "n"),
        chart(fitted).mark_line(color=MUTED, strokeDash=[5, 4], strokeWidth=1.5).encode(x=x, y=y),
        chart([twice]).mark_rule(color=SECOND, strokeWidth=2).encode(x="n:Q", y="low:Q", y2="high:Q"),
        chart([twice])
        .mark_point(shape="diamond", size=120, filled=True, color=SECOND, opacity=1)
        .encode(x="n:Q", y="value:Q", tooltip=tips(("n:Q", "twice the labels"), ("words:N", metric), form=",")),
        chart(rows)
        .mark_point(filled=True, size=85, color=ACCENT, opacity=1)
        .encode(x="n:Q", y="value:Q", tooltip=[alt.Tooltip("n:Q", title="labelled images", format=","),
                                               alt.Tooltip("value:Q", title=metric, format=".3f")]),
    ]  # fmt: skip
    over = (
        f" From about {whole(tuned)} labelled images ({whole(overtaking)} per class) fine-tuning would be advised."
        if tuned is not None and overtaking is not None
        else ""
    )
    return Chart(
        f"{metric.capitalize()} against labels",
        f"With twice the labels the linear classifier would reach about {curve.doubled:.2f} (80 % interval {low:.2f} "
        f"to {high:.2f}, the diamond); {curve.more}.{over} Dots are measured, the dashed line is fitted to them.",
        finish(layers, height=280),
        Table(
            f"{metric.capitalize()} of the linear classifier against labelled images",
            (Column("labelled images", number=True), Column(metric, number=True), Column("")),
            (
                *((whole(n), number(value, 3), "measured") for n, value in curve.points),
                (whole(2 * have), number(curve.doubled, 3), f"expected, 80 % interval {low:.2f} to {high:.2f}"),
            ),
        ),
    )


def _quadrant(number_: int, verdict: Verdict, here: Row) -> tuple[Row, Row]:
    """The two lines that name a quadrant, out of the way of the dataset's point."""
    scenario = SCENARIOS[number_]
    x, y = (0.75 if scenario.distance == "different" else 0.25), (0.75 if scenario.size == "large" else 0.25)
    if abs(here["x"] - x) < 0.25 and abs(here["y"] - y) < 0.14:
        y += 0.16 if here["y"] < y else -0.16
    first = {"x": x, "y": y, "t": f"{number_}  {scenario.size}, {scenario.distance}"}
    return first, {"x": x, "y": y, "t": f"probability {verdict.probabilities[number_]:.2f}"}


def _by_chance(curve: ProbeCurve) -> Iterable[Layer]:
    """A rule where guessing would be, unless it is so far below that showing it would flatten the curve."""
    values = [value for point in curve.points for value in (point.accuracy, point.neighbours)]
    if min(values) - curve.chance <= max(values) - min(values):
        yield chart([{"y": curve.chance}]).mark_rule(color=MUTED, strokeDash=[2, 3]).encode(y="y:Q")
        label = chart([{"y": curve.chance, "t": "by chance"}]).mark_text(align="left", dx=4, dy=-7, color=MUTED)
        yield label.encode(y="y:Q", x=alt.value(0), text="t:N")


def _probe_note(tied: bool, stage: int, best: int, tap: int) -> str:  # noqa: FBT001
    notes = ["best" if stage == best else "tied with the best" if tied else "", "read here" if stage == tap else ""]
    return ", ".join(note for note in notes if note)


def _unit(seconds: float) -> tuple[str, float]:
    if seconds < 120:
        return "seconds", 1.0
    return ("minutes", 60.0) if seconds < 5400 else ("hours", 3600.0)
