"""The graph's own resizing against Pillow's."""

import numpy as np
import pytest
import torch
from PIL import Image

from advisor.data.decode import to_square
from advisor.data.resizing import ToSquare
from advisor.data.views import clean_view, normalise
from advisor.types import FITS, InputSpec

SIZES = [
    (28, 28),
    (3, 7),
    (1, 1),
    (255, 255),
    (256, 256),
    (257, 300),
    (300, 257),
    (533, 400),
    (1200, 901),
    (224, 1000),
    (6, 300),
    (301, 2),
    (1000, 1),
]


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_every_pixel_is_pillows(height, width, interpolation, fit):
    spec = InputSpec(size=224, crop_pct=0.875, interpolation=interpolation, fit=fit)
    noise = np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), dtype=np.uint8)
    hard = np.where(noise > 127, 255, 0).astype(np.uint8)  # overshoots at both ends, so clipping matters
    for pixels in (noise, hard):
        square = to_square(Image.fromarray(pixels), spec.resize, interpolation, fit=fit, fill=spec.fill)
        expected = clean_view(torch.from_numpy(square.copy()[None]), spec)
        found = normalise(ToSquare(spec)(torch.from_numpy(pixels[None])), spec)
        assert torch.equal(found, expected)


def test_the_order_of_the_two_directions_is_fixed():
    # Pillow 13 by itself begins with columns here.
    pixels = np.random.default_rng(0).integers(0, 256, (300, 257, 3), dtype=np.uint8)
    rows = Image.fromarray(pixels).resize((256, 300), Image.Resampling.BICUBIC)
    expected = rows.resize((256, 256), Image.Resampling.BICUBIC, box=(0, 21.5, 256, 278.5))
    assert np.array_equal(to_square(Image.fromarray(pixels), 256), np.asarray(expected))


def test_a_batch_is_its_images():
    spec = InputSpec(size=60, crop_pct=0.9)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 50, 70, 3), dtype=np.uint8))
    resize = ToSquare(spec)
    assert torch.equal(resize(pixels), torch.cat([resize(one[None]) for one in pixels]))


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("level", [0, 1, 127, 255])
def test_a_picture_of_one_level_stays_so(level, interpolation):
    resize = ToSquare(InputSpec(size=32, crop_pct=0.8, interpolation=interpolation))
    found = resize(torch.full((1, 41, 67, 3), level, dtype=torch.uint8))
    assert found.shape == (1, 3, 32, 32)
    assert found.dtype == torch.float32
    assert bool((found == level).all())


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_weights_of_a_line_sum_to_one_and_are_whole_steps(interpolation):
    resize = ToSquare(InputSpec(size=24, interpolation=interpolation))
    used, made = (torch.tensor([length], dtype=torch.float64) for length in (80, 27))
    weights = resize._weights(torch.arange(100, dtype=torch.float64), used, made)
    assert weights.shape == (24, 100)
    torch.testing.assert_close(weights.sum(1), torch.ones(24, dtype=torch.float64), atol=1e-4, rtol=0)
    steps = weights * 2**22
    assert torch.equal(steps, steps.round())


def test_a_mirrored_picture_is_mirrored():
    resize = ToSquare(InputSpec(size=32, crop_pct=1.0))
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8))
    assert float((resize(pixels.flip(2)) - resize(pixels).flip(3)).abs().max()) <= 1


def test_levels_stay_whole_and_within_eight_bits():
    hard = (np.indices((50, 50)).sum(0) % 2 * 255).astype(np.uint8)
    found = ToSquare(InputSpec(size=33, crop_pct=0.9))(torch.from_numpy(np.stack([hard] * 3, -1)[None]))
    assert bool((found == found.round()).all())
    assert 0 <= float(found.min()) <= float(found.max()) <= 255
