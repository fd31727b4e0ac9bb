"""Near copies: images that are the same picture re-encoded, resized, or slightly changed in brightness.

They are found by correlation of small thumbnails, not by features of a network: two photographs of one kind
of thing are alike to a network and are no copies.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from advisor.data.dataset import ImageDataset
    from advisor.data.pixels import PixelStore
    from advisor.progress import Progress

MOST = 50_000  # images; the time grows with the square of their number
_COARSE, _FINE = 8, 32  # thumbnail sides, pixels
# Correlations; the first only has to miss nothing.
_COARSE_ALIKE, _FINE_ALIKE = 0.97, 0.99
_LEAST_CONTRAST = 2.0  # standard deviation in levels of 255; flatter images have nothing to compare
_BLOCK = 2048


def group_copies(dataset: ImageDataset, pixels: PixelStore, *, progress: Progress) -> ImageDataset:
    """The same dataset with a column `duplicate_group`: equal for images that are copies or near copies of each other.

    Sets of more than 50 000 images are grouped by file content alone, and a note says so.
    """
    frame = dataset.frame.copy()
    exact = pd.factorize(frame["content"])[0]
    notes = dataset.notes
    if len(frame) > MOST:
        groups = exact
        notes = (*notes, f"near copies were not looked for: that takes too long above {MOST} images")
    else:
        first = np.unique(exact, return_index=True)[1]
        with progress.task("Looking for copies", len(first)) as advance:
            near = near_copies(pixels, frame["row"].to_numpy(np.int64)[first], advance)
            groups = near[exact]
    frame["duplicate_group"] = groups.astype(np.int64)
    return replace(dataset, frame=frame, notes=notes)


def near_copies(
    pixels: PixelStore, rows: NDArray[np.int64], advance: Callable[[int], None] = lambda _images: None
) -> NDArray[np.int64]:
    """Group images that are near copies of each other.

    Args:
        pixels: decoded images.
        rows: (n,) places in the store.
        advance: told how many more images have been compared with all others.

    Returns:
        (n,) group numbers; images without a near copy are alone in theirs.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(rows)
    thumbs = pixels.thumbnails(rows, _FINE)
    flat = thumbs.reshape(n, -1).std(1) < _LEAST_CONTRAST
    coarse = _normalised(thumbs.reshape(n, _COARSE, _FINE // _COARSE, _COARSE, _FINE // _COARSE, 3).mean((2, 4, 5)))
    pairs: list[NDArray[np.int64]] = []
    for start in range(0, n, _BLOCK):
        alike = coarse[start : start + _BLOCK] @ coarse[start:].T
        i, j = np.nonzero(alike > _COARSE_ALIKE)
        later = i < j
        i, j = i[later] + start, j[later] + start
        pairs += [_confirmed(thumbs, i[k : k + _BLOCK], j[k : k + _BLOCK]) for k in range(0, len(i), _BLOCK)]
        advance(min(_BLOCK, n - start))
    found = np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)
    found = found[~(flat[found[:, 0]] | flat[found[:, 1]])]
    graph = coo_array((np.ones(len(found), bool), (found[:, 0], found[:, 1])), shape=(n, n))
    groups: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return groups


def _normalised(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of unit length and zero mean, so that their products are correlations."""
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(1, keepdims=True)
    lengths = np.sqrt(np.square(flat).sum(1, keepdims=True))
    return np.asarray(flat / np.maximum(lengths, 1e-6), np.float32)


def _confirmed(thumbs: NDArray[np.float32], i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.int64]:
    alike = np.einsum("nd,nd->n", _normalised(thumbs[i]), _normalised(thumbs[j])) > _FINE_ALIKE
    return np.stack([i[alike], j[alike]], axis=1)
