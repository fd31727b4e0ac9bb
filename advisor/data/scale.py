"""The value ranges of a set of images, from a sample of those that are deeper than eight bits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from advisor.data.decode import UnreadableImageError, read_values
from advisor.data.levels import Extent, extent_of, range_of
from advisor.data.range import DEPTHS, ValueRange, ValueRanges
from advisor.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SAMPLE = 64  # images of each depth


def measure_ranges(
    read: Callable[[str], bytes], paths: Sequence[str], depths: Sequence[str], known: ValueRanges
) -> ValueRanges:
    """The range of each depth that stands in a set; what is known already is kept.

    Args:
        read: the bytes of an image.
        paths: of the readable images.
        depths: of each, as its header says.
        known: ranges that a plan gives.
    """
    measured: dict[str, ValueRange | None] = {}
    for depth in DEPTHS:
        measured[depth] = known.of(depth)
        own = sorted(path for path, of_it in zip(paths, depths, strict=True) if of_it == depth)
        if own and measured[depth] is None:
            places = np.unique(np.linspace(0, len(own) - 1, min(_SAMPLE, len(own))).round().astype(int))
            with ThreadPoolExecutor() as pool:
                looked_at = pool.map(partial(_extent, read), [own[place] for place in places])
                extents = [extent for extent in looked_at if extent is not None]
            measured[depth] = range_of(depth, extents) if extents else None
    return ValueRanges(**measured)


def _extent(read: Callable[[str], bytes], path: str) -> Extent | None:
    try:
        return extent_of(read_values(read(path)))
    except (UnreadableImageError, PluginError, OSError):
        return None  # it is named as broken when all are decoded
