import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from advisor.data.decode import UnreadableImageError, decode_square, read_header, to_square
from advisor.types import FITS


def encode(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


RED = Image.new("RGB", (20, 20), (255, 0, 0))


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_formats(form):
    pixels = decode_square(encode(RED, form), 16)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.reshape(-1, 3).mean(0) - [255, 0, 0]).max() < 6


def test_grayscale_is_replicated():
    pixels = decode_square(encode(Image.new("L", (9, 9), 77), "PNG"), 9)
    assert (pixels == 77).all()


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGBA", (9, 9), (10, 20, 30, 0)),
        Image.new("LA", (9, 9), (0, 0)),
        Image.new("RGBA", (9, 9), (10, 20, 30, 0)).quantize(),
    ],
)
def test_transparent_is_white(image):
    assert (decode_square(encode(image, "PNG"), 9) == 255).all()


def test_half_transparent_is_mixed_with_white():
    pixels = decode_square(encode(Image.new("RGBA", (9, 9), (0, 0, 0, 128)), "PNG"), 9)
    assert abs(int(pixels[0, 0, 0]) - 127) <= 1


def test_palette():
    pixels = decode_square(encode(RED.quantize(4), "PNG"), 16)
    assert (pixels == [255, 0, 0]).all()


def test_cmyk():
    pixels = decode_square(encode(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "TIFF"), 9)
    assert (pixels == [255, 0, 0]).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_is_scaled_not_clipped(form):
    levels = np.linspace(0, 65535, 16 * 16).reshape(16, 16).astype(np.uint16)
    pixels = decode_square(encode(Image.fromarray(levels), form), 16)
    assert np.abs(pixels[..., 0].astype(int) - np.round(levels / 257)).max() <= 1


def test_float_images():
    unit = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    pixels = decode_square(encode(Image.fromarray(unit), "TIFF"), 8)
    assert pixels.min() == 0
    assert pixels.max() == 255
    with pytest.raises(UnreadableImageError, match="finite"):
        decode_square(encode(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF"), 8)


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode_square(data, 9) == [255, 0, 0]).all()


def test_exif_orientation_is_applied():
    image = Image.new("RGB", (32, 32), "white")
    image.paste((0, 0, 0), (0, 0, 32, 8))  # dark at the top
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    pixels = decode_square(encode(image, "JPEG", exif=exif, quality=95), 32)
    assert pixels[16, 28].mean() < 60  # the dark edge is now on the right
    assert pixels[4, 4].mean() > 200


def test_the_centre_of_the_longer_side_is_kept():
    image = Image.new("RGB", (90, 30), "red")
    image.paste((0, 255, 0), (30, 0, 60, 30))
    pixels = decode_square(encode(image, "PNG"), 30)
    assert (pixels == [0, 255, 0]).all()


def test_large_jpeg_decoded_at_a_fraction_looks_the_same():
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)).resize((1600, 1600))
    exact = np.asarray(smooth.resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    pixels = decode_square(encode(smooth, "JPEG", quality=95), 64).astype(int)
    assert np.abs(pixels - exact).mean() < 3


def test_truncated_jpeg_and_other_damage_have_reasons():
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8))
    whole = encode(photo, "JPEG")
    assert read_header(whole[: len(whole) // 2]).width == 200
    with pytest.raises(UnreadableImageError, match="truncated"):
        decode_square(whole[: len(whole) // 2], 32)
    for data, reason in ((b"", "empty"), (b"hello", "not an image"), (encode(RED, "PNG")[:60], ".")):
        with pytest.raises(UnreadableImageError, match=reason):
            decode_square(data, 32)


def bomb(side):
    """A valid PNG of side × side white pixels in a few hundred kilobytes."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    row = b"\x00" + b"\xff" * (side // 8)
    squeezer = zlib.compressobj(9)
    pixels = b"".join(squeezer.compress(row) for _ in range(side)) + squeezer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_decompression_bomb_is_refused_before_it_is_decoded():
    data = bomb(20_000)
    assert len(data) < 100_000
    with pytest.raises(UnreadableImageError, match="more than 178,956,970 pixels"):
        read_header(data)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_fit_is_that_of_the_upright_picture(fit, orientation):
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 50, 3), dtype=np.uint8))
    way = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)  # of Pillow's transpose, to what the file holds
    stored, exif = upright if way is None else upright.transpose(Image.Transpose(way)), Image.Exif()
    exif[0x0112] = orientation
    square = decode_square(encode(stored, "PNG", exif=exif), 32, fit=fit, fill=(9, 8, 7))
    assert np.array_equal(square, to_square(upright, 32, fit=fit, fill=(9, 8, 7)))


def test_a_padded_picture_lies_in_the_middle_of_its_borders():
    square = to_square(Image.new("RGB", (60, 20), (255, 0, 0)), 30, fit="pad", fill=(1, 2, 3))
    assert (square[10:20] == [255, 0, 0]).all()
    assert (square[[*range(10), *range(20, 30)]] == [1, 2, 3]).all()
    thin = to_square(Image.new("RGB", (1000, 1), (255, 0, 0)), 30, fit="pad", fill=(1, 2, 3))
    assert (thin[14] == [255, 0, 0]).all()
    assert (thin[13] == [1, 2, 3]).all()


def test_a_squashed_picture_shows_its_ends():
    image = Image.new("RGB", (300, 30), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 30, 30))
    assert (to_square(image, 30, fit="squash")[:, 0] == [255, 0, 0]).all()
    assert (to_square(image, 30) == [0, 0, 255]).all()
