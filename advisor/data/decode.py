"""One image file in, one RGB square out."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Pillow refuses beyond twice its warning threshold; the same bound, stated here so that it can be named.
MAX_PIXELS = 178_956_970
_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


class UnreadableImageError(Exception):
    """An image that cannot be decoded; the text is the reason, for people."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an image file says of itself before it is decoded: pixels, Pillow mode, format."""

    width: int
    height: int
    mode: str
    format: str


def read_header(data: bytes) -> Header:
    """Size and mode of an encoded image, without decoding it.

    Raises:
        UnreadableImageError: not an image, or larger than `MAX_PIXELS`.
    """
    with _open(data) as image:
        return Header(image.width, image.height, image.mode, image.format or "unknown")


def decode_square(data: bytes, side: int, interpolation: str = "bicubic") -> NDArray[np.uint8]:
    """Decode, turn upright, flatten on white, and take the central square.

    The shorter side is resized to `side` with an antialiased filter and the middle of the longer one
    is kept, as the standard ImageNet evaluation does.

    Args:
        data: the bytes of the file; the first frame of an animation is taken.
        side: side of the result, pixels.
        interpolation: `bicubic` or `bilinear`.

    Returns:
        (side, side, 3) uint8, RGB.

    Raises:
        UnreadableImageError: with the reason.
    """
    with _decoding(data, side) as rgb:
        return central_square(rgb, side, interpolation)


def central_square(image: Image.Image, side: int, interpolation: str = "bicubic") -> NDArray[np.uint8]:
    """The middle of an RGB image as a square (side, side, 3) uint8, resized with an antialiased filter."""
    short, resampling = min(image.size), _RESAMPLING[interpolation]
    left, top = (image.width - short) / 2, (image.height - short) / 2
    # Pillow rounds after each direction, and from version 13 on it is free to begin with either: rows come first here,
    # so that the same file gives the same pixels everywhere, an exported graph included.
    rows = image.resize((side, image.height), resampling, box=(left, 0, left + short, image.height))
    square = rows.resize((side, side), resampling, box=(0, top, side, top + short))
    return np.asarray(square, dtype=np.uint8)


def decode_upright(data: bytes, side: int) -> NDArray[np.uint8]:
    """Decode, turn upright and flatten on white, as `decode_square` does before it resizes.

    Args:
        data: the bytes of the file.
        side: of the square that will be made of it: a JPEG that is much larger is decoded at a fraction of its size.

    Returns:
        (height, width, 3) uint8, RGB.

    Raises:
        UnreadableImageError: with the reason.
    """
    with _decoding(data, side) as rgb:
        return np.asarray(rgb, dtype=np.uint8)


@contextmanager
def _decoding(data: bytes, side: int) -> Iterator[Image.Image]:
    """The image upright in RGB; whatever goes wrong with it is told as the reason why it cannot be read."""
    try:
        with _open(data) as image:
            # A JPEG is decoded at a fraction of its size where that still leaves twice the pixels we need.
            image.draft("RGB", (2 * side, 2 * side))
            yield _to_rgb(ImageOps.exif_transpose(image))
    except (UnreadableImageError, MemoryError):
        raise
    except Exception as error:
        raise UnreadableImageError(_reason(error)) from error


def decode_thumbnail(data: bytes, side: int) -> Image.Image:
    """Decode, turn upright, flatten on white, and shrink the whole image to fit a square.

    Args:
        data: the bytes of the file; the first frame of an animation is taken.
        side: of the square, pixels; a smaller image keeps its size.

    Raises:
        UnreadableImageError: with the reason.
    """
    with _decoding(data, side) as rgb:
        rgb.thumbnail((side, side), _RESAMPLING["bicubic"])
        return rgb


def _open(data: bytes) -> Image.Image:
    if not data:
        raise UnreadableImageError("the file is empty")
    try:
        image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:
        raise UnreadableImageError(_reason(error)) from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise UnreadableImageError(f"more than {MAX_PIXELS:,} pixels")
    return image


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return "not an image" if text.startswith("cannot identify image file") else text


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image if "transparency" not in image.info else _on_white(image.convert("RGBA"))
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return Image.fromarray(_to_8_bit(np.asarray(image))).convert("RGB")
    if image.mode in {"RGBA", "RGBa", "LA", "La", "PA"} or "transparency" in image.info:
        return _on_white(image.convert("RGBA"))
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.getchannel("A"))
    return white


def _to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale deeper gray levels to 0..255; Pillow's own conversion clips them to white."""
    levels = np.asarray(values, dtype=np.float64)
    if not np.isfinite(levels).all():
        raise UnreadableImageError("gray levels that are not finite numbers")
    low, high = float(levels.min()), float(levels.max())
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:  # of either byte order
        levels = levels / 257.0
    elif low >= 0 and high <= 1 and values.dtype.kind == "f":
        levels = levels * 255.0
    elif low >= 0 and 255 < high <= 65535:
        levels = levels / 257.0
    elif low < 0 or high > 255:
        levels = (levels - low) * (255.0 / (high - low))
    return np.round(levels).astype(np.uint8)
