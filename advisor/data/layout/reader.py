"""The readings that one folder has, and which of them is the only plausible one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from advisor.data.layout import refusals
from advisor.data.layout.names import is_mask_name, is_neutral_name, is_unlabelled_name, labels_in_names, part_names
from advisor.data.layout.record import Layout, LeftOut, listed, loose_in, unlabelled_in
from advisor.data.layout.shape import class_folders, is_set, repeats, unwrapped
from advisor.data.layout.twins import alike, difference
from advisor.types import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from advisor.data.layout.tree import Folder

_SPLITS = ("train", "val", "test")


class Reader:
    """The readings of one folder.

    Args:
        here: holds the parts, or the class folders.
        location: for messages.
        root: what the location is, for messages on what stands around `here`.
    """

    def __init__(self, here: Folder, location: str, root: Folder) -> None:
        self.here, self.location, self.root = here, location, root
        self.layout = Layout()
        # All names, so that an empty `test` is a part, too.
        self.part_of = part_names(here.folders)

    def decide(self) -> Layout:
        """The only plausible reading."""
        filled = self.here.filled
        if not filled:
            raise refusals.loose(self.here, self.location)
        parts = {name: filled[name] for name in self._parts_of(filled)}
        others = {name: folder for name, folder in filled.items() if name not in self.part_of}
        labelled = {name: folder for name, folder in parts.items() if class_folders(folder)}
        trained = [name for name in labelled if self.part_of[name] == "train"]
        classes = {name: folder for part in trained for name, folder in class_folders(labelled[part]).items()}
        if parts and not others:
            if not labelled or (trained and len(classes) < 2):
                raise refusals.flat_parts(self.root, list(parts.values()), self.location)
            self._require_classes(classes, "parts")
            return self.parts()
        if len(classes) > 1:
            self._require_parts(labelled, others)
            self._require_classes(classes, "parts")
            return self.parts()
        spelled = [name for name in parts if name.strip().lower() not in PARTS]
        if not labelled and spelled and {"train", "test"} <= {self.part_of[name] for name in parts}:
            raise refusals.flat_parts(self.root, list(parts.values()), self.location)  # no class is called train_images
        if trained and len(labelled) > 1:
            raise refusals.two_readings(self.location, (self._as_parts(labelled, others), "parts"),
                                        (self._as_classes(), "classes"))  # fmt: skip
        if self._holds_classes_beside(labelled, others):
            return self._without_training()
        if labelled and not trained and (same := self._with_classes_of(labelled, others)):
            raise refusals.no_training(self.location, list(labelled), same)
        self._require_labels(others)
        return self._decide_classes()

    def _with_classes_of(self, labelled: Mapping[str, Folder], others: Mapping[str, Folder]) -> list[str]:
        """Those of some folders that hold the classes of a part: they may be the training part."""
        known = {name for folder in labelled.values() for name in class_folders(folder)}
        return [name for name, folder in others.items() if len(known & set(class_folders(folder))) > 1]

    def _parts_of(self, names: Iterable[str]) -> list[str]:
        """Those of some names that are called like parts, training first."""
        return sorted((name for name in names if name in self.part_of),
                      key=lambda name: (_SPLITS.index(self.part_of[name]), name))  # fmt: skip

    def _require_parts(self, labelled: Mapping[str, Folder], others: Mapping[str, Folder]) -> None:
        """Refuse where the folders beside the parts may be classes like them."""
        train = next(name for name in labelled if self.part_of[name] == "train")
        classes = class_folders(labelled[train])
        shared = any(
            len(set(classes) & set(class_folders(folder))) > 1 for name, folder in labelled.items() if name != train
        )
        for name, folder in others.items():
            stray = shared and name not in classes and not set(class_folders(folder)) & set(classes)
            if stray or is_unlabelled_name(name) or self._is_copy_of_parts(folder):
                continue
            called = [f"if {name}/ is a part, call it train, val or test"] if class_folders(folder) else []
            raise refusals.two_readings(self.location, (self._as_parts(labelled, others), "parts"),
                                        (self._as_classes(), "classes"), called)  # fmt: skip

    def _require_labels(self, others: Mapping[str, Folder]) -> None:
        """Refuse where a folder beside class folders is called like unlabelled images, or like a part."""
        classes = sorted(name for name in others if not is_unlabelled_name(name))
        beside = [name for name in self.here.filled if name not in classes]
        if not beside or len(classes) < 2 or any(self.part_of.get(name) == "train" for name in beside):
            return
        some = f"{len(classes)} classes, {listed(classes, 4)}, beside unlabelled images in {_folders(beside)}"
        raise refusals.two_readings(self.location, (self._as_classes(), "classes"), (some, "parts"))

    def _as_classes(self) -> str:
        return f"{len(self.here.filled)} classes, {listed(sorted(self.here.filled))}"

    def _as_parts(self, labelled: Mapping[str, Folder], others: Mapping[str, Folder]) -> str:
        train = next(folder for name, folder in labelled.items() if self.part_of[name] == "train")
        count = len(class_folders(train))
        classes = f"{count} {'class' if count == 1 else 'classes'}"
        parts = f"the {'part' if len(labelled) == 1 else 'parts'} {_folders(labelled)}"
        return f"{parts} with {classes} to train on, without {_folders(others)}"

    def _is_copy_of_parts(self, folder: Folder) -> bool:
        """Whether a folder beside the parts is the set once more, or one of its classes."""
        parts = [one for name, one in self.here.filled.items() if name in self.part_of]
        if is_set(folder):
            return repeats(folder, parts, 3)
        return any(folder.name in class_folders(one) for one in parts) and repeats(folder, parts, 2)

    def _holds_classes_beside(self, labelled: Mapping[str, Folder], others: Mapping[str, Folder]) -> bool:
        """Whether parts stand beside the class folders, and hold folders of the same names."""
        return any(len(set(class_folders(folder)) & set(others)) > 1 for folder in labelled.values())

    def _with_classes_here(self, others: Mapping[str, Folder]) -> Layout:
        """Class folders to train on, with other parts beside them."""
        beside = {name: folder for name, folder in self.here.filled.items() if name not in others}
        if train := [name for name in beside if self.part_of.get(name) == "train"]:
            raise refusals.two_readings(
                self.location,
                (self._as_classes(), "classes"),
                (f"class folders, with the part {train[0]}/ beside them", "inner"),
            )
        self._add("", "train", others)
        for name, folder in beside.items():
            below = class_folders(folder) if name in self.part_of else {}
            if not below:
                self.layout.left_out.append(unlabelled_in(folder, self.location))
            elif self._same_classes(folder, below, others):
                self._add(name, self.part_of[name], below)
        self._tell_of((self.here, *map(unwrapped, beside.values())) if self.layout.divided else (self.here,))
        return self.layout

    def _decide_classes(self) -> Layout:
        """Every folder a class, unless what is in them says otherwise."""
        filled = dict(self.here.filled)
        if len(filled) == 1 and labels_in_names(list(self.here.image_paths())):
            raise refusals.only_folder(self.here, self.location)
        if split := self._classes_over_parts():
            return split
        sets = [folder for folder in filled.values() if is_set(folder)]
        if sets:
            raise refusals.several_sets(
                self.location, sets, [folder for folder in filled.values() if folder not in sets]
            )
        for name in _groups_of(filled):
            if repeats(filled[name], [one for other, one in filled.items() if other != name], 2):
                gone = filled.pop(name)
                self.layout.left_out.append(LeftOut(f"{gone.path}/", gone.total, "the same set once more"))
        self._require_classes(filled, "classes")
        return self._classes_of(filled)

    def _classes_over_parts(self) -> Layout | None:
        """`cats/train/1.jpg`: parts within every class folder."""
        filled = self.here.filled
        parts = {name: part_names(folder.filled) for name, folder in filled.items()}
        flat = all(
            set(parts[name]) == set(folder.filled) and not folder.images
            and not any(below.filled for below in folder.filled.values())
            for name, folder in filled.items()
        )  # fmt: skip
        used = {split for own in parts.values() for split in own.values()}
        if not flat or "train" not in used or len(used) < 2:
            return None
        for split in _SPLITS:
            labelled = [
                (path, name)
                for name, folder in filled.items()
                for below, part in parts[name].items()
                if part == split
                for path in folder.folders[below].image_paths()
            ]
            if labelled:
                self.layout.add(split, split, labelled)
        self.layout.doubts.append("The parts stand within the class folders, as in cats/train/1.jpg.")
        self._tell_of((self.here,))
        return self.layout

    def _require_classes(self, folders: Mapping[str, Folder], choice: str) -> None:
        """Refuse class folders that are images and masks, or groups of classes as well as classes.

        Args:
            folders: all that are to be trained on.
            choice: that reads them as classes.
        """
        masks = [name for name in folders if is_mask_name(name)]
        if masks and len(folders) == len(masks) + 1:
            raise refusals.segmentation(self.location, list(folders), choice)
        if more := _groups_of(folders):
            raise refusals.two_readings(
                self.location,
                (f"{len(folders)} classes, {listed(sorted(folders))}", choice),
                (f"the classes of the innermost folders, in {_folders(more)} too", "inner"),
            )
        inner = {name: [one for one in folder.filled if not is_mask_name(one)] for name, folder in folders.items()}
        if len(folders) < 2 or any(folder.images or len(inner[name]) < 2 for name, folder in folders.items()):
            return
        names = {below for own in inner.values() for below in own}
        repeated = all(set(own) == names for own in inner.values())
        plain = all(is_neutral_name(below, name) for name, own in inner.items() for below in own)
        if plain and (not repeated or all(map(re.compile(r"[^\W\d_]").search, names))):
            return  # numbered instances, or folders that scrapers make
        innermost = Reader(self.here, self.location, self.root).inner().classes
        raise refusals.two_readings(
            self.location,
            (f"{len(folders)} classes, {listed(sorted(folders), 4)}, with folders in them", choice),
            (f"{len(innermost)} classes, {listed(innermost, 4)}, the innermost folders", "inner"),
        )

    def classes(self) -> Layout:
        """Every folder directly in the place is a class."""
        if not self.here.filled:
            raise refusals.loose(self.here, self.location)
        return self._classes_of(self.here.filled, masks=True)

    def _classes_of(self, folders: Mapping[str, Folder], *, masks: bool = False) -> Layout:
        self._add("", "", folders, masks=masks)
        if called := [f"`{name}`" for name in sorted(folders) if name in self.part_of]:
            are, classes = ("is", "a class") if len(called) == 1 else ("are", "classes")
            self.layout.doubts.append(f"{listed(called, 4, 'and')} {are} called like a part, and read as {classes}.")
        self._tell_of_nested(folders)
        self._tell_of((self.here,))
        return self.layout

    def parts(self) -> Layout:
        """Folders called like parts are parts, and the folders in them classes."""
        filled = self.here.filled
        found: dict[str, dict[str, Folder]] = {}
        for name in filled:
            if name in self.part_of and (below := class_folders(filled[name])):
                found.setdefault(self.part_of[name], {})[name] = filled[name]
        for split, folders in found.items():
            if len(folders) > 1:
                first, second = list(folders)[:2]
                why = difference(first, second) if alike(first) == alike(second) else ""
                raise refusals.same_part(self.location, split, list(folders), why)
        if "train" not in found:
            return self._without_training()
        trained = class_folders(next(iter(found["train"].values())))
        for split in _SPLITS:
            for folder in found.get(split, {}).values():
                below = class_folders(folder)
                if split != "train" and not self._same_classes(folder, below, trained):
                    continue
                self._add(unwrapped(folder).path, split, below)
        self._tell_of_nested(trained)
        self._tell_of_strays()
        self._tell_of((self.here, *(unwrapped(folder) for folders in found.values() for folder in folders.values())))
        return self.layout

    def _without_training(self) -> Layout:
        """The class folders beside the parts are what is trained on, where there are some."""
        filled = self.here.filled
        others = {name: folder for name, folder in filled.items()
                  if name not in self.part_of and not is_unlabelled_name(name)}  # fmt: skip
        if len(others) > 1 and len(others) < len(filled):
            return self._with_classes_here(others)
        if not filled:
            raise refusals.loose(self.here, self.location)
        raise refusals.no_training(self.location, self._parts_of(filled) or list(filled))

    def _same_classes(self, folder: Folder, below: dict[str, Folder], trained: Mapping[str, Folder]) -> bool:
        """Whether a part's folders are classes; one folder of another name holds images without a class.

        Raises:
            DatasetError: they are classes of their own.
        """
        if set(map(alike, below)) & set(map(alike, trained)):
            return True
        if len(below) == 1:
            self.layout.left_out.append(unlabelled_in(next(iter(below.values())), self.location))
            return False
        train = next(iter(trained.values())).path.rpartition("/")[0]
        raise refusals.other_classes(self.location, train, folder.path, sorted(below))

    def inner(self) -> Layout:
        """Every folder that holds images is a class, whatever it is in; parts above it are kept."""
        folders = [(folder, self._parts_on_the_way(folder)) for folder in self.here.walk()
                   if folder.images and folder is not self.here]  # fmt: skip
        divided = any("train" in parts[:-1] for _, parts in folders)
        rows: dict[str, list[tuple[str, str]]] = {}
        for folder, parts in folders:
            if divided and parts[-1]:
                self.layout.left_out.append(unlabelled_in(folder, self.location, len(folder.images)))
                continue
            split = next(filter(None, reversed(parts[:-1])), "") if divided else ""
            rows.setdefault(split, []).extend((folder.join(name), folder.name) for name in folder.images)
        if not rows:
            raise refusals.loose(self.here, self.location)
        for split in sorted(rows, key=("", *_SPLITS).index):
            self.layout.add(split, split, rows[split])
        self.layout.how = "the innermost folders"
        self._tell_of((self.here,))
        return self.layout

    def _parts_on_the_way(self, folder: Folder) -> list[str]:
        """For each folder on the way to one, itself included, the part that it is called like, or nothing."""
        above, parts = self.here, []
        for name in folder.path.removeprefix(self.here.path).strip("/").split("/"):
            parts.append(part_names(above.folders).get(name, ""))
            above = above.folders[name]
        return parts

    def _add(self, folder: str, split: str, classes: Mapping[str, Folder], *, masks: bool = False) -> None:
        """A part, from its class folders."""
        self.layout.add(folder, split, (
            (path, name) for name, below in classes.items() for path in self._images_of(below, masks=masks)
        ))  # fmt: skip

    def _images_of(self, folder: Folder, *, masks: bool) -> Iterator[str]:
        """The images of a class, without masks that stand beside them."""
        gone = [] if masks else [name for name in folder.filled if is_mask_name(name)]
        if len(gone) == len(folder.filled) and not folder.images:
            gone = []
        for name in gone:
            below = folder.folders[name]
            self.layout.left_out.append(LeftOut(f"{below.path}/", below.total, "masks of the images"))
        yield from map(folder.join, folder.images)
        for name, below in folder.folders.items():
            if name not in gone:
                yield from below.image_paths()

    def _tell_of_nested(self, folders: Mapping[str, Folder]) -> None:
        if nested := [name for name, folder in folders.items() if folder.filled]:
            self.layout.doubts.append(
                f"What is in folders inside a class folder counts to the class, here in {listed(nested, 4)}."
            )

    def _tell_of_strays(self) -> None:
        """Folders beside the parts, or parts without class folders."""
        for name, folder in self.here.filled.items():
            if is_unlabelled_name(name) if name not in self.part_of else not class_folders(folder):
                self.layout.left_out.append(unlabelled_in(folder, self.location))
            elif name not in self.part_of:
                again = self._is_copy_of_parts(folder)
                why = "images that are in the parts, too" if again else "beside the parts"
                self.layout.left_out.append(LeftOut(f"{folder.path}/", folder.total, why))

    def _tell_of(self, levels: Iterable[Folder]) -> None:
        """Images beside class folders, and class folders without images, in the folders that hold class folders."""
        for folder in levels:
            if folder.images:
                self.layout.left_out.append(loose_in(folder))
            empty = [below for below in folder.folders.values() if not below.total]
            if folder is self.here and self.layout.divided:  # folders of other things may stand beside parts
                empty = [below for below in empty if below.name in self.part_of]
            if empty:
                self.layout.doubts.append(f"There are no images in {listed([f'{below.path}/' for below in empty], 4)}.")


def _groups_of(folders: Mapping[str, Folder]) -> list[str]:
    """Those of some class folders that hold folders of the others' names."""
    return [name for name, folder in folders.items() if len(set(class_folders(folder)) & (set(folders) - {name})) > 1]


def _folders(names: Iterable[str]) -> str:
    return listed([f"{name}/" for name in names], 6, "and")
