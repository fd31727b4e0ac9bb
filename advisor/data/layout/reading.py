"""From a tree of names to its reading. Where two readings are plausible it refuses with both."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from advisor.data.layout import refusals
from advisor.data.layout.by_name import read_by_name
from advisor.data.layout.names import part_names
from advisor.data.layout.reader import Reader
from advisor.data.layout.record import Layout, LeftOut, listed, loose_in
from advisor.data.layout.shape import innermost_set
from advisor.data.layout.twins import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.data.layout.tree import Folder

CHOICES = ("classes", "parts", "inner", "names")
_VERSION_CONTROL = frozenset({".git", ".svn", ".hg", ".dvc", ".github"})


def read_layout(tree: Folder, location: str, choice: str = "", decision: str = "") -> Layout:
    """How a tree is read: which images, of which classes, in which parts.

    Args:
        tree: of a place.
        location: what a person typed for it, for messages.
        choice: one of `CHOICES`; empty to find out.
        decision: whether classes that look like one are to `merge` or to `keep` apart; empty to refuse them.

    Raises:
        DatasetError: there are no images, or none in class folders, there are two plausible readings,
            or two classes look like one.
    """
    if not tree.total:
        raise refusals.no_images(tree, location)
    here = innermost_set(tree)
    reader = Reader(here, location, tree)
    read: dict[str, Callable[[], Layout]] = {
        "": reader.decide,
        "classes": reader.classes,
        "parts": reader.parts,
        "inner": reader.inner,
        "names": lambda: read_by_name(here, location, reader.part_of),
    }
    layout = read[choice]()
    layout.inside = here.path
    counts = Counter(label for _, label, _ in layout.images)
    renamed, sentences = settle(counts, decision, location, lambda word: refusals.recommend(location, choice, word))
    layout.rename(renamed)
    layout.doubts += sentences
    _tell_of_the_way(tree, here, layout)
    if untold := tree.total - len(layout.images) - sum(gone.images for gone in layout.left_out):
        layout.left_out.append(LeftOut("elsewhere", untold, "in no class folder"))
    return layout


def _tell_of_the_way(tree: Folder, here: Folder, layout: Layout) -> None:
    """What is passed over: images above the set, empty parts beside it, folders that are not entered."""
    above = tree
    while above is not here:
        if above.images:
            layout.left_out.append(loose_in(above))
        empty = [name for name in part_names(above.folders) if not above.folders[name].total]
        layout.doubts += [f"There are no images in {above.join(name)}/." for name in empty]
        above = next(iter(above.filled.values()))
    skipped = sorted(folder.join(name) for folder in tree.walk() for name in folder.skipped)
    if names := [f"{name}/" for name in skipped if name.rpartition("/")[2] not in _VERSION_CONTROL]:
        layout.doubts.append(f"Not entered, as hidden, a system's own or thumbnails: {listed(names, 4)}.")
