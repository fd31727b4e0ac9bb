"""Pillow's antialiased resizing as a few matrix products, so that it can be a part of an exported graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from advisor.types import InputSpec

_REACH = {"bicubic": 2.0, "bilinear": 1.0}  # of the filter, pixels to either side
_STEPS = float(2**22)  # Pillow keeps the weights of 8-bit images as whole multiples of one over this


class CentralSquare(nn.Module):
    """What `decode_square` and the centre crop make of decoded images, bit for bit, of any size.

    The decoder lets Pillow resize rows first and then columns; each time it rounds to whole gray levels, and its
    weights are fixed-point numbers. All that is exact in double precision, so the order of the sums does not matter.

    Args:
        spec: what the network takes.
    """

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.side, self.size = spec.resize, spec.size
        self.interpolation = spec.interpolation

    def forward(self, images: Tensor) -> Tensor:
        """(B, height, width, 3) uint8 to (B, 3, size, size) float32 with whole numbers in 0..255."""
        _, height, width, _ = images.shape
        rows = torch.arange(height, dtype=torch.float64, device=images.device)
        columns = torch.arange(width, dtype=torch.float64, device=images.device)
        shorter = torch.minimum(rows[-1:], columns[-1:]) + 1
        pixels = images.permute(0, 3, 1, 2).double()
        pixels = self._whole(pixels @ self._weights(columns, shorter).T)
        return self._whole(self._weights(rows, shorter) @ pixels).float()

    @staticmethod
    def _whole(levels: Tensor) -> Tensor:
        return (levels + 0.5).floor().clamp(0, 255)

    def _weights(self, places: Tensor, shorter: Tensor) -> Tensor:
        """What each pixel of a line (length,) adds to each of the pixels (size,) that are kept: (size, length)."""
        length = places[-1:] + 1
        scale = shorter / self.side
        stretch = scale.clamp(min=1.0)
        reach = _REACH[self.interpolation] * stretch
        kept = torch.arange(self.size, dtype=torch.float64, device=places.device) + (self.side - self.size) // 2
        centre = ((length - shorter) / 2 + (kept + 0.5) * scale).unsqueeze(1)
        first = (centre - reach + 0.5).trunc().clamp(min=0)
        last = torch.minimum((centre + reach + 0.5).trunc(), length)
        weights = self._filter(((places - centre + 0.5) / stretch).abs())
        weights = torch.where((places >= first) & (places < last), weights, torch.zeros_like(weights))
        weights = weights / weights.sum(1, keepdim=True) * _STEPS
        return torch.where(weights < 0, (weights - 0.5).trunc(), (weights + 0.5).trunc()) / _STEPS

    def _filter(self, x: Tensor) -> Tensor:
        """The filter at a distance, pixels; the cubic one is that of Keys with a = -1/2."""
        if self.interpolation == "bilinear":
            return (1 - x).clamp(min=0)
        near = (1.5 * x - 2.5) * x * x + 1
        far = (((x - 5) * x + 8) * x - 4) * -0.5
        return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
