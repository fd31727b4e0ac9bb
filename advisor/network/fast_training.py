"""The same training step on a CPU in less time; what is stored stays the network as it is.

BatchNorm that keeps its statistics is a fixed scale and shift per channel, which the convolution before it can carry.
`advisor.network.fold` does that once, for networks that are only read. Here it is done anew in every step, so that
gradients reach the convolution's weight and BatchNorm's own: the loss is the same function of the same parameters.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from advisor.network.depthwise import Convolution, Geometry, gains
from advisor.network.fold import conv_norm_pairs, rest_of_norm
from advisor.network.modes import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    _Layer = Callable[[Tensor], Tensor]

_TOLERANCE = 1e-3  # relative to the largest output; folding rounds differently


@contextmanager
def fast_training(model: nn.Module, example: tuple[Tensor, ...], batch_size: int) -> Iterator[None]:
    """While it is open, steps of this model on a CPU take less time; on other devices nothing changes.

    Modules keep their names, types and parameters; some compute in another way until the end.

    Args:
        model: called as `model(*inputs)`. A BatchNorm layer is folded whenever it is in evaluation mode.
        example: inputs for one image or more on the model's device; that the outputs are the same is tried on them.
        batch_size: images that go through at once in training. Folding costs passes over the weights and saves passes
            over the maps, so it is done where the maps are larger.
    """
    replaced: dict[nn.Module, _Layer] = {}
    if example[0].device.type == "cpu":
        with evaluating(model), torch.inference_mode():
            replaced = _replacements(model, example, batch_size)
            before = model(*example)
            _install(replaced)
            after = model(*example)
        # A convolution's output may be used elsewhere, too, and then BatchNorm must not be a part of it.
        if not bool((before - after).abs().max() <= _TOLERANCE * before.abs().max().clamp(min=1e-6)):
            _remove(replaced)
            replaced = {}
    try:
        yield
    finally:
        _remove(replaced)


def _replacements(model: nn.Module, example: tuple[Tensor, ...], batch_size: int) -> dict[nn.Module, _Layer]:
    """Modules and what they shall compute with instead."""
    maps = _map_sizes(model, example)
    replaced: dict[nn.Module, _Layer] = {}
    for conv_path, norm_path in conv_norm_pairs(model, example):
        conv, norm = model.get_submodule(conv_path), model.get_submodule(norm_path)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        if _is_plain(conv) and norm.affine and batch_size * maps[conv] >= conv.weight.numel():
            replaced[conv], replaced[norm] = _Folded(conv, norm).forward, _rest(norm)
    for conv in maps:
        if conv not in replaced and _is_plain(conv) and gains(conv):
            replaced[conv] = _alone(conv)
    return replaced


class _Folded:
    """A convolution with the BatchNorm behind it, as long as that keeps its statistics.

    Args:
        conv: whose weight trains or is frozen.
        norm: with its own weight and bias.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        self._conv, self._norm = conv, norm
        self._kept: tuple[list[int], Tensor, Tensor] | None = None  # versions of the tensors, and what came of them

    def forward(self, images: Tensor) -> Tensor:
        if self._norm.training:
            return _convolve(self._conv, images, self._conv.weight, self._conv.bias)
        return _convolve(self._conv, images, *self._weights())

    def _weights(self) -> tuple[Tensor, Tensor]:
        conv, norm = self._conv, self._norm
        parameters = [conv.weight, norm.weight, norm.bias]
        if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters):
            self._kept = None  # an optimiser's step will follow, and a fused one does not raise the versions
            return _fold(conv, norm)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        versions = [tensor._version for tensor in (*parameters, norm.running_mean, norm.running_var)]  # noqa: SLF001
        if self._kept is None or self._kept[0] != versions:
            with torch.inference_mode(mode=False), torch.no_grad():
                self._kept = (versions, *_fold(conv, norm))
        return self._kept[1:]


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight (D, C / groups, k, l) and bias (D,) of the convolution that does both."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    mean = norm.running_mean if conv.bias is None else norm.running_mean - conv.bias
    return conv.weight * scale.view(-1, 1, 1, 1), torch.addcmul(norm.bias, mean, scale, value=-1)


def _rest(norm: nn.BatchNorm2d) -> _Layer:
    rest, plain = rest_of_norm(norm), type(norm).forward

    def forward(images: Tensor) -> Tensor:
        out: Tensor = plain(norm, images) if norm.training else rest(images)
        return out

    return forward


def _alone(conv: nn.Conv2d) -> _Layer:
    def forward(images: Tensor) -> Tensor:
        return _convolve(conv, images, conv.weight, conv.bias)

    return forward


def _convolve(conv: nn.Conv2d, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if type(conv) is not nn.Conv2d:
        from timm.layers import pad_same

        images = pad_same(images, conv.kernel_size, conv.stride, conv.dilation)
    padding = conv.padding
    assert not isinstance(padding, str)
    if torch.is_autocast_enabled("cpu"):  # which does not look into functions of our own
        kind = torch.get_autocast_dtype("cpu")
        images, weight, bias = images.to(kind), weight.to(kind), None if bias is None else bias.to(kind)
    geometry = Geometry(conv.stride, padding, conv.dilation, conv.groups)
    out: Tensor = Convolution.apply(images, weight, bias, geometry)
    return out


def _is_plain(conv: nn.Conv2d) -> bool:
    """Whether a convolution does no more than its name says, or is the one that pads as TensorFlow does."""
    from timm.layers import Conv2dSame

    return type(conv) in {nn.Conv2d, Conv2dSame} and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def _map_sizes(model: nn.Module, example: tuple[Tensor, ...]) -> dict[nn.Conv2d, int]:
    """Numbers that each convolution puts out for an image."""
    sizes: dict[nn.Conv2d, int] = {}
    count = len(example[0])

    def remember(module: nn.Module, _inputs: object, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        sizes[module] = output.numel() // count

    handles = [
        module.register_forward_hook(remember) for module in model.modules() if isinstance(module, nn.Conv2d)
    ]  # fmt: skip
    try:
        model(*example)
    finally:
        for handle in handles:
            handle.remove()
    return sizes


def _install(replaced: dict[nn.Module, _Layer]) -> None:
    for module, forward in replaced.items():
        module.__dict__["forward"] = forward


def _remove(replaced: dict[nn.Module, _Layer]) -> None:
    for module in replaced:
        del module.__dict__["forward"]
