"""The charts of trainings: how trials learned, what each value of the winner is worth, and what pretraining is.

Words and numbers are made at once, for every kind of page; what draws is called only where something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.report.charts.drawing import (
    ACCENT,
    INK,
    MUTED,
    ROW,
    SECOND,
    alt,
    chart,
    dots,
    finish,
    tips,
)
from advisor.report.page.blocks import Chart, Column, Name, Table, said
from advisor.report.page.words import counted, number, plain, points
from advisor.units import show_duration

if TYPE_CHECKING:
    from advisor.records.evidence import Explanation
    from advisor.records.folder import RunFolder
    from advisor.records.trial import TrialRecord
    from advisor.report.charts.drawing import Layer, Row, Spec

_LINES = (
    (ACCENT, [1, 0]),
    (SECOND, [6, 3]),
    (INK, [2, 2]),
    (MUTED, [8, 3, 2, 3]),
)  # of curves: colour and dash
_ROWS = 60  # of a table


def learning_chart(run: RunFolder) -> Chart | None:
    """Accuracy on the validation images during the winner's training and that of a few others."""
    record = run.record
    metric, winner = record.metric_name, record.winner.number
    trained = sorted((t for t in run.trials if t.scored and len(t.curve) > 0),
                     key=lambda t: (t.number != winner, -(t.accuracy or 0.0)))  # fmt: skip
    shown = trained[: len(_LINES)]
    if not shown:
        return None
    names = {t.number: f"{t.name}, the winner" if t.number == winner else t.name for t in shown}
    rows: list[Row] = [
        {"s": point.seconds, "value": point.accuracy, "kind": names[t.number], "epoch": point.epoch}
        for t in shown for point in t.curve
    ]  # fmt: skip
    domain = list(names.values())
    first = shown[0]
    about = _course(first)
    if first.number != winner:
        why = "is an average of trainings" if record.winner.members else "was fitted in closed form"
        about = f"The winner {why} and has no curve. {about}"
    if record.folds > 1:
        about += " Of cross-validated trials this is the first fold, so the figures differ from those above."

    def draw() -> Spec:
        x = alt.X("s:Q", title="seconds of training", axis=alt.Axis(grid=False, tickCount=5))
        y = alt.Y("value:Q", title=f"validation {metric}", scale=alt.Scale(zero=False, nice=True, padding=10))
        colour = alt.Color("kind:N", scale=alt.Scale(domain=domain, range=[c for c, _ in _LINES][: len(domain)]),
                           legend=alt.Legend(columns=2, symbolType="stroke", symbolStrokeWidth=2.5))  # fmt: skip
        dash = alt.StrokeDash("kind:N", scale=alt.Scale(domain=domain, range=[d for _, d in _LINES][: len(domain)]))
        base = chart(rows).encode(x=x, y=y, color=colour)
        layers: list[Layer] = [
            base.mark_line(strokeWidth=2).encode(strokeDash=dash),
            base.mark_point(filled=True, size=38, opacity=1).encode(
                tooltip=[alt.Tooltip("kind:N", title="trial"), alt.Tooltip("epoch:Q", title="epoch", format="d"),
                         alt.Tooltip("s:Q", title="seconds", format=".1f"),
                         alt.Tooltip("value:Q", title=metric, format=".3f")]),
        ]  # fmt: skip
        return finish(layers, height=300)

    return Chart(
        "How they learned",
        about,
        draw,
        Table(
            f"Validation {metric} after every epoch",
            (Column("trial"), Column("epoch", number=True), Column("seconds", number=True),
             Column(metric, number=True)),
            tuple((names[t.number], str(point.epoch), number(point.seconds, 1), number(point.accuracy, 3))
                  for t in shown for point in t.curve)[:_ROWS],
            rest=max(0, len(rows) - _ROWS),
            where="all in evidence.json",
        ),
    )  # fmt: skip


def _course(trial: TrialRecord) -> str:
    """How a training went, in a sentence or two."""
    best = max(trial.curve, key=lambda point: point.accuracy)
    last = trial.curve[-1]
    words = (f"{trial.name[0].upper()}{trial.name[1:]} went from {trial.curve[0].accuracy:.3f} to {last.accuracy:.3f} "
             f"in {counted(last.epoch, 'epoch')}, {show_duration(last.seconds)}")  # fmt: skip
    if len(trial.curve) < 3:
        return f"{words}."
    gain = last.accuracy - trial.curve[-2].accuracy
    if best.accuracy - last.accuracy > 0.01:
        return f"{words}; its best, {best.accuracy:.3f}, was after epoch {best.epoch}."
    return f"{words}; the last epoch brought {points(gain)} points" + (
        ", so a longer training may help." if gain > 0.005 else "."
    )


