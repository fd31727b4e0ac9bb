"""The charts of a run's test: forecast and outcome, confusions, calibration, abstaining.

Words and numbers are made at once, for every kind of page; what draws is called only where something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.report.charts.drawing import (
    ACCENT,
    CARD,
    INK,
    LINE,
    MUTED,
    ROW,
    SECOND,
    alt,
    chart,
    dots,
    finish,
    tips,
    unit_axis,
)
from advisor.report.page.blocks import Chart, Column, Name, Table, said
from advisor.report.page.words import article, counted, number, points, share, whole
from advisor.report.run.judged import (
    LEAST,
    abstaining,
    answered,
    calibration_error,
    confusions,
    most_confused,
    reliability,
)
from advisor.task.interval import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.records.evidence import JudgedImage
    from advisor.records.folder import RunFolder
    from advisor.report.charts.drawing import Layer, Row, Spec
    from advisor.report.run.judged import Confusion

_MOST_CLASSES = 20  # of a heat map
_WRITTEN = 12  # classes up to which its cells hold numbers
_PAIRS = 40  # rows of a table
_LONGEST = 18  # characters of a class on an axis


def figures_chart(run: RunFolder) -> Chart | None:
    """What was expected, what the validation images said, and what the test images say."""
    record = run.record
    metric, tested = record.metric_name, record.compared
    rows: list[Row] = []
    if run.evidence and run.evidence.forecast:
        forecast = run.evidence.forecast
        rows.append({"which": "expected before (80 %)", "p": forecast.accuracy, "low": forecast.low,
                     "high": forecast.high, "marked": False})  # fmt: skip
    for which, value, known in (
        ("best probe, validation", record.probe, record.probe_interval),
        ("winner, validation", record.validation, record.validation_interval),
    ):
        if value is not None:
            low, high = known or (
                wilson(value * record.validation_images, record.validation_images)  # a run from before they were kept
                if record.metric == "accuracy" else (value, value)
            )  # fmt: skip
            rows.append({"which": which, "p": value, "low": low, "high": high, "marked": False})
    if tested is not None:
        low, high = record.test_interval if record.compared == record.test else (tested, tested)
        rows.append({"which": "winner, test", "p": tested, "low": low, "high": high, "marked": True})
    if len(rows) < 2 or tested is None:
        return None
    for row in rows:
        bare = row["low"] == row["high"]
        row["words"] = f"{row['p']:.3f}" if bare else f"{row['p']:.3f} ({row['low']:.2f} to {row['high']:.2f})"

    def draw() -> Spec:
        x = alt.X("p:Q", title=metric, scale=alt.Scale(zero=False, nice=True),
                  axis=alt.Axis(grid=False, tickCount=5, format=".2f"))  # fmt: skip
        return finish(dots(rows, "which", x), height=ROW * len(rows))

    return Chart(
        "Expected and found",
        f"{forecast_words(run) or 'The plan held no forecast.'} {_fall(record.validation, tested)}",
        draw,
        Table(
            f"{metric.capitalize()}, with intervals where they are known (95 %; of the forecast 80 %)",
            (Column("figure"), Column(metric, number=True), Column("from", number=True),
             Column("to", number=True)),
            tuple((row["which"], number(row["p"], 3), *(("–", "–") if row["low"] == row["high"] else
                  (number(row["low"], 3), number(row["high"], 3)))) for row in rows),
            marked=frozenset({len(rows) - 1}),
        ),
    )  # fmt: skip


def forecast_words(run: RunFolder) -> str:
    """What was expected, and whether it came so; nothing where the plan held no forecast."""
    record = run.record
    tested = record.compared
    if run.evidence is None or run.evidence.forecast is None:
        return ""
    forecast = run.evidence.forecast
    low, high = forecast.low, forecast.high
    expected = (
        f"The advice expected {article(record.metric_name)} of {forecast.accuracy:.2f} (80 % interval {low:.2f} to "
        f"{high:.2f})"
    )
    if tested is None:
        return f"{expected}."
    if low <= tested <= high:
        return f"{expected}; the test images gave {tested:.3f}, within it."
    side = "below" if tested < low else "above"
    away = points(min(abs(tested - low), abs(tested - high)), sign=False)
    bottom, top = record.test_interval
    overlap = record.compared == record.test and bottom <= high and top >= low
    more = ", though the test's own interval reaches into it" if overlap else ""
    return f"{expected}; the test images gave {tested:.3f}, {away} points {side} it{more}."


def _fall(validation: float, tested: float) -> str:
    gap = validation - tested
    if abs(gap) < 0.005:
        return "Validation and test agree."
    if gap > 0:
        return (f"The test is {points(gap, sign=False)} points below validation; part of that is selection bias, since "
                "the winner was chosen there.")  # fmt: skip
    return f"The test is {points(-gap, sign=False)} points above validation."


def confusion_chart(tested: Sequence[JudgedImage], classes: Sequence[str]) -> Chart | None:
    """Which class is taken for which; the most confused ones where there are many."""
    pairs = confusions(tested)
    known = {one.label for one in tested} | {one.predicted for one in tested}
    shown = most_confused(pairs, [name for name in classes if name in known], _MOST_CLASSES)
    if len(shown) < 2:
        return None
    of = {name: sum(one.label == name for one in tested) for name in shown}
    counts = {(one.label, one.taken_for): one.images for one in pairs}
    counts |= {(name, name): sum(one.right for one in tested if one.label == name) for name in shown}
    short = dict(zip(shown, _distinct([Name(name, _LONGEST).short for name in shown]), strict=True))
    rows: list[Row] = [
        {"label": short[label], "said": short[other], "n": n, "share": n / of[label], "wrong": label != other,
         "words": f"{n} of {of[label]}"}
        for label in shown if of[label] for other in shown if (n := counts.get((label, other), 0))
    ]  # fmt: skip
    order = [short[name] for name in shown]
    written = len(shown) <= _WRITTEN
    turned = sum(map(len, order)) > 20 and max(map(len, order)) > 2  # side by side on a phone they would touch
    # Under numbers the colours stay pale enough for them to be read.
    most = 0.5 if written else 1
    left = "" if len(shown) == len(known) else (
        f" Of {whole(len(known))} classes these are the {len(shown)} most confused; "
        f"{_inside(pairs, shown)} of {counted(sum(p.images for p in pairs), 'mistake')} lie between them.")  # fmt: skip
    numbers = "Numbers are test images. " if written else ""

    def draw() -> Spec:
        x = alt.X("said:N", sort=order, scale=alt.Scale(domain=order, paddingInner=0.04), title="the model says",
                  axis=alt.Axis(orient="bottom", labelAngle=-90 if turned else 0, grid=False, ticks=False,
                                labelLimit=120, labelOverlap=False, domain=False))  # fmt: skip
        y = alt.Y("label:N", sort=order, scale=alt.Scale(domain=order, paddingInner=0.04), title="label",
                  axis=alt.Axis(grid=False, ticks=False, labelLimit=120, labelOverlap=False, domain=False))  # fmt: skip
        base = chart(rows).encode(x=x, y=y)
        strength = alt.FillOpacity(
            "share:Q", scale=alt.Scale(type="sqrt", domain=[0, 1], range=[0.05, most]), legend=None
        )
        colour = alt.condition("datum.wrong", alt.value(SECOND), alt.value(ACCENT))
        every = chart([{"label": a, "said": b} for a in order for b in order])
        layers: list[Layer] = [
            every.mark_rect(fill=LINE, fillOpacity=0.35).encode(x=x, y=y),
            base.mark_rect().encode(
                fill=colour, fillOpacity=strength,
                tooltip=tips(("label:N", "label"), ("said:N", "the model says"), ("words:N", "images"))),
        ]  # fmt: skip
        if written:
            layers.append(
                base.mark_text(fontSize=12 if len(shown) < 9 else 11).encode(text=alt.Text("n:Q", format="d"))
            )
        return finish(layers, height=max(200, (34 if len(shown) < 9 else 26 if written else 21) * len(shown)))

    return Chart(
        "What is taken for what",
        f"{_most_taken(pairs)}{left}",
        draw,
        _pairs_table(pairs),
        key=f"{numbers}Blue, on the diagonal, is right; orange is wrong; the stronger, the larger the share of the "
        "label's images.",
    )


def _inside(pairs: Sequence[Confusion], shown: Sequence[str]) -> str:
    kept = set(shown)
    return whole(sum(p.images for p in pairs if p.label in kept and p.taken_for in kept))


def _most_taken(pairs: Sequence[Confusion]) -> str:
    if not pairs:
        return "Nothing was taken for anything else."
    leading = "; ".join(
        f"{said(p.label, 24)} for {said(p.taken_for, 24)} ({p.images} of {p.of}, {share(p.images / p.of)})"
        for p in pairs[:3]
    )
    return f"Taken for each other most: {leading}."


def _pairs_table(pairs: Sequence[Confusion]) -> Table:
    return Table(
        "Taken for each other",
        (Column("images of"), Column("taken for"), Column("images", number=True), Column("of them", number=True)),
        tuple((Name(p.label), Name(p.taken_for), whole(p.images), share(p.images / p.of)) for p in pairs[:_PAIRS])
        or (("none", "none", "0", share(0)),),
        rest=max(0, len(pairs) - _PAIRS),
        where="all in predictions.csv",
    )


def calibration_chart(tested: Sequence[JudgedImage]) -> Chart | None:
    """Whether the model is right as often as it says."""
    bins = reliability(tested)
    if not bins:
        return None
    rows: list[Row] = [
        {"sure": b.sure, "right": b.right, "low": b.interval[0], "high": b.interval[1], "n": b.images,
         "words": f"{b.right:.2f} ({b.interval[0]:.2f} to {b.interval[1]:.2f})", "t": whole(b.images)}
        for b in bins
    ]  # fmt: skip
    error = calibration_error(bins)
    mean = sum(one.probability for one in tested) / len(tested) - sum(one.right for one in tested) / len(tested)
    lean = (
        "it is as sure as it should be" if max(error, abs(mean)) < 0.015 else
        "it is too sure in places and too unsure in others, alike on the whole" if abs(mean) < 0.015 else
        f"on the whole it is {points(abs(mean), sign=False)} points too {'sure' if mean > 0 else 'unsure'}"
    )  # fmt: skip

    def draw() -> Spec:
        x = unit_axis(alt.X, "sure", "probability that the model gives")
        y = unit_axis(alt.Y, "right", "share that is right")
        layers: list[Layer] = [
            chart([{"sure": 0, "right": 0}, {"sure": 1, "right": 1}])
            .mark_line(color=MUTED, strokeDash=[4, 4], strokeWidth=1.5).encode(x=x, y=y),
            chart(rows).mark_rule(color=ACCENT, strokeWidth=2).encode(x="sure:Q", y="low:Q", y2="high:Q"),
            chart(rows)
            .mark_point(filled=True, color=ACCENT, opacity=1, stroke=CARD, strokeWidth=1)
            .encode(x="sure:Q", y="right:Q",
                    size=alt.Size("n:Q", scale=alt.Scale(type="sqrt", domainMin=0, range=[30, 260]), legend=None),
                    tooltip=tips(("sure:Q", "says"), ("words:N", "right"), ("n:Q", "images"), form=".3~f")),
            chart(_spaced(rows)).mark_text(fontSize=11, color=MUTED, dy=-7).encode(
                x="sure:Q", y=alt.value("height"), text="t:N"),
        ]  # fmt: skip
        return finish(layers, height=300)

    return Chart(
        "Is it as sure as it should be?",
        f"Expected calibration error {points(error, sign=False)} points ({len(bins)} of 10 bins hold images): {lean}.",
        draw,
        Table(
            "Test images by the probability that the model gives its answer",
            (Column("from"), Column("to", number=True), Column("images", number=True),
             Column("mean probability", number=True), Column("right", number=True), Column("95 % interval")),
            tuple((f"{b.low:.1f}", f"{b.high:.1f}", whole(b.images), number(b.sure, 3), number(b.right, 3),
                   f"{b.interval[0]:.3f} to {b.interval[1]:.3f}") for b in bins),
        ),
        key="On the dashed line it would be right as often as it says; bars are 95 % intervals, the numbers at the "
        "foot and the size of a dot tell the images.",
    )  # fmt: skip


def abstaining_chart(tested: Sequence[JudgedImage]) -> Chart | None:
    """How right the answers are when the unsure ones are left out."""
    curve = abstaining(tested)
    if not curve:
        return None
    rows: list[Row] = [{"share": one.share, "right": one.right, "least": one.least, "n": one.images} for one in curve]
    marks = [(least, kept) for least in LEAST if (kept := answered(tested, least))]
    drawn = [(least, kept) for least, kept in marks if kept.share < 0.995]
    dots_: list[Row] = [{"share": f.share, "right": f.right, "t": f"{least:g}", "n": f.images} for least, f in drawn]
    lowest = max(0.0, min(0.95, min(one.right for one in curve) - 0.02))
    best = next((kept for least, kept in marks if least == 0.9), None)
    all_of = curve[-1]
    words = "No answer has a probability of 0.9 or more."
    if all_of.right == 1:
        words = "Every answer is right, so there is nothing to gain by leaving some out."
    elif best:
        words = (
            f"Answering only from probability 0.9 on, it says something of {share(best.share)} of the images and is "
            f"right on {share(best.right)} of those, instead of {share(all_of.right)} of all."
        )

    def draw() -> Spec:
        x = alt.X("share:Q", title="share of the images that get an answer", scale=alt.Scale(domain=[0, 1], nice=False),
                  axis=alt.Axis(grid=False, format="%", tickCount=5))  # fmt: skip
        y = alt.Y("right:Q", title="right, of those answered", scale=alt.Scale(domain=[lowest, 1], nice=False),
                  axis=alt.Axis(tickCount=5, format=".2f"))  # fmt: skip
        layers: list[Layer] = [
            chart(rows).mark_line(color=ACCENT, strokeWidth=2).encode(x=x, y=y),
            chart(dots_).mark_point(filled=True, size=70, shape="diamond", color=SECOND, opacity=1).encode(
                x="share:Q", y="right:Q",
                tooltip=[alt.Tooltip("t:N", title="--least"), alt.Tooltip("share:Q", title="answered", format=".1%"),
                         alt.Tooltip("right:Q", title="right", format=".3f"), alt.Tooltip("n:Q", title="images")]),
            *(
                chart([row])
                .mark_text(dx=7, dy=-8, align="left", color=INK)
                .encode(x="share:Q", y="right:Q", text="t:N")
                for row in _readable(dots_)
            ),
        ]  # fmt: skip
        return finish(layers, height=300)

    return Chart(
        "Better no answer than a wrong one",
        words,
        draw,
        Table(
            "Answers above a least probability",
            (Column("least probability", number=True), Column("images answered", number=True),
             Column("of all", number=True), Column("right", number=True), Column("wrong answers", number=True)),
            (("none", whole(len(tested)), share(1), number(all_of.right, 3),
              whole(round((1 - all_of.right) * len(tested)))),
             *((f"{least:g}", whole(f.images), share(f.share), number(f.right, 3),
                whole(round((1 - f.right) * f.images))) for least, f in marks)),
        ),
        key="Diamonds are least probabilities that predictions can be asked to have.",
    )  # fmt: skip


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of which two that were cut to the same are told apart by a number."""
    counts: dict[str, int] = {}
    distinct = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        distinct.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return distinct


def _spaced(rows: Sequence[Row]) -> list[Row]:
    """Counts that have room beside each other; the larger one where two have not."""
    kept: list[Row] = []
    for row in sorted(rows, key=lambda row: -row["n"]):
        if all(abs(row["sure"] - other["sure"]) > 0.075 for other in kept):
            kept.append(row)
    return kept


def _readable(rows: Sequence[Row]) -> list[Row]:
    """Labels far enough from each other, from the right."""
    kept: list[Row] = []
    for row in rows:
        if all(abs(row["share"] - other["share"]) > 0.11 for other in kept):
            kept.append(row)
    return kept
