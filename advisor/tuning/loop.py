"""The training loop: one function, read from top to bottom."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

_TIMED_STEPS = 3  # steps after which the rest of a trial can be forecast
_LEAST_SHARE = 0.2  # of the planned steps; a shorter trial says nothing about the recipe


class TrialFailedError(Exception):
    """A trial that has no score; the text is the reason."""


class OutOfTimeError(Exception):
    """The budget leaves no room for a meaningful part of the trial."""


@dataclass(frozen=True)
class Schedule:
    """How to train.

    Attributes:
        lr: peak learning rate of the trunk.
        lr_head: peak learning rate of the head.
        weight_decay: decoupled, on tensors with two or more dimensions.
        epochs: passes over the training images.
        batch_size: images per step.
        warmup: share of the steps in which the learning rate rises linearly; then it falls as a cosine.
        label_smoothing: for cross-entropy.
    """

    lr: float
    lr_head: float
    weight_decay: float
    epochs: int
    batch_size: int
    warmup: float
    label_smoothing: float


@dataclass(frozen=True)
class Trained:
    """What training did: optimiser steps taken and planned."""

    steps: int
    planned: int


def train(
    model: nn.Module,
    head: nn.Module,
    take: Callable[[Tensor], Tensor],
    labels: Tensor,
    schedule: Schedule,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] | None,
    seed: int,
    deadline: float,
    after_epoch: Callable[[int], None],
) -> Trained:
    """Train whatever in the model requires gradients.

    Args:
        model: from what `take` returns to (B, classes) logits; its `head` is part of it.
        head: the part that gets `lr_head`.
        take: from indices (B,) into the training images to the model's input, on its device.
        labels: (n,) on the model's device.
        schedule: how.
        loss: from (logits, labels) to a scalar; cross-entropy if None.
        seed: of the shuffling.
        deadline: on `time.monotonic`; a trial that would overrun it is planned shorter, so that the
            learning rate still falls to zero in time.
        after_epoch: called with the number of finished epochs; may raise to stop.

    Raises:
        TrialFailedError: the loss is no longer a finite number.
        OutOfTimeError: less than a fifth of the planned steps would fit.
    """
    count = len(labels)
    device = labels.device
    batch_size = min(schedule.batch_size, count)
    per_epoch = math.ceil(count / batch_size)
    total = planned = per_epoch * schedule.epochs
    head_parameters = {id(p) for p in head.parameters()}
    groups = [
        {"params": [p for p in model.parameters()
                    if p.requires_grad and (id(p) in head_parameters) is of_head and (p.ndim >= 2) is matrix],
         "lr": schedule.lr_head if of_head else schedule.lr,
         "weight_decay": schedule.weight_decay if matrix else 0.0}
        for of_head in (False, True) for matrix in (False, True)
    ]  # fmt: skip
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], fused=True)
    peaks = [group["lr"] for group in optimizer.param_groups]
    generator = torch.Generator().manual_seed(seed)
    use_bf16 = device.type == "cuda"
    began = time.monotonic()
    step = 0
    for epoch in range(schedule.epochs):
        model.train()
        order = torch.randperm(count, generator=generator)
        for start in range(0, count, batch_size):
            batch = order[start : start + batch_size]
            if len(batch) < 2 <= count:  # BatchNorm cannot normalise a single image
                continue
            progress = step / total
            warm = step / max(1.0, schedule.warmup * total)
            rest = max(0.0, (progress - schedule.warmup) / (1 - schedule.warmup))
            factor = min(1.0, warm + 1 / total) if progress < schedule.warmup else 0.5 * (1 + math.cos(math.pi * rest))
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            with torch.autocast("cuda", torch.bfloat16) if use_bf16 else nullcontext():
                logits = model(take(batch))
                target = labels[batch.to(device)]
                value = (
                    loss(logits.float(), target)
                    if loss is not None
                    else F.cross_entropy(logits.float(), target, label_smoothing=schedule.label_smoothing)
                )
            if not math.isfinite(value.item()):
                raise TrialFailedError(f"the loss became {value.item()} at step {step + 1} of {total}")
            optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
            now = time.monotonic()
            if step >= _TIMED_STEPS:
                fitting = step + int((deadline - now) / ((now - began) / step))
                if fitting < _LEAST_SHARE * planned:
                    raise OutOfTimeError(f"{fitting} of {planned} steps would fit in the time left")
                total = max(step, min(total, fitting))
            if step >= total:
                break
        after_epoch(epoch + 1)
        if step >= total:
            break
    return Trained(step, planned)
