"""The charts of probes, ways and labels: each with what it shows, what is to be seen in it in words, and its numbers.

Words and numbers are made at once, for every kind of page; what draws is called only where something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.records.trial import stages_said
from advisor.report.charts.drawing import (
    ACCENT,
    CARD,
    MUTED,
    ROW,
    SECOND,
    alt,
    beside_edge,
    chart,
    dots,
    finish,
    geometric,
    row_labels,
    tips,
    upright_rules,
    within,
)
from advisor.report.page.blocks import Chart, Column, Name, Table, said
from advisor.report.page.words import IN_A_SENTENCE, WAYS, interval, memory, number, points, whole
from advisor.units import show_duration, show_images

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from advisor.advice.cost import WayCost
    from advisor.advice.labels import LabelCurve
    from advisor.advice.probe import ProbeCurve, ProbePoint
    from advisor.advice.recommendation import Recommendation
    from advisor.advice.together import JoinedProbe
    from advisor.report.charts.drawing import Layer, Row, Spec
    from advisor.report.page.blocks import Cell
    from advisor.strategy import Strategy

_CODES = {"mean": "", "relu": " (positive parts only)", "mean+std": " (mean and deviation of each channel)"}
_FARTHEST = 16  # times the labels there are; beyond, nothing is drawn


def probe_curve(curve: ProbeCurve, tap_stage: int | None) -> Chart:
    """Accuracy of a linear classifier at every stage, beside that of the nearest neighbours.

    Args:
        curve: the probes.
        tap_stage: where the head should read; None where no stage tells the classes apart.
    """
    probe, near = "linear classifier", "nearest neighbours"
    rows: list[Row] = [
        {"stage": p.stage, "name": Name(p.name).short, "value": p.accuracy, "low": within(p.accuracy - p.se),
         "high": within(p.accuracy + p.se), "kind": probe, "tied": p.tied,
         "note": _probe_note(p, curve.best, tap_stage)}
        for p in curve.points
    ]  # fmt: skip
    others = [{"stage": p.stage, "name": Name(p.name).short, "value": p.neighbours, "kind": near} for p in curve.points]
    chosen = [row for row in rows if row["stage"] == tap_stage]
    best, last = curve.best, curve.last
    lead = f"{points(best.gain)} ± {points(best.gain_se, sign=False)} points over the last"
    winner = (
        f"No stage tells the {curve.task.noun[1]} apart: the best, {best.stage} ({said(best.name)}), has "
        f"{best.accuracy:.3f} ± {best.se:.3f}."
        if tap_stage is None
        else f"The last stage is the best: {last.accuracy:.3f} ± {last.se:.3f}."
        if best.stage == last.stage
        else f"Stage {best.stage} ({said(best.name)}) is the best with {best.accuracy:.3f} ± {best.se:.3f}, {lead} "
        f"({last.accuracy:.3f})."
    )

    if tap_stage is not None:
        winner += f" The head should read stage {tap_stage} ({said(curve.points[tap_stage - 1].name)})."
    together = "" if curve.joined is None else f"{_together(curve.joined)} "

    def draw() -> Spec:
        x = alt.X("stage:O", title="stage of the network, input side first", axis=alt.Axis(labelAngle=0, grid=False))
        y = alt.Y("value:Q", title=curve.metric, scale=alt.Scale(zero=False, nice=True, padding=14))
        colour = alt.Color("kind:N", scale=alt.Scale(domain=[probe, near], range=[ACCENT, SECOND]))
        dash = alt.StrokeDash("kind:N", scale=alt.Scale(domain=[probe, near], range=[[1, 0], [5, 4]]))
        shown = tips(("name:N", "stage"), ("value:Q", curve.metric), ("note:N", ""))
        layers: list[Layer] = [
            *_by_chance(curve),
            chart([*rows, *others]).mark_line(strokeWidth=2).encode(x=x, y=y, color=colour, strokeDash=dash),
            chart(rows).mark_rule(strokeWidth=2, color=ACCENT).encode(x="stage:O", y="low:Q", y2="high:Q"),
            chart(chosen)
            .mark_point(size=330, color=ACCENT, strokeWidth=2, opacity=1)
            .encode(x="stage:O", y="value:Q"),
            chart([{**row, "t": "read here"} for row in chosen])
            .mark_text(dy=-17, fontWeight="bold", **beside_edge(tap_stage or 1, len(rows)))
            .encode(x="stage:O", y="high:Q", text="t:N"),
            chart(others)
            .mark_point(filled=True, size=45, shape="square", color=SECOND, opacity=1)
            .encode(x="stage:O", y="value:Q", tooltip=tips(("name:N", "stage"), ("value:Q", near))),
            chart(rows)
            .mark_point(size=85, color=ACCENT, filled=True, stroke=ACCENT, strokeWidth=1.8, opacity=1)
            .encode(x="stage:O", y="value:Q", tooltip=shown,
                    fill=alt.condition("datum.tied", alt.value(ACCENT), alt.value(CARD))),
        ]  # fmt: skip
        return finish(layers, height=300)

    return Chart(
        "A linear classifier at every stage",
        f"{winner} {together}Leave-one-out "
        f"{curve.metric} on {show_images(curve.images, curve.independent)}{_CODES[curve.codes]}, beside that of the "
        f"nearest neighbours; guessing gives {curve.chance:.2f}.",
        draw,
        Table(
            f"Leave-one-out {curve.metric} at every stage",
            (Column("stage", number=True), Column("layer"), Column("features", number=True, terminal=False),
             Column(curve.metric, number=True), Column("± error", number=True),
             Column("over the last, points", number=True, terminal=False),
             Column("nearest neighbours", number=True), Column("")),
            tuple(
                (str(p.stage), Name(p.name), whole(p.width), number(p.accuracy, 3), number(p.se, 3),
                 points(p.gain), number(p.neighbours, 3),
                 _probe_note(p, curve.best, tap_stage))
                for p in curve.points
            ) + _together_row(curve),
            marked=frozenset() if tap_stage is None else frozenset({tap_stage - 1}),
            bars=(*(p.accuracy for p in curve.points), *([curve.joined.accuracy] if curve.joined else [])),
        ),
        key="Bars are one standard error; filled points are tied with the best"
        + ("." if tap_stage is None else "; the ring is where the head should read."),
    )  # fmt: skip


def ways_accuracy(recommendation: Recommendation) -> Chart:
    """Expected accuracy of every way, with intervals; the numbers say what each costs, too."""
    verdict, metric, ways = recommendation.verdict, recommendation.curve.metric, recommendation.way_rows
    rows: list[Row] = [
        {"way": WAYS[way], "p": e.accuracy, "low": e.low, "high": e.high, "marked": way is verdict.strategy,
         "words": interval(e.accuracy, e.low, e.high)}
        for way, e in verdict.expected.items()
    ]  # fmt: skip
    best = max(verdict.expected, key=lambda way: verdict.expected[way].accuracy)
    mine = verdict.forecast
    lead = verdict.expected[best].accuracy - mine.accuracy
    other = f"{IN_A_SENTENCE[best]} may bring {points(lead, sign=False)} points more"
    beside = other if lead > 0 else "no other way is expected to do better"

    def draw() -> Spec:
        x = alt.X("p:Q", title=f"expected {metric}", scale=alt.Scale(zero=False, nice=True),
                  axis=alt.Axis(grid=False, tickCount=5, format=".2f"))  # fmt: skip
        return finish(dots(rows, "way", x), height=ROW * len(rows))

    return Chart(
        f"Expected {metric}",
        f"The advised way, {IN_A_SENTENCE[verdict.strategy]}, should reach {mine.accuracy:.2f} (80 % interval "
        f"{mine.low:.2f} to {mine.high:.2f}); {beside}.",
        draw,
        Table(
            f"Expected {metric} of every way, with its 80 % interval, and what it costs on this machine",
            (
                Column("way"),
                Column("probability of its scenario", number=True, terminal=False),
                Column(f"expected {metric}", number=True),
                Column("80 % interval"),
                Column("one training", number=True),
                Column("further memory", number=True),
            ),
            tuple(
                (
                    WAYS[row.strategy],
                    number(row.probability),
                    number(row.expected.accuracy),
                    f"{row.expected.low:.2f} to {row.expected.high:.2f}",
                    show_duration(row.cost.seconds),
                    memory(row.cost.extra_bytes),
                )
                for row in ways
            ),
            marked=frozenset(i for i, row in enumerate(ways) if row.recommended),
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
    longest, mine = max(ways.values(), key=lambda way: way.seconds), ways[chosen]

    def draw() -> Spec:
        y = alt.Y("way:N", sort=None, axis=None)
        x = alt.X("p:Q", title=f"one training on this machine, {unit}", axis=alt.Axis(grid=False, tickCount=4))
        layers = [
            chart(rows)
            .mark_bar(height=9, cornerRadiusEnd=2, yOffset=9)
            .encode(x=x, y=y, color=alt.condition("datum.marked", alt.value(ACCENT), alt.value(MUTED)),
                    tooltip=tips(("way:N", "way"), ("words:N", "one training"))),
            *row_labels(rows, "way", y),
        ]  # fmt: skip
        return finish(layers, height=ROW * len(rows))

    return Chart(
        "What a training costs here",
        f"One training of the advised way takes about {show_duration(mine.seconds)}, the longest of all "
        f"{show_duration(longest.seconds)}. A classifier on frozen features reads every image once.",
        draw,
        Table(
            "One training of every way on this machine",
            (Column("way"), Column("time", number=True), Column("further memory", number=True)),
            tuple(
                (WAYS[name], show_duration(way.seconds), memory(way.extra_bytes))
                for name, way in ways.items()
            ),
            marked=frozenset({[*ways].index(chosen)}),
        ),
    )  # fmt: skip


def label_curve(recommendation: Recommendation, curve: LabelCurve) -> Chart:
    """Accuracy against labelled images, as measured and as the fitted curve goes on."""
    have, metric = recommendation.size.independent, recommendation.curve.metric
    overtaking = recommendation.overtaking
    tuned = None if overtaking is None else round(overtaking / recommendation.size.per_class * have)
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
    over = (
        f" From about {whole(tuned)} {curve.counted} ({whole(overtaking)} per class) fine-tuning would be advised."
        if tuned is not None and overtaking is not None
        else ""
    )

    def draw() -> Spec:
        x = alt.X("n:Q", title=curve.counted, axis=alt.Axis(grid=False, format=",", tickCount=4),
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
            .encode(x="n:Q", y="value:Q", tooltip=[alt.Tooltip("n:Q", title=curve.counted, format=","),
                                                   alt.Tooltip("value:Q", title=metric, format=".3f")]),
        ]  # fmt: skip
        return finish(layers, height=280)

    return Chart(
        f"{metric.capitalize()} against labels",
        f"With twice the labels the linear classifier would reach about {curve.doubled:.2f} (80 % interval {low:.2f} "
        f"to {high:.2f}); {curve.more}.{over}",
        draw,
        Table(
            f"{metric.capitalize()} of the linear classifier against {curve.counted}",
            (Column(curve.counted, number=True), Column(metric, number=True), Column("")),
            (
                *((whole(n), number(value, 3), "measured") for n, value in curve.points),
                (whole(2 * have), number(curve.doubled, 3), f"expected, 80 % interval {low:.2f} to {high:.2f}"),
            ),
        ),
        key="Dots are measured, the dashed line is fitted to them; the diamond is what twice the labels should bring.",
    )


def _by_chance(curve: ProbeCurve) -> Iterable[Layer]:
    """A rule where guessing would be, unless it is so far below that showing it would flatten the curve."""
    values = [value for point in curve.points for value in (point.accuracy, point.neighbours)]
    if min(values) - curve.chance <= max(values) - min(values):
        yield chart([{"y": curve.chance}]).mark_rule(color=MUTED, strokeDash=[2, 3]).encode(y="y:Q")
        label = chart([{"y": curve.chance, "t": "by chance"}]).mark_text(align="left", dx=4, dy=-7, color=MUTED)
        yield label.encode(y="y:Q", x=alt.value(0), text="t:N")


def _together(joined: JoinedProbe) -> str:
    """What reading several stages at once brings, in a sentence."""
    said_stages = stages_said(joined.stages)
    return (
        f"{said_stages[0].upper()}{said_stages[1:]} together: {joined.accuracy:.3f}, {points(joined.gain)} ± "
        f"{points(joined.gain_se, sign=False)} points against the best one; every search tries this."
    )


def _together_row(curve: ProbeCurve) -> tuple[tuple[Cell, ...], ...]:
    """The probe on several stages as a row of the table of stages."""
    joined = curve.joined
    if joined is None:
        return ()
    over_last = joined.gain + curve.best.gain
    return ((" + ".join(map(str, joined.stages)), "–", whole(joined.width),
             number(joined.accuracy, 3), number(joined.se, 3), points(over_last), "–", "together"),)  # fmt: skip


def _probe_note(point: ProbePoint, best: ProbePoint, tap: int | None) -> str:
    if tap is None:
        return ""
    standing = "best" if point.stage == best.stage else "tied with the best" if point.tied else ""
    notes = [standing, "read here" if point.stage == tap else ""]
    return ", ".join(note for note in notes if note)


def _unit(seconds: float) -> tuple[str, float]:
    if seconds < 120:
        return "seconds", 1.0
    return ("minutes", 60.0) if seconds < 5400 else ("hours", 3600.0)
