"""What moves the weights: the optimiser, a pull to where they started, and their average."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor, nn


def make_optimizer(
    model: nn.Module, name: str, weight_decay: float, rates: Mapping[str, float], undecayed: Collection[str] = ()
) -> torch.optim.Optimizer:
    """An optimiser of all that requires gradients, one group for each rate, with and without weight decay.

    Args:
        model: whose parameters.
        name: `adamw`, or `sgd` (momentum 0.9, Nesterov).
        weight_decay: on tensors with two or more dimensions.
        rates: by the name of the parameter; each group keeps its own as `peak`.
        undecayed: names of further parameters without weight decay.

    Raises:
        ValueError: a parameter has no rate, or there is no such optimiser.
    """
    trained = [(path, parameter) for path, parameter in model.named_parameters() if parameter.requires_grad]
    missing = [path for path, _ in trained if path not in rates]
    if missing:
        raise ValueError(f"no learning rate for {', '.join(missing)}")
    groups: dict[tuple[float, bool], list[Tensor]] = {}
    for path, parameter in trained:
        decays = parameter.ndim >= 2 and path not in undecayed
        groups.setdefault((rates[path], decays), []).append(parameter)
    listed = [
        {"params": parameters, "lr": rate, "peak": rate, "weight_decay": weight_decay if decays else 0.0}
        for (rate, decays), parameters in groups.items()
    ]
    if name == "sgd":
        return torch.optim.SGD(listed, momentum=0.9, nesterov=True, fused=True)
    if name == "adamw":
        return torch.optim.AdamW(listed, fused=True)
    raise ValueError(f"no optimizer `{name}`")


class StartAnchor:
    """Where the trunk started, for L2-SP [Li 2018].

    Args:
        model: before training.
        optimizer: of its parameters; gives the learning rates.
        head: what the names of parameters start with that are free.
        strength: of the pull; 0 is off.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, head: str, strength: float) -> None:
        self._strength = strength
        trunk = {id(parameter) for path, parameter in model.named_parameters() if not path.startswith(head)}
        groups = [(group, [p for p in group["params"] if id(p) in trunk]) for group in optimizer.param_groups]
        self._pulled = [
            (group, own, [p.detach().clone() for p in own]) for group, own in groups if own and strength > 0
        ]

    def pull(self) -> None:
        """Move each weight towards its start, by learning rate × strength of the way; before the optimiser's step."""
        for group, parameters, starts in self._pulled:
            _move(parameters, starts, min(1.0, group["lr"] * self._strength))


class Average:
    """Exponential average of what trains, and of BatchNorm's statistics, which belong to the weights.

    Args:
        model: before training.
        decay: share of the average that a step keeps, in a long training; 0 is off.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001
        statistics = [b for norm in norms for b in norm.buffers(recurse=False) if b.is_floating_point()]
        self._live = [p for p in model.parameters() if p.requires_grad] + statistics if decay > 0 else []
        self._mean = [tensor.detach().clone() for tensor in self._live]

    def update(self, step: int) -> None:
        """Take in the weights after a step, from 1; early ones by more, so that the average forgets the start."""
        if self._live:
            _move(self._mean, self._live, 1 - min(self._decay, (1 + step) / (10 + step)))

    @torch.no_grad()
    def swap(self) -> None:
        """Put the average into the model and keep the model's weights here, or the reverse."""
        for live, mean in zip(self._live, self._mean, strict=True):
            kept = live.clone()
            live.copy_(mean)
            mean.copy_(kept)


def _move(tensors: list[Tensor], targets: list[Tensor], share: float) -> None:
    """Move tensors towards targets by a share of the way, in a few kernels."""
    lerp = get_ema_multi_avg_fn(1 - share)  # type: ignore[no-untyped-call]
    lerp(tensors, targets, 0)
