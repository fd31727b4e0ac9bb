"""Datasets in which an image may have several labels, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from advisor.task import Task


def keep_labels(frame: pd.DataFrame, kept: Sequence[int], task: Task) -> pd.DataFrame:
    """The same images with only some of the labels, numbered anew.

    Args:
        frame: of a dataset.
        kept: old numbers of the labels, in their new order.
        task: with these labels only.
    """
    frame = frame.copy()
    new = {label: place for place, label in enumerate(kept)}
    frame["labels"] = [tuple(new[label] for label in own if label in new) for own in frame["labels"]]
    frame["label"] = task.strata(task.encode(frame["labels"].tolist()))
    return frame


def draw_jointly(
    family: NDArray[np.str_], truth: NDArray[np.bool_], share: float, rng: np.random.Generator
) -> set[str]:
    """Families that hold about a share of the images of every label, where one family may have several [Sechidis 2011].

    The rarest label draws first, and what it leaves is left for good; each further one adds what its share still
    lacks. At least one family of a label is drawn where that leaves one.

    Args:
        family: (n,) family of each image, in an order that does not depend on the files'.
        truth: (n, classes), whether an image has a label.
        share: 0..1.
        rng: draws.
    """
    names, families = np.unique(family, return_inverse=True)
    chosen, left = np.zeros(len(names), bool), np.zeros(len(names), bool)
    for has in [*(truth.T[i] for i in np.argsort(truth.sum(0), kind="stable")), ~truth.any(1)]:
        size = np.bincount(families[has], minlength=len(names))
        free = rng.permutation(np.flatnonzero((size > 0) & ~chosen & ~left))
        have = int(size[chosen].sum())
        # Families differ in size: stop where the share of the images is met most closely.
        after = np.abs(have + np.concatenate([[0], np.cumsum(size[free])]) - max(1, round(share * int(has.sum()))))
        fewest, most = int(have == 0), len(free) - int(not size[left].any())
        take = min(max(int(after.argmin()), fewest), max(most, 0))
        chosen[free[:take]] = True
        left[free[take:]] = True
    return set(names[chosen].tolist())
