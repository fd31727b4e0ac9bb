"""Class means."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

if TYPE_CHECKING:
    from torch import Tensor, nn

_SHARPNESS = (1e-2, 1e4)  # of features about as long as one


def fit_means(module: nn.Module, features: Tensor, labels: Tensor, shrink: float) -> None:
    """Set a linear layer to the nearest class mean [Snell 2017].

    The logits are t (2 x·m - |m|²), which is minus the squared distance from the mean m but for what all classes share.
    The sharpness t is that with the least cross-entropy where each image is left out of the mean of its class.

    Args:
        module: one `torch.nn.Linear` from (B, width) to (B, classes).
        features: (n, width).
        labels: (n,) int64.
        shrink: share by which means are drawn to the mean of all.
    """
    from scipy.optimize import minimize_scalar

    X = features.double()
    classes = int(module.out_features)  # type: ignore[arg-type]
    members = F.one_hot(labels, classes).double()
    counts = members.sum(0)
    centre = X.mean(0)
    sums = members.T @ X
    own = (1 - shrink) * sums / counts.clamp(min=1)[:, None] + shrink * centre
    # Without itself, an image's class mean moves by its own part.
    without = (counts[labels] - 1).clamp(min=1)[:, None]
    left = (1 - shrink) * (sums[labels] - X) / without + shrink * centre
    scores = 2 * X @ own.T - own.square().sum(1)
    mine = (2 * X * left).sum(1) - left.square().sum(1)
    scores[torch.arange(len(X)), labels] = mine
    scores[:, counts == 0] = -math.inf
    judged = counts[labels] > 1  # an image alone in its class has no mean without itself
    judged = judged if judged.any() else torch.ones_like(judged)

    def loss(log_sharpness: float) -> float:
        return float(F.cross_entropy(math.exp(log_sharpness) * scores[judged], labels[judged]))

    best = minimize_scalar(loss, bounds=tuple(map(math.log, _SHARPNESS)), method="bounded").x
    sharpness = math.exp(best)
    with torch.no_grad():
        module.weight.copy_(2 * sharpness * own)  # type: ignore[operator]
        bias = -sharpness * own.square().sum(1)
        lowest = float(bias[counts > 0].min()) - 2 * sharpness * float(X.norm(dim=1).max() * own.norm(dim=1).max()) - 10
        module.bias.copy_(torch.where(counts > 0, bias, lowest))  # type: ignore[operator]
