import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from advisor.data.views import AUGMENTATIONS, augmented_view, clean_view, normalise
from advisor.types import InputSpec


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_enlarging_on_the_device_agrees_with_pillow(interpolation):
    spec = InputSpec(size=56, crop_pct=0.875, interpolation=interpolation)
    y, x = np.mgrid[:16, :16]
    small = np.stack([120 + 90 * np.sin(x / 2), 120 + 90 * np.sin(y / 3), 5 * x + 5 * y], -1).astype(np.uint8)
    resampling = getattr(Image.Resampling, interpolation.upper())
    large = np.asarray(Image.fromarray(small).resize((64, 64), resampling))
    ours = clean_view(torch.from_numpy(small[None]), spec)
    theirs = clean_view(torch.from_numpy(large[None].copy()), spec)
    assert (ours - theirs).abs().max() < 3 / 255 / 0.22


def test_clean_view_is_timms_evaluation_transform():
    from timm.data import create_transform

    spec = InputSpec(size=56, crop_pct=0.875)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    transform = create_transform((3, 56, 56), crop_pct=0.875, interpolation="bicubic", mean=spec.mean, std=spec.std)
    expected = transform(Image.fromarray(pixels))
    torch.testing.assert_close(clean_view(torch.from_numpy(pixels[None]), spec)[0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_augmented_views_are_repeatable_and_of_the_right_shape(kind):
    spec = InputSpec(size=28, crop_pct=0.875)
    pixels = torch.randint(0, 255, (8, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def view(seed):
        return augmented_view(pixels, spec, kind, torch.Generator().manual_seed(seed))

    assert view(0).shape == (8, 3, 28, 28)
    assert torch.equal(view(0), view(0))
    assert torch.equal(view(0), view(1)) == (kind == "none")


def ramps(count, size=32):
    """Images (count, size, size, 3) that grow brighter from left to right."""
    steps = torch.arange(0, 256, 256 // size, dtype=torch.uint8)
    return steps.view(1, 1, size, 1).expand(count, size, size, 3).contiguous()


def test_only_flip_crop_mirrors():
    """A left-to-right ramp keeps its direction under crops."""
    spec = InputSpec(size=28, crop_pct=0.875)

    def falling(kind):
        view = augmented_view(ramps(64), spec, kind, torch.Generator().manual_seed(0))
        return (view[..., -4] < view[..., 3]).float().mean().item()

    assert falling("crop") == 0
    assert 0.3 < falling("flip_crop") < 0.7


def test_randaugment_never_mirrors():
    """Solarising and inverting contrast reverse brightness, so the place of a dark square tells instead."""
    spec = InputSpec(size=56, crop_pct=0.875)
    pixels = torch.full((96, 64, 64, 3), 110, dtype=torch.uint8)
    pixels[:, 24:40, 8:24] = 10  # left of the middle
    views = augmented_view(pixels, spec, "randaugment", torch.Generator().manual_seed(0)).mean(1)
    # The square may be shifted by 7/30 of 45 % of the width, an eighth of it, and be cut off; it is never on the right.
    dark = (views[:, :, :28] < views.amax((1, 2), keepdim=True) - 0.5).float().mean((1, 2))
    right = (views[:, 14:42, 42:] < views[:, 14:42, 20:36].amax((1, 2), keepdim=True) - 0.5).float().mean((1, 2))
    assert (dark > 0).float().mean() > 0.9
    assert right.mean() < 0.02


@pytest.mark.parametrize("kind", ["randaugment", "trivial"])
def test_every_image_is_changed_on_its_own(kind):
    """Equal images become different ones, in colour too, which crops alone never change."""
    spec = InputSpec(size=28, crop_pct=0.875)
    pixels = torch.full((48, 32, 32, 3), 90, dtype=torch.uint8) + torch.tensor([0, 40, 80], dtype=torch.uint8)
    cropped = augmented_view(pixels, spec, "crop", torch.Generator().manual_seed(0))
    views = augmented_view(pixels, spec, kind, torch.Generator().manual_seed(0))
    colours = views[..., 14, 14].mul(100).round().unique(dim=0)
    assert cropped[..., 14, 14].mul(100).round().unique(dim=0).shape[0] == 1
    assert colours.shape[0] > 5


@pytest.mark.parametrize("kind", ["randaugment", "trivial"])
def test_the_global_generator_is_neither_read_nor_moved(kind):
    spec = InputSpec(size=28, crop_pct=0.875)
    views = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        views.append(augmented_view(ramps(8), spec, kind, torch.Generator().manual_seed(0)))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*views)


def test_successive_batches_are_drawn_anew():
    generator, spec = torch.Generator().manual_seed(0), InputSpec(size=28, crop_pct=0.875)
    first, second = (augmented_view(ramps(8), spec, "trivial", generator) for _ in range(2))
    assert not torch.equal(first, second)


def test_small_images_are_enlarged_before_they_are_shifted():
    """TrivialAugment shifts by up to 32 pixels: of the network's input, not of an icon, which would be gone."""
    spec = InputSpec(size=224, crop_pct=0.875)
    view = augmented_view(ramps(32, size=16), spec, "trivial", torch.Generator().manual_seed(0))
    assert view.shape == (32, 3, 224, 224)
    assert (view.std((1, 2, 3)) > 0.2).float().mean() > 0.9


def test_the_names_need_no_torch():
    code = "import sys, advisor.data.augmentations; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_of_one_level_is_that_level_normalised(level):
    spec = InputSpec(size=28, crop_pct=0.875, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5))
    found = clean_view(torch.full((2, 32, 32, 3), level, dtype=torch.uint8), spec)
    expected = (level / 255 - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    torch.testing.assert_close(found, expected.view(1, 3, 1, 1).expand(2, 3, 28, 28), atol=1e-5, rtol=1e-5)


def test_normalising_is_undone_by_its_mean_and_deviation():
    spec = InputSpec(size=8)
    levels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) * 255 for values in (spec.mean, spec.std))
    torch.testing.assert_close(normalise(levels, spec) * std + mean, levels.float(), atol=1e-3, rtol=0)
    assert normalise(levels, spec).is_contiguous(memory_format=torch.channels_last)


def test_the_crop_is_of_the_middle():
    spec = InputSpec(size=16, crop_pct=0.5)
    pixels = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    pixels[:, 8:24, 8:24] = 255
    found = clean_view(pixels, spec)
    assert len(found[0, 0].unique()) == 1
    assert float(found[0, 0, 0, 0]) == pytest.approx((1 - 0.485) / 0.229, rel=1e-4)


def test_pixels_that_are_not_contiguous_are_read_as_they_stand():
    spec = InputSpec(size=28, crop_pct=0.875)
    pixels = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)
    assert torch.equal(clean_view(pixels[::2], spec), clean_view(pixels, spec)[::2])
    assert torch.equal(clean_view(pixels.flip(2), spec), clean_view(pixels.flip(2).clone(), spec))


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_no_images_are_an_empty_batch_or_one_image_a_batch_of_one(kind):
    spec = InputSpec(size=28, crop_pct=0.875)
    one = augmented_view(torch.zeros(1, 32, 32, 3, dtype=torch.uint8), spec, kind, torch.Generator().manual_seed(0))
    assert one.shape == (1, 3, 28, 28)
    assert torch.isfinite(one).all()


def test_crops_stay_within_the_levels_of_the_picture():
    spec = InputSpec(size=28, crop_pct=0.875, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    pixels = torch.randint(60, 200, (8, 32, 32, 3), dtype=torch.uint8)
    for kind in ("crop", "flip_crop"):
        found = augmented_view(pixels, spec, kind, torch.Generator().manual_seed(0)) * 255
        assert float(found.min()) >= float(pixels.min()) - 1e-2
        assert float(found.max()) <= float(pixels.max()) + 1e-2
