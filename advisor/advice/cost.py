"""What training costs on this machine, from a few real steps (method.md section 5)."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

if TYPE_CHECKING:
    from torch import Tensor, nn

_WARM_UP, _STEPS = 1, {"cpu": 1, "cuda": 20}
_IMAGES = {"cpu": 4, "cuda": 8}
_TENSORS_PER_WEIGHT = 4  # the weight, its gradient, and AdamW's two moments


@dataclass(frozen=True)
class StepCost:
    """One training step with everything unfrozen.

    Attributes:
        seconds_per_image: forward, backward and optimiser.
        weights_bytes: weights, gradients and optimiser state.
        activation_bytes_per_image: what the backward pass needs of one image.
    """

    seconds_per_image: float
    weights_bytes: int
    activation_bytes_per_image: int

    def peak_bytes(self, batch_size: int) -> int:
        """Memory that training with this batch size needs on top of what the program takes anyway."""
        return self.weights_bytes + batch_size * self.activation_bytes_per_image


def measure_step(network: nn.Module, images: Tensor) -> StepCost:
    """Time a few training steps on a copy of a network.

    A CPU needs one step of four images, since its time per image hardly depends on the batch; a GPU gets
    twenty.

    Args:
        network: pretrained, with its classifier; not changed.
        images: (at least 8, 3, size, size) on its device.
    """
    device = images.device
    model = copy.deepcopy(network)
    for parameter in model.parameters():
        parameter.requires_grad = True
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-9)
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    def step(batch: Tensor) -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
            out = model(batch)
            loss = F.cross_entropy(out.float(), torch.zeros(len(batch), dtype=torch.long, device=device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step(images[:_WARM_UP])
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    activations = sum(size for place, size in saved.items() if place not in own)
    batch = images[: _IMAGES.get(device.type, 8)]
    steps = _STEPS.get(device.type, 1)
    _wait(device)
    began = time.perf_counter()
    for _ in range(steps):
        step(batch)
    _wait(device)
    seconds = time.perf_counter() - began
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return StepCost(seconds / steps / len(batch), _TENSORS_PER_WEIGHT * weights, activations // len(images[:_WARM_UP]))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
