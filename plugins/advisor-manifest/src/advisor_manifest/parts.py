"""Columns that say which part an image belongs to, under whatever heading."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from advisor.data.layout.names import part_names
from advisor.errors import DatasetError, closest
from advisor.types import PARTS
from advisor_manifest.cells import distinct, flags, plain, shared, text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advisor_manifest.location import Place

HEADINGS = ("split", "subset", "partition", "set")
OTHER = frozenset(
    {"fold", "folds", "phase", "part", "usage", "data_split", "dataset", "stage", "mode", "kfold", "cv_fold"}
)
# `is_valid`, `in_test_set`, CUB's `is_training_image`
FLAG = re.compile(
    r"(?:is|in|for)_?(train|training|val|valid|validation|dev|test|testing)(?:_(?:set|image|part|split))?"
)
_FEW = 5  # things named in a message
_MOST = 50  # different cells that a column of parts may hold


def is_part_column(name: str, cells: set[str]) -> bool:
    """Whether a column looks like one of parts, by its heading or by all its cells."""
    if plain(name) in HEADINGS or plain(name) in OTHER or FLAG.fullmatch(plain(name)):
        return True
    words = cells - {""}
    parts = part_names(words) if len(words) <= _MOST else {}
    return len(parts) == len(words) and "train" in parts.values() and len(set(parts.values())) > 1


def read_parts(table: pa.Table, place: Place, taken: set[str]) -> tuple[list[str], tuple[str, ...]]:
    """The part of each row, nothing where no column says it; and what a person should know.

    Args:
        table: all columns.
        place: what was said about them.
        taken: columns that mean something else.

    Raises:
        DatasetError: a column that was named, or is called `split`, holds other words.
    """
    file, named = place.file, place.columns.get("split")
    if named == "":
        return [], ()
    known = [name for name in table.column_names if name and table.column_names.count(name) == 1]
    if named is not None and named not in known:
        raise DatasetError(
            f"`{file}` has no column `{named}`.",
            ways=[f"its columns: {', '.join(known[:40])}"],
            hint=closest(named, known) or place.command(split=""),
        )
    free = [name for name in known if name not in taken and not pa.types.is_nested(table[name].type)]
    usual = [name for heading in HEADINGS for name in free if plain(name) == heading]
    if named is not None:
        usual = [named]
    if usual:
        return _of_words(table, place, usual[0], asked=named is not None or plain(usual[0]) == "split")
    if by_flags := _of_flags(table, place, free):
        return by_flags
    for name in free:
        if pc.count_distinct(table[name]).as_py() <= _MOST and is_part_column(
            name, set(distinct(text_of(table[name], name)))
        ):
            return _of_words(table, place, name, asked=False)
    return [], ()


def _of_words(table: pa.Table, place: Place, name: str, *, asked: bool) -> tuple[list[str], tuple[str, ...]]:
    """The parts that the words of a column name; where nobody asked for it, other words only leave it unused."""
    own = FLAG.fullmatch(plain(name))
    if own and (values := flags(table[name])) is not None:
        return _flagged({PARTS[own[1]]: values}, len(table)), (f"`{name}` says the part of each image",)
    column = text_of(table[name], name)
    cells = distinct(column)
    parts = part_names(cell for cell in cells if cell)
    unknown = sorted(cell for cell in cells if cell and cell not in parts)
    if not unknown:
        notes = (
            () if plain(name) == "split" else (f"the column `{name}` says the part of each image; ?split= ignores it",)
        )
        return [parts.get(cell, "") for cell in shared(column)], notes
    shown = ", ".join(f"`{cell}`" for cell in unknown[:_FEW]) + (" …" if len(unknown) > _FEW else "")
    if asked or len(unknown) < len(cells):
        raise DatasetError(
            f"`{place.file}` has splits called {shown} in the column `{name}`.",
            ways=["known: train, val, test, or nothing", f"name another column, or none: {place.command(split='')}"],
            hint="values may be written in any case",
        )
    return [], (f"the column `{name}` holds {shown}, which name no parts; it is not used, and the parts are drawn",)


def _of_flags(table: pa.Table, place: Place, free: list[str]) -> tuple[list[str], tuple[str, ...]] | None:
    """The parts that columns such as `is_valid` and `is_test` say."""
    columns: dict[str, NDArray[np.bool_]] = {}
    names = []
    for name in free:
        match = FLAG.fullmatch(plain(name))
        part = PARTS[match[1]] if match else PARTS.get(plain(name))
        if part and (values := flags(table[name])) is not None:
            columns[part] = values | columns.get(part, np.zeros(len(table), bool))
            names.append(name)
    if not columns:
        return None
    both = np.sum(list(columns.values()), axis=0) > 1
    if both.any():
        raise DatasetError(
            f"{int(both.sum())} rows of `{place.file}` are in two parts: {', '.join(f'`{name}`' for name in names)}.",
            ways=["decide on one"],
            hint=place.command(split=""),
        )
    words = " and ".join(f"`{name}`" for name in names)
    return _flagged(columns, len(table)), (
        f"{words} {'says' if len(names) == 1 else 'say'} the part of each image; ?split= ignores it",
    )


def _flagged(columns: dict[str, NDArray[np.bool_]], rows: int) -> list[str]:
    """Parts by columns of yes and no; a row without a yes is trained on, or, where `train` was asked alone, tested."""
    rest = "test" if set(columns) == {"train"} else "train" if "train" not in columns else ""
    parts = np.full(rows, rest, object)
    for part, values in columns.items():
        parts[values] = part
    return [str(part) for part in parts]
