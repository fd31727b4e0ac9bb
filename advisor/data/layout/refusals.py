"""Why a folder is not read: one sentence, both readings where there are two, and what to type."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from advisor.data.formats import ARCHIVES, TABLES, ending, unread_pictures, usual_suffixes
from advisor.data.layout.names import labels_in_names
from advisor.data.layout.record import images_of, listed
from advisor.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.data.layout.tree import Folder

MAKE = "make one folder per class: data/cats/1.jpg, data/dogs/2.jpg"


def recommend(location: str, choice: str = "", decision: str = "") -> str:
    """The command for a place, read in one way, with a decision on classes that look like one."""
    words = "&".join(f"{word}={value}" for word, value in (("layout", choice), ("alike", decision)) if value)
    return f"advisor recommend {shlex.quote(f'{location}?{words}' if words else location)}"


def no_images(tree: Folder, location: str) -> DatasetError:
    """Nothing that is read is there."""
    others = list(tree.other_paths())
    archives = [path for path in others if ending(path) in ARCHIVES]
    pictures = unread_pictures(others)
    return DatasetError(
        f"There are no images in `{location}`{f', but the archive {archives[0]}' if archives else ''}.",
        ways=[
            *([f"unpack {listed(archives)}, and give the folder that comes out"] if archives else []),
            *([pictures.rstrip(".")] if pictures else []),
            MAKE,
            f"readable image files end in {', '.join(usual_suffixes())} or whatever else Pillow reads",
        ],
        hint=f"unzip {shlex.quote(f'{location}/{archives[0]}')} -d {shlex.quote(location)}"
        if archives and ending(archives[0]) == ".zip"
        else "each folder's name becomes a class",
    )


def loose(tree: Folder, location: str) -> DatasetError:
    """Images without class folders."""
    labels = labels_in_names(tree.images)
    return DatasetError(
        f"There are {len(tree.images)} images directly in `{location}`, but none in class folders.",
        ways=[MAKE, *_tables(tree), *_names(labels, location)],
        hint=recommend(location, "names") if labels else "each folder's name becomes a class",
    )


def only_folder(here: Folder, location: str) -> DatasetError:
    """One folder of images, whose names say more than one class."""
    (folder,) = here.filled.values()
    labels = labels_in_names([path.rpartition("/")[2] for path in folder.image_paths()])
    return DatasetError(
        f"`{location}` holds images in one folder, {folder.path}/, which would be one class; a classifier needs two.",
        ways=[*_names(labels, location), *_tables(here), *_tables(folder), MAKE],
        hint=recommend(location, "names"),
    )


def flat_parts(root: Folder, folders: Sequence[Folder], location: str) -> DatasetError:
    """Folders called like parts, and nothing that tells whether their images are of classes called so."""
    names = [f"{folder.path}/" for folder in folders]
    classes = [f"`{folder.name}`" for folder in folders]
    labels = max((labels_in_names([path.rpartition("/")[2] for path in folder.image_paths()]) for folder in folders),
                 key=len)  # fmt: skip
    inner = sorted({name for folder in folders for name in folder.filled})
    held = f"whose only folder is {listed(inner)}" if inner else "whose images have no class folders"
    parts, apiece = ("parts", "are") if len(folders) > 1 else ("part", "is")
    if len(folders) == 1:
        sentence = f"`{location}` holds {names[0]}, {held}."
    else:
        sentence = (
            f"`{location}` can be read in two ways: as {len(folders)} classes, {listed(classes, 9, 'and')}, "
            f"or as the {parts} {listed(names, 9, 'and')}, {held}."
        )
    tables = [way for folder in (root, *folders) for way in _tables(folder)]
    table = next((folder.join(name) for folder in (root, *folders) for name in _table_names(folder)), "")
    boxes = [folder for folder in folders for below in folder.folders.values() if below.name.lower() == "labels"]
    boxes += [below for below in root.folders.values() if below.name.lower() in {"labels", "annotations"}]
    return DatasetError(
        sentence,
        ways=[
            *([f"if they {apiece} classes: {recommend(location, 'classes')}"] if len(folders) > 1 else []),
            *_names(labels, location),
            *tables[:2],
            *(["where every part has its own table, make one of them with a column `split`"]
              if sum(bool(_table_names(folder)) for folder in folders) > 1 else []),
            *(["with boxes or masks beside the images it is a set for detection: give every image one class"]
              if boxes else []),
            "if they are parts, make class folders in them: train/cats/1.jpg, test/cats/2.jpg",
        ],
        hint=recommend(location, "names") if labels else
        recommend(f"{location}/{table}") if table else
        "a set for detection has no class for each image" if boxes else
        recommend(location, "classes") if len(folders) > 1 else "train/cats/1.jpg, train/dogs/2.jpg",
    )  # fmt: skip


def two_readings(
    location: str, first: tuple[str, str], second: tuple[str, str], ways: Sequence[str] = ()
) -> DatasetError:
    """Both ways to read it, as a sentence goes on behind `as`, each with the choice for it; and further ways out."""
    return DatasetError(
        f"`{location}` can be read in two ways: as {first[0]}, or as {second[0]}.",
        ways=[*(f"{words}: {recommend(location, choice)}" for words, choice in (first, second)), *ways],
        hint=recommend(location, first[1]),
    )


def segmentation(location: str, names: Sequence[str], choice: str) -> DatasetError:
    """Images and masks of them, side by side."""
    return DatasetError(
        f"`{location}` holds {listed([f'{name}/' for name in names], 9, 'and')}, which look like images and masks of "
        "them, not like classes.",
        ways=["give every image one class: data/cats/1.jpg, data/dogs/2.jpg",
              f"if they are classes: {recommend(location, choice)}"],
        hint="a set for segmentation has no class for each image",
    )  # fmt: skip


def several_sets(location: str, inner: Sequence[Folder], beside: Sequence[Folder]) -> DatasetError:
    """Whole sets within it."""
    sets = listed([f"{folder.path}/" for folder in inner], 4, "and")
    command = recommend(f"{location}/{inner[0].path}")
    if len(inner) > 1:
        sentence = f"`{location}` holds {len(inner)} whole sets, {sets}, each with parts of its own."
    else:
        sentence = (
            f"`{location}` holds a whole set with parts of its own, {sets}, beside "
            f"{listed([f'{folder.path}/ ({images_of(folder.total)})' for folder in beside], 4)}."
        )
    return DatasetError(
        sentence,
        ways=[f"give the folder of {'one' if len(inner) > 1 else 'the set'}: {command}",
              f"make every folder in it a class: {recommend(location, 'classes')}"],
        hint=command,
    )  # fmt: skip


def same_part(location: str, split: str, names: Sequence[str], why: str) -> DatasetError:
    """Two folders that are the same part."""
    folders = listed([f"`{name}`" for name in names], 9, "and")
    return DatasetError(
        f"In `{location}`, {folders} would both be the {split} part{f'; they differ only {why}' if why else ''}.",
        ways=["bring their images into one folder", "rename the one that is none",
              f"if these folders are classes: {recommend(location, 'classes')}"],
        hint="one folder for each part: train/, val/, test/",
    )  # fmt: skip


def no_training(location: str, names: Sequence[str], others: Sequence[str] = ()) -> DatasetError:
    """Parts with classes, and none to train on; others may be that part under another name."""
    renamed = [
        f"if {name}/ is the training part, call it so: mv {shlex.quote(f'{location}/{name}')} "
        f"{shlex.quote(f'{location}/train')}"
        for name in others
    ]
    inner = [f"if the innermost folders are the classes: {recommend(location, 'inner')}"] if others else []
    return DatasetError(
        f"`{location}` holds {listed([f'{name}/' for name in names], 9, 'and')}, but no training images in class "
        "folders.",
        ways=[*(renamed or ["add train/ with the same class folders"]), *inner,
              "give one of these folders: parts are drawn from it",
              f"if these folders are classes: {recommend(location, 'classes')}"],
        hint=renamed[0].rpartition(": ")[2] if renamed else recommend(f"{location}/{names[0]}"),
    )  # fmt: skip


def other_classes(location: str, train: str, other: str, names: Sequence[str]) -> DatasetError:
    """A part that shares no class with the training images."""
    return DatasetError(
        f"No class of {train}/ stands in {other}/, which holds {listed(names, 5)}.",
        ways=["give the class folders of every part the same names",
              f"take {other}/ away if its folders are no classes"],
        hint=f"ls {shlex.quote(f'{location}/{train}')} {shlex.quote(f'{location}/{other}')}",
    )  # fmt: skip


def _tables(folder: Folder) -> list[str]:
    return [f"if {folder.join(name)} says which image is what, give that table" for name in _table_names(folder)[:2]]


def _table_names(folder: Folder) -> list[str]:
    return [name for name in folder.others if ending(name) in TABLES]


def _names(labels: dict[str, int], location: str) -> list[str]:
    if not labels:
        return []
    shown = listed([f"{name} {count}" for name, count in sorted(labels.items())], 4)
    return [f"if the names of the files say the class ({shown}): {recommend(location, 'names')}"]
