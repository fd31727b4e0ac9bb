"""Standard errors and intervals of a score, whose images may come in families (method.md section 4).

Copies of a photograph, images of one patient and frames of one video say less than as many images by themselves: their
scores go together. How much they do is measured on the scores themselves, as their correlation within families, and
taken with a grain of doubt: to be sure of it takes several families that are told wrong. Every error and interval of
the project comes from here; where each image is by itself they are the textbook's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Z95 = 1.96
_DOUBT = 1.0  # families, in whose agreement alone nothing else is seen (benchmarks/coverage.py)


def wilson(right: float, total: float, z: float = _Z95) -> tuple[float, float]:
    """Wilson score interval of a proportion (95 % by default); (0, 1) for no observations."""
    if total == 0:
        return 0.0, 1.0
    p = right / total
    centre = p + z * z / (2 * total)
    half = z * math.sqrt(max(0.0, p * (1 - p)) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def score_interval(values: NDArray[np.float64], families: NDArray[np.int64] | None = None) -> tuple[float, float]:
    """95 % interval of a mean within 0 to 1, Wilson's for as many independent images as these are worth.

    Of a share it is Wilson's own; of a mean average precision it is lopsided, as its errors are.

    Args:
        values: (n,) what each image adds; none gives (0, 1).
        families: (n,) equal for images that go together; by default each is by itself.
    """
    total = effective_size(values, families)
    return wilson(float(np.mean(values)) * total, total) if total else (0.0, 1.0)


def effective_size(values: NDArray[np.float64], families: NDArray[np.int64] | None = None) -> float:
    """Independent images that, each right or wrong, would tell a mean within 0 to 1 as well as these do.

    Args:
        values: (n,) what each image adds; 0 or 1 of a share.
        families: (n,) equal for images that go together; by default each is by itself.
    """
    n = len(values)
    if not n:
        return 0.0
    share, p = np.full(n, 1 / n), float(np.mean(values))
    variance = variance_of_mean(share * (values - p), share, families)
    if not variance or not 0 < p < 1:  # nothing says that the images of a family differ
        return 1 / float(np.sum(family_sums(share, families) ** 2))
    return p * (1 - p) / variance


def standard_error(
    values: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None = None,
    families: NDArray[np.int64] | None = None,
) -> float:
    """Of a weighted mean of values in -1..1.

    Where all values agree, one more family that does not is taken into account (the rule of succession), so that no
    error is zero.

    Args:
        values: (n,), at least one.
        sample_weight: (n,) what each counts; the same by default.
        families: (n,) equal for images that go together; by default each is by itself.
    """
    share = _share(values, sample_weight)
    centred = values - share @ values
    if float(values.std()) == 0:
        inverse = float(np.sum(family_sums(share, families) ** 2))  # of the number of families
        p = 1 / (1 / inverse + 2)
        return math.sqrt(p * (1 - p) * inverse)
    return math.sqrt(variance_of_mean(share * centred, share, families))


def paired(
    difference: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    families: NDArray[np.int64] | None = None,
) -> tuple[float, float]:
    """Weighted mean of per-image differences (n,) and its standard error.

    One family in agreement is taken to differ, so that a tie on few images is not certain.

    Args:
        difference: of two scores of each image.
        sample_weight: (n,) what each image counts.
        families: (n,) equal for images that go together; by default each is by itself.
    """
    share = _share(difference, sample_weight)
    mean = float(share @ difference)
    spread = variance_of_mean(share * (difference - mean), share, families)
    return mean, (spread + float(family_sums(share, families).max() ** 2)) ** 0.5


def variance_of_mean(
    influence: NDArray[np.float64],
    share: NDArray[np.float64],
    families: NDArray[np.int64] | None = None,
    *,
    means: int = 1,
) -> float:
    """Variance of a weighted mean, from what each image moves it by.

    Images by themselves give the sum of the squared influences. Families multiply that by their design effect
    1 + rho (A - 1), where A is what it would be if the images of a family were all the same [Kish 1965] and rho their
    correlation within families as observed, corrected for the mean having been taken from the same images. Rho is
    drawn towards 1 by the weight of one family against those that carry the spread: where a single family is told
    wrong, its images agree by themselves and say nothing of the others.

    Args:
        influence: (n,) share of an image times how far its value is from the mean; sums to zero.
        share: (n,) of the images in the mean; sums to one.
        families: (n,) equal for images that go together; by default each is by itself.
        means: how many means were taken off, as one of each class.
    """
    alone = float(influence @ influence)
    if alone == 0 or not _shared(families):
        return alone
    size = 1 / float(share @ share)
    excess = float(np.sum(family_sums(share, families) ** 2)) * size - 1  # A - 1
    sums = family_sums(influence, families) ** 2
    observed = (float(sums.sum()) - alone) / (alone * excess)
    # Of n images whose mean is taken off, a pair is expected to agree by rho - (1 + rho (A - 1)) / n, and an image
    # to spread by 1 - (1 + rho (A - 1)) / n; solved for rho.
    n = max(2.0, size / means)
    within = (observed * (1 - 1 / n) + 1 / n) / max(1 - excess / n + observed * excess / n, 1e-9)
    telling = float(sums.sum() ** 2 / np.sum(sums**2)) if sums.any() else 0.0
    within = (telling * min(1.0, max(0.0, within)) + _DOUBT) / (telling + _DOUBT)
    return alone * (1 + within * excess)


def family_sums(values: NDArray[np.float64], families: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Sums of values (n,) over each family, (families,) in ascending order; the values where each is by itself."""
    if families is None:
        return values
    return np.asarray(np.bincount(np.unique(families, return_inverse=True)[1], values), np.float64)


def family_count(families: NDArray[np.int64] | None, images: int) -> int:
    """How many independent images there are."""
    return images if families is None else len(np.unique(families))


def _share(values: NDArray[np.float64], sample_weight: NDArray[np.float64] | None) -> NDArray[np.float64]:
    weight = np.ones(len(values)) if sample_weight is None else sample_weight
    return np.asarray(weight / weight.sum(), np.float64)


def _shared(families: NDArray[np.int64] | None) -> bool:
    """Whether any family has several images."""
    return families is not None and len(np.unique(families)) < len(families)
