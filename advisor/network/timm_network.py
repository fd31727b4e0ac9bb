"""What timm's networks can do beside being modules, and with them every backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn


@runtime_checkable
class TimmNetwork(Protocol):
    """A network of features, pooled features and a classifier that can be replaced.

    `isinstance(network, TimmNetwork)` lets a `torch.nn.Module` be both; it looks whether the methods are there.
    """

    def forward_features(self, images: Tensor, /) -> Tensor:
        """What the last stage hands on: (B, 3, H, W) to (B, C, h, w), (B, h, w, C), (B, N, C) or (B, C)."""
        ...

    def forward_head(self, features: Tensor, /, pre_logits: bool = False) -> Tensor:  # noqa: FBT001, FBT002 - timm's signature
        """Pooled (B, width) where `pre_logits`, else logits (B, classes)."""
        ...

    def get_classifier(self) -> nn.Module:
        """The part that tells the classes apart."""
        ...

    def reset_classifier(self, num_classes: int, /) -> None:
        """Put a new linear layer in its place, or none for 0."""
        ...


@runtime_checkable
class ConfiguredNetwork(TimmNetwork, Protocol):
    """One that timm built.

    Attributes:
        pretrained_cfg: what timm knows of its weights and its input.
    """

    pretrained_cfg: dict[str, object]
