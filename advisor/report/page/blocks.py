"""What a page is made of. Sections say what; `documents` turns them into HTML or Markdown, `terminal` prints them.

Texts are plain: nothing in them is markup, whatever a class or a file is called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_NAME = 40  # characters; the rest is in the title
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# Marks that change the direction of what follows; a name must not reach beyond itself.
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ISOLATE, _END = "\u2068", "\u2069"  # first strong isolate, pop directional isolate


@dataclass(frozen=True)
class Name:
    """A name that somebody else has chosen: a class, a file, a layer.

    Attributes:
        text: the name, of any length, in any script.
        longest: characters that are shown.
        tail: whether its end tells more than its beginning, as with paths.
    """

    text: str
    longest: int = LONGEST_NAME
    tail: bool = False

    @property
    def full(self) -> str:
        """All of it on one line, without what cannot be seen."""
        return _DIRECTIONS.sub("", _UNSEEN.sub(" ", self.text)).strip() or "(no name)"

    @property
    def short(self) -> str:
        """As much of it as is shown."""
        full = self.full
        if len(full) <= self.longest:
            return full
        return f"…{full[1 - self.longest :]}" if self.tail else f"{full[: self.longest - 1]}…"

    @property
    def cut(self) -> bool:
        """Whether more is in it than is shown."""
        return self.short != self.full


def said(name: str, longest: int = LONGEST_NAME, *, tail: bool = False) -> str:
    """A name within a sentence, kept from turning the sentence's direction."""
    return f"{_ISOLATE}{Name(name, longest, tail).short}{_END}"


def without_isolates(text: str) -> str:
    """A sentence without the marks that `said` puts around names."""
    return text.replace(_ISOLATE, "").replace(_END, "")


Cell = str | Name


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: one or more sentences.
        tone: `plain`, `lead` (large), or `note` (set apart).
    """

    kind: ClassVar = "text"
    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    kind: ClassVar = "bullets"
    items: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """A figure that stands out.

    Attributes:
        label: what it is.
        value: the figure.
        note: what belongs to it, such as an interval.
    """

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Facts:
    """A row of figures that stand out."""

    kind: ClassVar = "facts"
    items: tuple[Fact, ...]


@dataclass(frozen=True)
class CommandLine:
    """What to type next.

    Attributes:
        label: what it does.
        text: the command.
    """

    kind: ClassVar = "command"
    label: str
    text: str


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        label: its head.
        number: whether it holds numbers, which are aligned.
        wide: whether its text may take several lines.
        terminal: whether the terminal, which is narrow, shows it too.
    """

    label: str
    number: bool = False
    wide: bool = False
    terminal: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Attributes:
        caption: what it shows.
        columns: from the left.
        rows: as many cells each as there are columns.
        rest: rows that are left out.
        where: where those are to be found.
        marked: rows to stand out; what they stand out for is in their words too.
        bars: a value of 0..1 for each row, which the terminal draws as a bar; none by default.
    """

    kind: ClassVar = "table"
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    rest: int = 0
    where: str = "all with --json"
    marked: frozenset[int] = frozenset()
    bars: tuple[float, ...] = ()

    def first(self, rows: int) -> Table:
        """Only so many rows; the others are counted."""
        left_out = max(0, len(self.rows) - rows)
        return replace(self, rows=self.rows[:rows], bars=self.bars[:rows], rest=self.rest + left_out)


@dataclass(frozen=True)
class Fold:
    """A table that is opened when it is wanted.

    Attributes:
        summary: what is in it.
        table: shown then.
    """

    kind: ClassVar = "fold"
    summary: str
    table: Table


@dataclass(frozen=True)
class Chart:
    """A chart with its finding in words and its numbers in a table, which say the same where nothing is drawn.

    Attributes:
        title: what it shows.
        finding: what is to be seen in it, for those who do not see it, too.
        key: what its marks mean; said only where they are drawn.
        draw: makes its specification of Vega-Lite; called only where it is drawn, since that takes time.
        numbers: what is drawn.
    """

    kind: ClassVar = "chart"
    title: str
    finding: str
    draw: Callable[[], dict[str, object]] = field(repr=False, compare=False)
    numbers: Table
    key: str = ""

    @cached_property
    def spec(self) -> dict[str, object]:
        """Its specification of Vega-Lite, drawn once."""
        return self.draw()

    @property
    def caption(self) -> str:
        """Finding and key."""
        return f"{self.finding} {self.key}".strip()


@dataclass(frozen=True)
class Pair:
    """Two blocks beside each other where there is room."""

    kind: ClassVar = "pair"
    blocks: tuple[Block, Block]


@dataclass(frozen=True)
class Picture:
    """An image of the dataset.

    Attributes:
        path: its identifier.
        alt: what it is, in words.
        data: a data URI; empty where it cannot be shown.
        width: pixels; 0 where it cannot be shown.
        height: likewise.
        flaw: why it cannot be shown.
        lines: of its caption, under the path.
    """

    path: str
    alt: str
    data: str = field(repr=False)
    width: int
    height: int
    flaw: str = ""
    lines: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The whole path."""
        return Name(self.path).full

    @property
    def name(self) -> Name:
        """The file's name, or the end of a long one."""
        return Name(self.path.replace("\\", "/").rstrip("/").rpartition("/")[2] or self.path, longest=16, tail=True)


@dataclass(frozen=True)
class Gallery:
    """Pictures in a row.

    Attributes:
        label: what they have in common.
        pictures: to be shown.
        rest: such pictures that are left out.
    """

    kind: ClassVar = "gallery"
    label: str
    pictures: tuple[Picture, ...]
    rest: int = 0


@dataclass(frozen=True)
class Shelf:
    """Galleries under the name of a class or of a group.

    Attributes:
        name: of it.
        note: about it.
        galleries: beside each other where there is room.
    """

    kind: ClassVar = "shelf"
    name: Name
    note: str
    galleries: tuple[Gallery, ...]


@dataclass(frozen=True)
class Heading:
    """A heading within a section.

    Attributes:
        text: of it.
        level: 3, or 2 under the page's own heading.
    """

    kind: ClassVar = "heading"
    text: str
    level: int = 3


@dataclass(frozen=True)
class Check:
    """Something that was looked at.

    Attributes:
        state: `ok`, `note` or `problem`.
        about: what was looked at.
        words: what was found.
        advice: what to do, or the empty string.
    """

    kind: ClassVar = "check"
    state: str
    about: str
    words: str
    advice: str = ""


Block = Text | Bullets | Facts | CommandLine | Table | Fold | Chart | Pair | Gallery | Shelf | Heading | Check


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        key: of its address within the page: letters.
        title: its heading.
        short: its heading in the list of contents.
        blocks: in order.
    """

    key: str
    title: str
    short: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """A whole report.

    Attributes:
        about: what kind of page it is, to stand before the subject: `Advice for`.
        subject: what it is about, such as the dataset.
        kicker: the line over the heading.
        title: the heading: the verdict in one sentence.
        first: what is to be seen before anything is scrolled.
        sections: what follows.
        foot: how it came about; empty where it goes without saying.
    """

    about: str
    subject: Name
    kicker: str
    title: str
    first: tuple[Block, ...]
    sections: tuple[Section, ...]
    foot: str = ""
