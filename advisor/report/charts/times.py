"""Expected accuracy against the time of one training: with so much time, do this, expect that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.report.charts.drawing import ACCENT, MUTED, alt, chart, finish, tips
from advisor.report.page.blocks import Chart, Column, Table
from advisor.report.page.words import interval, number
from advisor.units import show_duration

if TYPE_CHECKING:
    from advisor.advice.recommendation import Recommendation
    from advisor.report.charts.drawing import Layer, Row, Spec


def times_chart(recommendation: Recommendation) -> Chart:
    """What is expected of the best within each time, with 80 % intervals; the advised one is marked."""
    times, metric = recommendation.times, recommendation.curve.metric
    chosen = times.chosen
    offers = times.rows if chosen in times.rows else tuple(sorted((*times.rows, chosen), key=lambda one: one.seconds))
    rows: list[Row] = [
        {"s": max(one.seconds, 0.1), "p": one.expected.accuracy, "low": one.expected.low, "high": one.expected.high,
         "what": one.words, "time": show_duration(one.seconds), "marked": one is chosen,
         "words": interval(one.expected.accuracy, one.expected.low, one.expected.high)}
        for one in offers
    ]  # fmt: skip

    def draw() -> Spec:
        x = alt.X("s:Q", title="one training on this machine, seconds", scale=alt.Scale(type="log", padding=20),
                  axis=alt.Axis(grid=False, format=",", tickCount=5))  # fmt: skip
        y = alt.Y("p:Q", title=f"expected {metric}", scale=alt.Scale(zero=False, nice=True))
        colour = alt.condition("datum.marked", alt.value(ACCENT), alt.value(MUTED))
        layers: list[Layer] = [
            chart(rows).mark_line(color=MUTED, strokeWidth=1.5, interpolate="step-after").encode(x=x, y=y),
            chart(rows).mark_rule(strokeWidth=2).encode(x="s:Q", y="low:Q", y2="high:Q", color=colour),
            chart(rows).mark_point(filled=True, opacity=1).encode(
                x="s:Q", y="p:Q", color=colour,
                shape=alt.condition("datum.marked", alt.value("diamond"), alt.value("circle")),
                size=alt.condition("datum.marked", alt.value(150), alt.value(70)),
                tooltip=tips(("what:N", "do"), ("time:N", "takes"), ("words:N", metric)),
            ),
        ]  # fmt: skip
        return finish(layers, height=260)

    return Chart(
        f"{metric.capitalize()} against time",
        f"In {show_duration(chosen.seconds)}, {chosen.words}: about {chosen.expected.accuracy:.2f} is expected; "
        f"{times.sentence}.",
        draw,
        Table(
            "With so much time for one training, do this and expect that",
            (Column("time", number=True), Column("do", wide=True), Column(f"expected {metric}", number=True),
             Column("80 % interval")),
            tuple(
                (show_duration(one.seconds), one.words, number(one.expected.accuracy),
                 f"{one.expected.low:.2f} to {one.expected.high:.2f}")
                for one in offers
            ),
            marked=frozenset({offers.index(chosen)}),
        ),
    )  # fmt: skip
