"""The ranges of a set of deep images, from a sample of files."""

import io

import numpy as np
import pytest
from PIL import Image

from advisor.data.range import NO_RANGES, ValueRange, ValueRanges
from advisor.data.scale import _SAMPLE, measure_ranges


def png(top, seed=0):
    values = np.random.default_rng(seed).integers(0, top + 1, (16, 16)).astype(np.uint16)
    values[:2] = top
    file = io.BytesIO()
    Image.fromarray(values).save(file, "png")
    return file.getvalue()


def tiff(values):
    file = io.BytesIO()
    Image.fromarray(np.asarray(values, np.float32)).save(file, "tiff")
    return file.getvalue()


class Files:
    """Files in memory that remember which were read."""

    def __init__(self, content):
        self.content, self.opened = content, []

    def read(self, path):
        self.opened.append(path)
        data = self.content[path]
        if isinstance(data, Exception):
            raise data
        return data


def measure(content, depth="uint16", known=NO_RANGES):
    files = Files(content)
    paths = list(content)
    depths = [depth] * len(paths) if isinstance(depth, str) else depth
    return measure_ranges(files.read, paths, depths, known), files


def test_twelve_bits_in_sixteen_are_known_by_the_largest_value():
    ranges, _ = measure({f"{i}.png": png(4095, i) for i in range(6)})
    assert ranges == ValueRanges(uint16=ValueRange(0.0, 4095.0))


def test_images_of_eight_bits_are_not_opened():
    ranges, files = measure({"a.png": b"never read"}, "uint8")
    assert ranges == NO_RANGES
    assert not files.opened


def test_no_images_have_no_ranges():
    assert measure({}, [])[0] == NO_RANGES


def test_what_a_plan_knows_is_kept_and_nothing_is_read_for_it():
    known = ValueRanges(uint16=ValueRange(0.0, 100.0))
    ranges, files = measure({"a.png": png(4095)}, known=known)
    assert ranges == known
    assert not files.opened


def test_each_depth_has_its_own_range():
    ranges, _ = measure(
        {"a.png": png(1023), "b.tif": tiff(np.linspace(0, 1, 256).reshape(16, 16)), "c.png": b"eight bits"},
        ["uint16", "float32", "uint8"],
    )
    assert ranges.uint16 == ValueRange(0.0, 1023.0)
    assert ranges.float32 == ValueRange(0.0, 1.0)
    assert ranges.int32 is None


@pytest.mark.parametrize("damage", [b"no image", OSError("gone"), b""])
def test_a_damaged_file_does_not_stop_the_others(damage):
    ranges, _ = measure({"a.png": png(4095), "b.png": damage})
    assert ranges.uint16 == ValueRange(0.0, 4095.0)
    assert measure({"b.png": damage})[0] == NO_RANGES


def test_only_a_sample_is_looked_at_from_the_first_to_the_last_whatever_the_order():
    shared = png(255)
    names = [f"{i:04d}.png" for i in range(300)]
    ranges, files = measure(dict.fromkeys(names, shared))
    assert len(files.opened) == _SAMPLE
    assert {"0000.png", "0299.png"} <= set(files.opened)
    again, other = measure(dict.fromkeys(reversed(names), shared))
    assert again == ranges
    assert set(other.opened) == set(files.opened)
