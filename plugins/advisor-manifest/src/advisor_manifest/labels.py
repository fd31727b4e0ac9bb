"""Cells as labels: several in a cell, the same label written in two ways, missing ones that look like a class."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa

from advisor.errors import DatasetError
from advisor_manifest.cells import distinct, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor_manifest.location import Place

_NUMBER = re.compile(r"[-+]?\d+(\.0*)?")
_MARKS = ("|", ";", ",")  # between several labels in a cell; the first that occurs in the column
_MISSING = frozenset({"nan", "na", "n/a", "#n/a", "<na>", "null", "none", "nil", "?", "-", "--"})


def marks_in(cells: Sequence[str], *, plural: bool) -> str:
    """What most probably stands between several labels in some different cells; empty where each is one label.

    A mark is one where the words that it parts come back in other cells, as tags do and names of classes do not.

    Args:
        cells: different ones.
        plural: whether the column is called as one of several labels is.
    """
    for mark in (*_MARKS, " "):
        words = [set(filter(None, map(str.strip, cell.split(mark)))) for cell in cells]
        if not any(len(own) > 1 for own in words):
            continue
        counts = Counter(word for own in words for word in own)
        several = [own for own in words if len(own) > 1]
        come_back = any(counts[word] > 1 for own in several for word in own)
        numbers = all(re.fullmatch(r"\d+", word) for word in counts)
        fewer = len(counts) < len([own for own in words if own])  # than cells: they are put together in many ways
        turned = len({frozenset(own) for own in several}) < len(several)
        sure = numbers or turned or (fewer and (plural or 1.5 * len(counts) < len(words)))
        if mark in "|;":
            sure = sure or come_back
        elif plural:
            sure = sure or (come_back and mark == ",")
        if sure:
            return mark
    return ""


def is_one_of_many(cells: Sequence[str]) -> bool:
    """Whether blanks in a column of several labels leave open what a cell is: one name, or several."""
    return any(" " in cell for cell in cells)


def tags_of(column: pa.ChunkedArray, place: Place, name: str) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """The labels of each row: a list, or text between separators; equal ones are one object. And what was assumed.

    Raises:
        DatasetError: blanks may separate labels, or stand in their names.
    """
    notes: tuple[str, ...] = ()
    if pa.types.is_list(column.type):
        cells = column.to_pylist()
    else:
        text = text_of(column, name)
        unlike = distinct(text)
        mark = place.separator
        if mark and not mark.isspace() and not any(mark in cell for cell in unlike) and mark == "+":
            mark = " "  # as a URL writes a blank
        if not mark:
            mark = next((one for one in _MARKS if any(one in cell for cell in unlike)), "")
        if not mark and is_one_of_many(unlike) and "label" not in place.columns:
            if marks_in(unlike, plural=True) != " ":
                example = next(cell for cell in unlike if " " in cell)
                raise DatasetError(
                    f"Cells of the column `{name}` hold blanks, such as `{example:.60}`: one label or several?",
                    ways=[f"several: {place.command(labels=name, separator='blank')}",
                          f"one: {place.command(label=name)}"],
                    hint=place.command(labels=name, separator="blank"),
                )  # fmt: skip
            mark = " "
            notes = (f"blanks separate the labels of `{name}`; ?label={name} reads each cell as one",)
        split = {cell: cell.split(mark or _MARKS[0]) for cell in unlike}
        cells = [split[cell] for cell in text.to_pylist()]
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    rows = ((str(label).strip() for label in cell or () if label is not None) for cell in cells)
    return [known.setdefault(own, own) for own in (tuple(dict.fromkeys(filter(None, row))) for row in rows)], notes


def require_one(cells: Sequence[str], place: Place, name: str) -> None:
    """Refuse a column of one label each whose cells look like several.

    Raises:
        DatasetError: with both readings.
    """
    mark = marks_in(cells, plural=False)
    if not mark or "label" in place.columns:
        return
    word = {" ": "blank"}.get(mark, mark)
    example = next(cell for cell in cells if mark in cell)
    raise DatasetError(
        f"Cells of the column `{name}` of `{place.file}` look like several labels each, such as `{example:.60}`.",
        ways=[f"several: {place.command(labels=name, separator=word)}", f"one each: {place.command(label=name)}"],
        hint=place.command(labels=name, separator=word),
    )


def names_beside(table: pa.Table, place: Place, label: str, taken: set[str]) -> str:
    """A sentence where labels are numbers and another column holds a name for each of them; empty elsewhere.

    Args:
        table: all columns.
        place: what was said about them; nothing is said where the column was named there.
        label: the column of labels.
        taken: columns that mean something else.
    """
    text = text_of(table[label], label)
    numbers = distinct(text)
    if "label" in place.columns or len(numbers) == len(text) or not all(_NUMBER.fullmatch(one) for one in numbers):
        return ""
    for name in dict.fromkeys(table.column_names):
        if name in {label, "", *taken} or table.column_names.count(name) > 1 or pa.types.is_nested(table[name].type):
            continue
        try:
            names = text_of(table[name], name)
        except DatasetError:
            continue  # bytes, and what else is no text
        words = distinct(names)
        if len(words) != len(numbers) or any(_NUMBER.fullmatch(one) or not one for one in words):
            continue
        pairs = pa.table({"number": text, "name": names}).group_by(["number", "name"]).aggregate([])
        if len(pairs) == len(numbers):
            example = f"`{names[0].as_py():.60}` for `{text[0].as_py()}`"
            return (
                f"the labels in `{label}` are numbers, and `{name}` has a name for each, such as {example}; "
                f"{place.command(label=name)} reads the names"
            )
    return ""


def what_may_be_missing(counts: Counter[str]) -> tuple[str, ...]:
    """A sentence for each label that often means that there is none."""
    return tuple(
        f"{counts[label]} rows have the label `{label}`, which is read as a class of this name; if it means that there "
        "is no label, take these rows out"
        for label in sorted(counts)
        if label.lower() in _MISSING
    )
