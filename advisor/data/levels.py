"""Values of images deeper than eight bits: reading them, finding the range of a set, scaling them to eight bits."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from advisor.data.range import ValueRange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL import Image
    from PIL.ImageFile import ImageFile

_PHOTOMETRIC = 262  # TIFF's PhotometricInterpretation; 0 is white-is-zero
_NO_DATA = 1e15  # no measurement is that large; 3.4e38 and 1e20 stand for "no data"
_NO_DATA_TOO = (-9999, -32768, -99999, -(2**31))  # as programs for maps and scanners write it
_LOOKED_AT = 2_000_000  # values of an image, about
_OFF = 0.02  # by how much of itself a maximum may lie above the scale that it belongs to: 1.01 of 1, 260 of 255
_TOPS = (1, 3, 15, *(2**bits - 1 for bits in range(8, 17)))  # of whole numbers: what so many bits hold
_UNUSED = 0.1  # of a scale of floats: images that stay below are of another
_UNUSED_ALONE = 0.02  # the same of 0..1 where there are hardly any images to judge by
_SET = 5  # images that make a set; fewer say less about its scale
_LEAST_LEVELS = 16  # different values that an image has; below that every value may matter
_STRAY_IMAGES = 0.02  # of a set, whose values may lie far outside those of the others
_FAR = 4  # times the extent of the others
_RAW = ("RGB;16", "RGBX;16", "RGBA;16", "LA;16")  # how Pillow reads deep colours: it keeps the upper byte
_UPPER, _LOWER = "16B", "16L"


@dataclass(frozen=True, slots=True)
class Extent:
    """What the values of one image span, without single hot or dead pixels and without what stands for no data.

    Attributes:
        low: smallest value.
        high: largest value.
        whole: whether all are whole numbers.
    """

    low: float
    high: float
    whole: bool


def depth_of(image: Image.Image) -> str:
    """What an image that was opened and not loaded holds: `uint8`, or one of `advisor.data.range.DEPTHS`."""
    if image.mode.startswith("I;16"):
        return "uint16"
    if image.mode in {"I", "F"}:
        return "int32" if image.mode == "I" else "float32"
    return "uint16" if _raw_mode(image).startswith(_RAW) else "uint8"


def white_is_zero(image: Image.Image) -> bool:
    """Whether a deep gray TIFF counts from white to black; Pillow turns those of eight bits only."""
    return image.mode in {"I", "F"} | {"I;16", "I;16B"} and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0


def read_colours(image: ImageFile, again: ImageFile) -> NDArray[np.uint16]:
    """All sixteen bits of a colour image, of which Pillow itself keeps eight.

    Args:
        image: opened and not loaded; it is loaded with the upper bytes, upright.
        again: the same file, opened once more.

    Returns:
        (height, width, bands) uint16; bands are red, green, blue and perhaps alpha.
    """
    from PIL import ImageOps

    raw = _raw_mode(image)
    if raw.startswith("LA;16"):  # Pillow has no name for its lower bytes; as four bands they are all there
        _read_as(image, "RGBA")
        values = np.asarray(ImageOps.exif_transpose(image), np.uint16)
        gray, alpha = values[..., 0] << 8 | values[..., 1], values[..., 2] << 8 | values[..., 3]
        return np.stack([gray, gray, gray, alpha], axis=-1).astype(np.uint16)
    order = raw[-3:] if raw[-3:] in {_UPPER, _LOWER} else _UPPER if sys.byteorder == "big" else _LOWER
    _read_as(again, raw[:-3] + (_LOWER if order == _UPPER else _UPPER))
    upper, lower = (np.asarray(ImageOps.exif_transpose(one), np.uint16) for one in (image, again))
    return (upper << 8 | lower).astype(np.uint16)


def extent_of(values: NDArray[np.generic]) -> Extent | None:
    """What the values of an image span; None where none of them is data.

    Args:
        values: (height, width) or (height, width, bands), of any type.
    """
    if values.ndim == 3:
        parts = [extent_of(values[..., band]) for band in range(values.shape[2])]
        known = [part for part in parts if part is not None]
        return Extent(min(p.low for p in known), max(p.high for p in known), all(p.whole for p in known))
    step = max(1, int(np.sqrt(values.size / _LOOKED_AT)))
    levels = values[::step, ::step].astype(np.float64)
    data = is_data(levels)
    if not data.any():
        return None
    levels = np.sort(_without_specks(levels, data)[data])
    levels = _without_strays(levels)
    return Extent(float(levels[0]), float(levels[-1]), bool((levels == np.round(levels)).all()))


def range_of(depth: str, extents: Sequence[Extent]) -> ValueRange:
    """The range of a set.

    Args:
        depth: one of `advisor.data.range.DEPTHS`.
        extents: of at least one of its images.
    """
    low = -_largest([-extent.low for extent in extents], -max(extent.high for extent in extents))
    high = _largest([extent.high for extent in extents], min(extent.low for extent in extents))
    whole = all(extent.whole for extent in extents)
    if low >= high:
        return _of_one_value(depth, high)
    is_set = len(extents) >= _SET
    if low >= -_OFF * abs(high) and high > 0 and not (is_set and low > 0.5 * high):
        if depth == "uint16":
            whole = True
        tops = _TOPS if whole else (1, 255)
        top = next((top for top in tops if high <= top * (1 + _OFF)), 0)
        used = high > (_UNUSED_ALONE if top == 1 and not is_set else _UNUSED) * top
        if top and (whole or used):
            return ValueRange(0.0, float(top))
        return ValueRange(0.0 if low <= 0.1 * high else low, high, guessed=True)
    if depth == "float32" and -1 - _OFF <= low < -0.1 and 0.1 < high <= 1 + _OFF:
        return ValueRange(-1.0, 1.0)
    return ValueRange(low, high, guessed=True)


def to_8_bit(values: NDArray[np.generic], scale: ValueRange, *, inverted: bool = False) -> NDArray[np.uint8]:
    """Scale values to 0..255, the larger the brighter; what is no data becomes black.

    Args:
        values: of any shape and type.
        scale: what becomes black and white.
        inverted: whether the file counts from white to black.
    """
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        table = to_8_bit(np.arange(65536, dtype=np.float64), scale, inverted=inverted)
        scaled: NDArray[np.uint8] = table[values]
        return scaled
    levels = values.astype(np.float64)
    data = is_data(levels)
    share = np.clip((np.where(data, levels, scale.low) - scale.low) / (scale.high - scale.low), 0.0, 1.0)
    if inverted:
        share = 1.0 - share
    return np.round(np.where(data, share, 0.0) * 255.0).astype(np.uint8)


def is_data(levels: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values are measured: finite, and none of those that stand for no data."""
    return np.isfinite(levels) & (np.abs(levels) < _NO_DATA) & ~np.isin(levels, _NO_DATA_TOO)


