"""Average precision where an image may have several labels, and what each image adds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def average_precisions(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average precision of every class [Everingham 2010]; NaN where no image has the label.

    Images with equal scores are taken in the order they come in.

    Args:
        scores: (n, classes), higher where a label is more likely.
        truth: (n, classes), whether an image has a label.

    Returns:
        (classes,), 0..1.
    """
    found = np.full(truth.shape[1], np.nan)
    ranks = np.arange(1, len(truth) + 1)
    for label in np.flatnonzero(truth.any(0)):
        right = truth[np.argsort(-scores[:, label], kind="stable"), label]
        found[label] = np.mean((np.cumsum(right) / ranks)[right])
    return found


def precision_scores(
    scores: NDArray[np.floating], truth: NDArray[np.bool_], families: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """What each image adds to the mean average precision: (n,) values whose mean is that figure.

    Average precision is no mean over images: one image that stands too high takes precision from all below it. These
    are its jackknife influences, (n - 1) times what is lost without the image, moved so that their mean is the figure
    itself. Their spread over the square root of n is its standard error, and that of the difference of two models'
    values is the error of a paired comparison [Efron 1982]. Of families it is what is lost without all of one, in equal
    parts for each of its images: copies stand together in the ranking, and one of them is not missed.

    Args:
        scores: (n, classes), higher where a label is more likely.
        truth: (n, classes). A label that no image has counts for nothing.
        families: (n,) equal for images that go together; by default each is by itself.

    Raises:
        ValueError: no image has any label.
    """
    n, known = len(truth), np.flatnonzero(truth.any(0))
    if not len(known):
        raise ValueError("no image has any label, so there is no precision")
    if families is not None and len(np.unique(families)) < n:
        return _family_scores(scores, truth, np.unique(families, return_inverse=True)[1])
    influence = np.zeros(n)
    total = 0.0
    ranks = np.arange(1, n + 1)
    for label in known:
        order = np.argsort(-scores[:, label], kind="stable")
        right = truth[order, label]
        hits = np.cumsum(right)
        count = int(hits[-1])
        precision = np.where(right, hits / ranks, 0.0)
        total += precision.sum() / count
        if count == 1 or n == 1:
            continue  # without its only image the label would not count; what is left says nothing of others
        # Without an image all that stand below it move up by one, and lose a hit if it was one.
        up = np.maximum(ranks - 1, 1)
        after_miss = np.where(right, hits / up - hits / ranks, 0.0)
        after_hit = np.where(right, (hits - 1) / up - hits / ranks, 0.0)
        below_miss, below_hit = (values[::-1].cumsum()[::-1] - values for values in (after_miss, after_hit))
        whole = precision.sum()
        without = np.where(right, (whole - precision + below_hit) / (count - 1), (whole + below_miss) / count)
        influence[order] += whole / count - without
    values = (n - 1) * influence / len(known)
    image_scores: NDArray[np.float64] = values - values.mean() + total / len(known)
    return image_scores


def _family_scores(
    scores: NDArray[np.floating], truth: NDArray[np.bool_], family: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The same of families 0, 1, 2, …, each left out in turn."""
    n, count, known = len(truth), int(family.max()) + 1, np.flatnonzero(truth.any(0))
    whole, without = np.zeros(len(known)), np.full((len(known), count), np.nan)
    for place, label in enumerate(known):
        order = np.argsort(-scores[:, label], kind="stable")
        right, who = truth[order, label], family[order]
        whole[place] = _precision(right)
        for one in range(count):
            left = right[who != one]
            if left.any():  # a label that one family alone has would not count without it
                without[place, one] = _precision(left)
    some = ~np.isnan(without).all(0)
    left_out = np.where(some, np.nansum(without, 0) / np.maximum(1, (~np.isnan(without)).sum(0)), whole.mean())
    values = (count - 1) * (whole.mean() - left_out)
    share = n / (count * np.bincount(family))  # of a family in the sum, over that of its images
    return np.asarray(((values - values.mean()) * share)[family] + whole.mean())


def _precision(right: NDArray[np.bool_]) -> float:
    """Average precision of images in the order of their scores, of which some are right."""
    return float(np.mean((np.cumsum(right) / np.arange(1, len(right) + 1))[right]))
