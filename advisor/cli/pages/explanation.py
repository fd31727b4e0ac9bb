"""The page of `advisor explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.console import escape
from advisor.cli.pages.listing import cell

if TYPE_CHECKING:
    from advisor.cli.page import TerminalPage
    from advisor.records.evidence import Explanation


def explanation(out: TerminalPage, found: Explanation, folder: str) -> None:
    """The page of `advisor explain`."""
    won = f"trial {found.trial}" if found.trial >= 0 else f"the closed-form probe at stage {-found.trial}"
    out.print(f"[bold]Why {won} won[/bold]")
    for key, share in found.importances.items():
        out.print(f"  {share:>4.0%} of the differences between trials: {escape(key)}")
    if not found.importances:
        out.print("  too few comparable trials to tell what made the difference between them")
    out.print()
    if found.ablations:
        out.print("[bold]The winner with one value changed[/bold], on the same validation images")
        for entry in found.ablations:
            out.print(
                f"  {100 * entry.gain:+5.1f} ± {100 * entry.gain_se:.1f} points for {escape(entry.key)} = "
                f"{cell(entry.winner)} instead of {cell(entry.other)}"
            )
        out.print()
    if not found.curve.empty:
        out.print("[bold]Accuracy against steps[/bold] on the validation images")
        for way, rows in found.curve.groupby("way", sort=False):
            every = rows.iloc[:: max(1, len(rows) // 8)]
            points = ", ".join(f"{row.steps}: {row.accuracy:.3f}" for row in every.itertuples())
            out.print(f"  {way:<12} {points}")
    if found.scratch_steps is not None:
        there = "never" if found.winner_steps is None else f"after {found.winner_steps} steps"
        out.print(
            f"  From random weights the best figure came after {found.scratch_steps} steps; the winner had it {there}."
        )
    for line in found.left_out:
        out.print(f"left out: {escape(line)}")
    out.print(f"Written to {escape(folder)}/explanation.json and curve.csv.")
    out.command(f"To have it in the run's report:  advisor report {escape(folder)}")
