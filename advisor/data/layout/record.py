"""What a layout is read as, and the sentences that tell it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from advisor.data.layout.tree import Folder

_FEW = 6  # names in a sentence


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a dataset, or all of it.

    Attributes:
        folder: its path; empty where class folders stand in the place itself.
        split: `train`, `val`, `test`, or empty where the parts are to be drawn.
        classes: images by class.
    """

    folder: str
    split: str
    classes: dict[str, int]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Images that are not read: where they are, how many, and why."""

    what: str
    images: int
    why: str


@dataclass
class Layout:
    """How a tree of names is read.

    Attributes:
        inside: the only folder with images, where the set is wrapped in it; else empty.
        how: what the classes are, as a sentence goes on behind their number.
        images: path, class and split of each image.
        parts: those there are; one without a split where the images are to be divided.
        left_out: images that are not read.
        doubts: sentences on what a person should look at.
    """

    inside: str = ""
    how: str = "one folder each"
    images: list[tuple[str, str, str]] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, sorted."""
        return tuple(sorted({label for _, label, _ in self.images}))

    @property
    def divided(self) -> bool:
        """Whether parts are given."""
        return any(part.split for part in self.parts)

    def add(self, folder: str, split: str, labelled: Iterable[tuple[str, str]]) -> None:
        """A part: path and class of each of its images."""
        classes: dict[str, int] = {}
        for path, label in labelled:
            self.images.append((path, label, split))
            classes[label] = classes.get(label, 0) + 1
        self.parts.append(Part(folder, split, classes))

    def rename(self, renamed: Mapping[str, str]) -> None:
        """Give classes other names; several may become one."""
        self.images = [(path, renamed.get(label, label), split) for path, label, split in self.images]
        for place, part in enumerate(self.parts):
            classes: dict[str, int] = {}
            for label, count in part.classes.items():
                classes[renamed.get(label, label)] = classes.get(renamed.get(label, label), 0) + count
            self.parts[place] = replace(part, classes=classes)

    def sentences(self) -> tuple[str, ...]:
        """The reading for people: parts and classes, then what is left out and why, then doubts."""
        classes = self.classes
        where = f"inside {self.inside}/, the only folder with images, " if self.inside else ""
        count = f"{len(classes)} {'class' if len(classes) == 1 else 'classes'}"
        if self.divided:
            parts = listed([self._part(part) for part in self.parts], len(self.parts), "and")
            first = f"Read {where}as {parts} with {count}: {listed(classes)}."
        else:
            first = f"Read {where}as {count}, {self.how}: {listed(classes)}."
        return (
            first,
            *self._left_out(),
            *self.doubts,
        )

    def _part(self, part: Part) -> str:
        """Its folder, with its meaning where that has to be told."""
        folder = part.folder.removeprefix(self.inside).strip("/")
        where = f"{folder}/" if folder else "the class folders"
        plain = part.folder.rpartition("/")[2].lower() == part.split
        return f"{where}{'' if plain else f' ({part.split})'}"

    def _left_out(self) -> list[str]:
        """A sentence for each reason."""
        reasons: dict[str, list[str]] = {}
        for gone in self.left_out:
            reasons.setdefault(gone.why, []).append(f"{gone.what} ({images_of(gone.images)})")
        return [f"Left out: {listed(what, 4, 'and')}: {why}." for why, what in reasons.items()]


def loose_in(folder: Folder) -> LeftOut:
    """The images directly in a folder that holds class folders."""
    where = f"directly in {folder.path}/" if folder.path else "directly in the folder"
    return LeftOut(where, len(folder.images), "in no class folder")


def unlabelled_in(folder: Folder, location: str, images: int = 0) -> LeftOut:
    """The images of a folder without class folders, all of them unless fewer are meant."""
    predict = f"advisor predict runs/NAME/best {shlex.quote(f'{location}/{folder.path}')}"
    why = f"unlabelled, without class folders; `{predict}` predicts them"
    return LeftOut(f"{folder.path}/", images or folder.total, why)


def listed(names: Sequence[str], most: int = _FEW, last: str = "") -> str:
    """Names with commas, the last behind a word where one is given, and how many more there are."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    if last and len(shown) > 1:
        return f"{', '.join(shown[:-1])} {last} {shown[-1]}"
    return ", ".join(shown)


def images_of(count: int) -> str:
    """`1 image` or `12 images`."""
    return f"{count} {'image' if count == 1 else 'images'}"
