"""Near copies: images that are one picture re-encoded, resized, brighter or darker, mirrored, turned or cropped.

They are found by what small versions of them look like, not by features of a network: two photographs of one kind of
thing are alike to a network and are no copies. Candidates are looked for among the most alike only, cell by cell, so
that the time grows little faster than the number of images; see `advisor.data.windows`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from advisor.data.dataset import ImageDataset
    from advisor.data.pixels import PixelStore
    from advisor.progress import Progress

_SIDE, _SMALL = 64, 32  # of thumbnails, pixels
_BLOCK = 512  # images at a time
_PAIRS = 128  # pairs at a time
_FEW = 2000  # images that are all compared with each other
_PER_ROOT = 4  # cells for each unit of the square root of the images' number
_PROBED = 3  # cells that each window is looked for in
_NEAREST = 4  # candidates of an image, and of a window within a cell
_LEAST_PRODUCT = 0.965  # of the signatures of a picture's window and a candidate
_SAME = 0.99  # correlation of small pictures, in colour, that are the same without any turning
# Correlation of gray pictures laid on each other, and of their detail alone; of drawings on plain ground more is asked.
_ALIKE, _ALIKE_IN_DETAIL = 0.90, 0.75
_DRAWN_ALIKE, _DRAWN_ALIKE_IN_DETAIL = 0.98, 0.90
_DRAWN = 0.70  # share of a picture that has its two commonest gray levels, from which on it is a drawing
_LEAST_SIDE = 16  # pixels; of scikit-learn's digits, 8 x 8, two of three look like copies of each other
_LEAST_CONTRAST = 2.0  # standard deviation in levels of 255; flatter images have nothing to compare


def group_copies(dataset: ImageDataset, pixels: PixelStore, *, progress: Progress) -> ImageDataset:
    """The same dataset with a column `duplicate_group`: equal for images that are (near) copies of each other."""
    frame = dataset.frame.copy()
    exact = pd.factorize(frame["content"])[0]
    first = np.unique(exact, return_index=True)[1]
    sides = np.minimum(frame["width"].to_numpy(), frame["height"].to_numpy())[first]
    seen = np.flatnonzero(sides >= _LEAST_SIDE)
    near = np.arange(len(first)) + len(first)  # alone, where nothing is compared
    with progress.task("Looking for copies", len(seen)) as advance:
        near[seen] = near_copies(pixels, frame["row"].to_numpy(np.int64)[first[seen]], advance)
    frame["duplicate_group"] = near[exact].astype(np.int64)
    return replace(dataset, frame=frame)


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
    if not n:
        return np.empty(0, np.int64)
    pairs = [_confirmed(pixels, rows, candidates) for candidates in _candidates(pixels, rows, advance)]
    links = np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)
    graph = coo_array((np.ones(len(links), bool), (links[:, 0], links[:, 1])), shape=(n, n))
    groups: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return groups


def _candidates(
    pixels: PixelStore, rows: NDArray[np.int64], advance: Callable[[int], None]
) -> Iterator[NDArray[np.int64]]:
    """By blocks of images (pairs, 3): an image, one that may be a copy of a window of it, and the window."""
    import torch

    from advisor.data.windows import signatures, windows

    whole = [signatures(_small(pixels, rows[at]), whole_only=True)[:, 0] for at in _blocks(len(rows))]
    known = torch.cat(whole)
    cells = _Cells(known)
    count = len(windows())
    for at in _blocks(len(rows)):
        asked = signatures(_small(pixels, rows[at])).flatten(0, 1)
        query, member, product = cells.nearest(asked)
        image, window = at[0] + query // count, query % count
        fit = (product > _LEAST_PRODUCT) & (image != member)
        order = torch.nonzero(fit)[:, 0]
        order = order[product[order].argsort(descending=True)]
        table = pd.DataFrame({"image": image[order], "member": member[order], "window": window[order]})
        table = table.drop_duplicates(["image", "member"]).groupby("image", sort=False).head(_NEAREST)
        yield table.to_numpy(np.int64)
        advance(len(at))


class _Cells:
    """Signatures in cells of alike ones, so that each is compared with few others.

    Args:
        known: (n, width) of unit length.
    """

    def __init__(self, known: Tensor) -> None:
        import torch

        n = len(known)
        cells = 1 if n <= _FEW else round(_PER_ROOT * n**0.5)
        chosen = np.sort(np.random.default_rng(0).choice(n, cells, replace=False))
        self._centres = known[torch.from_numpy(chosen)]
        cell = torch.cat([(known[at] @ self._centres.T).argmax(1) for at in _blocks(n)])
        order = cell.argsort(stable=True)
        ends = torch.bincount(cell, minlength=cells).cumsum(0)[:-1]
        self._members = order.tensor_split(ends)
        self._known = [known[members] for members in self._members]

    def nearest(self, asked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Which of the asked (m, width) is near which of the known, and their products; several of each asked."""
        import torch

        probed = (asked @ self._centres.T).topk(min(_PROBED, len(self._centres)), dim=1).indices
        cell, order = probed.flatten().sort(stable=True)
        queries = order // probed.shape[1]
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        start = 0
        for number, size in zip(*torch.unique_consecutive(cell, return_counts=True), strict=True):
            own = queries[start : start + int(size)]
            start += int(size)
            members = self._members[int(number)]
            if len(members):
                product, place = (asked[own] @ self._known[int(number)].T).topk(min(1 + _NEAREST, len(members)), dim=1)
                parts.append((own.repeat_interleave(place.shape[1]), members[place.flatten()], product.flatten()))
        query, member, product = (torch.cat(column) for column in zip(*parts, strict=True))
        return query, member, product


