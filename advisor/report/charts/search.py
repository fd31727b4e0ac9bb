"""The charts of a run's search: trials, and what made the difference between them.

Words and numbers are made at once, for every kind of page; what draws is called only where something is drawn.
"""

from __future__ import annotations

import math
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

from advisor.records.trial import TrialKind, TrialState, Way, stages_said
from advisor.report.charts.drawing import (
    ACCENT,
    CARD,
    INK,
    MUTED,
    ROW,
    SECOND,
    alt,
    chart,
    finish,
    row_labels,
    tips,
)
from advisor.report.page.blocks import Chart, Column, Name, Table, said
from advisor.report.page.words import counted, number, share
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from advisor.records.folder import RunFolder
    from advisor.records.trial import TrialRecord
    from advisor.report.charts.drawing import Layer, Row, Spec
    from advisor.report.page.blocks import Cell

_PRUNED = "stopped early"
_KINDS = {
    Way.PROBE.value: ("square", MUTED),
    Way.HEAD.value: ("circle", SECOND),
    Way.TUNED.value: ("diamond", ACCENT),
    Way.SOUP.value: ("triangle-up", ACCENT),
    _PRUNED: ("cross", MUTED),
}
_PLAIN = {
    Way.PROBE: ("closed-form probe", "closed-form probes"),
    Way.HEAD: ("classifier on frozen features", "classifiers on frozen features"),
    Way.TUNED: ("fine-tuning", "fine-tunings"),
    Way.SOUP: ("average of fine-tunings", "averages of fine-tunings"),
}
_NO_FIGURE = {
    TrialState.PRUNED: "stopped early, behind earlier ones after the same time",
    TrialState.FAIL: "ended without a figure, for the reasons below",
}
_ROWS = 60  # of a table
_RATIOS = [exponent + part for exponent in range(-6, 7) for part in (0.0, math.log10(3))]  # 1, 3, 10, 30, …
_FAR = 6.0  # times the better half's spread: what lies farther below is drawn at the foot


def trials_chart(run: RunFolder) -> Chart | None:
    """Accuracy of every trial in the order in which they ended, with the best so far as a step line."""
    metric, winner = run.record.metric_name, run.record.winner.number
    shown = [t for t in run.trials if t.accuracy is not None and (t.scored or t.state is TrialState.PRUNED)]
    done = [trial for trial in shown if trial.scored]
    if not done:
        return None
    floor = _floor([trial.accuracy or 0.0 for trial in shown])
    rows: list[Row] = []
    steps: list[Row] = []
    best, leader = -math.inf, done[0]
    for place, trial in enumerate(shown, 1):
        value = trial.accuracy or 0.0
        kind = _PRUNED if trial.state is TrialState.PRUNED else trial.way.value
        rows.append({"n": place, "value": max(value, floor), "kind": kind, "name": trial.name,
                     "words": f"{value:.3f}" + (" (drawn at the foot)" if value < floor else ""),
                     "low": value < floor, "won": trial.number == winner, "how": _how(trial)})  # fmt: skip
        if trial.scored and value > best:
            best, leader = value, trial
        if math.isfinite(best):
            steps.append({"n": place, "value": max(best, floor)})
    kinds = [kind for kind in _KINDS if any(row["kind"] == kind for row in rows)]
    won = [row for row in rows if row["won"]]
    low = [row for row in rows if row["low"]]

    def draw() -> Spec:
        x = alt.X("n:Q", title="trials in the order in which they ended", scale=alt.Scale(domain=[0.5, len(rows) + 0.5],
                  nice=False), axis=alt.Axis(grid=False, tickMinStep=1, format="d"))  # fmt: skip
        y = alt.Y("value:Q", title=f"validation {metric}", scale=alt.Scale(zero=False, nice=True, padding=24),
                  axis=alt.Axis(tickCount=6, format=".2f"))  # fmt: skip
        layers: list[Layer] = [
            chart(steps).mark_line(interpolate="step-after", color=MUTED, strokeWidth=1.5).encode(x=x, y=y),
            chart(won).mark_point(size=330, color=INK, strokeWidth=1.8, opacity=1).encode(x="n:Q", y="value:Q"),
            chart(rows)
            .mark_point(filled=True, opacity=1, stroke=CARD, strokeWidth=0.8)
            .encode(
                size=alt.condition(f"datum.kind == '{Way.TUNED}'", alt.value(125), alt.value(80)),
                x="n:Q",
                y="value:Q",
                color=alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[_KINDS[kind][1] for kind in kinds]),
                                legend=alt.Legend(columns=_columns(kinds))),
                shape=alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=[_KINDS[kind][0] for kind in kinds])),
                tooltip=tips(("name:N", "which"), ("kind:N", "kind"), ("words:N", metric), ("how:N", "how")),
            ),
        ]  # fmt: skip
        if low:
            layers.append(chart(low).mark_text(text="↓", dy=14, color=MUTED).encode(x="n:Q", y="value:Q"))
        if won:
            edge = won[0]["n"] > 0.8 * len(rows)
            layers.append(
                chart([{**won[0], "t": "winner"}])
                .mark_text(dy=-18, fontWeight="bold", align="right" if edge else "left", dx=8 if edge else -8)
                .encode(x="n:Q", y="value:Q", text="t:N")
            )
        return finish(layers, height=320)

    return Chart(
        "Trials as they went",
        " ".join(_course_of_search(run, shown, leader)),
        draw,
        leaderboard(run),
        key="The line is the best so far, the ring is what is handed over." + _drawn_at_foot(shown, floor),
    )


