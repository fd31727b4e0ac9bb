"""The reading in which the class stands in the names of the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.data.layout import refusals
from advisor.data.layout.names import label_in_name, labels_in_names
from advisor.data.layout.record import Layout, LeftOut, unlabelled_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.data.layout.tree import Folder


def read_by_name(here: Folder, location: str, part_of: Mapping[str, str]) -> Layout:
    """The class is what stands before the number in a file's name, `cat` in `cat.12.jpg`.

    Args:
        here: holds the images, at any depth, perhaps in folders that are parts.
        location: for messages.
        part_of: of the folders directly in it, those that are called like parts, with the part.

    Raises:
        DatasetError: no name has such words.
    """
    layout = Layout(how="by what stands before the number in the names of files")
    divided = any(part_of.get(name) == "train" for name in here.filled)
    rows: dict[tuple[str, str], list[str]] = {}
    if here.images:
        rows["", "train" if divided else ""] = [here.join(name) for name in here.images]
    for name, folder in here.filled.items():
        split, paths = part_of.get(name, ""), list(folder.image_paths())
        if divided and split != "train" and not labels_in_names(paths):
            layout.left_out.append(unlabelled_in(folder, location))
            continue
        rows.setdefault((name, split) if divided else ("", ""), []).extend(paths)
    for (name, split), paths in rows.items():
        labelled = [(path, label) for path in paths if (label := label_in_name(path))]
        if unnamed := [path for path in paths if not label_in_name(path)]:
            what = f"{unnamed[0]}{' and others' if len(unnamed) > 1 else ''}"
            layout.left_out.append(LeftOut(what, len(unnamed), "no label stands before a number in their names"))
        layout.add(name, split, labelled)
    if not layout.images:
        raise refusals.loose(here, location)
    return layout
