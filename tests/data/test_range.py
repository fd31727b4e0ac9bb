"""Images deeper than eight bits: one range for a set, and what becomes of hot pixels and of values without data."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from advisor.data.dataset import open_dataset
from advisor.data.decode import UnreadableImageError, decode_square, read_header
from advisor.data.levels import Extent, extent_of, range_of, to_8_bit
from advisor.data.prepare import prepare
from advisor.data.range import ValueRange, ValueRanges
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.types import InputSpec

SIDE = 64


def shades(seed=0):
    """A soft picture (64, 64) that uses all of 0..1."""
    noise = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (6, 6), dtype=np.uint8))
    values = np.asarray(noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(np.float64)
    return (values - values.min()) / (values.max() - values.min())


def tiff(values):
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF")
    return file.getvalue()


def plain_tiff(values, photometric, *, planar=1):
    """An uncompressed 16-bit TIFF of one band or three, as microscopes and scanners write it."""
    height, width = values.shape[:2]
    bands = values.shape[2] if values.ndim == 3 else 1
    rows = np.moveaxis(values, 2, 0) if planar == 2 else values
    data = rows.astype("<u2").tobytes()
    bits_at, strips = 8 + len(data), bands if planar == 2 else 1
    starts_at = bits_at + 2 * bands
    size = len(data) // strips
    body = struct.pack(f"<{bands}H", *[16] * bands) + struct.pack(f"<{strips}I", *(8 + size * i for i in range(strips)))
    sizes_at = starts_at + 4 * strips
    body += struct.pack(f"<{strips}I", *[size] * strips)
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, bands, bits_at if bands > 2 else 16), (259, 3, 1, 1),
        (262, 3, 1, photometric), (273, 4, strips, starts_at if strips > 1 else 8), (277, 3, 1, bands),
        (278, 4, 1, height), (279, 4, strips, sizes_at if strips > 1 else size), (284, 3, 1, planar),
    ]  # fmt: skip
    ifd = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return (
        struct.pack("<2sHI", b"II", 42, bits_at + len(body))
        + data
        + body
        + struct.pack("<H", len(tags))
        + ifd
        + bytes(4)
    )


def deep_png(values, colour_type):
    """A 16-bit PNG with bands, which Pillow cannot write."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def gap(data, reference, ranges=None):
    """Mean difference from what the picture is in eight bits."""
    pixels = decode_square(data, SIDE, ranges=ranges or ValueRanges()).astype(int)
    return np.abs(pixels - (reference[..., None] if reference.ndim == 2 else reference)).mean()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (lambda a: (a * 65535).astype(np.uint16), "0..65535"),
        (lambda a: (a * 16383).astype(np.uint16), "0..16383"),
        (lambda a: (a * 4095).astype(np.uint16), "0..4095"),
        (lambda a: (a * 1023).astype(np.uint16), "0..1023"),
        (lambda a: (a * 255).astype(np.uint16), "0..255"),
        (lambda a: (a * 260).astype(np.int32), "0..255"),
        (lambda a: (a * 4095).astype(np.int32), "0..4095"),
        (lambda a: (a * 70000).astype(np.int32), "0..70000"),
        (lambda a: (a * 4095 - 1024).astype(np.int32), "-1024..3071"),
        (lambda a: a.astype(np.float32), "0..1"),
        (lambda a: (a * 1.01).astype(np.float32), "0..1"),
        (lambda a: (a - 0.01).astype(np.float32), "0..1"),
        (lambda a: (a * 2 - 1).astype(np.float32), "-1..1"),
        (lambda a: (a * 256).astype(np.float32), "0..255"),
        (lambda a: (a * 2).astype(np.float32), "0..2"),
        (lambda a: (a * 1e-6).astype(np.float32), "0..1e-06"),
        (lambda a: (a * 50 + 270.5).astype(np.float32), "270.5..320.5"),
    ],
)
def test_every_scale_shows_the_same_picture(values, expected):
    picture = shades()
    deep = values(picture)
    scale = range_of(read_header(tiff(deep)).depth, [extent_of(deep)])
    assert gap(tiff(deep), np.round(picture * 255)) < 3.5
    low, high = (float(end) for end in expected.split(".."))
    assert abs(scale.low - low) <= 0.02 * (high - low)
    assert abs(scale.high - high) <= 0.02 * (high - low)


