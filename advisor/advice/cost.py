"""What training costs on this machine, from a few real steps (method.md section 5)."""

from __future__ import annotations

import copy
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

from advisor.network.fast_training import fast_training
from advisor.network.kept_tensors import kept_sizes
from advisor.recipe.values import JUDGEMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from advisor.strategy import Strategy

_STEPS = {"cpu": 1, "cuda": 20}
_BATCH = 32  # of most trainings; says which layers are folded
_UPDATES = 3  # of the weights; the first makes the optimiser's state
_TENSORS_PER_WEIGHT = 4  # the weight, its gradient, and AdamW's two moments


@dataclass(frozen=True)
class StepCost:
    """One training step with everything unfrozen.

    Attributes:
        seconds_per_image: forward and backward.
        seconds_per_step: the optimiser's update, whatever the batch.
        weights_bytes: weights, gradients and optimiser state.
        activation_bytes_per_image: what the backward pass needs of one image.
    """

    seconds_per_image: float
    seconds_per_step: float
    weights_bytes: int
    activation_bytes_per_image: int

    def seconds(self, images: int, steps: int) -> float:
        """Training on so many images, repeated ones counted, in so many steps."""
        return images * self.seconds_per_image + steps * self.seconds_per_step

    def peak_bytes(self, batch_size: int) -> int:
        """Memory that training with this batch size needs on top of what the program takes anyway."""
        return self.weights_bytes + batch_size * self.activation_bytes_per_image


@dataclass(frozen=True)
class StepCosts:
    """Training steps at one or more input sizes, measured.

    Attributes:
        by_side: side of the input in pixels, ascending, to what a step costs there.
    """

    by_side: Mapping[int, StepCost]

    def at(self, side: int) -> StepCost:
        """A step at any input size: linear in the pixels between and beyond two measured ones, else in proportion."""
        sides = list(self.by_side)
        if side in self.by_side:
            return self.by_side[side]
        low, high = self.by_side[sides[0]], self.by_side[sides[-1]]
        start = 0 if len(sides) == 1 else sides[0] ** 2
        share = (side**2 - start) / (sides[-1] ** 2 - start)

        def between(small: float, large: float) -> float:
            return max(0.0, (small if start else 0.0) + share * (large - (small if start else 0.0)))

        return StepCost(
            between(low.seconds_per_image, high.seconds_per_image),
            high.seconds_per_step,
            high.weights_bytes,
            round(between(low.activation_bytes_per_image, high.activation_bytes_per_image)),
        )

    def training(self, side: int, steps: int, batch: int, depth: float) -> float:
        """Seconds of a training without judging.

        A frozen stage still runs forward; its backward pass, two thirds of a step, is saved.

        Args:
            side: of the input, pixels.
            steps: of the optimiser.
            batch: images in a step.
            depth: share of the stages that stay frozen, 0..1.
        """
        return (1 - 2 / 3 * depth) * self.at(side).seconds(steps * batch, steps)


@dataclass(frozen=True)
class Cost:
    """What computing costs here.

    Attributes:
        forward_ms: one image through the whole network, milliseconds, measured in this run.
        train_ms: one image in a training step with everything unfrozen, milliseconds, likewise.
        ways: one training of every way for which a recipe is installed.
        seconds: this recommendation as a whole.
    """

    forward_ms: float
    train_ms: float
    ways: Mapping[Strategy, WayCost]
    seconds: float

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON, with text keys."""
        return {**asdict(self), "ways": {strategy.value: asdict(cost) for strategy, cost in self.ways.items()}}


@dataclass(frozen=True)
class WayCost:
    """One training of a recipe's starting point on this machine.

    Attributes:
        recipe: its name.
        seconds: of which reading the features of the frozen network once is a part.
        extra_bytes: of memory that training takes on top of what reading features does.
    """

    recipe: str
    seconds: float
    extra_bytes: int


def fine_tuning_seconds(
    costs: StepCosts, splits: Mapping[str, int], size: int, forward: float, steps: int, batch: int, depth: float
) -> float:
    """Seconds of a training with its judgements, without reading features first.

    Args:
        costs: of training steps with everything unfrozen.
        splits: images per split.
        size: of the input, pixels.
        forward: seconds of one image of that size through the whole network.
        steps: of the optimiser.
        batch: images in a step.
        depth: share of the stages that stay frozen, 0..1.
    """
    return costs.training(size, steps, batch, depth) + JUDGEMENTS * splits["val"] * forward


def measure_step(network: nn.Module, images: Tensor) -> StepCost:
    """Time a few training steps on a copy of a network.

    On a CPU one batch is enough, since its time per image hardly depends on the batch; a GPU gets twenty.

    Args:
        network: pretrained, with its classifier; not changed.
        images: a batch (B, 3, size, size) on its device, of eight or so.
    """
    device = images.device
    model = copy.deepcopy(network)
    for parameter in model.parameters():
        parameter.requires_grad = True
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-9, fused=True)

    def learn(batch: Tensor) -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
            out = model(batch)
            loss = F.cross_entropy(out.float(), torch.zeros(len(batch), dtype=torch.long, device=device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]

    def timed(work: Callable[[], None], times: int) -> float:
        _wait(device)
        began = time.perf_counter()
        for _ in range(times):
            work()
        _wait(device)
        return (time.perf_counter() - began) / times

    with fast_training(model, (images[:1],), _BATCH):
        # A first step gets its memory from the system, page by page, and says nothing about the others.
        activations = sum(kept_sizes(lambda: learn(images), model))
        optimizer.step()
        seconds = timed(lambda: learn(images), _STEPS.get(device.type, 1))
        update = timed(optimizer.step, _UPDATES)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return StepCost(seconds / len(images), update, _TENSORS_PER_WEIGHT * weights, activations // len(images))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
