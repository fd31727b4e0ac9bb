"""Which page a command prints. Pages are made in `advisor.report`, of the blocks that make its reports too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.console import escape
from advisor.records.trial import TrialKind, TrialState, Way

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.advice.inspection import Inspected
    from advisor.advice.recommendation import Recommendation
    from advisor.data.cache import CacheEntry
    from advisor.data.profile import DatasetProfile
    from advisor.doctor.examination import Diagnosis
    from advisor.outcome.handover import Result
    from advisor.outcome.predict import PredictionRow
    from advisor.records.evidence import Explanation
    from advisor.records.trial import TrialRecord
    from advisor.report.listings import PluginRow
    from advisor.report.page.console import Terminal


def recommendation(out: Terminal, recommendation: Recommendation, plan: str, reports: Sequence[str] = ()) -> None:
    """The page of `advisor recommend`; it ends with where the plan and the reports are."""
    from advisor.report.page.terminal import to_terminal
    from advisor.report.recommendation import recommendation_screen

    to_terminal(recommendation_screen(recommendation, plan=plan, reports=reports), out)


def result(out: Terminal, result: Result, reports: Sequence[str] = ()) -> None:
    """The page of `advisor tune`; it ends with where the reports are."""
    from advisor.records.folder import read_run
    from advisor.report.page.terminal import to_terminal
    from advisor.report.run import run_screen

    to_terminal(run_screen(read_run(result.folder), reports=reports), out)


def explanation(out: Terminal, explanation: Explanation, folder: str) -> None:
    """The page of `advisor explain`."""
    from advisor.records.folder import find_run
    from advisor.report.page.terminal import to_terminal
    from advisor.report.run.search import explanation_screen

    to_terminal(explanation_screen(explanation, folder=str(find_run(folder))), out)


def profile(out: Terminal, profile: DatasetProfile, inspected: Inspected | None) -> None:
    """The page of `advisor profile`."""
    from advisor.report.page.terminal import to_terminal
    from advisor.report.recommendation.data import profile_screen

    to_terminal(profile_screen(profile, inspected), out)


def table(out: Terminal, title: str, rows: Sequence[Mapping[str, object]]) -> None:
    """What plugins offer: rows of equal keys."""
    from advisor.report.listings import offers
    from advisor.report.page.terminal import show

    show(offers(title, rows), out)


def plugins(out: Terminal, rows: Sequence[PluginRow]) -> None:
    """The page of `advisor plugins`."""
    from advisor.report import listings
    from advisor.report.page.terminal import show

    show(listings.plugins(rows), out)


def cache(out: Terminal, entries: Sequence[CacheEntry], where: str, now: float, freed: int | None) -> None:
    """The page of `advisor cache`."""
    from advisor.report import listings
    from advisor.report.page.terminal import show

    for block in listings.cache(entries, where, now, freed):
        show(block, out)


def finding(out: Terminal, one: Diagnosis) -> None:
    """One line of `advisor doctor`, told as soon as it is known, and what to do below it."""
    from advisor.report.page.blocks import Check
    from advisor.report.page.terminal import show

    show(Check(one.state, one.about, one.words, one.advice), out)


def diagnosis(out: Terminal, diagnoses: Sequence[Diagnosis]) -> None:
    """The last line of `advisor doctor`."""
    from advisor.report.page.blocks import Text
    from advisor.report.page.terminal import show
    from advisor.report.page.words import counted

    problems, notes = (sum(one.state == state for one in diagnoses) for state in ("problem", "note"))
    out.print()
    if problems:
        show(Text(f"{counted(problems, 'problem')} of {len(diagnoses)} things looked at."), out)
    else:
        show(Text(f"No problem{f', {notes} to note' if notes else ''}; {len(diagnoses)} things looked at."), out)


def predictions(out: Terminal, rows: Sequence[PredictionRow]) -> None:
    """The page of `advisor predict`: one line per image, the likeliest labels or why it could not be read.

    Args:
        out: where to.
        rows: as `advisor.outcome.predict.Predicted.to_dict` gives them.
    """
    width = max((len(row["path"]) for row in rows), default=0)
    for row in rows:
        if "error" in row:
            words = f"unreadable: {escape(row['error'])}"
        else:
            words = "   ".join(f"{escape(entry['label'])} {entry['probability']:.3f}" for entry in row["top"])
            words = words if row["label"] else f"none likely enough ({words})"
        out.print(f"{escape(row['path']):<{width}}  {words}")


def trial_name(trial: TrialRecord) -> str:
    """What a trial is called in talk."""
    return "probe" if trial.way is Way.PROBE else trial.name


def trial_line(trial: TrialRecord, best: list[float]) -> str:
    """One line of talk for a trial that ended; `best` holds the best accuracy so far."""
    name = f"{trial_name(trial):<8}"
    if trial.state is not TrialState.COMPLETE or trial.accuracy is None or trial.values is None:
        return f"{name} {trial.state.lower()}: {trial.reason}"
    mark = " *" if trial.accuracy > best[0] else "  "
    best[0] = max(best[0], trial.accuracy)
    if trial.kind is TrialKind.REPEAT:
        return f"{name} {trial.accuracy:.3f}, {trial.reason}"
    rest = f"lr {trial.values.steps[0].lr:.1e}, {trial.steps} steps, " if trial.steps else ""
    return (
        f"{name} validation {trial.accuracy:.3f}{mark} tap {trial.tap}, frozen {trial.frozen}, "
        f"{trial.values.head.name}, {rest}{trial.seconds or 0.0:.1f} s  (best {best[0]:.3f})"
        + "".join(f"\n        {note}" for note in trial.notes)
    )
