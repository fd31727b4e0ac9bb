"""The sections of a run's report that are about its search: trials, what made the difference, the choice, learning."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from advisor.records.trial import TrialKind, TrialState, trial_name
from advisor.report.charts import learning
from advisor.report.charts import search as charts
from advisor.report.page.blocks import (
    Bullets,
    Column,
    CommandLine,
    Heading,
    Name,
    Page,
    Pair,
    Section,
    Table,
    Text,
    said,
)
from advisor.report.page.words import counted, number, points
from advisor.units import show_images, show_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.records.evidence import Explanation
    from advisor.records.folder import RunFolder
    from advisor.report.page.blocks import Block, Chart

_LINES = 8


def trials_section(run: RunFolder) -> Section | None:
    """Trials as they went, and why some came to no figure."""
    shown = charts.trials_chart(run)
    if shown is None:
        return None
    return Section("trials", "The search, trial by trial", "Trials", (shown, *failures(run)))


def failures(run: RunFolder) -> tuple[Block, ...]:
    """Why trials ended without a figure; nothing where none did."""
    failed = (t for t in run.trials if t.state is TrialState.FAIL and t.kind is not TrialKind.REPEAT)
    reasons = Counter(trial.reason or "no reason given" for trial in failed)
    lines = tuple(f"{count} × {said(reason, 200)}" for reason, count in reasons.most_common(_LINES))
    return (Heading("Trials without a figure"), Bullets(lines)) if lines else ()


def difference_section(run: RunFolder) -> Section | None:
    """Freeze depth against the ratio of learning rates, and what mattered."""
    if run.evidence is None:
        return None
    depth = charts.depth_chart(run)
    weights = charts.importance_chart(run.evidence.importances)
    blocks: list[Block] = beside([depth, weights])
    if weights is None:
        blocks.append(Text("Too few trials can be compared to tell which value made the difference between them."))
    if depth is None:
        words = "Too few fine-tunings came to a figure to compare freeze depths and ratios of learning rates."
        blocks.append(Text(words))
    return Section("difference", "What made the difference between trials", "Differences", tuple(blocks))


def choice_section(run: RunFolder) -> Section:
    """The rule, and those that were compared."""
    record, choice = run.record, run.record.choice
    judges = show_images(record.validation_images, record.validation_independent)
    how = (
        f"by {record.folds}-fold cross-validation over {judges}"
        if record.folds > 1
        else f"on one validation part of {judges}"
    )
    seeds = max((rival.seeds for rival in choice.rivals), default=1)
    among = f", those that depend on chance over up to {seeds} seeds." if seeds > 1 else " under one seed."
    rule = (
        "The winner has the best estimate: its figure less the luck of being the best of its kind (bootstrap, apart "
        "for fine-tunings and for heads on frozen features), divided by the number of seeds that judged it. Of equals "
        "the cheaper wins."
    )
    lines = [
        f"Every trial was scored by {record.metric_name} {how}.",
        f"The leaders and the best closed-form probe were compared{among}",
        rule,
    ]
    if any(rival.kind is TrialKind.SOUP for rival in choice.rivals):
        lines.append(
            "The model soup is the average of the weights of several fine-tunings from one start. All of the luck of "
            "choosing among averages is taken off it, and what the others gain by learning from the validation images."
        )
    if choice.prefer != "accurate":
        what = "predicts fastest" if choice.prefer == "fast" else "has the smallest weights"
        lines.append(
            f"A {choice.prefer} model was asked for: of all trials within a paired standard error of that one, the one "
            f"that {what} is handed over."
        )
    if choice.chosen != choice.best:
        lines.append(
            f"The winner, {trial_name(choice.chosen)}, is not the most accurate one: {trial_name(choice.best)} is "
            f"{points(choice.behind, sign=False)} ± {points(choice.behind_se, sign=False)} points ahead before luck is "
            "taken off."
        )
    if choice.optimism > 0:
        lines.append(
            f"Selection bias of the best validation figure: about {points(choice.optimism)} points (bootstrap over the "
            "validation images). The test figure has none."
        )
    fewer = sum(rival.seeds < seeds for rival in choice.rivals)
    if fewer:
        lines.append(
            f"{counted(fewer, 'of them has', 'of them have')} fewer seeds: a closed form gives the same again, or time "
            "was short."
        )
    costs = any(rival.seconds is not None for rival in choice.rivals)
    rivals = sorted(choice.rivals, key=lambda rival: -rival.accuracy)
    table = Table(
        "The trials that were compared",
        (Column("trial"), Column(f"{record.metric_name}, all seeds", number=True),
         Column("under the first", number=True), Column("seeds", number=True),
         *([Column("ms an image", number=True), Column("weights", number=True)] if costs else []),
         Column("", wide=True)),
        tuple((trial_name(one.number), number(one.accuracy, 3), number(one.first_seed, 3), str(one.seeds),
               *([number(1000 * (one.seconds or 0.0), 1), show_size(one.size or 0)] if costs else []),
               _role(run, one.number)) for one in rivals),
        marked=frozenset(i for i, one in enumerate(rivals) if one.number == choice.chosen),
    )  # fmt: skip
    return Section("choice", "How the winner was chosen", "Choice", (Bullets(tuple(lines)), table))


def learning_section(run: RunFolder) -> Section | None:
    """Learning curves, where something was trained."""
    curves = learning.learning_chart(run)
    return None if curves is None else Section("learning", "Learning curves", "Learning", (curves,))


def explanation_section(run: RunFolder) -> Section | None:
    """What `advisor explain` found, where somebody asked it."""
    if run.explanation is None:
        return None
    blocks = explanation_blocks(run.explanation, run.record.metric_name)
    if run.record.winner.members:
        first = run.record.winner.members[0].name
        blocks.insert(0, Text(f"The winner is an average of trainings; {first}, the first of them, is explained."))
    return Section("explanation", "Why it won", "Why it won", tuple(blocks))


def explanation_blocks(explanation: Explanation, metric: str) -> list[Block]:
    """The winner with one value changed, and beside random weights."""
    blocks = beside([learning.changes_chart(explanation, metric), learning.scratch_chart(explanation, metric)])
    if not blocks:
        blocks.append(Text("Nothing fitted into the budget of the explanation."))
    if explanation.left_out:
        lines = tuple(said(line, 200) for line in explanation.left_out[:_LINES])
        blocks += [Heading("Left out"), Bullets(lines)]
    return blocks


def explanation_screen(explanation: Explanation, *, folder: str, metric: str = "figure") -> Page:
    """The page of `advisor explain` on the terminal.

    Args:
        explanation: what was measured.
        folder: of the run.
        metric: of the figures, in words.
    """
    importance = charts.importance_chart(explanation.importances)
    few = Text("Too few trials can be compared to tell which value made the difference between them.")
    return Page(
        about="Why",
        subject=Name(explanation.name),
        kicker="",
        title=f"Why {explanation.name} won",
        first=(importance or few, *explanation_blocks(explanation, metric)),
        sections=(
            Section("files", "", "", (
                Text(f"Written to {folder}/explanation.json and curve.csv."),
                CommandLine("To have it in the run's report", f"advisor report {shlex.quote(folder)}"),
            )),
        ),
    )  # fmt: skip


def beside(charts: Sequence[Chart | None]) -> list[Block]:
    """Those charts that there are; two of them beside each other."""
    shown = [chart for chart in charts if chart is not None]
    return [Pair((shown[0], shown[1]))] if len(shown) == 2 else [*shown]


def _role(run: RunFolder, trial: int) -> str:
    choice = run.record.choice
    roles = {"handed over": choice.chosen, "most accurate": choice.best}
    return ", ".join(role for role, holder in roles.items() if holder == trial)
