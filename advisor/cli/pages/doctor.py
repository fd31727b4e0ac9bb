"""The page of `advisor doctor`: a line for each thing, told as soon as it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from advisor.doctor.examination import Finding

_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


def finding(out: Console, one: Finding) -> None:
    """One line, and what to do below it."""
    state = f"[{_STYLES[one.state]}]{one.state:<8}[/]"
    out.print(f"{state} {one.about:<12} {escape(one.words)}")
    if one.advice:
        out.print(f"{'':<21} do: {escape(one.advice)}")


def diagnosis(out: Console, found: Sequence[Finding]) -> None:
    """The last line."""
    problems, notes = (sum(one.state == state for one in found) for state in ("problem", "note"))
    out.print()
    if problems:
        out.print(f"{problems} problem{'s' if problems > 1 else ''} of {len(found)} things looked at.")
    else:
        out.print(f"No problem{f', {notes} to note' if notes else ''}; {len(found)} things looked at.")
