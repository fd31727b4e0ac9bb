"""Labelled images as a table: which files, which class, which split. No pixels."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from advisor.data.decode import Header, UnreadableImageError, read_header
from advisor.data.formats import unread_pictures
from advisor.data.gaps import gaps_between_parts
from advisor.data.range import NO_RANGES, ValueRanges
from advisor.data.scale import measure_ranges
from advisor.errors import DatasetError, PluginError
from advisor.plugins import load_catalog
from advisor.progress import Progress, Silent
from advisor.task import Labels, Task, make_task
from advisor.types import Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from advisor.plugins import Catalog


@dataclass(frozen=True)
class ImageDataset:
    """A set of labelled images.

    Attributes:
        name: short name for folders and titles.
        location: what was opened, as typed.
        format: name of the dataset format that read it.
        classes: class names, sorted.
        frame: one row per image. `row` is its place in the pixel store, `path` its identifier, `label`
            an index into `classes` (where images may have several: the rarest of them, -1 for none, and all of them
            in `labels`), `split` one of `train`, `val`, `test` or empty, `given_group` the given group
            or empty, `content` a hash of the file, `width`, `height` (pixels), `mode`, `format` and `depth` as the
            file's header states them.
            Once looked for, `duplicate_group` is equal for copies and near copies. Once split, `family` is equal for
            what was kept on one side.
        digest: hash of every path, file content, label and given split; equal for equal data.
        broken: identifiers of unreadable files with the reason.
        ignored: what was found and is not an image.
        reading: how the location was understood, in sentences.
        gaps: of a given part the classes that it lacks, which `reading` says.
        notes: what a person should know about the splits.
        drawn: splits that were drawn rather than given.
        ranges: what is black and what is white in images deeper than eight bits.
    """

    name: str
    location: str
    format: str
    classes: tuple[str, ...]
    frame: pd.DataFrame
    digest: str
    read: Callable[[str], bytes] = field(repr=False)
    broken: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()
    gaps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    ranges: ValueRanges = NO_RANGES

    @property
    def val_drawn(self) -> bool:
        """Whether another validation part could as well have been drawn."""
        return "val" in self.drawn

    @property
    def task(self) -> Task:
        """What there is to learn: one class an image, or several labels; judged by accuracy unless told otherwise."""
        return make_task(self.classes, multilabel="labels" in self.frame)

    def targets(self, rows: NDArray[np.int64]) -> Labels:
        """Labels of the images at these places of the pixel store, as the task counts them."""
        column = self.task.column
        return self.task.encode(self.frame[["row", column]].set_index("row").loc[rows][column].tolist())

    def families(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) equal for images at these places of the pixel store that go together: copies, or a given group."""
        return pd.factorize(self.frame[["row", "family"]].set_index("row").loc[rows]["family"])[0].astype(np.int64)

    def truth(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n, classes), whether the images at these places of the pixel store have a label."""
        return self.task.truth(self.targets(rows))

    def rows(self, *splits: str) -> NDArray[np.int64]:
        """Places in the pixel store of the images in these splits, in table order."""
        return self.frame.loc[self.frame["split"].isin(splits), "row"].to_numpy(dtype=np.int64)

    def labels(self, *splits: str) -> NDArray[np.int64]:
        """Class indices (n,) of the images in these splits, in the same order as `rows`.

        Where images may have several labels it is the rarest of them, -1 for none: for sampling in proportion.
        """
        return self.frame.loc[self.frame["split"].isin(splits), "label"].to_numpy(dtype=np.int64)


def open_dataset(
    location: str | Path,
    *,
    catalog: Catalog | None = None,
    progress: Progress | None = None,
    tell: bool = True,
    ranges: ValueRanges = NO_RANGES,
) -> ImageDataset:
    """Find the images at a location and read their headers.

    Args:
        location: a folder, or whatever an installed dataset format recognises.
        catalog: where formats come from; the installed plugins by default.
        progress: told how the location is understood, before anything is read, and how far the headers are.
        tell: whether it is told the former; it may know from before.
        ranges: of images deeper than eight bits where a plan gives them; measured where it does not.

    Raises:
        UsageError: nothing recognises the location.
        DatasetError: no images, or fewer than two classes.
    """
    location = str(location)
    dataset_format = (catalog or load_catalog()).dataset_for(location)
    listing = dataset_format.open(location)
    _require_sound(dataset_format.name, listing)
    _require_utf8(location, listing)
    task = task_of(listing)
    classes = task.classes
    _require_classes(location, classes)
    progress = progress or Silent()
    gaps, sentences = gaps_between_parts(listing)
    reading = (*listing.reading, *sentences)
    for sentence in reading if tell else ():
        progress.say(sentence)
    if pictures := unread_pictures(listing.ignored) if tell else "":
        progress.say(pictures)
    contents, headers, broken = _read_headers(listing, progress)
    readable = sorted(headers)
    if not readable:
        first = f"; the first, `{listing.paths[0]}`: {broken[0]}" if broken else ""
        raise DatasetError(
            f"None of the {len(listing.paths)} images of `{location}` can be read{first}.",
            ways=["check that the files are whole, and images"],
            hint="advisor profile shows what is wrong with each file as soon as one can be read",
        )
    frame = pd.DataFrame(
        {
            "row": np.arange(len(readable), dtype=np.int64),
            "path": [listing.paths[i] for i in readable],
            "split": [listing.splits[i] if listing.splits else "" for i in readable],
            "given_group": [listing.groups[i] if listing.groups else "" for i in readable],
            "content": [contents[i] for i in readable],
            "width": [headers[i].width for i in readable],
            "height": [headers[i].height for i in readable],
            "mode": [headers[i].mode for i in readable],
            "format": [headers[i].format for i in readable],
            "depth": [headers[i].depth for i in readable],
        }
    )
    index = {name: number for number, name in enumerate(classes)}
    numbers = [tuple(sorted({index[name] for name in _each(listing.labels[i])})) for i in readable]
    if listing.multilabel:
        frame.insert(2, "labels", pd.Series(numbers, dtype=object))
        frame.insert(2, "label", task.strata(task.encode(numbers)))
    else:
        frame.insert(2, "label", np.array([number for (number,) in numbers], np.int64))
    ranges = measure_ranges(listing.read, frame["path"].tolist(), frame["depth"].tolist(), ranges)
    return ImageDataset(
        name=listing.name,
        location=location,
        format=dataset_format.name,
        classes=classes,
        frame=frame,
        digest=_digest(listing, contents),
        read=listing.read,
        broken=tuple((listing.paths[i], reason) for i, reason in sorted(broken.items())),
        ignored=tuple(listing.ignored),
        reading=reading,
        gaps=gaps,
        notes=ranges.sentences,
        ranges=ranges,
    )


def task_of(listing: Listing) -> Task:
    """What there is to learn of listed images."""
    return make_task(sorted(set(_names(listing))), multilabel=listing.multilabel)


def without(dataset: ImageDataset, broken: Iterable[tuple[int, str]]) -> ImageDataset:
    """The same dataset less some rows, named with the reason they cannot be read."""
    reasons = dict(broken)
    gone = dataset.frame["row"].isin(list(reasons))
    named = [(str(path), reasons[int(row)]) for row, path in
             dataset.frame.loc[gone, ["row", "path"]].itertuples(index=False)]  # fmt: skip
    return replace(
        dataset,
        frame=dataset.frame.loc[~gone].reset_index(drop=True),
        broken=(*dataset.broken, *named),
    )


def _require_sound(name: str, listing: object) -> None:
    """Refuse what no format should give; strangers write them."""
    flaw = ""
    if not isinstance(listing, Listing):
        flaw = f"gave {type(listing).__name__}, not a Listing"
    else:
        count = len(listing.paths)
        columns: dict[str, Sequence[object]] = {
            "labels": listing.labels, "splits": listing.splits, "groups": listing.groups,
        }  # fmt: skip
        for what, values in columns.items():
            if len(values) != count and (what == "labels" or len(values)):
                flaw = flaw or f"listed {count} images and {len(values)} {what}"
        multilabel = any(isinstance(label, tuple) for label in listing.labels)
        for what, values in {"paths": listing.paths, **columns}.items():
            if what == "labels" and multilabel:
                odd = next((own for own in values if not isinstance(own, tuple)
                            or any(not isinstance(name, str) for name in own)), None)  # fmt: skip
                flaw = flaw or (f"listed {odd!r} among tuples of labels" if odd is not None else "")
                continue
            odd = next((value for value in values if not isinstance(value, str)), None)
            if odd is not None:
                flaw = flaw or f"listed {odd!r} among its {what}, which is no text"
        if len(set(listing.paths)) != count:
            flaw = flaw or "listed two images under the same name"
    if flaw:
        raise PluginError(
            f"The dataset format `{name}` {flaw}.",
            ways=["tell its author", "bring the images into class folders"],
            hint="advisor plugins check shows everything that is wrong with it",
        )


def _each(label: str | tuple[str, ...]) -> tuple[str, ...]:
    return label if isinstance(label, tuple) else (label,)


def _names(listing: Listing) -> Iterator[str]:
    """Every label, as often as it is given."""
    return (name for label in listing.labels for name in _each(label))


def _require_utf8(location: str, listing: Listing) -> None:
    """Names end up in TOML, JSON and on terminals; refuse early what none of them can hold."""
    for name in (location, *_names(listing), *listing.paths):
        try:
            name.encode("utf-8")
        except UnicodeEncodeError as error:
            shown = name.encode("utf-8", "backslashreplace").decode()
            raise DatasetError(
                f"The name `{shown}` is not valid UTF-8.",
                ways=["rename the file or folder"],
                hint="convmv renames whole trees: convmv -f latin1 -t utf8 -r --notest ./data",
            ) from error


def _require_classes(location: str, classes: tuple[str, ...]) -> None:
    if len(classes) < 2:
        named = f"only one class, `{classes[0]}`" if classes else "no class"
        raise DatasetError(
            f"`{location}` holds {named}; a classifier needs two.",
            ways=[
                "add a folder for a second class",
                "give the folder above, if this is one class of several",
            ],
            hint="one folder per class: data/cats/1.jpg, data/dogs/2.jpg",
        )


def _read_headers(listing: Listing, progress: Progress) -> tuple[dict[int, str], dict[int, Header], dict[int, str]]:
    """Content hash and header of every file, and the reason for each that has none."""

    def one(index: int) -> tuple[int, str, Header | str]:
        try:
            data = listing.read(listing.paths[index])
        except OSError as error:
            return index, "", error.strerror or str(error)
        except PluginError as error:  # a stranger's reader has failed in a way of its own
            return index, "", error.message
        if not isinstance(data, bytes):
            return index, "", f"its format gave {type(data).__name__}, not bytes"
        content = hashlib.blake2b(data, digest_size=16).hexdigest()
        try:
            return index, content, read_header(data)
        except UnreadableImageError as error:
            return index, content, str(error)

    contents: dict[int, str] = {}
    headers: dict[int, Header] = {}
    broken: dict[int, str] = {}
    with progress.task("Listing images", len(listing.paths)) as advance, ThreadPoolExecutor() as pool:
        for index, content, outcome in pool.map(one, range(len(listing.paths))):
            contents[index] = content
            if isinstance(outcome, str):
                broken[index] = outcome
            else:
                headers[index] = outcome
            advance(1)
    return contents, headers, broken


def _digest(listing: Listing, contents: dict[int, str]) -> str:
    lines = sorted(
        "\0".join(
            [
                path,
                contents[i],
                "\1".join(sorted(_each(listing.labels[i]))),
                listing.splits[i] if listing.splits else "",
                *([listing.groups[i]] if listing.groups else []),
            ]
        )
        for i, path in enumerate(listing.paths)
    )
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]
