"""Drawing some of the images so that every class has its share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST_PER_CLASS, _ENOUGH_PER_CLASS = 4, 8


def stratified_order(
    labels: NDArray[np.int64], rng: np.random.Generator, *, share: float = 1.0, enough: int = 0
) -> NDArray[np.int64]:
    """A random order of n images, their classes interleaved, so that every prefix is stratified.

    Args:
        labels: (n,) classes.
        rng: draws the order.
        share: of the images that are wanted.
        enough: images of each class, as far as it has them, that come within that share.

    Returns:
        (n,) places in `labels`.
    """
    order = rng.permutation(len(labels))
    turn = np.empty(len(labels))
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        turn[mine] = (np.arange(len(mine)) + rng.random()) / len(mine)
        first = mine[:enough]
        if share < 1 and share * len(mine) < enough:
            turn[first] = share * (np.arange(len(first)) + rng.random()) / (len(first) + 1)
    return np.argsort(turn, kind="stable")


def sample_rows(
    rows: NDArray[np.int64], labels: NDArray[np.int64], most: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At most `most` rows, their classes interleaved, so that every prefix is stratified.

    A class that would get fewer than eight images gets up to eight, as far as there is room. With more classes
    than there is room for four images of each, a random part of the classes is taken: one image of each of
    five thousand classes would say nothing of any.
    """
    rng = np.random.default_rng(seed)
    kinds = np.unique(labels)
    if len(labels) > most and len(kinds) * _LEAST_PER_CLASS > most:
        wanted = max(2, most // (2 * _LEAST_PER_CLASS))
        kinds = rng.choice(kinds, min(len(kinds), wanted), replace=False)
        kept = np.isin(labels, kinds)
        rows, labels = rows[kept], labels[kept]
    enough = min(_ENOUGH_PER_CLASS, most // len(kinds))
    chosen = stratified_order(labels, rng, share=min(1.0, most / len(rows)), enough=enough)[:most]
    return rows[chosen], labels[chosen]
