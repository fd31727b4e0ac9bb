"""From stored pixels to network input, on the device: the clean view and augmented views."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

from advisor.data.augmentations import AUGMENTATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from advisor.types import InputSpec

__all__ = ["AUGMENTATIONS", "augmented_view", "clean_view", "enlarged", "normalise"]

_CROP_AREA = (0.6, 1.0)
_CROP_ASPECT = (3 / 4, 4 / 3)
_RANDAUGMENT_OPERATIONS, _RANDAUGMENT_MAGNITUDE = 2, 7  # of 30; method.md section 6


def clean_view(pixels: Tensor, spec: InputSpec) -> Tensor:
    """The evaluation view: resize to `spec.resize`, centre crop, normalise.

    Args:
        pixels: (B, side, side, 3) uint8 from the pixel store, on any device.
        spec: of the backbone.

    Returns:
        (B, 3, spec.size, spec.size) float32 in channels_last memory.
    """
    images = _resized(pixels, spec)
    margin = (spec.resize - spec.size) // 2
    images = images[..., margin : margin + spec.size, margin : margin + spec.size]
    return normalise(images, spec)


def augmented_view(pixels: Tensor, spec: InputSpec, kind: str, generator: torch.Generator) -> Tensor:
    """A random view for training.

    `none` is the clean view and `crop` is 60 to 100 % of the area. `flip_crop` is also mirrored, half of the time.
    `randaugment` first changes the image by two operations of RandAugment [Cubuk 2020] at magnitude 7, `trivial` by
    one of TrivialAugment [Müller 2021] at any magnitude; both then crop and never mirror. RandAugment turns by at
    most 7°, which leaves text readable, TrivialAugment by up to 135°. What comes in from outside is of the mean
    colour of the backbone's images.

    Args:
        pixels: (B, side, side, 3) uint8.
        spec: of the backbone.
        kind: one of `AUGMENTATIONS`.
        generator: a CPU generator, so that the draw is the same on every device.

    Returns:
        (B, 3, spec.size, spec.size) float32 in channels_last memory.
    """
    if kind == "none":
        return clean_view(pixels, spec)
    count = len(pixels)

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(count).uniform_(low, high, generator=generator)

    side = uniform(*_CROP_AREA).sqrt()
    stretch = uniform(math.log(_CROP_ASPECT[0]), math.log(_CROP_ASPECT[1])).div(2).exp()
    width, height = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    mirror = torch.ones(count)
    if kind == "flip_crop":
        mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    across, down = uniform(-1, 1) * (1 - width), uniform(-1, 1) * (1 - height)
    images = _resized(pixels, spec)
    if kind in {"randaugment", "trivial"}:
        images = _altered(images, spec, kind, generator)
    images = images.float()
    grid = _grid(*(part.to(images.device) for part in (width * mirror, across, height, down)), size=spec.size)
    return normalise(F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False), spec)


def _grid(width: Tensor, across: Tensor, height: Tensor, down: Tensor, *, size: int) -> Tensor:
    """Where each pixel of a view is read, (B, size, size, 2) from -1 to 1; the four (B,) are scale and shift.

    Without rotation it is the same row in every row; `F.affine_grid` multiplies matrices for each pixel instead.
    """
    middles = (2 * torch.arange(size, device=width.device) + 1) / size - 1
    grid = torch.empty(len(width), size, size, 2, device=width.device)
    grid[..., 0] = (middles * width[:, None] + across[:, None])[:, None, :]
    grid[..., 1] = (middles * height[:, None] + down[:, None])[:, :, None]
    return grid


def _altered(images: Tensor, spec: InputSpec, kind: str, generator: torch.Generator) -> Tensor:
    """Each image (3, side, side) changed by what is drawn for it alone; after resizing, since shifts are in pixels."""
    from torchvision.transforms import v2

    fill = [255 * mean for mean in spec.mean]
    change: Callable[[Tensor], Tensor] = (
        v2.RandAugment(_RANDAUGMENT_OPERATIONS, _RANDAUGMENT_MAGNITUDE, fill=fill)
        if kind == "randaugment"
        else v2.TrivialAugmentWide(fill=fill)
    )
    images = images.round().to(torch.uint8).contiguous()
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the CPU's global generator
        torch.default_generator.manual_seed(seed)
        return torch.stack([change(image) for image in images])


def enlarged(pixels: Tensor, spec: InputSpec) -> Tensor:
    """Pixels (B, resize, resize, 3) uint8 as views see them, from (B, side, side, 3) uint8; rounded to whole levels."""
    return _resized(pixels, spec).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _resized(pixels: Tensor, spec: InputSpec) -> Tensor:
    """(B, 3, resize, resize); small images are enlarged by the filter that the clean view uses."""
    images = pixels.permute(0, 3, 1, 2)
    if images.shape[-1] == spec.resize:
        return images
    side = (spec.resize, spec.resize)
    return F.interpolate(images.float(), size=side, mode=spec.interpolation, antialias=True).clamp(0, 255)


def normalise(images: Tensor, spec: InputSpec) -> Tensor:
    """From levels 0..255 (B, 3, H, W) to what the network takes, float32 in channels_last memory."""
    mean = torch.tensor(spec.mean, device=images.device).view(1, 3, 1, 1) * 255
    std = torch.tensor(spec.std, device=images.device).view(1, 3, 1, 1) * 255
    # Channel by channel while each is a plane of its own: with three numbers a pixel loops would be three long.
    planes = images.contiguous().float()
    return planes.sub(mean).div_(std).contiguous(memory_format=torch.channels_last)