@pytest.mark.parametrize(
    "stray", ["pixel", "pair", "column", "-9999", "3.4e38", "-3.4e38", "nan", "inf", "-32768", "zero"]
)
def test_hot_pixels_and_what_is_no_data_do_not_change_the_rest(stray):
    picture = shades(1)
    kelvin = (picture * 50 + 270).astype(np.float32)
    strange = np.zeros(kelvin.shape, bool)
    strange[20:25] = stray not in {"pixel", "pair", "column"}
    value = {"zero": 0.0}.get(stray) if stray in {"pixel", "pair", "column", "zero"} else float(stray)
    if stray == "pixel":
        strange[5, 9], value = True, 1e6
    elif stray == "pair":
        strange[5, 9:11], value = True, 1e6
    elif stray == "column":
        strange[:, 9], value = True, 1e6
    kelvin[strange] = value
    pixels = decode_square(tiff(kelvin), SIDE)[..., 0].astype(int)
    assert np.abs(pixels - np.round(picture * 255))[~strange].mean() < 3
    assert set(pixels[strange].tolist()) == {255 if value == 1e6 else 0}


@given(
    st.lists(st.integers(0, 65535), min_size=2, max_size=60),
    st.integers(0, 30000),
    st.integers(1, 35000),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_brightness_never_falls_where_values_rise(values, low, width, inverted):
    scale = ValueRange(float(low), float(low + width))
    for depth in (np.uint16, np.int32, np.float32):
        levels = to_8_bit(np.sort(np.array(values)).astype(depth), scale, inverted=inverted).astype(int)
        assert (np.diff(levels) <= 0 if inverted else np.diff(levels) >= 0).all()


def test_white_is_zero_at_sixteen_bits_too():
    picture = shades(2)
    reference = np.round(picture * 255)
    for top in (65535, 4095):
        assert gap(plain_tiff(top - np.round(picture * top), 0), reference) < 1
        assert gap(plain_tiff(np.round(picture * top), 1), reference) < 1


def test_colours_of_sixteen_bits_keep_their_lower_byte():
    colours = np.stack([shades(seed) for seed in range(3)], -1)
    reference = np.round(colours * 255)
    for top in (65535, 4095, 1023):
        deep = np.round(colours * top)
        opaque = np.dstack([deep, np.full(deep.shape[:2], 65535)])
        assert gap(plain_tiff(deep, 2), reference) < 1
        assert gap(deep_png(deep, 2), reference) < 1
        assert gap(deep_png(opaque, 6), reference) < 1
        assert gap(deep_png(opaque[..., [0, 3]], 4), reference[..., 0]) < 1
    assert read_header(plain_tiff(deep, 2)).depth == "uint16"
    with pytest.raises(UnreadableImageError, match="3 bands of 16 bits, one after the other"):
        decode_square(plain_tiff(deep, 2, planar=2), SIDE)  # of which Pillow makes noise


def test_bands_that_pillow_does_not_know_are_named():
    five = np.stack([shades(seed) * 4095 for seed in range(5)], -1)
    with pytest.raises(UnreadableImageError, match="a TIFF image of 5 bands of 16 bits"):
        decode_square(plain_tiff(five, 1), SIDE)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.4e38, -9999])
def test_an_image_without_data_is_unreadable(value):
    with pytest.raises(UnreadableImageError, match="no data"):
        decode_square(tiff(np.full((8, 8), value, np.float32)), 8)


def test_one_value_alone_and_masks_are_pictures_too():
    assert decode_square(tiff(np.full((8, 8), 300, np.float32)), 8).shape == (8, 8, 3)
    mask = (shades() > 0.5).astype(np.float64)
    for top, depth in ((1, np.uint16), (65535, np.uint16), (1, np.float32), (255, np.int32)):
        assert gap(tiff((mask * top).astype(depth)), mask * 255) < 0.5