def _raw_mode(image: Image.Image) -> str:
    """How the decoder is told to read the file's samples; empty where that is not known."""
    tiles = getattr(image, "tile", None)
    args = tiles[0][3] if tiles else ""
    if isinstance(args, tuple):
        args = args[0] if args else ""
    return args if isinstance(args, str) else ""


def _read_as(image: ImageFile, raw: str) -> None:
    image.tile = [
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in image.tile
    ]


def _without_specks(levels: NDArray[np.float64], data: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Each value within those of its four neighbours, so that single hot and dead pixels are gone."""
    above, below = np.full_like(levels, -np.inf), np.full_like(levels, np.inf)
    for axis in (0, 1):
        for shift in (1, -1):
            to = [slice(None), slice(None)]
            at = [slice(None), slice(None)]
            to[axis], at[axis] = (slice(1, None), slice(None, -1)) if shift == 1 else (slice(None, -1), slice(1, None))
            own, valid = levels[tuple(at)], data[tuple(at)]
            above[tuple(to)] = np.maximum(above[tuple(to)], np.where(valid, own, -np.inf))
            below[tuple(to)] = np.minimum(below[tuple(to)], np.where(valid, own, np.inf))
    alone = ~np.isfinite(above)
    return np.where(alone | ~data, levels, np.minimum(np.maximum(levels, below), above))


def _without_strays(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sorted values without those few different ones that lie far from all others, such as -9999."""
    for _ in range(4):
        gaps = np.diff(levels)
        if not len(gaps) or gaps.max() == 0:
            break
        cut = int(gaps.argmax()) + 1
        gap, lower, upper = gaps[cut - 1], levels[:cut], levels[cut:]
        if _few(lower, levels) and _rich(upper) and gap > upper[-1] - upper[0]:
            levels = upper
        elif (
            _few(upper, levels)
            and _rich(lower)
            and gap > (1 if len(upper) < 0.001 * len(levels) else 8) * (lower[-1] - lower[0])
        ):
            levels = lower
        else:
            break
    return levels


def _few(part: NDArray[np.float64], levels: NDArray[np.float64]) -> bool:
    """Whether a part is one value or two, or hardly any pixels."""
    return len(part) < 0.001 * len(levels) or int((np.diff(part) > 0).sum()) < 2


def _rich(part: NDArray[np.float64]) -> bool:
    return int((np.diff(part) > 0).sum()) + 1 >= _LEAST_LEVELS


def _largest(values: list[float], base: float) -> float:
    """The largest, without a few images whose values lie far above all others."""
    ordered = sorted(values, reverse=True)
    strays = max(int(_STRAY_IMAGES * len(ordered)), 1) if len(ordered) >= _SET else 0
    for place in range(strays, 0, -1):
        if ordered[place - 1] - base > _FAR * (ordered[place] - base) > 0:
            return ordered[place]
    return ordered[0]


def _of_one_value(depth: str, value: float) -> ValueRange:
    """A range where all images are of one value: nothing is to be told apart."""
    tops = (65535,) if depth == "uint16" else (255, 65535) if depth == "int32" else (1, 255)
    top = next((top for top in tops if 0 <= value <= top), None)
    return ValueRange(value - 1, value + 1, guessed=True) if top is None else ValueRange(0.0, float(top), guessed=True)
