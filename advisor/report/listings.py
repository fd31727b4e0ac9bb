"""What there is on this machine, as blocks: plugins, backbones and other offers, what the cache holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from advisor.report.page.blocks import Column, Name, Table, Text
from advisor.report.page.words import counted
from advisor.units import show_duration, show_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.data.cache import CacheEntry
    from advisor.report.page.blocks import Block


class PluginRow(TypedDict):
    """A plugin, as `advisor plugins --json` prints it."""

    name: str
    distribution: str
    version: str
    status: str
    hooks: list[str]
    commands: list[str]
    reason: str


_LONGEST = 1000  # characters of a cell; here nothing is cut, since lines can be broken


def offers(title: str, rows: Sequence[Mapping[str, object]]) -> Block:
    """What plugins offer.

    Args:
        title: of what kind, in the plural.
        rows: with equal keys, which become columns.
    """
    if not rows:
        return Text(f"No {title} are installed.")
    cells = tuple(
        tuple(Name(_words(value), _LONGEST) if _words(value) else "" for value in row.values()) for row in rows
    )
    return Table("", tuple(Column(key) for key in rows[0]), cells)


def plugins(rows: Sequence[PluginRow]) -> Table:
    """Who brings what, and why somebody does not.

    Args:
        rows: one of each plugin.
    """
    return Table(
        "",
        (Column("name"), Column("from"), Column("status"), Column("offers"), Column("reason")),
        tuple(
            (Name(row["name"], _LONGEST), Name(f"{row['distribution']} {row['version']}", _LONGEST), row["status"],
             ", ".join([*(f"command {name}" for name in row["commands"]),
                        *(hook for hook in row["hooks"] if hook != "commands")]),
             Name(row["reason"], _LONGEST) if row["reason"] else "")
            for row in rows
        ),
    )  # fmt: skip


def cache(entries: Sequence[CacheEntry], where: str, now: float, freed: int | None) -> tuple[Block, ...]:
    """What the cache holds, or after clearing what is left.

    Args:
        entries: of it.
        where: its folder.
        now: seconds since the epoch.
        freed: bytes that were cleared; None where nothing was asked to be.
    """
    size = show_size(sum(entry.bytes for entry in entries))
    total = Text(f"{size} in {counted(len(entries), 'folder')} under {where}")
    if freed is not None:
        return Text(f"{show_size(freed)} freed."), total
    if not entries:
        return (total,)
    table = Table(
        "",
        (Column("kind"), Column("what"), Column("size", number=True), Column("last used")),
        tuple((entry.kind, Name(entry.what, _LONGEST), show_size(entry.bytes), _ago(now - entry.used))
              for entry in entries),
    )  # fmt: skip
    return table, total


def _ago(seconds: float) -> str:
    if seconds < 60:
        return "just now"
    days = seconds / 86400
    return f"{days:.0f} days ago" if days >= 2 else f"{show_duration(seconds)} ago"


def _words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return "" if value is None else str(value)
