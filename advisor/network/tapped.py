"""A network that ends at an earlier stage, with timm's interface, so that it can be transferred once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from advisor.network.stages import TOKENS
from advisor.network.transfer import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from advisor.network.transfer import TransferNetwork


class TappedNetwork(nn.Module):
    """A tuned network as timm's networks are: features, pooled features, and a classifier that can be replaced.

    Args:
        tuned: trunk, pooling, standardisation and head; taken over, not copied.
        classes: that its head tells apart.
    """

    def __init__(self, tuned: TransferNetwork, classes: int) -> None:
        super().__init__()
        self.trunk, self.pool = tuned.trunk, tuned.pool
        self.head: nn.Module = nn.Sequential(tuned.standardise, tuned.head)
        self.joined = bool(tuned.also)  # what is handed on is pooled already, since it comes from several stages
        self.mirrored = tuned.mirrored
        self.num_classes = classes
        self.num_features = self.head_hidden_size = len(tuned.standardise.mean)
        self.pretrained_cfg: dict[str, object] = {}
        self._stage_of = {
            f"trunk.{name}": place
            for place, stage in enumerate(tuned.stages.stages[: tuned.tap])
            for name in stage.parameters
        }

    def forward_features(self, images: Tensor) -> Tensor:
        """What the last stage hands on: (B, 3, H, W) to (B, C, h, w), (B, N, C) or (B, C).

        Where several stages are read, their pooled features, (B, width).
        """
        out = self.trunk(images)
        if self.joined:
            pooled: Tensor = self.pool(out)
            return pooled
        features: Tensor = out["tap"] if isinstance(out, dict) else out
        return features

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:  # noqa: FBT001, FBT002 - timm's signature
        """Pooled (B, width), or logits (B, classes)."""
        pooled: Tensor = features if self.joined else self.pool(features)
        if pre_logits or self.num_classes == 0:
            return pooled.mean(1) if pooled.ndim == 3 else pooled
        logits: Tensor = self.head(pooled)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes); pooled features (B, width) without a classifier."""
        logits = self.forward_head(self.forward_features(images))
        if not self.mirrored or self.training or isinstance(self.head, nn.Identity):
            return logits
        both = [self.forward_head(self.forward_features(some), pre_logits=True) for some in (images, images.flip(-1))]
        answer: Tensor = self.head((both[0] + both[1]) / 2)
        return answer

    def get_classifier(self) -> nn.Module:
        """The part that tells the classes apart."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new linear layer in its place, or none."""
        if isinstance(self.pool, Pool) and self.pool.codes == TOKENS:
            self.pool.codes = "mean"
        self.num_classes = num_classes
        self.head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:  # noqa: ARG002, FBT001, FBT002 - timm's signature
        """From a parameter's name to its stage."""
        last = max(self._stage_of.values(), default=0)
        return lambda name: self._stage_of.get(name, last + 1)