def _course_of_search(run: RunFolder, shown: Sequence[TrialRecord], leader: TrialRecord) -> Iterable[str]:
    done = Counter(trial.way for trial in shown if trial.scored)
    tally = [counted(done[kind], *_PLAIN[kind]) for kind in _PLAIN if done[kind]]
    yield f"{', '.join(tally)}. The best under its first seed is {leader.name} with {leader.accuracy:.3f}."
    for state, words in _NO_FIGURE.items():
        many = sum(trial.state is state and trial.kind is not TrialKind.REPEAT for trial in run.trials)
        if many:
            yield f"{counted(many, 'trial')} {words}."


def _drawn_at_foot(shown: Sequence[TrialRecord], floor: float) -> str:
    low = sum((trial.accuracy or 0.0) < floor for trial in shown)
    what = counted(low, "trial is", "trials are")
    return f" {what} drawn at the foot with an arrow, being under {floor:.2f}." if low else ""


def leaderboard(run: RunFolder) -> Table:
    """Trials with a figure, best first, then those without."""
    trials = [trial for trial in run.trials if trial.kind is not TrialKind.REPEAT]
    trials.sort(key=lambda t: (not t.scored, -(t.accuracy or 0.0)))
    rows: list[tuple[Cell, ...]] = [
        (trial.name, "" if trial.accuracy is None else number(trial.accuracy, 3), trial.way.value,
         _stage(run, trial), "–" if trial.frozen is None else str(trial.frozen),
         Name(trial.head or "–"), "–" if trial.backbone_lr is None else f"{trial.backbone_lr:.1e}",
         number(trial.lr_ratio, 1), number(trial.seconds, 1), _ended(trial))
        for trial in trials[:_ROWS]
    ]  # fmt: skip
    marked = frozenset(i for i, trial in enumerate(trials[:_ROWS]) if trial.number == run.record.winner.number)
    return Table(
        "Trials, best first",
        (Column("trial"), Column(f"validation {run.record.metric_name}", number=True), Column("kind", terminal=False),
         Column("stage"),
         Column("frozen", number=True), Column("head"), Column("learning rate", number=True),
         Column("head : backbone", number=True), Column("seconds", number=True), Column("how it ended", wide=True)),
        tuple(rows),
        rest=len(trials) - len(rows),
        where="all in leaderboard.csv",
        marked=marked,
    )  # fmt: skip


