"""The tree of folders below a place, without what is hidden or a system's own. No file is opened."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from advisor.data.formats import is_image_name
from advisor.data.layout.names import is_skipped
from advisor.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


@dataclass
class Folder:
    """A folder and what is in it.

    Attributes:
        path: from the root on, with `/`; empty for the root.
        images: names of the images directly in it.
        others: names of the other files directly in it.
        folders: those directly in it, by name.
        skipped: names of folders in it that were not entered: hidden, a system's own, thumbnails.
    """

    path: str = ""
    images: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: dict[str, Folder] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    total: int = 0  # images in it and below

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def filled(self) -> dict[str, Folder]:
        """Those of its folders that hold images at any depth."""
        return {name: folder for name, folder in self.folders.items() if folder.total}

    def join(self, name: str) -> str:
        """The path of something directly in it."""
        return f"{self.path}/{name}" if self.path else name

    def walk(self) -> Iterator[Folder]:
        """Itself and all below it."""
        yield self
        for folder in self.folders.values():
            yield from folder.walk()

    def image_paths(self) -> Iterator[str]:
        """The paths of all images in it and below."""
        for folder in self.walk():
            yield from map(folder.join, folder.images)

    def other_paths(self) -> Iterator[str]:
        """The paths of all other files in it and below."""
        for folder in self.walk():
            yield from map(folder.join, folder.others)

    @classmethod
    def of(cls, files: Iterable[str], folders: Iterable[str] = ()) -> Folder:
        """The tree of a listing of relative paths.

        Args:
            files: paths of files, with `/`.
            folders: paths of folders, for those that hold no file.
        """
        inside: dict[str, tuple[set[str], set[str]]] = {"": (set(), set())}

        def enter(path: str) -> None:
            if path not in inside:
                inside[path] = (set(), set())
                above, _, name = path.rpartition("/")
                enter(above)
                inside[above][0].add(name)

        for folder in folders:
            enter(folder)
        for file in files:
            above, _, name = file.rpartition("/")
            enter(above)
            inside[above][1].add(name)
        return _grow("", lambda path: (sorted(inside[path][0]), sorted(inside[path][1])))


def scan(root: Path) -> Folder:
    """The tree below a folder on disk; linked folders are followed, none into itself.

    Raises:
        DatasetError: a folder may not be read.
    """

    def listed(path: str) -> tuple[list[str], list[str]]:
        folder = root / path
        try:
            with os.scandir(folder) as entries:
                names = sorted((entry.name, entry.is_dir()) for entry in entries)
        except PermissionError as error:
            raise DatasetError(
                f"`{folder}` may not be read: permission denied.",
                ways=["run as a user who may read it", "copy the images to a folder of your own"],
                hint=f"chmod -R u+rX '{folder}'",
            ) from error
        return [name for name, is_dir in names if is_dir], [name for name, is_dir in names if not is_dir]

    return _grow("", listed, lambda path: os.path.realpath(root / path))


def _grow(
    path: str,
    listed: Callable[[str], tuple[list[str], list[str]]],
    identity: Callable[[str], str] = str,
    above: frozenset[str] = frozenset(),
) -> Folder:
    folders, files = listed(path)
    here = Folder(path)
    for name in files:
        (here.images if is_image_name(name) else here.others).append(name)
    here.others = [name for name in here.others if not name.startswith(".")]
    above |= {identity(path)}
    for name in folders:
        if is_skipped(name, beside_images=bool(here.images)):
            here.skipped.append(name)
        elif identity(below := here.join(name)) not in above:
            here.folders[name] = _grow(below, listed, identity, above)
    here.total = len(here.images) + sum(folder.total for folder in here.folders.values())
    return here
