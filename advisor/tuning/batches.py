"""What a step learns from: which images, how they are mixed, and what being wrong costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from advisor.task import task_of_labels

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor

Labelled = list[tuple[float, "Tensor"]]  # shares, and the rows (B,) of the images whose labels have them


def draw_order(labels: Tensor, balance: str, generator: torch.Generator) -> Tensor:
    """Indices (n,) of an epoch: a shuffle; or equally many of each class, each image about equally often.

    Args:
        labels: as losses take them, on the CPU. Where they do not exclude each other any `balance` gives a shuffle: no
            choice of images makes them equally frequent.
        balance: `sampling`, or anything else.
        generator: on the CPU.
    """
    count = len(labels)
    if balance != "sampling" or not task_of_labels(labels).exclusive:
        return torch.randperm(count, generator=generator)
    classes = torch.nonzero(torch.bincount(labels)).flatten()
    quota = torch.full((len(classes),), count // len(classes))
    quota[torch.randperm(len(classes), generator=generator)[: count % len(classes)]] += 1
    drawn: list[Tensor] = []
    for label, size in zip(classes.tolist(), quota.tolist(), strict=True):
        members = torch.nonzero(labels == label).flatten()
        decks = [members[torch.randperm(len(members), generator=generator)] for _ in range(0, size, len(members))]
        drawn.append(torch.cat([members[:0], *decks])[:size])
    return torch.cat(drawn)[torch.randperm(count, generator=generator)]


def mix_images(
    inputs: tuple[Tensor, ...], rows: Tensor, alpha: float, rng: np.random.Generator
) -> tuple[tuple[Tensor, ...], Labelled]:
    """Each image mixed with another of the batch, all by one share drawn from Beta(α, α) [Zhang 2018].

    Args:
        inputs: of the model, each (B, …) floating point.
        rows: (B,) of the images, on the CPU.
        alpha: α.
        rng: draws share and partners.

    Returns:
        The mixed inputs, and whose labels count how much.
    """
    share = float(rng.beta(alpha, alpha))
    partner = torch.from_numpy(rng.permutation(len(rows)))
    mixed = tuple(one.lerp(one[partner.to(one.device, non_blocking=True)], 1 - share) for one in inputs)
    return mixed, [(share, rows), (1 - share, rows[partner])]


class Objective:
    """The loss of a batch: the mean over its images, weighted or not.

    Args:
        labels: as losses take them, on the CPU; their shape says the task.
        device: where the logits are.
        balance: `weights`, or anything else.
        smoothing: of the labels, in the task's own loss.
        loss: from (logits, labels) to the mean over images; None is the task's own.
    """

    def __init__(
        self,
        labels: Tensor,
        device: torch.device,
        balance: str,
        smoothing: float,
        loss: Callable[[Tensor, Tensor], Tensor] | None,
    ) -> None:
        self._labels = labels.to(device)
        self._task = task = task_of_labels(labels)
        weights = torch.from_numpy(task.class_weights(task.array(labels))).float() if balance == "weights" else None
        self._weights = None if weights is None else weights.to(device)
        self._smoothing = smoothing
        self._loss = loss

    def of(self, labelled: Labelled) -> Callable[[Tensor, slice], Tensor]:
        """From logits of a slice of a batch to their loss, given whose labels count how much."""
        # Without non_blocking a copy to a GPU waits until the GPU has done all it was given.
        placed = [(share, rows.to(self._labels.device, non_blocking=True)) for share, rows in labelled]

        def loss(logits: Tensor, piece: slice) -> Tensor:
            return torch.stack([share * self._mean(logits, rows[piece]) for share, rows in placed]).sum()

        return loss

    def _mean(self, logits: Tensor, rows: Tensor) -> Tensor:
        labels = self._labels[rows]
        if self._weights is None:
            return self._loss(logits, labels) if self._loss else self._each(logits, labels).mean()
        if self._loss is None:
            each = self._each(logits, labels)
        else:  # it answers with one number, so it is asked about one image at a time
            each = torch.stack([self._loss(logits[i : i + 1], labels[i : i + 1]) for i in range(len(rows))])
        return (self._weights[rows] * each).mean()

    def _each(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self._task.loss(logits, labels, self._smoothing)