def depth_chart(run: RunFolder) -> Chart | None:
    """Frozen stages against the ratio of learning rates; heads alone have no ratio and a column of their own."""
    metric = run.record.metric_name
    shown = [t for t in run.trials if t.scored and t.kind is TrialKind.TRIAL and t.frozen is not None]
    tuned = [trial for trial in shown if trial.lr_ratio]
    heads = [trial for trial in shown if trial.way is Way.HEAD]
    if not tuned or len(shown) < 3:
        return None
    logs = [math.log10(trial.lr_ratio or 1.0) for trial in tuned]
    low, high = math.floor(min(logs) * 2) / 2, math.ceil(max(logs) * 2) / 2
    high = max(high, low + 1)
    column = low - 0.22 * (high - low)
    accuracies = [trial.accuracy or 0.0 for trial in shown]
    worst, best = min(accuracies), max(accuracies)
    head, tuning = Way.HEAD.value, Way.TUNED.value
    places: dict[int | None, int] = {}
    rows: list[Row] = []
    for trial in shown:
        value = trial.accuracy or 0.0
        weight = (value - worst) / (best - worst) if best > worst else 1.0
        at = math.log10(trial.lr_ratio or 1.0)
        if trial.way is Way.HEAD:  # those of one stage beside each other
            nth = places.get(trial.frozen, 0)
            places[trial.frozen] = nth + 1
            step = (nth + 1) // 2 % 6 * (1 if nth % 2 else -1)
            at = column + 0.02 * (high - low) * step
        ratio = "none, the head alone" if trial.way is Way.HEAD else f"{trial.lr_ratio:.1f}"
        rows.append({"x": at, "y": trial.frozen, "value": value, "weight": weight**2, "name": trial.name,
                     "kind": trial.way.value, "how": _how(trial), "ratio": ratio})  # fmt: skip
    ticks = [tick for tick in _RATIOS if low - 0.01 <= tick <= high + 0.01]
    left = column - 0.12 * (high - low) if heads else low - 0.05 * (high - low)
    text = f"datum.value < {low - 1e-6} ? 'head alone' : format(pow(10, datum.value), '.1~r')"
    most = max(trial.frozen or 0 for trial in shown)
    named = sorted(rows, key=lambda row: -row["value"])[:3]
    first = max(tuned, key=lambda trial: trial.accuracy or 0.0)
    finding = (
        f"The best fine-tuning is {first.name} with {first.accuracy:.3f}: {first.frozen} of {first.tap} stages frozen, "
        f"head {first.lr_ratio:.1f} times as fast as the backbone."
    )
    if heads:
        top = max(heads, key=lambda trial: trial.accuracy or 0.0)
        finding += f" The best head alone is {top.name} with {top.accuracy:.3f}, on {top.frozen} frozen stages."

    def draw() -> Spec:
        x = alt.X("x:Q", title="learning rate of the head : of the backbone",
                  scale=alt.Scale(domain=[left, high + 0.05 * (high - low)], nice=False),
                  axis=alt.Axis(grid=False, values=[column, *ticks] if heads else ticks, labelExpr=text))  # fmt: skip
        y = alt.Y("y:Q", title="frozen stages, of those that are kept", scale=alt.Scale(domain=[-0.6, most + 0.6],
                  nice=False), axis=alt.Axis(tickMinStep=1, format="d", values=[*range(most + 1)]))  # fmt: skip
        base = chart(rows).encode(
            x=x, y=y,
            size=alt.Size("weight:Q", scale=alt.Scale(domain=[0, 1], range=[50, 340]), legend=None),
            shape=alt.Shape("kind:N", scale=alt.Scale(domain=[head, tuning], range=["circle", "diamond"]), legend=None),
            tooltip=tips(("name:N", "which"), ("value:Q", metric), ("ratio:N", "ratio"), ("how:N", "how")),
        )  # fmt: skip
        layers: list[Layer] = [
            base.mark_point(filled=True, color=ACCENT).encode(
                fillOpacity=alt.FillOpacity("weight:Q", scale=alt.Scale(domain=[0, 1], range=[0.08, 0.9]), legend=None),
                stroke=alt.value(ACCENT), strokeOpacity=alt.value(0.9),
            ),
            *(
                chart([{**row, "t": f"{row['value']:.3f}"}])
                .mark_text(dy=-15, align="left" if row["x"] < low else "right" if row["x"] > high - 0.15 else "center")
                .encode(x="x:Q", y="y:Q", text="t:N")
                for row in _apart(named, high - left, most + 1.2)
            ),
        ]  # fmt: skip
        if heads:
            gap = chart([{"x": (column + low) / 2}]).mark_rule(color=MUTED, strokeDash=[2, 3])
            layers.insert(0, gap.encode(x=alt.X("x:Q")))
        return finish(layers, height=300)

    return Chart(
        "How deep to freeze, and how fast the head learns",
        finding,
        draw,
        Table(
            "Trials by frozen stages and ratio",
            (Column("trial"), Column("frozen stages", number=True), Column("of", number=True),
             Column("head : backbone", number=True), Column(metric, number=True)),
            tuple((t.name, str(t.frozen), str(t.tap), number(t.lr_ratio, 1), number(t.accuracy, 3))
                  for t in sorted(shown, key=lambda t: -(t.accuracy or 0.0))[:_ROWS]),
            rest=max(0, len(shown) - _ROWS),
            where="all in leaderboard.csv",
        ),
        key=f"The larger and fuller a mark, the higher its {metric}, {worst:.3f} to {best:.3f}; the best three "
        "have their figures.",
    )  # fmt: skip


