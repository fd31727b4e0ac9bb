"""From a trial's values to what the training loop is told: schedule, learning rates, BatchNorm, balance of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from advisor.network.parts import plain_name
from advisor.tuning.loop import Schedule

if TYPE_CHECKING:
    from torch import Tensor, nn

    from advisor.network.transfer import TransferNetwork
    from advisor.recipe.values import TrialValues
    from advisor.tuning.context import TrialContext

# At or below either, BatchNorm keeps its pretrained statistics: those of small batches are noise, running averages
# need many steps to follow (timm's ports from TensorFlow move them by 1 % a step), and the head was fitted to the
# pretrained ones.
_SMALL_BATCH, _FEW_IMAGES = 32, 5000
_UNEQUAL = 3.0  # largest class over smallest, from which on `auto` weights the loss
_MOST_TIMES = 20  # that one image of a small class comes up when classes are evened out


def learning_rates(network: TransferNetwork, model: nn.Module, values: TrialValues) -> dict[str, float]:
    """Peak learning rate of every parameter that trains: the stage below the head has `lr`, each below it less."""
    optimizer, _ = values.steps
    whole = 1.0 if optimizer.layer_decay is None else optimizer.layer_decay
    # Given for the lowest stage, so that the number of stages does not change what it means.
    lr, decay = optimizer.lr, whole ** (1 / max(1, len(network.stages) - 1))
    from_top = network.stages_from_top()
    return {
        name: optimizer.head_lr
        if name.startswith("head.")
        else lr * decay ** from_top[plain_name(name.removeprefix("trunk."))]
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def undecayed(network: TransferNetwork) -> frozenset[str]:
    """Parameters that the network's authors keep from weight decay, beside vectors: positions, class tokens."""
    named = getattr(network.trunk, "no_weight_decay", None)
    return frozenset(f"trunk.{name}" for name in (named() if callable(named) else ()))


def batchnorm_mode(values: TrialValues, context: TrialContext) -> str:
    """What BatchNorm does in the part that trains: `eval` keeps the statistics it begins with, `train` follows."""
    asked = values.freeze.batchnorm
    if asked == "adabn":
        return "eval"  # re-estimated once, before anything was fitted to them
    if asked != "auto":
        return asked
    if not context.pretrained:
        return "train"
    _, train = values.steps
    few = train.batch_size <= _SMALL_BATCH or len(context.rows("train")) < _FEW_IMAGES
    return "eval" if few else "train"


def balance_mode(values: TrialValues, context: TrialContext) -> str:
    """How classes are made to count alike: `none`, `weights` or `sampling`."""
    asked = values.balance
    if asked != "auto":
        return asked
    # Mean average precision counts labels alike, however many images have them.
    unequal = context.task.imbalance(context.prepared.dataset.targets(context.rows("train"))) >= _UNEQUAL
    return "weights" if unequal and context.task.metric == "balanced" else "none"


def class_repeats(labels: Tensor) -> Tensor:
    """Positions in which images of small classes come several times, for heads that know no weights."""
    counts = torch.bincount(labels)
    times = (counts.max() / counts.clamp(min=1)).round().clamp(max=_MOST_TIMES).long()
    return torch.arange(len(labels)).repeat_interleave(times[labels])


def schedule_of(values: TrialValues, context: TrialContext) -> Schedule:
    """How the loop is told to train."""
    optimizer, train = values.steps
    return Schedule(
        optimizer=optimizer.name,
        weight_decay=optimizer.weight_decay,
        steps=train.length(len(context.rows("train"))),
        batch_size=train.batch_size,
        warmup=train.warmup,
        clip=optimizer.clip,
        label_smoothing=train.label_smoothing,
        mixup=train.mixup,
        ema=train.ema,
        l2_sp=optimizer.l2_sp or 0.0,
        balance=balance_mode(values, context),
    )
