"""Classifiers on pooled features that are more than one linear layer.

They read features of about unit length, as `advisor.network.transfer.Standardise` gives them, and keep that length
inside, so that one learning rate suits them and a linear layer alike.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class Perceptron(nn.Module):
    """One hidden layer of rectified units, with dropout: (B, width) to (B, classes).

    Args:
        width: of the features.
        classes: number of logits.
        hidden: units.
        dropout: share of units that are silent in a training step.
    """

    def __init__(self, width: int, classes: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, classes)
        # Features have unit length, so that it is the entries that need the variance 2 [He 2015], not the rows.
        nn.init.normal_(self.hidden.weight, std=math.sqrt(2))
        nn.init.zeros_(self.hidden.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, width) to logits (B, classes)."""
        units = self.hidden(features).relu() / math.sqrt(self.hidden.out_features)
        logits: Tensor = self.out(self.dropout(units))
        return logits


class Cosine(nn.Module):
    """Scaled cosines of features with one vector a class: (B, width) to (B, classes).

    The scale is learned as its logarithm, so that a step changes it by a share of itself.

    Args:
        width: of the features.
        classes: number of logits.
        scale: before training.
    """

    def __init__(self, width: int, classes: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(classes, width)))
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def forward(self, features: Tensor) -> Tensor:
        """(B, width) to logits (B, classes)."""
        return self.log_scale.exp() * F.linear(F.normalize(features), F.normalize(self.weight))
