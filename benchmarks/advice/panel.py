"""The panel on which the advice is judged: image sets, and cells of them (set × images per class × seed)."""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from advisor.data.cache import cache_dir
from advisor.data.prepare import prepare
from advisor.data.profile import profile_dataset
from advisor.progress import Silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advisor.data.prepare import Prepared
    from advisor.plugins import Catalog
    from advisor.types import InputSpec

HERE = Path(__file__).parent
CELLS, TRAININGS, SHORT = HERE / "cells.csv", HERE / "trainings.csv", HERE / "cells_128.csv"
DATA = HERE.parents[2] / "shared" / "data"
BACKBONE = "lite0"
PER_CLASS = (5, 10, 25, 50, 100, 200)
TURNS = (25, 100, 10, 50, 5, 200)
TWICE_BELOW = 25  # images per class, below which a draw of its own is a poor estimate
TEST_IMAGES = 1000
MANY = 1000  # images per class, from which a set is not decoded as a whole


@dataclass(frozen=True)
class ImageSet:
    """An image set.

    Attributes:
        location: where it is.
        classes: how many it has.
        per_class: images of each that can be trained on, roughly.
        small: input size that costs little and still shows what is there, pixels.
        mirrored: whether a mirrored image keeps its class.
        only: classes that it consists of; all if empty.
    """

    location: str
    classes: int
    per_class: int
    small: int
    mirrored: bool
    only: tuple[str, ...] = ()


SETS = {
    "clothing_small": ImageSet(str(DATA / "clothing_small"), 10, 127, 96, mirrored=True),
    # An easy set of photographs: there is none among the others, and easy ones are what the first scenario is about.
    "clothing_four": ImageSet(
        str(DATA / "clothing_small"), 4, 130, 96, mirrored=True, only=("dress", "hat", "pants", "shoes")
    ),
    "furniture_renders": ImageSet(str(DATA / "furniture_renders"), 10, 50, 96, mirrored=True),
    "clipart": ImageSet(str(DATA / "clipart"), 33, 38, 96, mirrored=True),
    "satellite_landcover": ImageSet(str(DATA / "satellite_landcover"), 9, 210, 64, mirrored=True),
    "letters_fonts": ImageSet(str(DATA / "letters_fonts"), 26, 206, 64, mirrored=False),
    "mnist_5k": ImageSet(str(DATA / "mnist_5k"), 10, 400, 64, mirrored=False),
    "digits": ImageSet("digits:", 10, 144, 64, mirrored=False),
    "fashion_mnist": ImageSet("/usr/share/datasets/fashion-mnist", 10, 6000, 64, mirrored=True),
}


@dataclass(frozen=True, order=True)
class Cell:
    """Which images."""

    set: str
    per_class: int
    seed: int

    @property
    def source(self) -> ImageSet:
        """Where they come from."""
        return SETS[self.set]

    @property
    def key(self) -> tuple[str, str, str]:
        """As it stands in the tables."""
        return (self.set, str(self.per_class), str(self.seed))

    @property
    def turn(self) -> tuple[int, int]:
        """When it is measured: first seeds first, and sizes in such an order that a part of the panel spans all."""
        return self.seed, TURNS.index(self.per_class)


def all_cells(sets: list[str]) -> list[Cell]:
    """Every cell of these sets; small ones twice, under two seeds."""
    return [
        Cell(name, per_class, seed)
        for name in sets
        for per_class in PER_CLASS
        for seed in ((0, 1) if per_class < TWICE_BELOW else (0,))
        if per_class <= 1.1 * SETS[name].per_class
    ]


def images_of(cell: Cell, spec: InputSpec, catalog: Catalog) -> Prepared:
    """The cell's images, decoded for an input: some to train on and an untouched test set."""
    location = few_of_many(cell.source, catalog)
    prepared = prepare(location, spec, catalog=catalog, seed=0, progress=Silent())
    if cell.source.only:
        prepared = narrow(prepared, cell.source.only)
    return sample(prepared, cell.per_class, cell.seed)


def few_of_many(source: ImageSet, catalog: Catalog) -> str:
    """Where the images are; of a very large set a folder with the first of each class, written once to the cache."""
    if source.per_class < MANY:
        return source.location
    folder = cache_dir("panel") / Path(source.location).name
    if not folder.exists():
        listing = catalog.dataset_for(source.location).open(source.location)
        taken: Counter[tuple[str, str]] = Counter()
        for path, label, split in zip(listing.paths, listing.labels, listing.splits, strict=True):
            part = "test" if split == "test" else "train"
            taken[part, str(label)] += 1
            if taken[part, str(label)] > (TEST_IMAGES / source.classes if part == "test" else 2 * max(PER_CLASS)):
                continue
            file = folder / part / str(label) / f"{taken[part, str(label)]}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(listing.read(path))
    return str(folder)


def narrow(prepared: Prepared, only: tuple[str, ...]) -> Prepared:
    """The same with some of its classes."""
    dataset = prepared.dataset
    kept = [dataset.classes.index(name) for name in only]
    frame = dataset.frame.loc[dataset.frame["label"].isin(kept)].reset_index(drop=True)
    frame["label"] = frame["label"].map({old: new for new, old in enumerate(kept)})
    return replace(prepared, dataset=replace(dataset, frame=frame, classes=only))


def sample(prepared: Prepared, per_class: int, seed: int) -> Prepared:
    """At most so many images of each class to train on, and about `TEST_IMAGES` others to judge on, equal classes.

    Nothing is held out for validation: what is trained is decided before, and judged on the test images. A given test
    part keeps twins apart, so nothing is added to it; one that was drawn gets what the sample leaves over.
    """
    frame = prepared.dataset.frame.copy()
    frame["split"] = frame["split"].where(frame["split"] == "test", "pool")
    frame = frame.iloc[np.random.default_rng(seed).permutation(len(frame))]
    place = frame.groupby(["split", "label"]).cumcount()
    train = (frame["split"] == "pool") & (place < per_class)
    if any(note.startswith("test part drawn") for note in prepared.dataset.notes):
        frame["split"] = "test"
    frame.loc[train, "split"] = "train"
    place = frame.groupby(["split", "label"]).cumcount()
    quota = math.ceil(TEST_IMAGES / len(prepared.dataset.classes))
    test = (frame["split"] == "test") & (place < quota)
    dataset = replace(prepared.dataset, frame=frame.loc[test | train].sort_values("row").reset_index(drop=True))
    return replace(prepared, dataset=dataset, profile=profile_dataset(dataset))


def to_bits(right: NDArray[np.bool_]) -> str:
    """Booleans as hexadecimal digits, first image first."""
    return np.packbits(right).tobytes().hex()


def from_bits(text: str, count: int) -> NDArray[np.bool_]:
    """Hexadecimal digits to booleans."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:count].astype(bool)


def rows_of(table: Path) -> list[dict[str, str]]:
    """The rows of a table; none if it is not there."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def append(table: Path, row: dict[str, object]) -> None:
    """Add a row; a table of another layout is refused rather than mixed."""
    new = not table.exists()
    if not new:
        with table.open(newline="") as file:
            header = next(csv.reader(file))
        if header != list(row):
            raise SystemExit(f"{table} has other columns than this code writes: move it away.")
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
