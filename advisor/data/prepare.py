"""The first steps of every command: open, decode, leave out what is broken, split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from advisor.data.copies import group_copies
from advisor.data.dataset import ImageDataset, open_dataset, without
from advisor.data.pixels import PixelStore, store_pixels
from advisor.data.profile import DatasetProfile, profile_dataset
from advisor.data.range import NO_RANGES, ValueRanges
from advisor.data.splitting import split_dataset

if TYPE_CHECKING:
    from advisor.plugins import Catalog
    from advisor.progress import Progress
    from advisor.types import InputSpec


@dataclass(frozen=True)
class Prepared:
    """A dataset ready to be computed on.

    Attributes:
        dataset: readable images, split.
        pixels: all that were listed, decoded for one input.
        squares: their central squares, for the input that was first asked for, whatever its fit: copies are known by
            them, and the distance is measured on them.
        profile: counts.
        listed: as found, before anything was left out; rows of the pixels are its rows.
    """

    dataset: ImageDataset
    pixels: PixelStore
    squares: PixelStore
    profile: DatasetProfile
    listed: ImageDataset

    def at(self, spec: InputSpec, progress: Progress) -> Prepared:
        """The same images in the same parts, decoded for another input."""
        return replace(self, pixels=store_pixels(self.listed, spec, progress=progress))


def prepare(
    location: str,
    spec: InputSpec,
    *,
    catalog: Catalog,
    seed: int,
    skip_small_classes: bool = False,
    ranges: ValueRanges = NO_RANGES,
    progress: Progress,
    tell: bool = True,
) -> Prepared:
    """Open a location, decode every image once for this input, and split what can be read, copies on one side.

    Args:
        location: a folder, or whatever an installed dataset format recognises.
        spec: input of the backbone.
        catalog: of dataset formats.
        seed: of the split.
        skip_small_classes: leave out classes too small to split.
        ranges: of images deeper than eight bits where a plan gives them.
        progress: told how far it is.
        tell: whether it is told first how the location is understood, and what had to be guessed.

    Raises:
        UsageError: nothing recognises the location.
        DatasetError: the images cannot be used as they are.
        AdvisorError: the disk is full or may not be written.
    """
    listed = open_dataset(location, catalog=catalog, progress=progress, tell=tell, ranges=ranges)
    for warning in listed.ranges.warnings if tell else ():
        progress.say(warning)
    squares = store_pixels(listed, replace(spec, fit="crop"), progress=progress)
    readable = without(listed, squares.broken)
    grouped = group_copies(readable, squares, progress=progress)
    dataset = split_dataset(grouped, seed=seed, skip_small_classes=skip_small_classes)
    pixels = squares if spec.fit == "crop" else store_pixels(listed, spec, progress=progress)
    return Prepared(dataset, pixels, squares, profile_dataset(dataset), listed)
