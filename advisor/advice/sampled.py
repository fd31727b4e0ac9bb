"""Passing a small sample through a network, where nothing is worth keeping."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.data.views import clean_view
from advisor.network.sweep import BATCH, Sweeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import nn

    from advisor.network.stages import Stages
    from advisor.types import InputSpec

SAMPLE = 400  # images: enough to tell ways apart that differ by two points


def features_of(
    read: Callable[[NDArray[np.int64]], NDArray[np.uint8]],
    rows: NDArray[np.int64],
    spec: InputSpec,
    network: nn.Module,
    stages: Stages,
    advance: Callable[[int], None],
) -> tuple[list[NDArray[np.float32]], float]:
    """Pooled features of every stage, and what they cost.

    Args:
        read: from rows to pixels (B, side, side, 3).
        rows: (n,) of the sample.
        spec: input of the network.
        network: in evaluation mode, on the device to compute on.
        stages: of the network at that input.
        advance: told of every batch how many images it held.

    Returns:
        For each stage (n, width), and the seconds of one image's forward pass.
    """
    device = next(network.parameters()).device
    sweeper: Sweeper | None = None
    parts: list[list[NDArray[np.float32]]] = []
    seconds = 0.0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        images = clean_view(torch.from_numpy(read(batch)).to(device), spec)
        if sweeper is None:
            sweeper = Sweeper(network, stages).folded(images[:1])
            sweeper(images)  # the first pass sets up, and says nothing about the others
        began = time.perf_counter()
        parts.append([value.cpu().numpy() for value in sweeper(images).pooled])
        seconds += time.perf_counter() - began
        advance(len(batch))
    return [np.concatenate(stage) for stage in zip(*parts, strict=True)], seconds / len(rows)
