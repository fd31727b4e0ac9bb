"""Predictions as files: CSV, JSON Lines, Parquet."""

from __future__ import annotations

import csv
import json
import re
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, TextIO

from advisor.errors import UsageError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from advisor.outcome.predict import Predicted

FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_NO_TEXT = re.compile("[\ud800-\udfff]")  # bytes of a file's name that are no text; Parquet holds text alone
TEXTS = ("csv", "tsv", "jsonl")  # those that can go to a pipe


def format_of(file: Path) -> str:
    """The format that a file's name asks for.

    Raises:
        UsageError: it ends in nothing known, or what writes it is not installed.
    """
    kind = FORMATS.get(file.suffix.lower())
    if kind is None:
        raise UsageError(
            f"`{file}` does not end in a known format.",
            ways=[f"known: {', '.join(FORMATS)}"],
            hint=f"-o {file.with_suffix('.csv')}",
        )
    if kind == "parquet" and find_spec("pyarrow") is None:
        raise UsageError(
            "Parquet is written by pyarrow, which is not installed.",
            ways=["install it: pip install pyarrow", "write CSV or JSON Lines"],
            hint=f"-o {file.with_suffix('.csv')}",
        )
    return kind


@contextmanager
def writing(file: Path, classes: Sequence[str], top: int) -> Iterator[Callable[[Predicted], None]]:
    """Write predictions to a file as they come; what is done stays there if the rest is not.

    Args:
        file: its name says the format; what stood in it goes.
        classes: of the model.
        top: labels per image.
    """
    kind = format_of(file)
    if kind == "parquet":
        rows: list[Predicted] = []
        try:
            yield rows.append
        finally:
            _write_parquet(file, rows, classes, top)
        return
    # A file's name may hold bytes that are no text; it goes out as it came in.
    with file.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        yield text_writer(stream, kind, classes, top)


def text_writer(stream: TextIO, kind: str, classes: Sequence[str], top: int) -> Callable[[Predicted], None]:
    """What writes one prediction after the other to a stream.

    Args:
        stream: to write to.
        kind: one of `TEXTS`.
        classes: of the model.
        top: labels per image.
    """
    if kind == "jsonl":

        def line(row: Predicted) -> None:
            stream.write(json.dumps(row.to_dict(classes, top), ensure_ascii=False) + "\n")

        return line
    table = csv.writer(stream, delimiter="\t" if kind == "tsv" else ",", lineterminator="\n")
    names = _columns(min(top, len(classes)))
    table.writerow(names)
    return lambda row: table.writerow([_shown(value) for value in _cells(row, classes, top, len(names))])


def _columns(top: int) -> list[str]:
    more = [name for rank in range(2, top + 1) for name in (f"label_{rank}", f"probability_{rank}")]
    return ["path", "label", "probability", "error", *more]


def _cells(row: Predicted, classes: Sequence[str], top: int, width: int) -> list[object]:
    """What stands in a row; the first of the likeliest labels is `label`, or would be were it likely enough."""
    first = None if row.error else row.probability
    more = [value for pair in row.top(classes, top)[1:] for value in pair]
    return [row.path, row.label, first, row.error, *more, *[None] * (width - 4 - len(more))]


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _write_parquet(file: Path, rows: Sequence[Predicted], classes: Sequence[str], top: int) -> None:
    import pandas as pd

    names = _columns(min(top, len(classes)))
    cells = [_cells(row, classes, top, len(names)) for row in rows]
    for row, own in zip(rows, cells, strict=True):
        own[0] = printable(row.path) if _NO_TEXT.search(row.path) else row.path
    pd.DataFrame(cells, columns=names).to_parquet(file, index=False)
