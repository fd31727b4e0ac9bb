"""The page of `advisor doctor`: a line for each thing, told as soon as it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.console import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.cli.page import TerminalPage
    from advisor.doctor.examination import Diagnosis

_HANG = 22  # columns before the words
_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


def finding(out: TerminalPage, one: Diagnosis) -> None:
    """One line, and what to do below it."""
    state = f"[{_STYLES[one.state]}]{one.state:<8}[/]"
    out.hanging(f"{state} {one.about:<12} {escape(one.words)}", _HANG)
    if one.advice:
        out.hanging(f"{'':<{_HANG}}do: {escape(one.advice)}", _HANG + 4)


def diagnosis(out: TerminalPage, found: Sequence[Diagnosis]) -> None:
    """The last line."""
    problems, notes = (sum(one.state == state for one in found) for state in ("problem", "note"))
    out.print()
    if problems:
        out.print(f"{problems} problem{'s' if problems > 1 else ''} of {len(found)} things looked at.")
    else:
        out.print(f"No problem{f', {notes} to note' if notes else ''}; {len(found)} things looked at.")
