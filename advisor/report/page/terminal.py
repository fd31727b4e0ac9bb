"""A page on a terminal: the blocks that make HTML and Markdown, as text of any width.

Everything is readable without colour, and whole in a pipe. Charts are their finding and their numbers, with bars where
there is room; what a page in a browser folds away is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text as Line

from advisor.errors import printable
from advisor.report.page.blocks import (
    Bullets,
    Chart,
    Check,
    CommandLine,
    Facts,
    Fold,
    Gallery,
    Heading,
    Name,
    Pair,
    Shelf,
    Table,
    Text,
    without_isolates,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from advisor.report.page.blocks import Block, Cell, Page
    from advisor.report.page.console import Terminal

_APART = (Heading, Chart, Table, Facts, Pair)  # a blank line stands before these
_CHECK = 22  # columns before what was found
_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}
_LEAST_BAR, _MOST_BAR = 5, 30  # columns


def to_terminal(page: Page, out: Terminal) -> None:
    """Print a page: its verdict, what belongs to it, and its sections in order."""
    title = f"{page.kicker}. " if page.kicker else ""
    out.hanging(_line(title).append(_plain(page.title), "bold"), 0)
    _show_all(page.first, out)
    for section in page.sections:
        out.print()
        if section.title:
            out.hanging(_line(section.title, "bold"))
        _show_all(section.blocks, out, apart=False)
    if page.foot:
        out.print()
        out.hanging(_line(page.foot))


def show(block: Block, out: Terminal) -> None:  # noqa: C901, PLR0912 - one case for each kind of block
    """Print one block."""
    match block:
        case Text():
            out.hanging(_line(block.text))
        case Heading():
            out.hanging(_line(block.text, "bold"))
        case Bullets():
            for item in block.items:
                out.hanging(_line(f"  - {item}"))
        case Facts():
            _facts(block, out)
        case CommandLine():
            out.hanging(_line(f"{block.label}:"))
            for line in block.text.split("\n"):
                out.command(_line(f"  {line}"))
        case Table():
            if block.caption:
                out.hanging(_line(block.caption, "bold"))
            _table(block, out)
        case Chart():
            out.hanging(_line(block.title, "bold"))
            out.hanging(_line(block.finding))
            _table(block.numbers, out)
        case Pair():
            _show_all(block.blocks, out, apart=False)
        case Gallery():
            _gallery(block, out)
        case Shelf():
            out.hanging(_line(": ".join(filter(None, (block.name.short, block.note))), "bold"))
            for gallery in block.galleries:
                _gallery(gallery, out)
        case Check():
            checked = _line(f"{block.state:<8}", _STYLES.get(block.state, "")).append(
                _plain(f" {block.about:<12} "), "none"
            )
            out.hanging(checked.append(_plain(block.words), "none"), _CHECK)
            if block.advice:
                out.hanging(_line(f"{'':<{_CHECK}}do: {block.advice}"), _CHECK + 4)
        case Fold():
            pass


def _show_all(blocks: Iterable[Block], out: Terminal, *, apart: bool = True) -> None:
    for block in blocks:
        if isinstance(block, Fold):
            continue
        if apart and isinstance(block, _APART):
            out.print()
        show(block, out)
        apart = True


def _facts(block: Facts, out: Terminal) -> None:
    labels, values = (max(map(cell_len, column)) for column in ([f.label for f in block.items],
                                                               [f.value for f in block.items]))  # fmt: skip
    notes = labels + values + 6
    for fact in block.items:
        words = f"  {_padded(fact.label, labels)}  {_padded(fact.value, values)}  {fact.note}".rstrip()
        out.hanging(_line(words), notes if notes <= out.width // 2 else 4)


def _table(table: Table, out: Terminal) -> None:
    """Columns with something in them, the numbers on the right; a star for rows that stand out."""
    cells = [[_cell(cell) for cell in row] for row in table.rows]
    if table.marked:
        cells = [[f"{'*' if place in table.marked else ' '}{row[0]}", *row[1:]] for place, row in enumerate(cells)]
    kept = [place for place, column in enumerate(table.columns)
            if column.terminal and (not cells or any(row[place] for row in cells))]  # fmt: skip
    columns = [table.columns[place] for place in kept]
    rows = [[_line(row[place]) for place in kept] for row in cells]
    labels = [column.label for column in columns]
    if table.bars and (room := _room(labels, rows, out)) >= _LEAST_BAR:
        labels.append("")
        rows = [[*row, _line("#" * round(room * value))] for row, value in zip(rows, table.bars, strict=True)]
    numbers = [place for place, column in enumerate(columns) if column.number]
    out.table(labels, rows, right=numbers)
    if table.rest:
        out.hanging(_line(f"… and {table.rest:,} more; {table.where}"))


def _room(labels: list[str], rows: list[list[Line]], out: Terminal) -> int:
    """Columns that are left for bars; heads may take several lines."""
    widths = [max((cell_len(word) for word in label.split()), default=0) for label in labels]
    for row in rows:
        widths = [max(width, cell.cell_len) for width, cell in zip(widths, row, strict=True)]
    return min(_MOST_BAR, out.width - sum(widths) - 2 * len(widths))


def _gallery(gallery: Gallery, out: Terminal) -> None:
    out.hanging(_line(f"{gallery.label}:"))
    for picture in gallery.pictures:
        out.hanging(_line(f"  - {'; '.join((picture.place, *picture.lines))}"))
    if gallery.rest:
        out.hanging(_line(f"… and {gallery.rest:,} more; all with --json"))


def _cell(cell: Cell) -> str:
    """A cell; of a name what cannot be seen is written out, so that a person can find it."""
    return Name(printable(cell.text), cell.longest, cell.tail).short if isinstance(cell, Name) else cell


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _line(text: str, style: str = "") -> Line:
    return Line(_plain(text), style)


def _plain(text: str) -> str:
    """Text with nothing in it that a terminal obeys; few of them know the marks that keep names apart."""
    return printable(without_isolates(text))
