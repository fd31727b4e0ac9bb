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


class ToSquare(nn.Module):
    """What `decode_square` and the centre crop make of decoded images, bit for bit, of any size and for every fit.

    The decoder lets Pillow resize rows first and then columns; each time it rounds to whole gray levels, and its
    weights are fixed-point numbers. All that is exact in double precision, so the order of the sums does not matter.

    Args:
        spec: what the network takes.
    """

    fill: Tensor

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.side, self.size = spec.resize, spec.size
        self.interpolation = spec.interpolation
        self.fit = spec.fit
        self.register_buffer("fill", torch.tensor(spec.fill, dtype=torch.float64).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, height, width, 3) uint8 to (B, 3, size, size) float32 with whole numbers in 0..255."""
        _, height, width, _ = images.shape
        rows = torch.arange(height, dtype=torch.float64, device=images.device)
        columns = torch.arange(width, dtype=torch.float64, device=images.device)
        pixels = images.permute(0, 3, 1, 2).double()
        (used_rows, made_rows), (used_columns, made_columns) = self._lengths(rows, columns)
        pixels = self._whole(pixels @ self._weights(columns, used_columns, made_columns).T)
        pixels = self._whole(self._weights(rows, used_rows, made_rows) @ pixels)
        if self.fit == "pad":
            inside = self._inside(made_rows).unsqueeze(1) & self._inside(made_columns)
            pixels = torch.where(inside, pixels, self.fill)
        return pixels.float()

    def _lengths(self, rows: Tensor, columns: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Of height and width: how much of it is looked at, and what that becomes, pixels (1,)."""
        height, width = rows[-1:] + 1, columns[-1:] + 1
        whole = torch.full_like(height, self.side)
        if self.fit == "crop":
            shorter = torch.minimum(height, width)
            return [(shorter, whole), (shorter, whole)]
        if self.fit == "squash":
            return [(height, whole), (width, whole)]
        ratio = torch.maximum(height, width) / self.side
        return [(height, (height / ratio).round().clamp(min=1)), (width, (width / ratio).round().clamp(min=1))]

    def _places(self, made: Tensor) -> Tensor:
        """Where the pixels that are kept (size,) lie in what a side becomes; outside of it on borders."""
        kept = torch.arange(self.size, dtype=torch.float64, device=made.device) + (self.side - self.size) // 2
        return kept - ((self.side - made) / 2).floor()

    def _inside(self, made: Tensor) -> Tensor:
        """Whether each pixel that is kept (size,) is of the picture and not of a border."""
        places = self._places(made)
        return (places >= 0) & (places < made)

    @staticmethod
    def _whole(levels: Tensor) -> Tensor:
        return (levels + 0.5).floor().clamp(0, 255)

    def _weights(self, places: Tensor, used: Tensor, made: Tensor) -> Tensor:
        """What each pixel of a line (length,) adds to each of the pixels (size,) that are kept: (size, length)."""
        length = places[-1:] + 1
        scale = used / made
        stretch = scale.clamp(min=1.0)
        reach = _REACH[self.interpolation] * stretch
        kept = torch.minimum(self._places(made).clamp(min=0), made - 1)
        centre = ((length - used) / 2 + (kept + 0.5) * scale).unsqueeze(1)
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
