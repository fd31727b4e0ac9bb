"""A table's file as columns, whatever wrote it: encodings, delimiters, JSON Lines of mixed types."""

from __future__ import annotations

import codecs
import csv as rows
import io
import json as objects
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv, json, parquet

from advisor.data.formats import is_image_name
from advisor.errors import DatasetError

if TYPE_CHECKING:
    from advisor_manifest.location import Place

_LINES = (".jsonl", ".ndjson")
_LINE = '{"path": "a.jpg", "label": "cat"}, on a line of its own for each image'
_DELIMITERS = ",;\t|"
_BLOCK = 1 << 24  # bytes; a line must not be longer
_PROBED = 50  # rows that tell the delimiter
_HEAD = 1 << 20  # bytes of them
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip


def read_table(place: Place) -> tuple[pa.Table, tuple[str, ...]]:
    """The columns of a table, those of CSV and TSV as text, so that `007` stays; and what had to be guessed.

    Raises:
        DatasetError: it is broken, empty, or has no line of column names.
    """
    file, suffix = place.file, place.file.suffix.lower()
    notes: tuple[str, ...] = ()
    try:
        if suffix in {".parquet", ".pq"}:
            table = parquet.read_table(file)
        else:
            data, notes = _utf8(place)
            _require_rows(data, place)
            table = _lines(data) if suffix in _LINES else _delimited(data, suffix)
    except (pa.ArrowException, OSError, UnicodeError, LookupError, ValueError) as error:
        raise DatasetError(
            f"`{file}` cannot be read as {suffix.lstrip('.').upper()}: {(str(error) or 'it is empty').splitlines()[0]}",
            ways=_ways(str(error)),
            hint=_LINE if suffix in _LINES else "a first line of column names, then a line per image: path,label",
        ) from error
    names = [re.sub(r"^(['\"])(.*)\1$", r"\2", name.strip("\ufeff \t\r\n")) for name in table.column_names]
    if suffix in {".csv", ".tsv"} and any(is_image_name(re.split(r"[\\/]", name)[-1]) for name in names):
        raise DatasetError(
            f"The first line of `{file}` names an image, `{names[0]}`, where the names of the columns should be.",
            ways=["write a line of column names above it"],
            hint=f"sed -i '1i {'path,label' if len(names) > 1 else 'path'}' {file}",
        )
    return table.rename_columns(names), notes


def _ways(reason: str) -> list[str]:
    """What to do about a table that cannot be read."""
    if re.search(r"Expected \d+ columns, got \d+", reason):
        return [
            "give every line as many cells as the first has",
            "put cells that hold the mark between columns in quotes",
        ]
    return ["check that it is whole, and of the format that its name says", "say its encoding: ?encoding=cp1250"]


def _require_rows(data: bytes, place: Place) -> None:
    """Refuse an empty file, and JSON that is one list.

    Raises:
        DatasetError: with what to do.
    """
    start = data[:_HEAD].strip()
    if not start:
        raise DatasetError(
            f"`{place.file}` cannot be read: it is empty.",
            ways=["write it again", "give another table"],
            hint="a row is an image: path,label",
        )
    if place.file.suffix.lower() in _LINES and start.startswith(b"["):
        raise DatasetError(
            f"`{place.file}` holds one list, where every line should be an object of its own.",
            ways=["write each object of the list on a line"],
            hint=f"jq -c '.[]' {place.file} > {place.file.with_name(f'lines{place.file.suffix}')}",
        )


def _utf8(place: Place) -> tuple[bytes, tuple[str, ...]]:
    """The text of a file in UTF-8 without a byte order mark, and what a person should know of it."""
    data = place.file.read_bytes()
    if given := place.options.get("encoding"):
        return data.decode(given).lstrip("\ufeff").encode(), ()
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :] if name == "utf-8-sig" else data.decode(name).lstrip("\ufeff").encode(), ()
    head = data[:_HEAD]
    if b"\0" in head:  # UTF-16 without a mark: every other byte of plain letters is zero
        return data.decode("utf-16-be" if head[:1] == b"\0" else "utf-16-le").encode(), ()
    try:
        data.decode()
    except UnicodeDecodeError as error:
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            raise error from None
        first = next(line for line in text.splitlines() if not line.isascii())
        guess = f"`{place.file.name}` is not in UTF-8; it was read as Windows-1252, for example `{first.strip():.60}`"
        return text.encode(), (f"{guess}; if that is wrong, name its encoding, such as ?encoding=cp1250",)
    return data, ()


def _delimited(data: bytes, suffix: str) -> pa.Table:
    if mark := re.match(rb"sep=(.)\r?\n", data):  # Excel's own line
        data, delimiter = data[mark.end() :], mark[1].decode("latin-1")
    else:
        delimiter = _delimiter(data[:_HEAD].decode(errors="ignore"), "\t" if suffix == ".tsv" else ",")
    read = csv.ReadOptions(block_size=min(_BLOCK, max(len(data), 1 << 10)) if len(data) < _BLOCK else _BLOCK)
    parse = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with csv.open_csv(pa.BufferReader(data), read_options=read, parse_options=parse) as head:
        names = head.schema.names
    convert = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    return csv.read_csv(pa.BufferReader(data), read_options=read, parse_options=parse, convert_options=convert)


def _delimiter(head: str, usual: str) -> str:
    """What stands between the columns: the mark by which all rows have as many cells as the first, and most of them."""
    best, width = usual, 1
    for mark in (usual, *(other for other in _DELIMITERS if other != usual)):
        try:
            cells = list(islice(rows.reader(io.StringIO(head, newline=""), delimiter=mark), _PROBED + 1))
        except rows.Error:
            continue
        widths = [len(row) for row in cells[:_PROBED] if row]
        whole = widths[:-1] if len(cells) <= _PROBED and len(widths) > 2 else widths  # the last may be cut
        if whole and len(set(whole)) == 1 and whole[0] > width:
            best, width = mark, whole[0]
    return best


def _lines(data: bytes) -> pa.Table:
    """JSON Lines; text that looks like a date stays text, and a column of numbers and text becomes text."""
    options = json.ReadOptions(block_size=_BLOCK)
    try:
        table = json.read_json(pa.BufferReader(data), options)
    except pa.ArrowInvalid:
        return _mixed_lines(data)
    dates = [one.name for one in table.schema if pa.types.is_temporal(one.type)]
    if not dates:
        return table
    schema = pa.schema([(name, pa.string()) for name in dates])
    parse = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer")
    return json.read_json(pa.BufferReader(data), options, parse)


def _mixed_lines(data: bytes) -> pa.Table:
    """JSON Lines in which a column holds numbers in one row and text in another: such columns become text."""
    records: list[dict[str, Any]] = []
    for number, line in enumerate(data.decode().split("\n"), 1):
        if line.strip():
            record = objects.loads(line)
            if not isinstance(record, dict):
                raise ValueError(f"line {number} is no object in braces")
            records.append(record)
    columns: dict[str, pa.Array] = {}
    for name in dict.fromkeys(name for record in records for name in record):
        cells = [record.get(name) for record in records]
        try:
            columns[name] = pa.array(cells)
        except pa.ArrowException:
            columns[name] = pa.array([cell if cell is None or isinstance(cell, str) else objects.dumps(cell)
                                      for cell in cells])  # fmt: skip
    return pa.table(columns)
