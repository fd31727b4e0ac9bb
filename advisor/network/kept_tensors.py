"""What a forward pass keeps for the backward pass, in bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn


def kept_sizes(forward: Callable[[], object], model: nn.Module) -> list[int]:
    """Bytes of every distinct storage that a computation keeps for its backward pass and that is not the model's own.

    A storage counts whole even where a view of it is kept: give a copy of a slice, not the slice.

    Args:
        forward: what is computed; a backward pass in it does no harm. What it returns is held until the end, so that
            no storage takes the place of another and is counted once instead of twice.
        model: its parameters and buffers are left out.
    """
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = forward()
    del result
    return [size for place, size in sizes.items() if size and place not in own]
