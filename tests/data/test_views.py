import numpy as np
import pytest
import torch
from PIL import Image

from advisor.data.views import AUGMENTATIONS, augmented_view, clean_view
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


def test_only_flip_crop_mirrors():
    """A left-to-right ramp keeps its direction under crops."""
    spec = InputSpec(size=28, crop_pct=0.875)
    ramp = torch.arange(0, 256, 8, dtype=torch.uint8).view(1, 1, 32, 1).expand(64, 32, 32, 3).contiguous()

    def falling(kind):
        view = augmented_view(ramp, spec, kind, torch.Generator().manual_seed(0))
        return (view[..., -4] < view[..., 3]).float().mean().item()

    assert falling("crop") == 0
    assert 0.3 < falling("flip_crop") < 0.7
