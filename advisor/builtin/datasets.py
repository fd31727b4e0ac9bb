"""A folder of images, one subfolder per class, with or without train/val/test folders above them."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from advisor.data.formats import ARCHIVES, is_image_name
from advisor.data.layout import read_layout, scan
from advisor.data.layout.names import is_skipped, part_names
from advisor.data.layout.reading import CHOICES
from advisor.data.layout.twins import DECISIONS
from advisor.errors import UsageError
from advisor.hookspecs import hookimpl
from advisor.types import DatasetFormat, Listing

if TYPE_CHECKING:
    from collections.abc import Iterator

_HARMLESS = frozenset({"", ".md", ".txt", ".pdf", *ARCHIVES})  # beside class folders
_FEW = 20  # files of a folder looked at before it is opened
_WORDS = ("layout=", "alike=")  # behind the `?`
_LAYOUT = "one folder per class: data/cats/1.jpg, data/dogs/2.jpg"


@hookimpl
def advisor_datasets() -> Iterator[DatasetFormat]:
    """The image folder."""
    yield DatasetFormat(
        name="folder",
        recognise=recognise,
        open=open_folder,
        example="./data",
        summary="one subfolder per class, optionally under train/, val/ and test/",
    )


def recognise(location: str) -> float:
    """How sure we are that this is ours: any existing path, so that a wrong one gets our own message."""
    where, mark, query = location.rpartition("?")
    if mark and not os.path.lexists(location) and query.startswith(_WORDS):
        if not os.path.lexists(where):
            return 0.0
        return 1.0 if "layout=" in query or _holds_classes(where) else 0.5
    if not os.path.lexists(location):
        return 0.0
    return 1.0 if _holds_classes(location) else 0.5


def _holds_classes(location: str) -> bool:
    """Whether a folder is images in class folders and nothing that another format might read."""
    try:
        with os.scandir(location) as entries:
            found = [entry for entry in entries if not entry.name.startswith(".")]
        beside = [Path(entry.name) for entry in found if entry.is_file() and not is_image_name(entry.name)]
        if any(file.suffix.lower() not in _HARMLESS for file in beside):
            return False
        folders = {
            entry.name: entry for entry in found if entry.is_dir() and not is_skipped(entry.name, beside_images=False)
        }
        train = [name for name, part in part_names(folders).items() if part == "train"]
        if train and len(folders) > 1:
            with os.scandir(folders[train[0]].path) as entries:
                folders = {entry.name: entry for entry in entries if entry.is_dir()}
        filled = 0
        for folder in folders.values():
            with os.scandir(folder.path) as entries:
                filled += any(is_image_name(entry.name) for entry in islice(entries, _FEW))
    except OSError:
        return False
    return filled > 1


def open_folder(location: str) -> Listing:
    """List a class-per-folder tree without reading any file; see `advisor.data.layout` for how it is understood.

    Args:
        location: a folder, perhaps with `?layout=` and one of `CHOICES`, or `alike=` and one of `DECISIONS`, behind it.

    Raises:
        UsageError: the location is not a folder, or what stands behind the `?` means nothing.
        DatasetError: it may not be read, holds no images in class folders, or can be read in two ways.
    """
    where, words = _parse(location)
    root = Path(where)
    if not root.is_dir():
        raise UsageError(
            f"`{where}` is a file, not a folder." if root.exists() else f"`{where}` does not exist.",
            ways=[f"give the folder that holds {_LAYOUT}"],
            hint=f"advisor recommend {root.parent}",
        )
    tree = scan(root)
    layout = read_layout(tree, where.rstrip("/") or where, words.get("layout", ""), words.get("alike", ""))
    images = sorted(layout.images, key=lambda row: _natural(row[0]))
    ignored = [
        *tree.other_paths(),
        *(folder.join(name) for folder in tree.walk() for name in folder.skipped if not name.startswith(".")),
    ]
    return Listing(
        name=root.resolve().name or "data",
        paths=[path for path, _, _ in images],
        labels=[label for _, label, _ in images],
        splits=[split for _, _, split in images] if layout.divided else (),
        read=lambda path: (root / path).read_bytes(),
        ignored=sorted(ignored),
        reading=layout.sentences(),
    )


def folder_of(location: str) -> str:
    """The folder of a location, without what stands behind its `?`."""
    return _parse(location)[0]


def _parse(location: str) -> tuple[str, dict[str, str]]:
    """The folder and what was said behind its `?`; a folder may have a `?` in its name.

    Raises:
        UsageError: what stands behind the `?` means nothing.
    """
    where, mark, query = location.rpartition("?")
    if not mark or os.path.lexists(location):
        return location, {}
    words = dict(parse_qsl(query, keep_blank_values=True))
    known = {"layout": CHOICES, "alike": DECISIONS}
    if not words or any(value not in known.get(word, ()) for word, value in words.items()):
        raise UsageError(
            f"`?{query}` means nothing for a folder of images.",
            ways=[f"?{word}= with one of {', '.join(values)}" for word, values in known.items()],
            hint=f"advisor recommend '{where}?layout={CHOICES[0]}'",
        )
    return where, words


def _natural(text: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text)]