def _confirmed(pixels: PixelStore, rows: NDArray[np.int64], candidates: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those pairs of candidates (pairs, 3) that are copies of each other, (copies, 2)."""
    import torch

    from advisor.data.windows import alike, plainness

    kept = [np.empty((0, 2), np.int64)]
    for start in range(0, len(candidates), _PAIRS):
        pairs = candidates[start : start + _PAIRS]
        wanted, places = np.unique(pairs[:, :2], return_inverse=True)
        thumbs = torch.from_numpy(pixels.thumbnails(rows[wanted], _SIDE))
        first, second = (thumbs[torch.from_numpy(places.reshape(-1, 2)[:, column])] for column in (0, 1))
        whole, detail = alike(first, second, torch.from_numpy(pairs[:, 2].copy()))
        drawn = torch.maximum(plainness(first), plainness(second)) > _DRAWN
        copies = whole > torch.where(drawn, _DRAWN_ALIKE, _ALIKE)
        copies &= detail > torch.where(drawn, _DRAWN_ALIKE_IN_DETAIL, _ALIKE_IN_DETAIL)
        small = [_normalised(_shrunk(one)) for one in (first, second)]
        copies |= (small[0] * small[1]).sum(1) > _SAME
        for one in (first, second):
            copies &= _shrunk(one).mean(3).flatten(1).std(1) >= _LEAST_CONTRAST
        kept.append(pairs[copies.numpy(), :2])
    return np.concatenate(kept)


def _small(pixels: PixelStore, rows: NDArray[np.int64]) -> Tensor:
    import torch

    return torch.from_numpy(pixels.thumbnails(rows, _SMALL))


def _shrunk(thumbs: Tensor) -> Tensor:
    n = len(thumbs)
    return thumbs.reshape(n, _SMALL, _SIDE // _SMALL, _SMALL, _SIDE // _SMALL, 3).mean((2, 4))


def _normalised(pictures: Tensor) -> Tensor:
    """Rows of unit length, each colour with zero mean, so that their products are correlations.

    Else two pictures of nothing but the same blue would correlate.
    """
    flat = (pictures - pictures.mean((1, 2), keepdim=True)).flatten(1)
    return flat / flat.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)


def _blocks(count: int) -> list[NDArray[np.int64]]:
    return [np.arange(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK)]
