"""What a folder looks like from outside: wrapped, in parts, or another one once more."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from advisor.data.layout.names import part_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from advisor.data.layout.tree import Folder

_SAME = 0.9  # of the files of a folder, for it to be another's copy


def innermost_set(tree: Folder) -> Folder:
    """The folder that the set is in: the place itself, or the only one with images as often as there is only one."""
    folder = tree
    while len(folder.filled) == 1:
        (folder,) = folder.filled.values()
    return folder if folder.filled else tree


def unwrapped(folder: Folder) -> Folder:
    """The folder in a part that holds its class folders: `seg_train/seg_train`."""
    while len(folder.filled) == 1 and not folder.images:
        (below,) = folder.filled.values()
        if not below.filled:
            break
        folder = below
    return folder


def class_folders(folder: Folder) -> dict[str, Folder]:
    """The folders with images in a part."""
    inner = unwrapped(folder)
    return inner.filled if 2 * len(inner.images) < inner.total else {}  # else it is a class itself


def is_set(folder: Folder) -> bool:
    """Whether a folder holds parts of its own, with class folders."""
    inner = unwrapped(folder)
    parts = part_names(inner.filled)
    labelled = {split: len(class_folders(inner.folders[name])) for name, split in parts.items()}
    return labelled.get("train", 0) > 1 or (labelled.get("train", 0) > 0 and sum(map(bool, labelled.values())) > 1)


def repeats(folder: Folder, others: Iterable[Folder], depth: int) -> bool:
    """Whether nearly all images of a folder are found in others, too, by the last parts of their paths.

    Names that are mere numbers say nothing.
    """
    known = {tuple(path.split("/")[-depth:]) for other in others for path in other.image_paths()}
    own = [tuple(path.split("/")[-depth:]) for path in folder.image_paths()]
    if not any(re.search(r"[^\W\d_]", PurePosixPath(name[-1]).stem) for name in own):
        return False
    return sum(name in known for name in own) >= _SAME * len(own)
