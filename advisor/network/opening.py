"""From a backbone's card to the network itself, and its stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from advisor.errors import BackboneError
from advisor.network.stages import Stages, stages_of

if TYPE_CHECKING:
    from torch import nn

    from advisor.types import Backbone


def open_network(backbone: Backbone, device: torch.device) -> torch.nn.Module:
    """The pretrained network in evaluation mode, laid out for speed."""
    network: object = backbone.create(True)
    if not isinstance(network, torch.nn.Module):
        raise BackboneError(
            f"`{backbone.name}` is not a network: its `create` returned {type(network).__name__}, no torch.nn.Module.",
            ways=["tell its author", "use another backbone"],
            hint="advisor backbones",
        )
    return network.eval().to(device).to(memory_format=torch.channels_last)


def stages_for(backbone: Backbone, network: nn.Module, *, codes: str = "mean") -> Stages:
    """The stages of an opened network at its backbone's input size, read as one of `CODES`."""
    size, device = backbone.input.size, next(network.parameters()).device
    return stages_of(network, torch.zeros(1, 3, size, size, device=device), codes=codes)
