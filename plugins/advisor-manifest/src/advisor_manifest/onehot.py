"""Columns of ones and zeros, one for each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from advisor.errors import DatasetError, closest
from advisor_manifest.cells import flags, is_index, is_unsure, plain
from advisor_manifest.parts import FLAG, HEADINGS, OTHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from advisor_manifest.location import Place

_NAMED = 8  # columns named in a message


def runs_of(table: pa.Table, taken: set[str]) -> list[tuple[str, ...]]:
    """Neighbouring columns of ones and zeros, at least two: a column for each class."""
    runs: list[list[str]] = [[]]
    for name in table.column_names:
        own = plain(name)
        part = FLAG.fullmatch(own) or own in HEADINGS or own in OTHER
        if (
            name not in taken
            and not part
            and not is_index(name)
            and table.column_names.count(name) == 1
            and flags(table[name]) is not None
        ):
            runs[-1].append(name)
        elif name not in taken:
            runs.append([])
    return [tuple(run) for run in runs if len(run) > 1 and _any_yes(table, run)]


def whole_run(table: pa.Table, runs: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The only run, where all of it is plainly the classes; else nothing.

    Where fewer of its columns would give every row exactly one, such as without a first one called `sex`, it is not.
    """
    return runs[0] if len(runs) == 1 and (_exact(table, runs[0]) or not inner_run(table, runs[0])) else ()


def inner_run(table: pa.Table, run: tuple[str, ...]) -> tuple[str, ...]:
    """The longest beginning or end of a run, at least three columns, that has one 1 in every row; or nothing."""
    longest: tuple[str, ...] = ()
    for names in (run, run[::-1]):
        total = np.zeros(len(table), np.int64)
        for count, name in enumerate(names[:-1], 1):
            own = flags(table[name])
            if own is not None:
                total += own
            if count > max(2, len(longest)) and (total == 1).all():
                longest = tuple(one for one in run if one in names[:count])
    return longest


def _any_yes(table: pa.Table, run: Sequence[str]) -> bool:
    return any(own.any() for name in run if (own := flags(table[name])) is not None)


def _exact(table: pa.Table, run: Sequence[str]) -> bool:
    """Whether every row has its one in exactly one of these columns."""
    total = np.zeros(len(table), np.int64)
    for name in run:
        own = flags(table[name])
        if own is not None:
            total += own
    return bool(len(total)) and bool((total == 1).all())


def refuse_one_of_many(table: pa.Table, place: Place, label: str, runs: list[tuple[str, ...]]) -> None:
    """A class named as the label would be profiled as the classes 0 and 1."""
    for run in runs:
        if label in run and _exact(table, run):
            shown = ", ".join(f"`{name}`" for name in run[:_NAMED]) + (" …" if len(run) > _NAMED else "")
            asked = {word: value for word, value in place.columns.items() if word != "label"}
            again = type(place)(place.file, asked, place.options)
            raise DatasetError(
                f"`{label}` is one of {len(run)} columns of ones and zeros that say the class together: {shown}.",
                ways=["leave `label` out, and each of these columns is a class",
                      f"for `{label}` against all others, write a column of two names"],
                hint=f"{again.command(classes=','.join(run)) if len(run) <= _NAMED else again.command()}",
            )  # fmt: skip


def refuse_unsure(table: pa.Table, place: Place, taken: set[str]) -> None:
    """Refuse columns of ones and zeros in which a -1 stands beside zeros or empty cells.

    Raises:
        DatasetError: with their names.
    """
    free = [name for name in table.column_names if name not in taken and table.column_names.count(name) == 1]
    unsure = [name for name in free if is_unsure(table[name])]
    if unsure:
        shown = ", ".join(f"`{name}`" for name in unsure[:_NAMED]) + (" …" if len(unsure) > _NAMED else "")
        raise DatasetError(
            f"The columns {shown} of `{place.file}` hold ones, zeros or nothing, and -1: neither a yes nor a no.",
            ways=["write 1 or 0 for each -1", "name a column of labels: ?label=…"],
            hint="a column of ones and zeros is a class",
        )


def named_classes(table: pa.Table, place: Place) -> tuple[str, ...]:
    """The columns that were named as classes, each of ones and zeros."""
    names = tuple(name.strip() for name in place.columns["classes"].split(",") if name.strip())
    for name in names:
        if table.column_names.count(name) != 1 or flags(table[name]) is None:
            there = "is" if name in table.column_names else "is not there, or is"
            raise DatasetError(
                f"The column `{name}` of `{place.file}` {there} no column of ones and zeros.",
                ways=[
                    f"its columns: {', '.join(table.column_names[:40])}",
                    "ones and zeros, true and false, or 1 and -1",
                ],
                hint=closest(name, table.column_names) or "photos.csv?classes=cat,dog,owl",
            )
    if len(names) < 2:
        raise DatasetError("One column makes no classes.", hint="photos.csv?classes=cat,dog,owl")
    return names


def one_hot(table: pa.Table, columns: tuple[str, ...], file_name: str) -> tuple[list[str] | list[tuple[str, ...]], str]:
    """The labels that columns of ones and zeros say, and a sentence on how they were read.

    Returns:
        One class for each row where each has exactly one 1; else a tuple of them for each.
    """
    truth = np.stack([own for name in columns if (own := flags(table[name])) is not None], axis=1)
    counts = truth.sum(1)
    shown = ", ".join(columns[:_NAMED]) + (" …" if len(columns) > _NAMED else "")
    start = f"each of the {len(columns)} columns of ones and zeros of {file_name} is a class ({shown})"
    if len(counts) and (counts == 1).all():
        return [columns[index] for index in truth.argmax(1)], f"{start}; every image has one"
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    rows = [tuple(columns[index] for index in np.flatnonzero(row)) for row in truth]
    several, none = int((counts > 1).sum()), int((counts == 0).sum())
    return [known.setdefault(row, row) for row in rows], (
        f"{start}; an image may have several or none: {several} rows have several, {none} have none"
    )
