"""How results look in a notebook: small HTML without colours of its own, so that it suits light and dark pages."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from advisor.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Notebooks strip style sheets of pages that they do not trust, and keep these.
_BOX = "max-width:60em;line-height:1.45;overflow-wrap:anywhere"
_CELL = "padding:.15em 1em .15em 0;text-align:left;color:inherit;background:none"


def text(value: object) -> str:
    """What a person wrote, as HTML that shows it and does nothing else."""
    return escape(printable(str(value)))


def card(title: str, *parts: str) -> str:
    """A headline and what belongs below it.

    Args:
        title: plain text.
        parts: HTML; empty ones are left out.
    """
    return f'<div style="{_BOX}"><p><strong>{text(title)}</strong></p>{"".join(parts)}</div>'


def paragraph(line: str) -> str:
    """A paragraph of plain text; nothing of nothing."""
    return f"<p>{text(line)}</p>" if line else ""


def bullets(lines: Iterable[str]) -> str:
    """A list of plain texts."""
    return f"<ul>{''.join(f'<li>{text(line)}</li>' for line in lines)}</ul>"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, strong: int = -1) -> str:
    """A table of plain texts.

    Args:
        columns: their names.
        rows: a cell per column; the first is the row's name.
        strong: the row that matters most, from 0; none below 0.
    """
    head = "".join(f'<th scope="col" style="{_CELL}">{text(column)}</th>' for column in columns)
    body = []
    for number, (name, *cells) in enumerate(rows):
        weight = "bold" if number == strong else "normal"
        first = f'<th scope="row" style="{_CELL};font-weight:{weight}">{text(name)}</th>'
        rest = "".join(f'<td style="{_CELL};font-weight:{weight}">{text(cell)}</td>' for cell in cells)
        body.append(f"<tr>{first}{rest}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
