"""The page of `advisor tune`, and its line for each trial."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from advisor.cli.console import escape
from advisor.records.trial import TrialKind, TrialState, Way
from advisor.records.trial import trial_name as name_of
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.cli.page import TerminalPage
    from advisor.outcome.handover import Result
    from advisor.records.trial import TrialRecord


def result(out: TerminalPage, found: Result, reports: Sequence[str] = ()) -> None:
    """The page of `advisor tune`; it ends with where the reports are."""
    columns = ("trial", "validation", "tap", "frozen", "head", "lr", "ratio", "seconds", "how it ended")
    best = [
        _board_row({str(key): value for key, value in row.items()}) for row in found.trials.head(8).to_dict("records")
    ]
    out.table(columns, best, header="")
    if len(found.trials) > 8:
        out.print(f"… and {len(found.trials) - 8} more in {escape(str(found.folder / 'leaderboard.csv'))}")
    out.print()
    _failures(out, found)
    why = {"trials": "all trials done", "time": "the budget is spent", "interrupted": "stopped by you",
           "exhausted": "nothing new is left to try"}[found.ended]  # fmt: skip
    record = found.record
    out.print(
        f"{why[0].upper()}{why[1:]} after {show_duration(record.search.seconds)}. The winner is {record.winner.name}."
    )
    for line in _why_this(found):
        out.print(f"  {line}")
    metric = "balanced" if record.metric == "balanced" else "validation"
    how = f"{record.folds}-fold cross-validation" if record.folds > 1 else "one validation part"
    seeds = record.validation_seeds
    how += f", mean of {seeds} seeds" if seeds > 1 else ""
    probe = "" if found.probe_accuracy is None else f"; the best probe: {found.probe_accuracy:.3f}"
    out.print(f"  {metric:<11} {found.validation:.3f}  ({how}{probe})")
    if record.choice.optimism > 0:
        out.print(
            f"              the best figure of a search is too high, here by about {100 * record.choice.optimism:.1f} "
            "points (bootstrap)"
        )
    if found.test is not None:
        low, high = found.test_interval
        out.print(
            f"  [bold]test        {found.test:.3f}[/bold]  (95 % interval {low:.3f} to {high:.3f}, "
            f"{record.test_images} images never used before)"
        )
        more = {"map": "mean average precision over the labels, here and above",
                "balanced": f"balanced over the classes {record.test_balanced or 0.0:.3f}"}  # fmt: skip
        if record.metric in more:
            out.print(f"              {more[record.metric]}")
    out.print()
    out.print(f"Handed over in {escape(str(found.best))}. To use it:")
    out.command(f"  advisor predict {escape(shlex.quote(str(found.best)))} photo.jpg")
    if found.timm_loads_it:
        out.command(f"  timm.create_model('local-dir:{escape(str(found.best))}', pretrained=True)")
    else:
        out.command(f"  advisor.load('{escape(str(found.best))}')   (timm alone cannot express this network)")
    if found.ended == "interrupted":
        out.print("To go on: run the same command again.")
    for report in reports:
        out.command(f"Report with charts and pictures: {escape(report)}")


def _why_this(found: Result) -> list[str]:
    """Why the winner and not another trial, in words."""
    choice = found.record.choice
    lines = []
    if choice.chosen != choice.best:
        lines.append(
            f"It is the cheapest within one standard error of the best: {name_of(choice.best)} is "
            f"{100 * choice.behind:.1f} ± {100 * choice.behind_se:.1f} points ahead."
        )
    if choice.unsure:
        whole = choice.sure + choice.unsure
        lines.append(f"{choice.unsure} of the {whole} leaders were not judged under every seed.")
    if found.importances:
        words = [f"{key} {share:.0%}" for key, share in list(found.importances.items())[:3]]
        lines.append(f"What made the difference between trials: {', '.join(words)}")
    return lines


def _failures(out: TerminalPage, found: Result) -> None:
    failed = found.trials.loc[(found.trials["state"] == "FAIL") & (found.trials["kind"] == "trial")]
    if len(failed):
        out.print(f"{len(failed)} trials failed:")
        for reason, count in failed["reason"].value_counts().items():
            out.print(f"  - {count} × {escape(str(reason))}")
    if found.all_failed:
        out.print("No searched trial succeeded; only the probe is handed over.")
    if found.none_fitted and found.ended == "time":
        out.print("No trial fitted into the budget; the probe is handed over. Give more time with --budget.")


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


def _board_row(row: dict[str, Any]) -> list[str]:
    def number(key: str, form: str) -> str:
        value = row.get(key)
        return "" if value is None or value != value else format(value, form)  # noqa: PLR0124 - NaN

    training = bool(row.get("steps")) and row["steps"] == row["steps"]
    ended = str(row["state"]).lower()
    return [
        "probe" if row["kind"] == "probe" else str(row["trial"]),
        number("validation_accuracy", ".3f"),
        number("tap", ".0f"),
        number("frozen", ".0f"),
        str(row.get("head.name") or "") if row.get("head.name") == row.get("head.name") else "",
        number("optimizer.lr", ".1e") if training else "",
        number("optimizer.lr_ratio", ".1f") if training else "",
        number("seconds", ".1f"),
        escape(f"{ended}: {row['reason']}" if row["reason"] else ended),
    ]
