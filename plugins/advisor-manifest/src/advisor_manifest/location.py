"""Where a table is, and what was said about it behind the `?`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from advisor.data.layout.twins import DECISIONS
from advisor.errors import UsageError, closest

SUFFIXES = (".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson")
MEANINGS = ("path", "label", "labels", "classes", "split", "group")
OPTIONS = ("separator", "folder", "ending", "encoding", "alike", "empty")
BLANK = "blank"  # as a separator: a shell and a URL both make blanks hard to type
SKIP = "skip"
_MEANT = {
    ("alike", "merge"): "`alike=merge` makes labels that look alike one class",
    ("alike", "keep"): "`alike=keep` keeps labels that look alike apart",
    ("empty", SKIP): "`empty=skip` leaves out rows without a label, or without a path",
}
_STEMS = ("metadata", "labels", "manifest")  # of a table beside its images
_SEPARATORS = {BLANK: " ", "space": " ", "tab": "\t"}


@dataclass(frozen=True)
class Place:
    """A table, and what was said about it.

    Attributes:
        file: the table.
        columns: by meaning (`path`, `label`, `labels`, `classes`, `split`, `group`), the column that was named for it;
            of `classes` several, between commas.
        options: by name, as typed: the `separator` between several labels in a cell, the `folder` that the images are
            in, the `ending` of their names, the `encoding` of the table, what to do with labels that look `alike`, and
            with rows whose path or label is `empty`.
    """

    file: Path
    columns: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    @property
    def separator(self) -> str:
        """Between several labels in a cell; empty for the usual ones."""
        given = self.options.get("separator", "")
        return _SEPARATORS.get(given, given)

    def command(self, **more: str) -> str:
        """This location with more said about it, as a person would type it; what was said before stays."""
        words = {**self.columns, **self.options, **more}
        if "labels" in more:
            words.pop("label", None)
        if "label" in more:
            words.pop("labels", None)
        shown = "&".join(f"{word}={_escaped(words[word])}" for word in (*MEANINGS, *OPTIONS) if word in words)
        return f"'{self.file}?{shown}'" if shown else f"'{self.file}'"


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
    # A `+` is a plus: it stands in names of columns and between labels, and nobody types a URL here.
    pairs = [part.partition("=") for part in location.partition("?")[2].split("&") if part]
    words = {unquote(word): unquote(value) for word, _, value in pairs}
    for word, value in words.items():
        if word not in {*MEANINGS, *OPTIONS}:
            raise UsageError(
                f"`{word}` in `{location}` means nothing here.",
                ways=[f"behind the `?`, columns are named for {', '.join(MEANINGS)}",
                      f"and there are the options {', '.join(OPTIONS)}"],
                hint=closest(word, [*MEANINGS, *OPTIONS]) or "photos.csv?label=species",
            )  # fmt: skip
        if not value and word not in {"split", "group"}:  # these two may be left out: `?split=`
            raise UsageError(f"`{word}=` in `{location}` has no value.", hint="photos.csv?label=species&ending=.jpg")
    columns = {word: value for word, value in words.items() if word in MEANINGS}
    if len({"label", "labels", "classes"} & set(columns)) > 1:
        raise UsageError(
            f"`{location}` names a column of one label and one of several, or columns of classes beside them.",
            ways=["keep one of `label`, `labels` and `classes`"],
            hint="photos.csv?labels=tags",
        )
    for word, values in (("alike", DECISIONS), ("empty", (SKIP,))):
        if words.get(word, values[0]) not in values:
            raise UsageError(
                f"`{word}={words[word]}` in `{location}` means nothing.",
                ways=[_MEANT[word, value] for value in values],
                hint=f"photos.csv?{word}={values[0]}",
            )
    return Place(file, columns, {word: value for word, value in words.items() if word in OPTIONS})


def _escaped(value: str) -> str:
    return value.replace("%", "%25").replace("&", "%26").replace("'", "%27")


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
