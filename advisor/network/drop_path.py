"""Stochastic depth: in a training step each residual block is left out for some of the images [Huang 2016]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator


def set_drop_path(network: nn.Module, rate: float) -> int:
    """Leave out blocks with a probability that rises linearly from 0 at the first to `rate` at the last.

    Blocks are the modules with an attribute `drop_path…` that is timm's `DropPath` or the identity in its place, in
    the order in which they were made, which in timm is that of the forward pass. In evaluation mode nothing is left
    out. Networks without such places, plain ResNets among them, stay as they are; a block of EfficientNet that changes
    the resolution has the place and, without a way around it, makes no use of it.

    Before `advisor.network.transfer.cut`, not after it: tracing keeps what the places do and loses their names.

    Args:
        network: a timm network; changed in place.
        rate: probability at the last block, 0 up to but not 1.

    Returns:
        How many places there are; 0 is possible.
    """
    from timm.layers import DropPath

    if not 0 <= rate < 1:
        raise ValueError(f"a probability of {rate} is not in [0, 1)")
    blocks = [(block, names) for block in network.modules() if (names := list(_places(block)))]
    for index, (block, names) in enumerate(blocks):
        share = index / (len(blocks) - 1) if len(blocks) > 1 else 1.0
        for name in names:
            setattr(block, name, DropPath(rate * share).train(block.training))
    return sum(len(names) for _, names in blocks)


def _places(block: nn.Module) -> Iterator[str]:
    from timm.layers import DropPath

    for name, child in block.named_children():
        if name.startswith("drop_path") and isinstance(child, (nn.Identity, DropPath)):
            yield name
