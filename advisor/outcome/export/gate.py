"""No form of a model leaves unless it answers as the model does: compared on real images, in probabilities."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from advisor.data.decode import UnreadableImageError, decode_upright, square_for
from advisor.data.views import clean_view
from advisor.errors import AdvisorError, BundleError
from advisor.plugins import load_catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from advisor.outcome.bundle import Bundle
    from advisor.types import Listing

TOLERANCE = 1e-4  # of a probability
IMAGES = 64  # to compare on, where nothing else is asked for
_DRAWN = ((97, 140), (240, 180), (300, 300), (33, 20))  # height and width of images that are drawn at random


@dataclass(frozen=True)
class Pictures:
    """Images to compare on.

    Attributes:
        pixels: each (height, width, 3) uint8, upright.
        source: where they are from, in words.
        real: whether they are of the set that the model was tuned on.
    """

    pixels: tuple[NDArray[np.uint8], ...]
    source: str
    real: bool


@dataclass(frozen=True)
class Agreement:
    """How well a written form agrees with the model.

    Attributes:
        images: compared.
        source: where they are from, in words.
        real: whether they are of the set that the model was tuned on.
        same_label: for how many both name the same class.
        max_difference: largest absolute difference of a probability.
        tolerance: that is allowed.
        notes: further sentences for people.
    """

    images: int
    source: str
    real: bool
    same_label: int
    max_difference: float
    tolerance: float = TOLERANCE
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For people."""
        compared = (
            f"Compared with the model on {self.images} {self.source}: the same class for {self.same_label}, "
            f"probabilities differ by at most {self.max_difference:.1g} ({self.tolerance:g} is allowed)."
        )
        return " ".join((compared, *self.notes))

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Exported:
    """A model in another form.

    Attributes:
        path: of the file or folder.
        agreement: with the model.
    """

    path: Path
    agreement: Agreement


def pictures_for(bundle: Bundle, location: str, count: int = IMAGES) -> Pictures:
    """Images of the set that a model was tuned on, evenly spread over it; drawn ones where it is gone.

    Args:
        bundle: the model.
        location: where its images were.
        count: how many at most.
    """
    found: list[NDArray[np.uint8]] = []
    why = "they are not where they were"
    try:
        listing = load_catalog().dataset_for(location).open(location)
        found = list(_read(bundle, listing, count))
    except AdvisorError as error:
        why = error.message.rstrip(".")
    if found:
        return Pictures(tuple(found), f"images of {location}", real=True)
    rng = np.random.default_rng(0)
    drawn = tuple(_drawn(rng, *_DRAWN[place % len(_DRAWN)]) for place in range(count))
    return Pictures(drawn, f"images drawn at random, since those of the run cannot be had ({why})", real=False)


def agreement(
    bundle: Bundle, pictures: Pictures, answer: Callable[[NDArray[np.uint8]], NDArray[np.floating]], what: str
) -> Agreement:
    """Compare a written form with the model.

    Args:
        bundle: the model.
        pictures: to compare on.
        answer: of the form: from (1, height, width, 3) uint8 to probabilities (1, classes).
        what: the form, as the beginning of a sentence.

    Raises:
        BundleError: a probability differs by more than `TOLERANCE`.
    """
    same, gap = 0, 0.0
    for pixels in pictures.pixels:
        expected, found = expected_of(bundle, pixels[None]), answer(pixels[None])
        if found.shape != expected.shape or not np.isfinite(found).all():
            raise BundleError(f"{what} answers with something else than {len(bundle.classes)} probabilities.")
        same += int(found.argmax() == expected.argmax())
        gap = max(gap, float(np.abs(found - expected).max()))
    result = Agreement(len(pictures.pixels), pictures.source, pictures.real, same, gap)
    if gap > TOLERANCE:
        raise BundleError(
            f"{what} was not written: its probabilities differ from the model's by up to {gap:.2g}, and {TOLERANCE:g} "
            f"is allowed ({result.images} {result.source}; the same class for {same}).",
            ways=["take another form", "load the model itself with advisor.load"],
            hint="advisor export RUN --to hub-folder --name my-birds",
        )
    return result


def expected_of(bundle: Bundle, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the model itself answers to decoded images (B, height, width, 3): (B, classes)."""
    return answered(bundle, bundle.network, pixels)


def answered(bundle: Bundle, network: Callable[[Tensor], Tensor], pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities (B, classes) from any network that takes what the model takes; images are prepared as for it."""
    spec = bundle.input
    squares = [square_for(Image.fromarray(one), spec) for one in pixels]
    with torch.inference_mode():
        logits = network(clean_view(torch.from_numpy(np.stack(squares)), spec))
        found: NDArray[np.float32] = bundle.probabilities(logits.float()).numpy()
    return found


def _read(bundle: Bundle, listing: Listing, count: int) -> Iterator[NDArray[np.uint8]]:
    paths: Sequence[str] = sorted(listing.paths)
    for place in np.unique(np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)):
        try:
            yield decode_upright(listing.read(paths[place]), bundle.input.resize, bundle.ranges)
        except (UnreadableImageError, OSError):
            continue  # a broken file was none of the run's images either


def _drawn(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Soft clouds of colour under noise: an image of no thing, but with all its frequencies."""
    y, x, _ = np.mgrid[:height, :width, :1] / max(height, width)
    waves = [np.sin(2 * np.pi * (rng.normal(size=3) * k * x + rng.normal(size=3) * k * y)) / k for k in (1, 2, 4, 8)]
    levels = 127 + 60 * sum(waves) + rng.normal(0, 15, (height, width, 3))
    return np.asarray(levels).clip(0, 255).astype(np.uint8)
