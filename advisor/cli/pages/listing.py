"""Tables of what there is: plugins, backbones, what the cache holds, and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.cli.console import escape
from advisor.units import show_duration, show_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.cli.page import TerminalPage
    from advisor.data.cache import CacheEntry


def table(out: TerminalPage, title: str, rows: list[dict[str, Any]]) -> None:
    """Rows of equal keys."""
    if not rows:
        out.print(f"No {title} are installed.")
        return
    columns = [key for key in rows[0] if any(row[key] not in ("", [], None) for row in rows)]
    out.table(columns, [[escape(cell(row[column])) for column in columns] for row in rows])


def plugins(out: TerminalPage, rows: list[dict[str, Any]]) -> None:
    """The page of `advisor plugins`: who brings what, and why somebody does not."""
    columns = ["name", "from", "status", "offers", "reason"]
    cells = []
    for row in rows:
        offers = [f"command {name}" for name in row["commands"]] + [hook for hook in row["hooks"] if hook != "commands"]
        cells.append(
            [row["name"], f"{row['distribution']} {row['version']}", row["status"], ", ".join(offers), row["reason"]]
        )
    if not any(row["reason"] for row in rows):
        columns, cells = columns[:-1], [row[:-1] for row in cells]
    out.table(columns, [[escape(value) for value in row] for row in cells])


def cache(out: TerminalPage, entries: Sequence[CacheEntry], where: str, now: float, freed: int | None) -> None:
    """The page of `advisor cache`: what is there, or after clearing what is left."""
    if freed is not None:
        out.print(f"{show_size(freed)} freed.")
    elif entries:
        rows = [(entry.kind, escape(entry.what), show_size(entry.bytes), _ago(now - entry.used)) for entry in entries]
        out.table(("kind", "what", "size", "last used"), rows, right=("size",))
    out.print(f"{show_size(sum(entry.bytes for entry in entries))} in {len(entries)} folders under {escape(where)}")


def _ago(seconds: float) -> str:
    if seconds < 60:
        return "just now"
    days = seconds / 86400
    return f"{days:.0f} days ago" if days >= 2 else f"{show_duration(seconds)} ago"


def cell(value: object) -> str:
    """A value as a table or a sentence shows it."""
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return "" if value is None else str(value)
