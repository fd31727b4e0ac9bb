"""Gradients of convolutions on a CPU, where the library's own way is slow.

A depthwise convolution has one kernel a channel. For the gradient of kernels wider than three, oneDNN (the library
under torch) takes its code for grouped convolutions, which computes 16 × 16 channels where 16 are wanted; for strips of
three columns it has code for depthwise ones. So the gradient of a wide kernel is made of such strips, 2 to 6 times as
fast, in bfloat16 up to 20 times (`benchmarks/training_step.py --parts`).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

if TYPE_CHECKING:
    from torch import Tensor

_STRIP = 3  # columns of a kernel for which there is fast code
_Strips = tuple[tuple[int, tuple[tuple[int, int], ...]], ...]


@dataclass(frozen=True)
class Geometry:
    """How a 2-D convolution moves over its images; pairs are (rows, columns)."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


class Convolution(torch.autograd.Function):
    """`torch.conv2d`, with gradients that are faster where it is depthwise."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
    ) -> Tensor:
        """(B, C, H, W), (D, C / groups, k, l) and (D,) to (B, D, H', W'), all of one type."""
        ctx.save_for_backward(images, weight)
        ctx.geometry = geometry  # type: ignore[attr-defined]
        at = geometry
        return torch.conv2d(images, weight, bias, at.stride, at.padding, at.dilation, at.groups)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Gradients of images, weight and bias, as far as they are wanted."""
        images, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        geometry: Geometry = ctx.geometry  # type: ignore[attr-defined]
        of_images, of_weight, of_bias, _ = ctx.needs_input_grad  # type: ignore[attr-defined]
        to_images = to_weight = None
        if geometry.groups == 1:
            to_images, to_weight = _plain(gradient, images, weight, geometry, (of_images, of_weight))
        else:
            if of_images:
                to_images = _image_gradient(gradient, images, weight, geometry)
            if of_weight:
                to_weight = _weight_gradient(gradient, images, weight, geometry)
        return to_images, to_weight, gradient.sum((0, 2, 3)) if of_bias else None, None


def gains(conv: torch.nn.Conv2d) -> bool:
    """Whether a convolution has a gradient that is faster here: depthwise, with a wide kernel or with a stride."""
    depthwise = conv.groups == conv.in_channels == conv.out_channels > 1 and tuple(conv.dilation) == (1, 1)
    return depthwise and (conv.kernel_size[1] > _STRIP or tuple(conv.stride) != (1, 1))


def _plain(
    gradient: Tensor, images: Tensor, weight: Tensor, at: Geometry, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    to_images, to_weight, _ = torch.ops.aten.convolution_backward(
        gradient, images, weight, None, at.stride, at.padding, at.dilation, False, (0, 0), at.groups, (*wanted, False)
    )
    return to_images, to_weight


def _image_gradient(gradient: Tensor, images: Tensor, weight: Tensor, at: Geometry) -> Tensor:
    """In bfloat16 oneDNN has no code of its own for depthwise convolutions with a stride; float32 is far faster."""
    kind = images.dtype
    if kind == torch.bfloat16 and at.stride != (1, 1):
        gradient, images, weight = gradient.float(), images.float(), weight.float()
    to_images, _ = _plain(gradient, images, weight, at, (True, False))
    assert to_images is not None
    return to_images.to(kind)


def _weight_gradient(gradient: Tensor, images: Tensor, weight: Tensor, at: Geometry) -> Tensor:
    rows, columns = weight.shape[2:]
    depthwise = weight.shape[1] == 1 and len(weight) == at.groups and at.dilation == (1, 1)
    if depthwise and columns > _STRIP:
        if min(images.shape[2:]) < max(rows, columns):  # smaller than the kernel, an image has no fast code either
            images = F.pad(images, (at.padding[1], at.padding[1], at.padding[0], at.padding[0]))
            at = replace(at, padding=(0, 0))
        strips = _strips(columns, at.stride[1], at.padding[1])
        if strips:
            return _from_strips(gradient, images, weight, at, strips)
    _, whole = _plain(gradient, images, weight, at, (False, True))
    assert whole is not None
    return whole


def _from_strips(gradient: Tensor, images: Tensor, weight: Tensor, at: Geometry, strips: _Strips) -> Tensor:
    """The gradient's positions are moved to the side, so that a strip of the kernel is one in the middle."""
    narrow = replace(at, padding=(at.padding[0], min(at.padding[1], 1)))
    width = gradient.shape[3]
    wide = (images.shape[3] + 2 * narrow.padding[1] - _STRIP) // at.stride[1] + 1
    out, example = torch.empty_like(weight), weight.new_empty(*weight.shape[:3], _STRIP)
    for shift, pairs in strips:
        moved = gradient if shift == 0 and wide == width else F.pad(gradient, (shift, wide - width - shift))
        _, strip = _plain(moved, images, example, narrow, (False, True))
        assert strip is not None
        for own, column in pairs:
            out[..., column] = strip[..., own]
    return out


@functools.cache
def _strips(columns: int, stride: int, padding: int) -> _Strips:
    """Which shifts of the positions give which columns of a kernel.

    A position `o` shifted by m meets, under column i of a strip, image column stride · (o + m) + i - margin, where
    margin = min(padding, 1): what it meets unshifted under kernel column stride · m + i - margin + padding. A column
    counts only where every position that is moved out of the strip's range, to the left or to the right, met padding.

    Returns:
        Shifts, each with pairs of a strip's column and the kernel's column that it gives; empty where that is not
        every column.
    """
    margin = min(padding, 1)

    def given(shift: int) -> dict[int, int]:
        """The kernel's column of each column of a strip that counts."""
        none_out = 2 * padding - columns + stride * shift <= 2 * margin - _STRIP  # to the right
        return {
            own: stride * shift + own - margin + padding
            for own in range(_STRIP)
            if 0 <= stride * shift + own - margin + padding < columns
            and (shift >= 0 or own < margin + stride)
            and (none_out or own + margin >= _STRIP - 1)
        }

    missing, chosen = set(range(columns)), []
    while missing:
        candidates = sorted(range(-columns, columns + 1), key=abs)
        shift = max(candidates, key=lambda shift: len(missing.intersection(given(shift).values())))
        pairs = tuple((own, column) for own, column in given(shift).items() if column in missing)
        if not pairs:
            return ()
        missing -= {column for _, column in pairs}
        chosen.append((shift, pairs))
    return tuple(chosen)
