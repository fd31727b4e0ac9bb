"""A folder of images, one subfolder per class, with or without train/val/test folders above them."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import DatasetError, UsageError
from advisor.hookspecs import hookimpl
from advisor.types import PARTS, DatasetFormat, Listing

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
_PROSE = frozenset({"", ".md", ".txt"})
_FEW = 20  # files of a folder looked at before it is opened
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
    if not os.path.lexists(location):
        return 0.0
    return 1.0 if _holds_classes(location) else 0.5


def _holds_classes(location: str) -> bool:
    """Whether a folder is images in class folders and nothing that another format might read."""
    try:
        with os.scandir(location) as entries:
            found = [entry for entry in entries if not entry.name.startswith(".")]
        if any(entry.is_file() and Path(entry.name).suffix.lower() not in _PROSE for entry in found):
            return False
        folders = [entry for entry in found if entry.is_dir()]
        if (train := [entry for entry in folders if PARTS.get(entry.name.lower()) == "train"]) and len(folders) > 1:
            with os.scandir(train[0].path) as entries:
                folders = [entry for entry in entries if entry.is_dir()]
        filled = 0
        for folder in folders:
            with os.scandir(folder.path) as entries:
                filled += any(is_image_name(entry.name) for entry in islice(entries, _FEW))
    except OSError:
        return False
    return filled > 1


def is_image_name(name: str) -> bool:
    """Whether a file's name says that it is an image we read."""
    return not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS


def open_folder(location: str) -> Listing:
    """List a class-per-folder tree without reading any file.

    Raises:
        UsageError: the location is not a folder.
        DatasetError: it may not be read, or holds no images in class folders.
    """
    root = Path(location)
    if not root.is_dir():
        raise UsageError(
            f"`{location}` is a file, not a folder." if root.exists() else f"`{location}` does not exist.",
            ways=[f"give the folder that holds {_LAYOUT}"],
            hint=f"advisor recommend {root.parent}",
        )
    roots = _split_roots(root)
    found: list[tuple[str, str, str]] = []
    ignored: list[str] = []
    for folder, split in roots:
        for entry in _scan(folder):
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                ignored.append(os.path.relpath(entry.path, root))
                continue
            for path in _walk(Path(entry.path)):
                relative = os.path.relpath(path, root)
                if is_image_name(path.name):
                    found.append((relative, entry.name, split))
                else:
                    ignored.append(relative)
    if len(roots) > 1:
        parts = {folder for folder, _ in roots}
        ignored += [entry.name for entry in _scan(root) if Path(entry.path) not in parts]
    if not found:
        loose = sum(is_image_name(Path(name).name) for name in ignored)
        raise DatasetError(
            f"There are {loose} images directly in `{location}`, but none in class folders."
            if loose
            else f"There are no images in `{location}`.",
            ways=[
                f"make {_LAYOUT}",
                f"readable image files end in {', '.join(sorted(EXTENSIONS))}",
            ],
            hint="each folder's name becomes a class",
        )
    found.sort(key=lambda row: _natural(row[0]))
    return Listing(
        name=root.resolve().name or "data",
        paths=[path for path, _, _ in found],
        labels=[label for _, label, _ in found],
        splits=[split for _, _, split in found] if len(roots) > 1 else (),
        read=lambda path: (root / path).read_bytes(),
        ignored=sorted(ignored),
    )


def _split_roots(root: Path) -> list[tuple[Path, str]]:
    """The split folders, or the root alone when its folders are classes."""
    folders = [Path(entry.path) for entry in _scan(root) if entry.is_dir() and not entry.name.startswith(".")]
    splits = {folder: PARTS[folder.name.lower()] for folder in folders if folder.name.lower() in PARTS}
    names = list(splits.values())
    if "train" not in names or len(names) < 2 or len(set(names)) != len(names):
        return [(root, "")]
    # A class may be called `train`: parts hold class folders, classes hold images.
    if not all(any(entry.is_dir() for entry in _scan(folder)) for folder in splits):
        return [(root, "")]
    return sorted(splits.items())


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except PermissionError as error:
        raise DatasetError(
            f"`{folder}` may not be read: permission denied.",
            ways=["run as a user who may read it", "copy the images to a folder of your own"],
            hint=f"chmod -R u+rX '{folder}'",
        ) from error


def _walk(folder: Path, seen: frozenset[str] = frozenset()) -> Iterator[Path]:
    """All files below a class folder; linked folders are followed once."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    for entry in _scan(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), seen | {real})
        else:
            yield Path(entry.path)


def _natural(text: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text)]
