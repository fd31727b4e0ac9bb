"""Text and tables that fit any width: lines break between words, tables that would not fit become lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import JustifyMethod

    _Given = Any  # an option of rich's, which declares each

_MOST_FOLDS = 3  # lines that a table's rows may take on average; more read better as a list


class Terminal(Console):
    """A rich console whose long lines go on below their own beginning.

    Args:
        wraps: whether lines are broken at all; a pipe gets them whole.
        values: those of `rich.console.Console`.
    """

    def __init__(self, *, wraps: bool, **values: _Given) -> None:
        super().__init__(**values)
        self._wraps = wraps

    def print(self, *objects: object, **options: _Given) -> None:
        """Print; a single string is markup and is broken between words."""
        if not self._wraps or options or len(objects) != 1 or not isinstance(objects[0], str):
            super().print(*objects, **options)
            return
        for line in objects[0].split("\n"):
            self.hanging(line)

    def hanging(self, line: str | Text, hang: int | None = None) -> None:
        """Print one line, which goes on `hang` columns in; by default under the beginning of its words."""
        text = _text(line)
        super().print(_broken(text, self, hang) if self._wraps else text, soft_wrap=True)

    def command(self, line: str | Text) -> None:
        """Print a line that is to be copied whole."""
        super().print(line, soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str | Text]], *, right: Sequence[int] = ()) -> None:
        """Print a table or, where it would not fit, each row as a list of what stands in its columns.

        Args:
            columns: their names.
            rows: markup or text, a cell per column.
            right: places of columns whose cells stand on the right.
        """
        table = Table(box=None, pad_edge=False, header_style="bold")
        names = max((_text(row[0]).cell_len for row in rows), default=0)
        for place, column in enumerate(columns):
            # Short names of rows stay whole; other columns give way.
            whole = place == 0 and names <= self.width // 3
            side: JustifyMethod = "right" if place in right else "left"
            table.add_column(column, justify=side, overflow="fold", no_wrap=whole)
        for row in rows:
            table.add_row(*row)
        least = Measurement.get(self, self.options.update(max_width=10_000), table).minimum
        lines = [] if least > self.width else self.render_lines(table, self.options, pad=False)
        if not lines or len(lines) - 1 > _MOST_FOLDS * len(rows):
            self._list(columns, rows)
            return
        for line in lines:
            text = Text.assemble(*((part.text, part.style or "") for part in line))
            text.rstrip()
            super().print(text, soft_wrap=True)

    def _list(self, columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
        width = max(map(len, columns[1:]), default=0)
        for first, *rest in rows:
            head = _text(first).copy()
            head.stylize("bold")
            self.hanging(head)
            for name, value in zip(columns[1:], rest, strict=True):
                if value:
                    text = Text(f"  {name:<{width}}  ") + _text(value)
                    super().print(_broken(text, self, width + 4), soft_wrap=True)


def _text(line: str | Text) -> Text:
    return Text.from_markup(line, emoji=False) if isinstance(line, str) else line


def _broken(text: Text, console: Console, hang: int | None = None) -> Text:
    """A line that goes on under the beginning of its words, or `hang` columns in."""
    if text.cell_len <= console.width:
        return text
    start = len(text.plain) - len(text.plain.lstrip())
    start += 2 * text.plain.startswith("- ", start)
    start = start if hang is None else hang
    prefix, body = text[:start], text[start:]
    room, breaks = max(20, console.width - start), []
    taken = len(body.plain) - len(body.plain.lstrip())
    for word in re.finditer(r"\S+\s*", body.plain):
        # Longer words, such as paths, stay whole: the terminal breaks them, and they can be copied.
        if taken and taken + cell_len(word[0].rstrip()) > room:
            breaks.append(word.start())
            taken = 0
        taken += cell_len(word[0])
    lines = body.divide(breaks)
    for line in lines:
        line.rstrip()
    return prefix + Text("\n" + " " * start).join(lines)
