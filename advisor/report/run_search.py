"""The sections of a run's report that are about its search: trials, what made the difference, the choice, learning."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from advisor.report import run_charts
from advisor.report.blocks import Bullets, Column, Heading, Pair, Section, Table, Text, said
from advisor.report.run_folder import name_of
from advisor.report.words import counted, number, points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.report.blocks import Block, Chart
    from advisor.report.run_folder import RunFolder

_LINES = 8


def trials_section(run: RunFolder) -> Section | None:
    """Trials as they went, and why some came to no figure."""
    shown = run_charts.trials_chart(run)
    if shown is None:
        return None
    blocks: list[Block] = [shown]
    reasons = Counter(t.reason or "no reason given" for t in run.trials if t.state == "FAIL" and t.kind != "repeat")
    if reasons:
        lines = tuple(f"{count} ×: {said(reason, 200)}" for reason, count in reasons.most_common(_LINES))
        blocks += [Heading("Why trials came to no figure"), Bullets(lines)]
    return Section("trials", "The search, trial by trial", "Trials", tuple(blocks))


def difference_section(run: RunFolder) -> Section | None:
    """Freeze depth against the ratio of learning rates, and what mattered."""
    if run.evidence is None:
        return None
    depth = run_charts.depth_chart(run)
    done = sum(trial.complete and trial.kind == "trial" for trial in run.trials)
    weights = run_charts.importance_chart(run.evidence.importances, done)
    blocks: list[Block] = beside([depth, weights])
    if weights is None:
        blocks.append(Text("Too few trials can be compared to tell which value made the difference between them."))
    if depth is None:
        words = "Too few fine-tunings came to a figure to compare freeze depths and ratios of learning rates."
        blocks.append(Text(words))
    return Section("difference", "What made the difference between trials", "Differences", tuple(blocks))


def choice_section(run: RunFolder) -> Section:
    """The rule, and those that were compared."""
    found, choice = run.figures, run.figures.choice
    how = (
        f"by {found.folds}-fold cross-validation over {counted(found.validation_images, 'image')}"
        if found.folds > 1
        else f"on one validation part of {counted(found.validation_images, 'image')}"
    )
    seeds = max((rival.seeds for rival in choice.rivals), default=1)
    among = f", those that depend on chance over up to {seeds} seeds." if seeds > 1 else " under one seed."
    rule = (
        "Of those within one standard error of the best, by paired differences on the same images, the cheapest is "
        "taken: fewer trained stages, then a shorter network, then a plain head. Nothing below the best probe is."
    )
    lines = [
        f"Every trial was judged {how}; the figure is {found.metric}.",
        f"The leaders and the best closed-form probe were compared{among}",
        rule,
    ]
    if choice.chosen != choice.best:
        lines.append(
            f"The winner, {name_of(choice.chosen)}, is not the most accurate one: {name_of(choice.best)} is "
            f"{points(choice.behind, sign=False)} ± {points(choice.behind_se, sign=False)} points ahead, but dearer."
        )
    if choice.optimism > 0:
        lines.append(
            "The best figure of a search is too high for being the best, here by about "
            f"{points(choice.optimism, sign=False)} points (bootstrap over the validation images). The test is free of "
            "that."
        )
    fewer = sum(rival.seeds < seeds for rival in choice.rivals)
    if fewer:
        lines.append(
            f"{counted(fewer, 'of them has', 'of them have')} fewer seeds: a closed form gives the same again, or time "
            "was short."
        )
    rivals = sorted(choice.rivals, key=lambda rival: -rival.accuracy)
    table = Table(
        "The trials that were compared",
        (Column("trial"), Column(f"{found.metric}, all seeds", number=True), Column("under the first", number=True),
         Column("seeds", number=True), Column("", wide=True)),
        tuple((name_of(one.number), number(one.accuracy, 3), number(one.first, 3), str(one.seeds),
               _role(run, one.number)) for one in rivals),
        marked=frozenset(i for i, one in enumerate(rivals) if one.number == choice.chosen),
    )  # fmt: skip
    return Section("choice", "How the winner was chosen", "Choice", (Bullets(tuple(lines)), table))


def learning_section(run: RunFolder) -> Section | None:
    """Learning curves, where something was trained."""
    curves = run_charts.learning_chart(run)
    return None if curves is None else Section("learning", "Learning curves", "Learning", (curves,))


def explanation_section(run: RunFolder) -> Section | None:
    """What `advisor explain` found, where somebody asked it."""
    found = run.explained
    if found is None:
        return None
    metric = run.figures.metric
    blocks = beside([run_charts.changes_chart(found, metric), run_charts.scratch_chart(found, metric)])
    if not blocks:
        blocks.append(Text("Nothing fitted into the time that it was given."))
    if found.left_out:
        lines = tuple(said(line, 200) for line in found.left_out[:_LINES])
        blocks += [Heading("Left out"), Bullets(lines)]
    return Section("explanation", "Why it won", "Why it won", tuple(blocks))


def beside(charts: Sequence[Chart | None]) -> list[Block]:
    """Those charts that there are; two of them beside each other."""
    found = [chart for chart in charts if chart is not None]
    return [Pair((found[0], found[1]))] if len(found) == 2 else [*found]


def _role(run: RunFolder, trial: int) -> str:
    choice = run.figures.choice
    roles = {"handed over": choice.chosen, "most accurate": choice.best}
    return ", ".join(role for role, holder in roles.items() if holder == trial)
