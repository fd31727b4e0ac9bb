"""From a table to a listing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, json, parquet

from advisor.errors import DatasetError, closest
from advisor.types import PARTS, Listing
from advisor_manifest.location import MEANINGS, parse_location

if TYPE_CHECKING:
    from pathlib import Path

    from advisor_manifest.location import Place

_USUAL = {
    "path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path"),
    "label": ("label", "class", "class_name", "category", "target", "species"),
    "labels": ("labels", "tags", "categories", "classes", "keywords"),
    "split": ("split", "subset", "partition", "set"),
    "group": ("group", "group_id", "patient", "patient_id", "subject", "subject_id"),
}
_SEPARATORS = ("|", ";", ",")  # of several labels in a cell; the first that occurs in the column
_BLOCK = 1 << 24  # bytes; a line must not be longer
_FEW = 5  # things named in a message


def read_manifest(location: str) -> Listing:
    """List the images that a table names; none is read, and whether they are there is found out when they are.

    Args:
        location: a table, a folder that holds one, with the columns named behind a `?` where they are unusual.

    Raises:
        UsageError: there is no table at this location.
        DatasetError: the table is broken, a column is missing, or rows contradict each other.
    """
    place = parse_location(location)
    table = _read(place.file)
    twice = sorted(name for name, count in Counter(table.column_names).items() if count > 1)
    if twice:
        raise DatasetError(
            f"`{place.file}` has several columns called {', '.join(f'`{name}`' for name in twice[:_FEW])}.",
            ways=["rename all but one of each"],
            hint="path,label,split,group",
        )
    names = _columns(table, place)
    text = {meaning: _text(table[name]) for meaning, name in names.items() if meaning != "labels"}
    text["path"] = pc.replace_substring_regex(text["path"], r"^(\./)+", "")  # one image, however it is written
    if not len(table):
        raise DatasetError(f"`{place.file}` has no rows.", hint="a row is an image: path,label")
    for meaning in {"path", "label"} & set(text):
        _require_filled(text[meaning], meaning, names[meaning], place.file)
    keep = _once(text, place.file)
    labels: list[str] | list[tuple[str, ...]]
    if "labels" in names:
        labels = tagged = _merged(text["path"], _tags(table[names["labels"]], place.separator), keep)
        if "labels" not in place.columns and all(len(own) == 1 for own in tagged):
            labels = [label for (label,) in tagged]  # nothing says that it could be otherwise
    else:
        labels = _shared(text["label"] if keep is None else text["label"].take(keep))
    if keep is not None:
        text = {meaning: column.take(keep) for meaning, column in text.items()}
    folder = place.file.parent
    return Listing(
        name=folder.resolve().name
        if place.file.stem.lower() in {"metadata", "labels", "manifest"}
        else place.file.stem,
        paths=text["path"].to_pylist(),
        labels=labels,
        splits=_splits(text["split"], place.file) if "split" in text else (),
        groups=_shared(text["group"]) if "group" in text else (),
        read=lambda path: (folder / path).read_bytes(),
    )


def _columns(table: pa.Table, place: Place) -> dict[str, str]:
    """Which column means what: `path`, `label` or `labels`, and those of `split` and `group` that there are."""
    file, named = place.file, place.columns
    plural = "labels" in named or not ("label" in named or _usual(table, "label") or not _usual(table, "labels"))
    wanted = [meaning for meaning in MEANINGS if meaning != ("label" if plural else "labels")]
    found = {meaning: _column(table, meaning, named.get(meaning), file) for meaning in wanted}
    found = {meaning: name for meaning, name in found.items() if name}
    if "label" in found and pa.types.is_list(table[found["label"]].type):
        found["labels"] = found.pop("label")
    return found


def _require_filled(column: pa.ChunkedArray, meaning: str, name: str, file: Path) -> None:
    empty = pc.sum(pc.equal(column, "")).as_py()
    if empty:
        first = pc.index(column, "").as_py() + 1
        raise DatasetError(
            f"{empty} of {len(column)} rows of `{file}` have no {meaning}, the first of them row {first}.",
            ways=["fill them in, or take these rows out"],
            hint=f"the column is `{name}`",
        )


def _read(file: Path) -> pa.Table:
    """All columns of CSV and TSV as text, so that `007` stays; the others as they are."""
    suffix = file.suffix.lower()
    try:
        if suffix in {".parquet", ".pq"}:
            return parquet.read_table(file)
        if suffix in {".jsonl", ".ndjson"}:
            return _read_lines(file)
        parse = csv.ParseOptions(delimiter="\t" if suffix == ".tsv" else ",", newlines_in_values=True)
        with csv.open_csv(file, parse_options=parse) as head:
            names = head.schema.names
        convert = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        return csv.read_csv(file, parse_options=parse, convert_options=convert)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"`{file}` cannot be read as {suffix.lstrip('.').upper()}: {str(error).splitlines()[0]}",
            ways=["check that it is whole, in UTF-8, and of the format that its name says"],
            hint="a first line of column names, then a line per image: path,label",
        ) from error


def _read_lines(file: Path) -> pa.Table:
    """JSON Lines; text that looks like a date stays text."""
    options = json.ReadOptions(block_size=_BLOCK)
    table = json.read_json(file, options)
    dates = [field.name for field in table.schema if pa.types.is_temporal(field.type)]
    if not dates:
        return table
    schema = pa.schema([(name, pa.string()) for name in dates])
    return json.read_json(file, options, json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"))


def _column(table: pa.Table, meaning: str, named: str | None, file: Path) -> str:
    """The column that means something; empty where none does and none must."""
    known: list[str] = table.column_names
    if named == "" and meaning in {"split", "group"}:
        return ""  # asked for: `?split=`
    if named:
        if named in known:
            return named
        raise DatasetError(
            f"`{file}` has no column `{named}`.",
            ways=[f"its columns: {', '.join(known)}"],
            hint=closest(named, known) or f"{file}?{meaning}={known[0]}",
        )
    if (usual := _usual(table, meaning)) or meaning in {"split", "group"}:
        return usual
    raise DatasetError(
        f"No column of `{file}` has a usual name for the {meaning} of an image.",
        ways=[f"its columns: {', '.join(known)}", f"usual names: {', '.join(_USUAL[meaning])}"],
        hint=f"name it: '{file}?{meaning}={known[min(1, len(known) - 1)]}'",
    )


def _usual(table: pa.Table, meaning: str) -> str:
    """The column with a usual name for a meaning; empty where there is none."""
    lower = {name.strip().lower(): name for name in reversed(table.column_names)}
    return next((lower[usual] for usual in _USUAL[meaning] if usual in lower), "")


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text without blanks at its ends; nothing is the empty text."""
    if pa.types.is_nested(column.type):
        raise DatasetError(
            "A column holds lists or structures; one path, split and group an image is understood.",
            ways=["name another column behind a `?`"],
            hint="photos.parquet?group=camera",
        )
    try:
        return pc.utf8_trim_whitespace(pc.fill_null(pc.cast(column, pa.string()), ""))
    except pa.ArrowException as error:
        raise DatasetError(
            f"A column of type {column.type} is no text: {str(error).splitlines()[0]}",
            ways=["write it as text, in UTF-8", "name another column behind a `?`"],
            hint="photos.parquet?label=species",
        ) from error


