"""Another input size for a network, where it can take one."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from advisor.errors import BackboneError

if TYPE_CHECKING:
    from advisor.types import InputSpec

_REACH = 6  # multiples of the stride that are tried on either side for a size that works


def resize_input(network: nn.Module, spec: InputSpec, size: int) -> InputSpec:
    """Make a network take images of another size, in place.

    Convolutional networks take any size; where positions have parameters, timm resamples them (`set_input_size`).

    Args:
        network: a timm-style module that takes images as `spec` says.
        spec: its present input.
        size: new side, pixels.

    Returns:
        The input it takes now: `spec` with the new size.

    Raises:
        BackboneError: it cannot take that size; the ways out name the nearest sizes that it can. It is unchanged.
    """
    if size == spec.size:
        return spec
    reason = _refusal(network, size)
    if reason:
        raise BackboneError(
            f"`{type(network).__name__}` cannot take images of {size} × {size} pixels: {reason}.",
            ways=[*_sizes_that_work(network, spec, size), "use another backbone"],
            hint="advisor recommend --backbone lite0",
        )
    _set(network, size)
    return replace(spec, size=size)


def _set(network: nn.Module, size: int) -> None:
    if hasattr(network, "set_input_size"):
        with warnings.catch_warnings():
            # About speed and future spellings, from timm's resampling of relative positions.
            warnings.filterwarnings("ignore", category=UserWarning, module=r"timm\.layers\.interpolate")
            network.set_input_size(img_size=(size, size))  # type: ignore[operator]


def _refusal(network: nn.Module, size: int) -> str:
    """Why a network cannot take a size; empty where it can. Tried without arithmetic, on a copy without weights."""
    fixed = bool(getattr(network, "pretrained_cfg", {}).get("fixed_input_size", False))
    if fixed and not hasattr(network, "set_input_size"):
        return "its input size is fixed"
    if size < 1:
        return "there is no such size"
    shadow = _shadow(network)
    try:
        _set(shadow, size)
        with torch.no_grad():
            shadow(torch.zeros(1, 3, size, size, device="meta"))
    except Exception as error:  # noqa: BLE001 - whatever stops the network is the answer
        lines = str(error).strip().splitlines()
        return lines[0].rstrip(".") if lines else f"{type(error).__name__} in its forward pass"
    return ""


def _shadow(network: nn.Module) -> nn.Module:
    """A copy on the `meta` device, in evaluation mode; takes no memory for weights."""
    memo: dict[int, object] = {
        id(parameter): nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
        for parameter in network.parameters()
    }
    memo |= {id(buffer): buffer.to("meta") for buffer in network.buffers()}
    return copy.deepcopy(network, memo).eval()


def _sizes_that_work(network: nn.Module, spec: InputSpec, size: int) -> list[str]:
    """Up to two ways out: the nearest smaller and larger size that the network takes."""
    step = max((int(info["reduction"]) for info in getattr(network, "feature_info", ())), default=32)
    smaller = [step * number for number in range(size // step, 0, -1) if step * number != size]
    larger = [step * (size // step + number) for number in range(1, _REACH + 1)]
    found = [
        next((near for near in side[:_REACH] if near == spec.size or not _refusal(network, near)), 0)
        for side in (smaller, larger)
    ]
    sizes = sorted({near for near in found if near} or {spec.size})
    return [f"use {near} pixels" for near in sizes]
