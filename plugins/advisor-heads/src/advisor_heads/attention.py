"""Attention over the positions of a tap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class AttentionPooling(nn.Module):
    """Learnt queries, each of which weighs the positions by a softmax; what they find is classified together.

    Multiple-instance pooling [Ilse 2018] with several queries. Keys are the normalised tokens, so that few images
    suffice; before training every query weighs all positions alike, and the head is a linear one on their mean.

    Args:
        width: of a token.
        classes: of the logits.
        queries: how many.
        dropout: share of the pooled features left out of a training step.
    """

    def __init__(self, width: int, classes: int, queries: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, queries, bias=False)
        nn.init.zeros_(self.query.weight)
        self.drop = nn.Dropout(dropout)
        self.classify = nn.Linear(queries * width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, classes) of tokens (B, N, width)."""
        tokens = self.norm(tokens)
        weights = self.query(tokens).softmax(1)  # (B, N, queries)
        found = weights.transpose(1, 2) @ tokens
        logits: Tensor = self.classify(self.drop(found.flatten(1)))
        return logits