def changes_chart(explanation: Explanation, metric: str) -> Chart | None:
    """What each value of the winner is worth: the winner less the same with that value changed."""
    if not explanation.ablations:
        return None
    rows: list[Row] = [
        {"key": Name(f"{c.key}: {plain(c.winner)}, not {plain(c.other)}", 44).short, "p": 100 * c.gain,
         "low": 100 * (c.gain - c.gain_se), "high": 100 * (c.gain + c.gain_se), "marked": c.gain > c.gain_se,
         "words": f"{points(c.gain)} ± {points(c.gain_se, sign=False)}"}
        for c in explanation.ablations[:8]
    ]  # fmt: skip
    sure = [c for c in explanation.ablations if c.gain > c.gain_se]
    clear = (
        "Clear, beyond one standard error: " + ", ".join(f"{said(c.key)} ({points(c.gain)})" for c in sure[:3]) + "."
        if sure
        else "No single value makes a difference beyond one standard error."
    )

    def draw() -> Spec:
        x = alt.X("p:Q", title=f"points of {metric} that the winner's value brings",
                  axis=alt.Axis(grid=False, tickCount=5))  # fmt: skip
        zero = chart([{"p": 0}]).mark_rule(color=MUTED, strokeDash=[2, 3]).encode(x="p:Q")
        return finish([zero, *dots(rows, "key", x)], height=ROW * len(rows))

    return Chart(
        "The winner with one value changed",
        f"{clear} All were judged on the same validation images under the same seed.",
        draw,
        Table(
            "The winner with one value changed",
            (Column("value"), Column("winner"), Column("changed to"), Column("worth, points", number=True),
             Column("± error", number=True)),
            tuple((Name(c.key), Name(plain(c.winner)), Name(plain(c.other)), points(c.gain),
                   points(c.gain_se, sign=False)) for c in explanation.ablations),
        ),
        key="Diamonds are clear, bars are one standard error.",
    )  # fmt: skip


def scratch_chart(explanation: Explanation, metric: str) -> Chart | None:
    """Accuracy against steps of the winner and of the same network from random weights."""
    curves = {way: curve for way, curve in explanation.curves.items() if curve}
    if not curves:
        return None
    rows: list[Row] = [
        {"s": point.steps, "value": point.accuracy, "kind": way} for way, curve in curves.items() for point in curve
    ]
    ways = list(curves)[: len(_LINES)]
    best = {way: max(point.accuracy for point in curves[way]) for way in ways}
    reached = "Best figures: " + ", ".join(f"{said(way)} {value:.3f}" for way, value in best.items())
    if explanation.scratch_steps is not None:
        winner = ("the winner never did" if explanation.winner_steps is None else
                  f"the winner after {counted(explanation.winner_steps, 'step')}")  # fmt: skip
        reached += f". Random weights reached their best after {counted(explanation.scratch_steps, 'step')}, {winner}"

    def draw() -> Spec:
        x = alt.X("s:Q", title="steps", axis=alt.Axis(grid=False, tickCount=5))
        y = alt.Y("value:Q", title=f"validation {metric}", scale=alt.Scale(domain=[0, 1], nice=False))
        scale = alt.Scale(domain=ways, range=[colour for colour, _ in _LINES][: len(ways)])
        dash = alt.StrokeDash("kind:N", scale=alt.Scale(domain=ways, range=[d for _, d in _LINES][: len(ways)]))
        base = chart(rows).encode(
            x=x, y=y, color=alt.Color("kind:N", scale=scale, legend=alt.Legend(symbolType="stroke"))
        )
        return finish(
            [
                base.mark_line(strokeWidth=2).encode(strokeDash=dash),
                base.mark_point(filled=True, size=38, opacity=1).encode(
                    tooltip=tips(("kind:N", "way"), ("s:Q", "steps"), ("value:Q", metric))
                ),
            ],
            height=280,
        )

    return Chart(
        "What pretraining is worth",
        f"{reached}.",
        draw,
        Table(
            f"Validation {metric} against steps",
            (Column("way"), Column("steps", number=True), Column(metric, number=True)),
            tuple((Name(row["kind"]), str(row["s"]), number(row["value"], 3)) for row in rows)[:_ROWS],
            rest=max(0, len(rows) - _ROWS),
            where="all in curve.csv",
        ),
    )  # fmt: skip
