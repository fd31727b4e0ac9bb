"""Classic image sets: scikit-learn's digits as `digits:`, and folders of IDX files and of CIFAR's."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from advisor import hookimpl
from advisor.errors import UsageError
from advisor.types import DatasetFormat, Listing
from advisor_classics.cifar import CIFAR
from advisor_classics.idx import IDX

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCATION = "digits:"


@hookimpl
def advisor_datasets() -> Iterator[DatasetFormat]:
    """The digits, IDX files, and CIFAR."""
    yield IDX
    yield CIFAR
    yield DatasetFormat(
        name="digits",
        recognise=lambda location: float(location == LOCATION),
        open=open_digits,
        example=LOCATION,
        summary="scikit-learn's 1 797 handwritten digits, 8 × 8, gray",
    )


def open_digits(location: str) -> Listing:
    """List the digits; each is encoded as PNG when it is read."""
    if location != LOCATION:
        raise UsageError(f"`{location}` is not where the digits are.", hint=f"advisor profile {LOCATION}")
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    levels = (digits.images * (255 / 16)).round().astype("uint8")  # stored as 0..16
    paths = [f"{i:04d}.png" for i in range(len(levels))]
    known = set(paths)

    def read(path: str) -> bytes:
        if path not in known:
            raise FileNotFoundError(path)
        buffer = io.BytesIO()
        Image.fromarray(levels[int(path[:4])]).save(buffer, "PNG")
        return buffer.getvalue()

    return Listing(name="digits", paths=paths, labels=[str(label) for label in digits.target.tolist()], read=read)
