"""One image file in, one RGB square out."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from advisor.data import formats
from advisor.data.levels import depth_of, extent_of, is_data, range_of, read_colours, to_8_bit, white_is_zero
from advisor.data.range import NO_RANGES, ValueRanges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile

    from advisor.types import InputSpec

# Pillow refuses beyond twice its warning threshold; the same bound, stated here so that it can be named.
MAX_PIXELS = 178_956_970
_BITS, _BANDS, _PLANAR, _SAMPLE_FORMAT = 258, 277, 284, 339  # TIFF's BitsPerSample, SamplesPerPixel and so on
_SIGNED = 2  # of SampleFormat
Colour = tuple[int, int, int]  # levels 0..255
BLACK: Colour = (0, 0, 0)
_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


class UnreadableImageError(Exception):
    """An image that cannot be decoded; the text is the reason, for people."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an image file says of itself before it is decoded.

    Attributes:
        width: pixels.
        height: pixels.
        mode: Pillow's.
        format: Pillow's name of it.
        depth: `uint8`, or one of `advisor.data.range.DEPTHS`.
    """

    width: int
    height: int
    mode: str
    format: str
    depth: str = "uint8"


def read_header(data: bytes) -> Header:
    """Size and mode of an encoded image, without decoding it.

    Raises:
        UnreadableImageError: not an image, or larger than `MAX_PIXELS`.
    """
    with _open(data) as image:
        return Header(image.width, image.height, image.mode, image.format or "unknown", depth_of(image))


def read_values(data: bytes) -> NDArray[np.generic]:
    """The values of an image deeper than eight bits, as the file holds them, upright.

    Returns:
        (height, width) or (height, width, 3), of any type.

    Raises:
        UnreadableImageError: with the reason.
    """
    with _telling(data), _open(data) as image:
        if image.mode in {"RGB", "RGBA"}:
            return read_colours(image, _open(data))[..., :3]
        return np.asarray(ImageOps.exif_transpose(image))


def decode_square(
    data: bytes,
    side: int,
    interpolation: str = "bicubic",
    ranges: ValueRanges = NO_RANGES,
    *,
    fit: str = "crop",
    fill: Colour = BLACK,
    in_full: bool = False,
) -> NDArray[np.uint8]:
    """Decode, turn upright, flatten on white, and make a square of it; see `to_square`.

    Args:
        data: the bytes of the file; the first frame of an animation is taken.
        side: side of the result, pixels.
        interpolation: `bicubic` or `bilinear`.
        ranges: what is black and white in deeper images of this set; one that it says nothing of is scaled by its own
            values.
        fit: how it becomes a square, of `advisor.types.FITS`.
        fill: colour of the borders of a padded one.
        in_full: decode a large JPEG at its full size, so that it gives exactly the pixels of an image in memory.

    Returns:
        (side, side, 3) uint8, RGB.

    Raises:
        UnreadableImageError: with the reason.
    """
    with _decoding(data, 0 if in_full else side, ranges) as rgb:
        return to_square(rgb, side, interpolation, fit=fit, fill=fill)


def decode_for(
    data: bytes, spec: InputSpec, ranges: ValueRanges = NO_RANGES, *, in_full: bool = False
) -> NDArray[np.uint8]:
    """Decode for a network: what `advisor.data.views.clean_view` takes, (spec.resize, spec.resize, 3) uint8, RGB.

    Args:
        data: the bytes of the file.
        spec: of the network.
        ranges: as for `decode_square`.
        in_full: likewise.

    Raises:
        UnreadableImageError: with the reason.
    """
    return decode_square(
        data, spec.resize, spec.interpolation, ranges, fit=spec.fit, fill=spec.fill, in_full=in_full
    )  # fmt: skip


def square_for(image: Image.Image, spec: InputSpec) -> NDArray[np.uint8]:
    """The same of an RGB image that is decoded already."""
    return to_square(image, spec.resize, spec.interpolation, fit=spec.fit, fill=spec.fill)


def to_square(
    image: Image.Image, side: int, interpolation: str = "bicubic", *, fit: str = "crop", fill: Colour = BLACK
) -> NDArray[np.uint8]:
    """An RGB image as a square (side, side, 3) uint8, resized with an antialiased filter.

    `crop` brings the shorter side to `side` and keeps the middle of the longer one, as the standard ImageNet
    evaluation does; `squash` brings each side to `side`; `pad` brings the longer one to `side` and puts borders of one
    colour on either side of the shorter. These are timm's crop modes `center`, `squash` and `border`.

    Args:
        image: in mode RGB.
        side: of the square, pixels.
        interpolation: `bicubic` or `bilinear`.
        fit: one of `advisor.types.FITS`.
        fill: colour of the borders, levels 0..255.
    """
    size, resampling = image.size, _RESAMPLING[interpolation]
    used = (min(size), min(size)) if fit == "crop" else size
    left, top = ((length - part) / 2 for length, part in zip(size, used, strict=True))
    width, height = (padded_side(length, max(size), side) if fit == "pad" else side for length in size)
    # Pillow rounds after each direction, and from version 13 on it is free to begin with either: rows come first here,
    # so that the same file gives the same pixels everywhere, an exported graph included.
    rows = image.resize((width, image.height), resampling, box=(left, 0, left + used[0], image.height))
    square = rows.resize((width, height), resampling, box=(0, top, width, top + used[1]))
    if (width, height) != (side, side):
        square, picture = Image.new("RGB", (side, side), fill), square
        square.paste(picture, ((side - width) // 2, (side - height) // 2))
    return np.asarray(square, dtype=np.uint8)


def padded_side(length: int, longer: int, side: int) -> int:
    """What a side becomes where the longer one becomes `side`, pixels; rounded as timm does, and never nothing."""
    return max(1, round(length / (longer / side)))


def decode_upright(data: bytes, side: int, ranges: ValueRanges = NO_RANGES) -> NDArray[np.uint8]:
    """Decode, turn upright and flatten on white, as `decode_square` does before it resizes.

    Args:
        data: the bytes of the file.
        side: of the square that will be made of it: a JPEG that is much larger is decoded at a fraction of its size.
        ranges: as for `decode_square`.

    Returns:
        (height, width, 3) uint8, RGB.

    Raises:
        UnreadableImageError: with the reason.
    """
    with _decoding(data, side, ranges) as rgb:
        return np.asarray(rgb, dtype=np.uint8)


@contextmanager
def _decoding(data: bytes, side: int, ranges: ValueRanges) -> Iterator[Image.Image]:
    """The image upright in RGB; whatever goes wrong with it is told as the reason why it cannot be read."""
    with _telling(data), _open(data) as image:
        if side:
            # A JPEG is decoded at a fraction of its size where that still leaves twice the pixels we need.
            image.draft("RGB", (2 * side, 2 * side))
        yield _deep_to_rgb(image, data, ranges) if depth_of(image) != "uint8" else _to_rgb(_upright(image))


@contextmanager
def _telling(data: bytes) -> Iterator[None]:
    """Whatever goes wrong with an image is told as the reason why it cannot be read."""
    try:
        yield
    except (UnreadableImageError, MemoryError):
        raise
    except Exception as error:
        raise UnreadableImageError(_reason(error, data)) from error


def decode_thumbnail(data: bytes, side: int, ranges: ValueRanges = NO_RANGES) -> Image.Image:
    """Decode, turn upright, flatten on white, and shrink the whole image to fit a square.

    Args:
        data: the bytes of the file; the first frame of an animation is taken.
        side: of the square, pixels; a smaller image keeps its size.
        ranges: as for `decode_square`.

    Raises:
        UnreadableImageError: with the reason.
    """
    with _decoding(data, side, ranges) as rgb:
        rgb.thumbnail((side, side), _RESAMPLING["bicubic"])
        return rgb


def _open(data: bytes) -> ImageFile:
    if not data:
        raise UnreadableImageError("the file is empty")
    known = formats.register()
    try:
        image = Image.open(io.BytesIO(data), formats=known)
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:
        raise UnreadableImageError(_reason(error, data)) from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise UnreadableImageError(f"more than {MAX_PIXELS:,} pixels")
    if _is_garbled(image):
        image.close()
        raise UnreadableImageError(_odd_tiff(data))
    return image


def _is_garbled(image: Image.Image) -> bool:
    """Whether Pillow makes noise of a TIFF without a word: deep bands one after the other, or signed bytes."""
    tags = getattr(image, "tag_v2", {})
    bits = max(tags.get(_BITS, (1,)))
    divided = tags.get(_PLANAR) == 2 and tags.get(_BANDS, 1) > 1 and bits > 8
    return bool(divided or (bits == 8 and _SIGNED in tags.get(_SAMPLE_FORMAT, ())))


def _reason(error: Exception, data: bytes) -> str:
    text = str(error) or type(error).__name__
    unknown = text.startswith("cannot identify image file")
    kind = formats.kind_of(data) or (_odd_tiff(data) if unknown else "")
    if unknown:
        return kind or "not an image"
    return f"{kind}: {text}" if kind else text


def _odd_tiff(data: bytes) -> str:
    """What is odd about a TIFF that Pillow does not know; empty for other files."""
    if data[:4] not in {b"II*\0", b"MM\0*"}:
        return ""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        bits, bands = tags.get(_BITS, (1,)), tags.get(_BANDS, 1)
    except Exception:  # noqa: BLE001 - it is damaged in whatever way
        return "a damaged TIFF image"
    of_bits = f"{bits[0] if isinstance(bits, tuple) else bits} bits"
    if bands == 1:
        return f"a TIFF image of {of_bits} in a form that is not read; write it as a 16-bit or 32-bit float TIFF"
    order = ", one after the other" if tags.get(_PLANAR) == 2 else ""
    return f"a TIFF image of {bands} bands of {of_bits}{order}, which is not read; write those that matter as RGB"


def _upright(image: Image.Image) -> Image.Image:
    return ImageOps.exif_transpose(image)


def _deep_to_rgb(image: ImageFile, data: bytes, ranges: ValueRanges) -> Image.Image:
    """An image of more than eight bits scaled by the range of its set, or by its own."""
    depth, inverted = depth_of(image), white_is_zero(image)
    scale = ranges.of(depth)
    if image.mode in {"RGB", "RGBA"}:
        if scale is not None and (scale.low, scale.high) == (0.0, 65535.0):
            return _to_rgb(_upright(image))  # the upper bytes are all that counts
        values = read_colours(image, _open(data))
    else:
        values = np.asarray(_upright(image))
    colours = values[..., :3] if values.ndim == 3 else values
    if depth != "uint16" and not is_data(colours.astype(np.float64)).any():
        raise UnreadableImageError("all its values stand for no data: none is a finite number or a measured one")
    if scale is None:
        extent = extent_of(colours)
        assert extent is not None
        scale = range_of(depth, [extent])
    levels = to_8_bit(colours, scale, inverted=inverted)
    if values.ndim == 3 and values.shape[2] == 4:
        alpha = (values[..., 3] >> 8).astype(np.uint8)
        return _on_white(Image.fromarray(np.dstack([levels, alpha])))
    return Image.fromarray(levels).convert("RGB")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image if "transparency" not in image.info else _on_white(image.convert("RGBA"))
    if image.mode in {"RGBA", "RGBa", "LA", "La", "PA"} or "transparency" in image.info:
        return _on_white(image.convert("RGBA"))
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.getchannel("A"))
    return white