def test_a_few_odd_images_do_not_set_the_range_of_the_others():
    twelve = [Extent(0.0, 3900.0 + number, whole=True) for number in range(20)]
    assert range_of("uint16", [*twelve, Extent(0.0, 65535.0, whole=True)]) == ValueRange(0.0, 4095.0)
    assert range_of("uint16", [*twelve, Extent(0.0, 9000.0, whole=True)]) == ValueRange(0.0, 16383.0)
    thermal = [Extent(28000.0, 31000.0 + number, whole=True) for number in range(20)]
    assert range_of("uint16", thermal) == ValueRange(28000.0, 31019.0, guessed=True)


def deep_folder(root, values, count=8):
    """Two classes of deep images, dark and bright ones, none of which alone tells the scale."""
    for label, share in (("dark", 0.2), ("bright", 1.0)):
        (root / label).mkdir(parents=True)
        for seed in range(count):
            (root / label / f"{seed}.tif").write_bytes(tiff(values(shades(seed + 50 * len(label)) * share)))
    return root


def test_a_set_has_one_range_and_its_profile_says_so(tmp_path):
    folder = deep_folder(tmp_path / "cells", lambda a: (a * 4095).astype(np.uint16))
    Image.fromarray(np.uint8(shades() * 255)).save(folder / "dark" / "eight.png")
    dataset = open_dataset(str(folder))
    assert dataset.ranges == ValueRanges(uint16=ValueRange(0.0, 4095.0))
    assert dataset.notes == ("16-bit images use 1/16 of their range: scaled by 0..4095",)
    ready = prepare(str(folder), InputSpec(SIDE, crop_pct=1.0), catalog=load_catalog(), seed=0, progress=Silent())
    rows = ready.dataset.frame.set_index("path")["row"]
    assert ready.pixels.batch(rows[["dark/0.tif"]].to_numpy()).max() <= 0.2 * 255 + 1  # alone it would be brighter
    np.testing.assert_array_equal(
        ready.pixels.batch(rows[["dark/eight.png"]].to_numpy())[0, ..., 0], np.uint8(shades() * 255)
    )
    assert any("1/16" in note for note in ready.profile.notes)


def test_a_given_range_is_used_and_other_pixels_are_kept_beside_the_first(tmp_path):
    folder = deep_folder(tmp_path / "cells", lambda a: (a * 4095).astype(np.uint16))
    stores = {}
    for high in (4095.0, 8190.0):
        ranges = ValueRanges(uint16=ValueRange(0.0, high))
        ready = prepare(
            str(folder), InputSpec(SIDE, crop_pct=1.0), catalog=load_catalog(), seed=0, ranges=ranges, progress=Silent()
        )
        stores[high] = ready.pixels
        assert ready.dataset.ranges == ranges
    assert stores[4095.0].folder != stores[8190.0].folder
    rows = np.arange(4)
    half = stores[4095.0].batch(rows).astype(int) / 2
    assert np.abs(stores[8190.0].batch(rows) - half).max() <= 1


def test_a_guess_is_a_warning(tmp_path):
    class Told(Silent):
        lines: list = []  # noqa: RUF012

        def say(self, text):
            self.lines.append(text)

    folder = deep_folder(tmp_path / "heat", lambda a: (a * 50 + 270.25).astype(np.float32))
    told = Told()
    ready = prepare(str(folder), InputSpec(SIDE, crop_pct=1.0), catalog=load_catalog(), seed=0, progress=told)
    assert ready.dataset.ranges.float32.guessed
    assert any("had to be guessed" in line and "[range.float32]" in line for line in told.lines)


@given(
    st.builds(
        lambda low, width, guessed: ValueRanges(float32=ValueRange(low, low + width, guessed)),
        st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.booleans(),
    )
)  # fmt: skip
def test_ranges_survive_as_plain_data(ranges):
    assert ValueRanges.from_dict(ranges.to_dict()) == ranges
    assert ranges.key == ValueRanges.from_dict(ranges.to_dict()).key != ""
