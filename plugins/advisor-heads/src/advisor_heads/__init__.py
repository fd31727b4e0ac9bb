"""Further classifiers: class means, a deeper perceptron, and attention over positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor import hookimpl
from advisor.types import Head, Param

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn


@hookimpl
def advisor_heads() -> Iterator[Head]:
    """The three heads."""
    yield Head(
        name="prototype",
        create=create_prototype,
        fit=fit_prototype,
        params=(
            Param("shrink", default=0.1, low=0.0, high=0.9, help="how far class means are drawn to the mean of all"),
        ),
        linear=True,
        summary="the nearest class mean, its sharpness by leave-one-out; closed form",
    )
    yield Head(
        name="deep-mlp",
        create=create_deep_mlp,
        params=(
            Param("hidden", default=512, low=32, high=2048, log=True, help="units of either hidden layer"),
            Param("dropout", default=0.3, low=0.0, high=0.7, help="share of units left out of a training step"),
        ),
        summary="two hidden layers with layer normalisation, by gradient steps",
    )
    yield Head(
        name="attention",
        create=create_attention,
        params=(
            Param("queries", default=4, low=1, high=16, help="learnt queries, each of which weighs the positions"),
            Param(
                "dropout", default=0.1, low=0.0, high=0.7, help="share of pooled features left out of a training step"
            ),
        ),
        tokens=True,
        summary="learnt queries weigh the positions of the tap before it is pooled, by gradient steps",
    )


def create_prototype(width: int, classes: int, **_values: object) -> nn.Module:
    """One linear layer from (B, width) to (B, classes)."""
    from torch import nn

    return nn.Linear(width, classes)


def fit_prototype(module: nn.Module, features: Tensor, labels: Tensor, *, shrink: float) -> None:
    """Set the layer to minus the squared distance from each class mean, times a sharpness chosen by leave-one-out."""
    from advisor_heads.prototype import fit_means

    fit_means(module, features, labels, shrink)


def create_deep_mlp(width: int, classes: int, *, hidden: int, dropout: float) -> nn.Module:
    """Two hidden layers from (B, width) to (B, classes)."""
    from torch import nn

    layers: list[nn.Module] = []
    for inner in (width, int(hidden)):
        layers += [nn.LayerNorm(inner), nn.Linear(inner, int(hidden)), nn.GELU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(int(hidden), classes))


def create_attention(width: int, classes: int, *, queries: int, dropout: float) -> nn.Module:
    """Attention pooling from (B, N, width) to (B, classes)."""
    from advisor_heads.attention import AttentionPooling

    return AttentionPooling(width, classes, int(queries), dropout)
