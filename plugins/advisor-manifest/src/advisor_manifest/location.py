"""Where a table is, and which of its columns mean what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from advisor.errors import UsageError, closest

SUFFIXES = (".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson")
MEANINGS = ("path", "label", "labels", "split", "group")
SEPARATOR = "separator"
_STEMS = ("metadata", "labels", "manifest")  # of a table beside its images


@dataclass(frozen=True)
class Place:
    """A table, and the columns that were named with it.

    Attributes:
        file: the table.
        columns: by meaning (`path`, `label`, `labels`, `split`, `group`), the column that was named for it.
        separator: between several labels in a cell; empty for the usual ones.
    """

    file: Path
    columns: dict[str, str]
    separator: str = ""


def recognise(location: str) -> float:
    """How sure we are: a table by its suffix, or a folder with one beside its images."""
    file = _file(location)
    if file is None:
        return 0.0
    return 0.95 if file == Path(location.partition("?")[0]) else 0.9


def parse_location(location: str) -> Place:
    """The table of a location such as `photos.csv?label=species`.

    Raises:
        UsageError: there is no table, or a word behind the `?` means nothing.
    """
    file = _file(location)
    if file is None:
        raise UsageError(
            f"There is no table of images at `{location}`.",
            ways=[f"readable: files ending in {', '.join(SUFFIXES)}", "check the spelling"],
            hint="advisor recommend photos.csv",
        )
    columns = dict(parse_qsl(location.partition("?")[2], keep_blank_values=True))
    for word in columns:
        if word not in {*MEANINGS, SEPARATOR}:
            raise UsageError(
                f"`{word}` in `{location}` means nothing here.",
                ways=[f"behind the `?`, columns are named for {', '.join(MEANINGS)}", "and the `separator` of labels"],
                hint=closest(word, [*MEANINGS, SEPARATOR]) or "photos.csv?label=species",
            )
    if "label" in columns and "labels" in columns:
        raise UsageError(
            f"`{location}` names a column of one label and one of several.",
            ways=["keep one of the two"],
            hint="photos.csv?labels=tags",
        )
    separator = columns.pop(SEPARATOR, "")
    return Place(file, columns, separator)


def _file(location: str) -> Path | None:
    path = Path(location.partition("?")[0])
    try:
        if path.suffix.lower() in SUFFIXES and path.is_file():
            return path
        if path.is_dir():
            names = {entry.name.lower(): entry for entry in path.iterdir()}
            return next((names[stem + end] for stem in _STEMS for end in SUFFIXES if stem + end in names), None)
    except OSError:
        return None
    return None
