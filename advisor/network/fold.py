"""The same network with BatchNorm folded into its convolutions, for passes that only read features.

In evaluation mode BatchNorm is a fixed scale and shift per channel, which the convolution before it can
carry [Jacob 2018]. On a CPU that saves about a quarter of EfficientNet-Lite0's forward pass. What the layers' inputs
were can still be told from what is now the convolutions' output.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_TOLERANCE = 1e-3  # relative to the largest feature; folding rounds differently
_LEAST_SCALE = 1e-3  # of a channel's shift; below it, single precision no longer tells what went in


class FoldedNorm(nn.Module):
    """Stands where a BatchNorm was folded away: its activation, if it held one, and the way back to its input.

    Args:
        norm: the layer.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.rest = rest_of_norm(norm)
        self.origin = (norm,)  # in a tuple it is no part of this module

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        out: Tensor = self.rest(features)
        return out

    @property
    def invertible(self) -> bool:
        """Whether no channel was scaled down to nearly nothing."""
        norm = self.origin[0]
        return bool((norm.weight.abs() >= _LEAST_SCALE * norm.bias.abs().clamp(min=1)).all())

    def undo(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Channel means and variances (B, C) of the layer's input, from those of its output."""
        norm = self.origin[0]
        assert norm.running_mean is not None
        assert norm.running_var is not None
        factor = (norm.running_var + norm.eps).sqrt() / norm.weight
        return (mean - norm.bias) * factor + norm.running_mean, variance * factor**2


def rest_of_norm(norm: nn.BatchNorm2d) -> nn.Sequential:
    """What a BatchNorm layer does beside normalising: timm's may hold the activation that follows them."""
    names = ("drop", "act")
    return nn.Sequential(*(getattr(norm, name) for name in names if isinstance(getattr(norm, name, None), nn.Module)))


def fold_batchnorm(
    network: nn.Module, example: Tensor, read: Callable[[nn.Module, Tensor], list[Tensor]]
) -> nn.Module | None:
    """A copy of a network in which every BatchNorm that directly follows a convolution is part of it.

    Which follows which is seen in one forward pass. Whether a convolution's output is used elsewhere too
    is not, so the copy must read the same features of the example, or it is not used.

    Args:
        network: in evaluation mode; not changed.
        example: (1, 3, size, size) on its device.
        read: from a network and images to the features that must stay the same.

    Returns:
        The copy, or None where there is nothing to fold or the features would change.
    """
    pairs = conv_norm_pairs(network, (example,))
    if not pairs:
        return None
    folded = copy.deepcopy(network).eval()  # a traced network forgets it in the copy
    for conv_path, norm_path in pairs:
        conv, norm = folded.get_submodule(conv_path), network.get_submodule(norm_path)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        _replace(folded, conv_path, fuse_conv_bn_eval(conv, norm))
        _replace(folded, norm_path, FoldedNorm(norm))
    folded = folded.eval().to(memory_format=torch.channels_last)
    with torch.inference_mode():
        before_and_after = zip(read(network, example), read(folded, example), strict=True)
        same = all(
            bool((before - after).abs().max() <= _TOLERANCE * before.abs().max().clamp(min=1e-6))
            for before, after in before_and_after
        )
    return folded if same else None


def conv_norm_pairs(network: nn.Module, example: tuple[Tensor, ...]) -> list[tuple[str, str]]:
    """Paths of convolutions and of the BatchNorm layers that take their output, each used once.

    Args:
        network: called as `network(*example)`.
        example: its inputs, for one image or more.
    """
    made: dict[int, tuple[str, Tensor]] = {}
    pairs: list[tuple[str, str]] = []
    calls: dict[str, int] = {}
    handles = []

    def after_conv(path: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            calls[path] = calls.get(path, 0) + 1
            made[id(output)] = (path, output)  # holding the tensor keeps its id from being used again

        return hook

    def before_norm(path: str) -> Callable[..., None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            calls[path] = calls.get(path, 0) + 1
            if inputs and id(inputs[0]) in made:
                pairs.append((made[id(inputs[0])][0], path))

        return hook

    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(after_conv(path)))
        elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            handles.append(module.register_forward_pre_hook(before_norm(path)))
    try:
        with torch.inference_mode():
            network(*example)
    finally:
        for handle in handles:
            handle.remove()
    return [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1]


def _replace(network: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)
