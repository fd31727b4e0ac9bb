"""Tables of what there is: plugins, backbones, what the cache holds, and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from advisor.recipe import show_duration
from advisor.sizes import show_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from advisor.data.cache import CacheEntry


def table(out: Console, title: str, rows: list[dict[str, Any]]) -> None:
    """Rows of equal keys."""
    if not rows:
        out.print(f"No {title} are installed.")
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    columns = [key for key in rows[0] if any(row[key] not in ("", [], None) for row in rows)]
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(escape(cell(row[column])) for column in columns))
    out.print(shown)


def cache(out: Console, entries: Sequence[CacheEntry], where: str, now: float, freed: int | None) -> None:
    """The page of `advisor cache`: what is there, or after clearing what is left."""
    if freed is not None:
        out.print(f"{show_size(freed)} freed.")
    elif entries:
        shown = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("kind", "what", "size", "last used"):
            shown.add_column(column, justify="right" if column == "size" else "left", overflow="fold")
        for entry in entries:
            shown.add_row(entry.kind, escape(entry.what), show_size(entry.bytes), _ago(now - entry.used))
        out.print(shown)
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
