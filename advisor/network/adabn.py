"""Adaptive BatchNorm: running statistics of the target images in place of the source's [Li 2016]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor


@dataclass
class _Moments:
    """Count, mean and sum of squared deviations by channel, of all values so far."""

    count: int = 0
    mean: Tensor | None = None
    spread: Tensor | None = None

    def add(self, values: Tensor) -> None:
        """Take in (B, C, …); the parts are pooled exactly, in double precision [Chan 1983]."""
        channels = values.detach().float().transpose(0, 1).flatten(1)
        variance, mean = (moment.double() for moment in torch.var_mean(channels, dim=1, correction=0))
        count = channels.shape[1]
        if self.mean is None or self.spread is None:
            self.count, self.mean, self.spread = count, mean, variance * count
            return
        total = self.count + count
        off = mean - self.mean
        self.spread = self.spread + variance * count + off.square() * (self.count * count / total)
        self.mean = self.mean + off * (count / total)
        self.count = total


@torch.no_grad()
def reestimate_batchnorm(network: nn.Module, batches: Iterable[Tensor]) -> int:
    """Set running mean and variance of every BatchNorm to those of what it reads of these images.

    In the pass each BatchNorm normalises by the statistics of its batch, so that later layers see what they will see
    afterwards; everything else is in evaluation mode. The variance is that of all values of all batches (divided by
    their number), not the mean of the batches' variances. Nothing else changes, and the network ends in evaluation
    mode.

    Args:
        network: changed in place.
        batches: (B, 3, size, size) each on the network's device, of two images or more; large ones, since their
            statistics stand for the whole.

    Returns:
        The number of layers; 0 where the network has none, and no image has been read then.

    Raises:
        ValueError: there are layers and no images.
    """
    network.eval()
    norms = [
        module
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None  # noqa: SLF001
    ]
    if not norms:
        return 0
    moments = [_Moments() for _ in norms]
    before = [(norm, {name: buffer.clone() for name, buffer in norm.named_buffers(recurse=False)}) for norm in norms]
    handles = [norm.register_forward_pre_hook(_adding(found)) for norm, found in zip(norms, moments, strict=True)]
    try:
        for norm in norms:
            norm.training = True  # not train(), which would reach what the layer holds
        for batch in batches:
            network(batch)
    finally:
        for handle in handles:
            handle.remove()
        network.eval()
        for norm, buffers in before:  # the pass has moved the running averages
            for name, buffer in buffers.items():
                norm.get_buffer(name).copy_(buffer)
    read = [(norm, found) for norm, found in zip(norms, moments, strict=True) if found.count]
    if not read:
        raise ValueError("no images to take statistics of")
    for norm, found in read:
        assert found.mean is not None
        assert found.spread is not None
        norm.get_buffer("running_mean").copy_(found.mean)
        norm.get_buffer("running_var").copy_(found.spread / found.count)
    return len(read)


def _adding(moments: _Moments) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        moments.add(inputs[0])

    return hook
