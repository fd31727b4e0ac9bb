"""What the commands that list something have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.console import page, print_json
from advisor.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def print_rows(rows: Sequence[Mapping[str, object]], title: str, *, json: bool) -> ExitCode:
    """Print rows of equal keys as a table or as JSON; `title` is what is missing where there are none."""
    if json:
        print_json(rows)
    else:
        from advisor.cli import pages

        pages.table(page(), title, rows)
    return ExitCode.OK