def _tags(column: pa.ChunkedArray, separator: str) -> list[tuple[str, ...]]:
    """The labels of each row: a list, or text between separators; equal ones are one object."""
    if pa.types.is_list(column.type):
        cells = column.to_pylist()
    else:
        text = _text(column)
        found = (mark for mark in _SEPARATORS if pc.any(pc.match_substring(text, mark)).as_py())
        mark = separator or next(found, _SEPARATORS[0])
        split = {cell: cell.split(mark) for cell in pc.unique(text).to_pylist()}
        cells = [split[cell] for cell in text.to_pylist()]
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    rows = ((str(label).strip() for label in cell or () if label is not None) for cell in cells)
    return [known.setdefault(own, own) for own in (tuple(dict.fromkeys(filter(None, row))) for row in rows)]


def _merged(paths: pa.ChunkedArray, labels: list[tuple[str, ...]], keep: pa.Array | None) -> list[tuple[str, ...]]:
    """The labels of all rows of each image, at its first row."""
    if keep is None:
        return labels
    of_path: dict[str, dict[str, None]] = {}
    names = paths.to_pylist()
    for path, own in zip(names, labels, strict=True):
        of_path.setdefault(path, {}).update(dict.fromkeys(own))
    return [tuple(of_path[names[row]]) for row in keep.to_pylist()]


def _once(text: dict[str, pa.ChunkedArray], file: Path) -> pa.Array | None:
    """Positions of the first row of each image; None where no image comes twice.

    Raises:
        DatasetError: rows of one image differ.
    """
    paths = text["path"]
    if pc.count_distinct(paths).as_py() == len(paths):
        return None
    rows = pa.table({**text, "row": pa.array(range(len(paths)))})
    others = [meaning for meaning in text if meaning != "path"]
    found = rows.group_by("path").aggregate([("row", "min"), *((one, "count_distinct") for one in others)])
    for meaning in others:
        differing = found.filter(pc.greater(found[f"{meaning}_count_distinct"], 1))
        if len(differing):
            named = ", ".join(f"`{path}`" for path in differing["path"][:_FEW].to_pylist())
            raise DatasetError(
                f"{len(differing)} images of `{file}` stand in several rows with different {meaning}s: {named}.",
                ways=["keep one row per image", f"leave the {meaning} out" if meaning != "label" else "decide on one"],
                hint=f"images may have several labels if you say so: '{file}?labels=NAME'",
            )
    return found["row_min"].combine_chunks().sort()


def _shared(column: pa.ChunkedArray) -> list[str]:
    """A list in which equal texts are one object: a million labels of ten classes cost a million pointers."""
    encoded = column.combine_chunks().dictionary_encode()
    words: list[str] = encoded.dictionary.to_pylist()
    return [words[index] for index in encoded.indices.to_pylist()]


def _splits(column: pa.ChunkedArray, file: Path) -> list[str]:
    found: list[Any] = _shared(column)
    unknown = sorted({name for name in set(found) if name and name.lower() not in PARTS})
    if unknown:
        raise DatasetError(
            f"`{file}` has splits called {', '.join(f'`{name}`' for name in unknown[:_FEW])}.",
            ways=["known: train, val, test, or nothing", "name another column, or none: ?split="],
            hint="values may be written in any case",
        )
    return [PARTS.get(name.lower(), "") for name in found]
