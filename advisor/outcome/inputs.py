"""Where the images to predict are: files, folders, patterns, and whatever a dataset format reads."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.data.formats import is_image_name, unread_pictures
from advisor.data.layout import scan
from advisor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from advisor.plugins import Catalog


@dataclass(frozen=True)
class InputImage:
    """One image to predict.

    Attributes:
        path: as it was given: of a table's row what stands there, else as a person would find it again.
        read: its bytes; raises `OSError`.
    """

    path: str
    read: Callable[[], bytes]


def find_images(
    inputs: Sequence[str], catalog: Catalog, say: Callable[[str], None] = lambda _text: None
) -> Iterator[InputImage]:
    """The images of some inputs, in order, found as they are asked for.

    Args:
        inputs: image files; folders, searched for the images that a training would list; patterns such as
            `photos/**/*.jpg`; locations of a dataset format such as `photos.csv`, an image for each row, or `digits:`.
            What is not there, beside others, comes as an image that cannot be read.
        catalog: for dataset formats.
        say: told of pictures in folders that are not read.

    Raises:
        UsageError: a folder holds no images, a pattern matches none, or all there is to predict is not there.
    """
    for given in inputs:
        path = _folder_read_otherwise(given) or Path(given)
        if path.is_file() and is_image_name(path.name):
            yield InputImage(given, path.read_bytes)
        elif path.is_dir() and (found := _below(path, say)):
            yield from (InputImage(str(file), file.read_bytes) for file in found)
        elif (listed := _listed(given, catalog)) is not None:
            yield from listed
        elif path.is_dir():
            pictures = unread_pictures(scan(path).other_paths())
            raise UsageError(
                f"There are no images in `{given}`.",
                ways=[pictures.rstrip(".")] if pictures else [],
                hint="give image files or a folder of them",
            )
        elif not path.exists() and glob.has_magic(given):
            yield from _matched(given)
        elif len(inputs) == 1 and not path.exists():
            raise UsageError(
                f"`{given}` is neither a file nor a folder.",
                ways=["check the spelling"],
                hint="advisor predict runs/<name>/best photo.jpg more/",
            )
        else:
            yield InputImage(given, path.read_bytes)


def _folder_read_otherwise(given: str) -> Path | None:
    """The folder of `./data?layout=classes`; how its classes are read does not matter to a prediction."""
    where, mark, words = given.rpartition("?")
    place = Path(where)
    read = mark and words.startswith(("layout=", "alike="))
    return place if read and not Path(given).exists() and place.is_dir() else None


def _below(folder: Path, say: Callable[[str], None] = lambda _text: None) -> list[Path]:
    """The images in a folder, at every depth: those that a training would list."""
    tree = scan(folder)
    paths = sorted(folder / path for path in tree.image_paths())
    if paths and (pictures := unread_pictures(tree.other_paths())):
        say(f"In `{folder}`, {pictures}")
    return paths


def _matched(pattern: str) -> Iterator[InputImage]:
    """Images that match a pattern, and those below folders that do."""
    found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207 - absolute ones, too
    files = [file for path in found for file in (_below(path) if path.is_dir() else [path])]
    images = dict.fromkeys(file for file in files if is_image_name(file.name))
    if not images:
        raise UsageError(
            f"Nothing that `{pattern}` matches is an image.",
            ways=["check the pattern", "give a folder: it is searched at every depth"],
            hint="advisor predict runs/<name>/best 'photos/**/*.jpg'",
        )
    yield from (InputImage(str(file), file.read_bytes) for file in images)


def _listed(given: str, catalog: Catalog) -> list[InputImage] | None:
    """What an installed format other than folders reads: a table, shards, `digits:`; None where none does."""
    others = [offer.item for name, offer in catalog.datasets.items() if name != "folder"]
    score, place = max(((one.recognise(given), place) for place, one in enumerate(others)), default=(0.0, 0))
    if score <= 0:
        return None
    own = others[place]
    if own.images is not None:
        listing = own.images(given)
        return [InputImage(image, partial(listing.read, image)) for image in listing.paths]
    listing = own.open(given)
    start = f"{given}{'' if given.endswith(':') else '/'}"
    return [InputImage(f"{start}{image}", partial(listing.read, image)) for image in listing.paths]
