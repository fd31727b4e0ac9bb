"""What a dataset format has to be, tried on one location that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.testing.checking import Flaw, ask

if TYPE_CHECKING:
    from advisor.types import DatasetFormat

_NOWHERE = "no-such-place/that-is-there"
_FEW = 5  # images that are read


@dataclass(frozen=True)
class Place:
    """A format and a location that it reads, as a person would type it."""

    format: DatasetFormat
    location: str


def recognises_its_own_and_nothing_else(place: Place) -> None:
    """It is sure of its own location, not of one that does not exist, nor of a plain folder of images."""
    import tempfile
    from pathlib import Path

    recognise = place.format.recognise
    ask(0 < recognise(place.location) <= 1, f"of `{place.location}` it says {recognise(place.location)}, not up to 1")
    ask(not recognise(_NOWHERE), f"it recognises `{_NOWHERE}`, which does not exist")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cats", "dogs"):
            (Path(folder) / name).mkdir()
            (Path(folder) / name / "1.png").touch()
        own = place.format.name == "folder"  # the core's
        ask(own or recognise(folder) < 1, "it claims every folder of images in class folders, which the core reads")


def lists_without_reading(place: Place) -> None:
    """It lists as many labels as images, each image once, with known splits and a short name."""
    listing = place.format.open(place.location)
    count = len(listing.paths)
    ask(count, f"it finds no image at `{place.location}`")
    ask(len(listing.labels) == count, f"{count} images and {len(listing.labels)} labels")
    ask(len(set(listing.paths)) == count, "two images have the same identifier")
    ask(all(isinstance(path, str) for path in listing.paths), "an identifier is not text")
    labels: tuple[object, ...] = tuple(listing.labels)  # whatever a stranger put there
    odd = [label for label in labels if not isinstance(label, str | tuple) or label == ""]
    ask(not odd, f"{odd[:1]} is among its labels; they are text, and not empty")
    ask(len(set(listing.labels)) > 1, "all its images have the same label")
    ask(len(listing.splits) in (0, count), f"{count} images and {len(listing.splits)} splits")
    ask(len(listing.groups) in (0, count), f"{count} images and {len(listing.groups)} groups")
    unknown = set(listing.splits) - {"train", "val", "test", ""}
    ask(not unknown, f"splits are called {', '.join(map(repr, sorted(unknown)))}; train, val, test or nothing is known")
    ask(listing.name and "/" not in listing.name, f"its name is {listing.name!r}, which cannot name a folder")


def lists_the_same_twice(place: Place) -> None:
    """Opened twice it lists the same images in the same order."""
    first, second = (place.format.open(place.location) for _ in range(2))
    ask(list(first.paths) == list(second.paths), "the images come in another order")
    ask(list(first.labels) == list(second.labels), "the labels differ")


def reads_images(place: Place) -> None:
    """What it reads are encoded images, the same bytes every time, in any order and from any thread."""
    from concurrent.futures import ThreadPoolExecutor

    from advisor.data.decode import UnreadableImageError, read_header

    listing = place.format.open(place.location)
    step = max(1, len(listing.paths) // _FEW)
    some = list(listing.paths)[::step][:_FEW]
    forwards = [listing.read(path) for path in some]
    with ThreadPoolExecutor() as pool:
        backwards = list(pool.map(listing.read, some[::-1]))[::-1]
    ask(forwards == backwards, "the same image gives other bytes when it is read again")
    for path, data in zip(some, forwards, strict=True):
        ask(isinstance(data, bytes), f"`{path}` reads as {type(data).__name__}, not bytes")
        try:
            read_header(data)
        except UnreadableImageError as error:
            raise Flaw(f"`{path}` is no image that can be read: {error}") from error


def says_what_is_missing(place: Place) -> None:
    """Reading an image that is not there raises `OSError`, and opening a place that is not there an advisor's error."""
    from advisor.errors import AdvisorError

    listing = place.format.open(place.location)
    try:
        listing.read("no-such-image")
    except (OSError, AdvisorError):
        pass
    except Exception as error:
        raise Flaw(f"reading an unknown image raises {type(error).__name__}, not OSError") from error
    else:
        raise Flaw("reading an unknown image raises nothing")
    if place.location == place.format.example and place.location.endswith(":"):
        return  # it has one place only
    try:
        place.format.open(_NOWHERE)
    except AdvisorError as error:
        ask(_NOWHERE in str(error), "the message does not name the place that is not there")
    except Exception as error:
        raise Flaw(
            f"a place that is not there raises {type(error).__name__}, not DatasetError or UsageError"
        ) from error
    else:
        raise Flaw("a place that is not there raises nothing")


CHECKS = (
    recognises_its_own_and_nothing_else, lists_without_reading, lists_the_same_twice, reads_images,
    says_what_is_missing,
)  # fmt: skip
