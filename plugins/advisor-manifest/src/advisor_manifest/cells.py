"""Cells of a table as text, and as numbers of yes and no."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from advisor.errors import DatasetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

YES, NO = (
    frozenset({"1", "1.0", "true", "yes", "t", "y"}),
    frozenset({"0", "0.0", "false", "no", "f", "n", "", "-1", "-1.0"}),
)
_ZERO = frozenset({"0", "0.0"})
_MINUS = frozenset({"-1", "-1.0"})
_MOST = 16  # different cells that a column of yes and no may hold; more are not compared


def text_of(column: pa.ChunkedArray, name: str = "") -> pa.ChunkedArray:
    """A column as text without blanks at its ends and quotes around all cells; nothing is the empty text.

    Raises:
        DatasetError: it holds lists, structures or bytes.
    """
    if pa.types.is_nested(column.type):
        raise DatasetError(
            f"The column `{name}` holds lists or structures; one path, split and group an image is understood.",
            ways=["name another column behind a `?`"],
            hint="photos.parquet?group=camera",
        )
    try:
        if pa.types.is_floating(column.type):  # pandas writes a missing label as NaN
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        text = pc.utf8_trim_whitespace(pc.fill_null(pc.cast(column, pa.string()), ""))
    except pa.ArrowException as error:
        raise DatasetError(
            f"The column `{name}` of type {column.type} is no text: {str(error).splitlines()[0]}",
            ways=["write it as text, in UTF-8", "name another column behind a `?`"],
            hint="photos.parquet?label=species",
        ) from error
    for quote in "'\"":
        if len(text) and pc.all(pc.match_substring_regex(text, f"^{quote}.*{quote}$")).as_py():
            return pc.replace_substring_regex(text, f"^{quote}(.*){quote}$", r"\1")
    return text


def distinct(column: pa.ChunkedArray) -> list[str]:
    """The different texts of a column, in the order of their first row."""
    cells: list[str] = pc.unique(column).to_pylist()
    return cells


def shared(column: pa.ChunkedArray) -> list[str]:
    """A list in which equal texts are one object: a million labels of ten classes cost a million pointers."""
    encoded = column.combine_chunks().dictionary_encode()
    words: list[str] = encoded.dictionary.to_pylist()
    return [words[index] for index in encoded.indices.to_pylist()]


def is_unsure(column: pa.ChunkedArray) -> bool:
    """Whether a column holds ones and zeros and a -1 for what is not known, as tables of findings do."""
    if pa.types.is_nested(column.type) or pc.count_distinct(column).as_py() > _MOST:
        return False
    try:
        values = {cell.lower() for cell in distinct(text_of(column))}
    except DatasetError:
        return False
    return values <= YES | NO and bool(values & _MINUS) and flags(column) is None


def flags(column: pa.ChunkedArray) -> NDArray[np.bool_] | None:
    """(rows,) of a column of ones and zeros, or other words for yes and no; None where it holds anything else.

    A column of zeros alone, or of ones alone, is one, too: a class may have no image. -1 is a no where there is no 0.
    """
    if pa.types.is_nested(column.type) or pa.types.is_temporal(column.type):
        return None
    if pc.count_distinct(column).as_py() > _MOST:
        return None
    try:
        cells = pc.utf8_lower(text_of(column))
    except DatasetError:
        return None
    values = set(distinct(cells))
    if not values <= YES | NO or values == {""} or (values & _MINUS and values & (_ZERO | {""})):
        return None
    return np.asarray(pc.is_in(cells, pa.array(sorted(YES))).to_numpy(zero_copy_only=False))


def plain(name: str) -> str:
    """A column's name as names are compared: lower case, words between `_`."""
    return re.sub(r"[\s\-./]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())).lower()


def is_index(name: str) -> bool:
    """Whether a column is called as the numbers of rows are that pandas writes."""
    return not name or plain(name).startswith(("unnamed", "index"))
