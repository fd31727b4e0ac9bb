"""What the test images tell: calibration, abstaining, confusions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from advisor.task.interval import score_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from advisor.records.evidence import JudgedImage

BINS = 10
LEAST = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)  # what `predict --least` may be given
_STEPS = 200  # points of a curve


@dataclass(frozen=True)
class Bin:
    """Test images about whose label the model is similarly sure.

    Attributes:
        low: probability from which on.
        high: below which, 1 included.
        images: how many.
        sure: mean probability.
        right: share that is right.
        interval: 95 % of that, Wilson's for as many independent images as these are worth.
    """

    low: float
    high: float
    images: int
    sure: float
    right: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Answered:
    """What is left when the model gives no label below a probability.

    Attributes:
        least: that probability.
        images: with a label.
        share: of all images.
        right: share of those that is right.
    """

    least: float
    images: int
    share: float
    right: float


@dataclass(frozen=True)
class Confusion:
    """Images of one class that are taken for another; `of` is how many of the class there are."""

    label: str
    taken_for: str
    images: int
    of: int


def reliability(tested: Sequence[JudgedImage]) -> tuple[Bin, ...]:
    """Test images by how sure the model is, in bins of equal width; empty ones are left out."""
    held: list[list[JudgedImage]] = [[] for _ in range(BINS)]
    for one in tested:
        held[min(BINS - 1, int(one.probability * BINS))].append(one)
    bins = []
    for place, images in enumerate(held):
        if images:
            right = np.array([one.right for one in images], np.float64)
            bins.append(
                Bin(place / BINS, (place + 1) / BINS, len(images), sum(one.probability for one in images) / len(images),
                    float(right.mean()), score_interval(right, _families(images)))
            )  # fmt: skip
    return tuple(bins)


def _families(images: Sequence[JudgedImage]) -> NDArray[np.int64]:
    """(n,) equal for images that go together; one whose family is not known is by itself."""
    numbers: dict[tuple[str, str], int] = {}
    return np.array([numbers.setdefault((one.family, "" if one.family else one.path), len(numbers)) for one in images],
                    np.int64)  # fmt: skip


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: mean over images of |right − sure| of their bin, 0..1 [Guo 2017]."""
    whole = sum(one.images for one in bins)
    return sum(one.images * abs(one.right - one.sure) for one in bins) / whole if whole else 0.0


def answered(tested: Sequence[JudgedImage], least: float) -> Answered | None:
    """What is left at a least probability; None where nothing is."""
    kept = [one for one in tested if one.probability >= least]
    if not kept:
        return None
    return Answered(least, len(kept), len(kept) / len(tested), sum(one.right for one in kept) / len(kept))


def abstaining(tested: Sequence[JudgedImage]) -> tuple[Answered, ...]:
    """Right answers against answered images, the surest first, at about 200 places between images that differ."""
    ordered = sorted(tested, key=lambda one: -one.probability)
    every = max(1, len(ordered) // _STEPS)
    curve, right = [], 0
    for count, one in enumerate(ordered, 1):
        right += one.right
        last = count == len(ordered)
        # Images of one probability are answered together or not at all.
        if last or (count % every == 0 and ordered[count].probability < one.probability):
            curve.append(Answered(one.probability, count, count / len(ordered), right / count))
    return tuple(curve)


def confusions(tested: Sequence[JudgedImage]) -> tuple[Confusion, ...]:
    """Every pair that was confused, the most frequent first."""
    whole = Counter(one.label for one in tested)
    pairs = Counter((one.label, one.predicted) for one in tested if not one.right)
    return tuple(
        Confusion(label, said, count, whole[label])
        for (label, said), count in sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    )


def most_confused(pairs: Sequence[Confusion], classes: Sequence[str], most: int) -> tuple[str, ...]:
    """So many classes, those with most mistakes in or out; all of them in their own order where they are no more."""
    if len(classes) <= most:
        return tuple(classes)
    weight: Counter[str] = Counter()
    for one in pairs:
        weight[one.label] += one.images
        weight[one.taken_for] += one.images
    chosen = {name for name, _ in weight.most_common(most)}
    return tuple(name for name in classes if name in chosen)
