"""Thumbnails of a dataset's images, small enough for many of them to stand in one file."""

from __future__ import annotations

import base64
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.data.decode import UnreadableImageError, decode_thumbnail
from advisor.data.range import NO_RANGES, ValueRanges
from advisor.errors import PluginError
from advisor.report.page.blocks import Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIDE = 144  # pixels; shown at two thirds of that, so that dense screens have something to show
MOST_BYTES = 3_000_000  # of all pictures of a page as text
_QUALITY = 70  # of WebP


@dataclass(frozen=True)
class Wanted:
    """A picture to be made.

    Attributes:
        path: its identifier.
        alt: what it is, in words.
        lines: of its caption.
    """

    path: str
    alt: str
    lines: tuple[str, ...] = ()


class Pictures:
    """Makes the pictures of one page, until they take more room than a page should."""

    def __init__(
        self, read: Callable[[str], bytes], ranges: ValueRanges = NO_RANGES, *, most_bytes: int = MOST_BYTES
    ) -> None:
        self._read = read
        self._ranges = ranges
        self._left = most_bytes

    def make(self, wanted: Sequence[Wanted]) -> tuple[Picture, ...]:
        """A picture of each, in order; of one that cannot be read, why."""
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return tuple(self._fit(picture) for picture in pool.map(self._make, wanted))

    def _make(self, wanted: Wanted) -> Picture:
        try:
            image = decode_thumbnail(self._read(wanted.path), SIDE, self._ranges)
        except (UnreadableImageError, OSError, PluginError) as error:
            words = error.message if isinstance(error, PluginError) else str(error)
            return Picture(wanted.path, wanted.alt, "", 0, 0, words, wanted.lines)
        file = io.BytesIO()
        # Of a few pixels every one counts.
        image.save(file, "WEBP", quality=_QUALITY, lossless=max(image.size) <= SIDE // 3, method=4)
        data = f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
        return Picture(wanted.path, wanted.alt, data, *image.size, "", wanted.lines)

    def _fit(self, picture: Picture) -> Picture:
        if len(picture.data) > self._left:
            return Picture(picture.path, picture.alt, "", 0, 0, "left out: the page would be too large", picture.lines)
        self._left -= len(picture.data)
        return picture