def importance_chart(importances: Mapping[str, float]) -> Chart | None:
    """What made the difference between trials."""
    if not importances:
        return None
    shown = list(importances.items())[:8]
    rows: list[Row] = [{"key": Name(key).short, "p": value, "words": share(value), "marked": place == 0}
                       for place, (key, value) in enumerate(shown)]  # fmt: skip
    leading = ", ".join(f"{said(key)} {share(value)}" for key, value in shown[:3])

    def draw() -> Spec:
        y = alt.Y("key:N", sort=None, axis=None)
        x = alt.X("p:Q", title="share of the differences between trials", scale=alt.Scale(domainMin=0, nice=True),
                  axis=alt.Axis(grid=False, tickCount=4, format="%"))  # fmt: skip
        layers = [
            chart(rows)
            .mark_bar(height=9, cornerRadiusEnd=2, yOffset=9)
            .encode(x=x, y=y, color=alt.condition("datum.marked", alt.value(ACCENT), alt.value(MUTED)),
                    tooltip=tips(("key:N", "value"), ("words:N", "share"))),
            *row_labels(rows, "key", y),
        ]  # fmt: skip
        return finish(layers, height=ROW * len(rows))

    return Chart(
        "What made the difference",
        f"Differences between trials come from {leading} (functional ANOVA over the trials that can be compared). "
        "This holds for what was tried, not elsewhere.",
        draw,
        Table(
            "Share of the differences between trials",
            (Column("value of the recipe"), Column("share, %", number=True)),
            tuple((Name(key), number(100 * value, 1)) for key, value in importances.items()),
            bars=tuple(importances.values()),
        ),
    )


def _floor(values: Sequence[float]) -> float:
    """Where the axis begins: a few bad trials must not press the good ones together."""
    best = max(values)
    good = [value for value in values if value >= median(values)]
    far = best - _FAR * max(0.01, best - min(good))
    return max(far, min(values))


def _apart(rows: Sequence[Row], width: float, height: float) -> list[Row]:
    """Those whose labels do not lie on each other, the first of them first."""
    kept: list[Row] = []
    for row in rows:
        if all(abs(row["x"] - o["x"]) > 0.12 * width or abs(row["y"] - o["y"]) > 0.08 * height for o in kept):
            kept.append(row)
    return kept


def _columns(kinds: Sequence[str]) -> int:
    return min(len(kinds), 2)


def _stage(run: RunFolder, trial: TrialRecord) -> Cell:
    """The stage that a trial's head reads, with its name where that is the winner's network."""
    if trial.tap is None:
        return "–"
    stages = run.evidence.stages if run.evidence else ()
    own = trial.values is None or trial.values.backbone in ("", run.record.backbone.name)
    read = " + ".join(map(str, trial.stages_read))
    named = own and 1 <= trial.tap <= len(stages) and not trial.also
    return Name(f"{read} ({stages[trial.tap - 1]})") if named else read


def _how(trial: TrialRecord) -> str:
    """A trial in a few words, for what is shown under the pointer."""
    parts = [f"{trial.head} on {stages_said(trial.stages_read)}" if trial.tap is not None else trial.head]
    if trial.members:
        parts.append(f"{len(trial.members)} averaged")
    if trial.way is Way.TUNED and trial.frozen is not None:
        parts.append(f"{trial.frozen} frozen")
    if trial.seconds is not None:
        parts.append(show_duration(trial.seconds))
    return ", ".join(parts)


def _ended(trial: TrialRecord) -> Cell:
    if trial.members:
        return f"complete, the average of {' and '.join(member.name for member in trial.members)}"
    if trial.scored:
        cut = trial.trained is not None and trial.trained < 0.999
        return f"complete, {share(trial.trained or 0.0)} of its steps" if cut else "complete"
    words = {TrialState.PRUNED: _PRUNED, TrialState.FAIL: "failed"}.get(trial.state, trial.state.lower())
    return Name(f"{words}: {trial.reason}", 160) if trial.reason else words
