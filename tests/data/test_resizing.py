"""The graph's own resizing against Pillow's."""

import numpy as np
import pytest
import torch
from PIL import Image

from advisor.data.decode import central_square
from advisor.data.resizing import CentralSquare
from advisor.data.views import clean_view, normalise
from advisor.types import InputSpec

SIZES = [(28, 28), (3, 7), (1, 1), (255, 255), (256, 256), (257, 300), (300, 257), (533, 400), (1200, 901), (224, 1000)]


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_every_pixel_is_pillows(height, width, interpolation):
    spec = InputSpec(size=224, crop_pct=0.875, interpolation=interpolation)
    noise = np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), dtype=np.uint8)
    hard = np.where(noise > 127, 255, 0).astype(np.uint8)  # overshoots at both ends, so clipping matters
    for pixels in (noise, hard):
        square = central_square(Image.fromarray(pixels), spec.resize, interpolation)
        expected = clean_view(torch.from_numpy(square.copy()[None]), spec)
        found = normalise(CentralSquare(spec)(torch.from_numpy(pixels[None])), spec)
        assert torch.equal(found, expected)


def test_the_order_of_the_two_directions_is_fixed():
    # Pillow 13 by itself begins with columns here.
    pixels = np.random.default_rng(0).integers(0, 256, (300, 257, 3), dtype=np.uint8)
    rows = Image.fromarray(pixels).resize((256, 300), Image.Resampling.BICUBIC)
    expected = rows.resize((256, 256), Image.Resampling.BICUBIC, box=(0, 21.5, 256, 278.5))
    assert np.array_equal(central_square(Image.fromarray(pixels), 256), np.asarray(expected))


def test_a_batch_is_its_images():
    spec = InputSpec(size=60, crop_pct=0.9)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 50, 70, 3), dtype=np.uint8))
    resize = CentralSquare(spec)
    assert torch.equal(resize(pixels), torch.cat([resize(one[None]) for one in pixels]))
