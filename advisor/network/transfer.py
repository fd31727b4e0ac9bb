"""A pretrained trunk cut at a tap, a new head on it, and freezing that really freezes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch
from torch import nn

from advisor.errors import BackboneError, UsageError, closest
from advisor.network.cutting import JoinedPool, Pool, cut
from advisor.network.ridge import SHARED_VARIANCE
from advisor.network.stages import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from advisor.network.stages import Stages


__all__ = ["JoinedPool", "Pool", "Standardise", "Tail", "TransferNetwork", "cut", "pick_device"]


class Standardise(nn.Module):
    """Fixed shift and scale of pooled features to vectors of about unit length.

    One step of Adam then moves a logit by about the learning rate times the square root of the width,
    at every tap; on raw or merely standardised features the step grows with the width itself.

    Args:
        mean: (width,).
        scale: (width,), divides.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.register_buffer("scale", scale.float())

    @classmethod
    def of(cls, features: Tensor) -> Standardise:
        """From the features (n, width) of the training images; see `advisor.network.ridge.standardise`."""
        std, mean = torch.std_mean(features.double(), dim=0, correction=0)
        varies = std > 1e-6 * mean.abs().clamp(min=1.0)
        shared = SHARED_VARIANCE * (std[varies] ** 2).mean() if varies.any() else torch.zeros((), dtype=std.dtype)
        scale = torch.where(varies, (std**2 + shared).sqrt(), torch.ones_like(std)) * features.shape[1] ** 0.5
        return cls(mean, scale)

    @classmethod
    def joined(cls, parts: Sequence[Standardise]) -> Standardise:
        """Of the features of several stages beside each other: each stage has the same share of the unit length."""
        scale = torch.cat([part.scale for part in parts]) * len(parts) ** 0.5
        return cls(torch.cat([part.mean for part in parts]), scale)

    def forward(self, features: Tensor) -> Tensor:
        """(B, width) to (B, width) with zero mean and variance 1/width over the training images."""
        return (features - self.mean) / self.scale

    def fold_into(self, linear: nn.Linear) -> nn.Linear:
        """One linear layer on raw features that equals this followed by `linear`."""
        folded = nn.Linear(linear.in_features, linear.out_features)
        with torch.no_grad():
            weight = linear.weight.double() / self.scale.double()
            folded.weight.copy_(weight)
            folded.bias.copy_(linear.bias.double() - weight @ self.mean.double())
        return folded


class TransferNetwork(nn.Module):
    """Trunk, pooling, standardisation and head.

    Args:
        network: a pretrained network with or without its classifier; it is taken over, not copied.
        stages: of that network.
        tap: number of stages kept, 1..len(stages).
        standardise: of the pooled features that the head reads.
        head: from standardised (B, width) to (B, classes).
        also: earlier stages whose pooled features the head reads before those of the tap, ascending.
        mirrored: whether it answers, in evaluation mode, to the mean features of an image and its mirror image.
    """

    def __init__(
        self,
        network: nn.Module,
        stages: Stages,
        tap: int,
        standardise: Standardise,
        head: nn.Module,
        *,
        also: tuple[int, ...] = (),
        mirrored: bool = False,
    ) -> None:
        super().__init__()
        self.trunk, self.pool = cut(network, stages, tap, also)
        self.standardise = standardise
        self.head = head
        self.tap = tap
        self.also = also
        self.mirrored = mirrored
        self.codes = stages.codes
        self.frozen = 0
        self.stages = stages
        self._still: list[nn.Module] = []

    def features(self, images: Tensor) -> Tensor:
        """Pooled features of the stages that the head reads: (B, 3, H, W) to (B, width)."""
        if self.mirrored and not self.training:
            return (self._pooled(images) + self._pooled(images.flip(-1))) / 2
        return self._pooled(images)

    @property
    def reading(self) -> Reading:
        """What of the network the head reads."""
        return Reading(self.tap, self.also, self.mirrored)

    def _pooled(self, images: Tensor) -> Tensor:
        out = self.trunk(images)
        if isinstance(out, dict) and not self.also:
            out = out["tap"]
        pooled: Tensor = self.pool(out)
        return pooled

    def forward(self, images: Tensor) -> Tensor:
        """Logits: (B, 3, H, W) to (B, classes)."""
        logits: Tensor = self.head(self.standardise(self.features(images)))
        return logits

    def freeze(self, count: int, *, batchnorm: str) -> None:
        """Freeze the first `count` stages; what is frozen neither learns nor drifts.

        Args:
            count: 0..tap.
            batchnorm: what BatchNorm does in the part that trains, `train` or `eval` (keep the
                pretrained statistics). In the frozen part it always keeps them.
        """
        self.frozen = count
        names = self.stages.parameters(count)
        for name, parameter in self.trunk.named_parameters():
            parameter.requires_grad_(name not in names)
        self._still = [
            module
            for path, module in self.trunk.named_modules()
            if path and self._is_still(path, module, names, batchnorm)
        ]
        if count == self.tap:
            self._still.append(self.trunk)
        self.train(self.training)

    def train(self, mode: bool = True) -> TransferNetwork:  # noqa: FBT001, FBT002 - torch's signature
        """As in torch, but the frozen part stays in evaluation mode."""
        super().train(mode)
        for module in self._still:
            module.eval()
        return self

    def stages_from_top(self) -> dict[str, int]:
        """For each parameter of the trunk how many kept stages lie between its own and the head."""
        return {
            name: self.tap - 1 - place
            for place, stage in enumerate(self.stages.stages[: self.tap])
            for name in stage.parameters
        }

    def tail(self, segment: nn.Module) -> Tail:
        """The part above a cut: from what a segment of the trunk takes to logits, sharing every weight with this."""
        return Tail(self, segment)

    def frozen_digest(self) -> str:
        """SHA-256 of every parameter and buffer that must not change; equal before and after a trial."""
        digest = hashlib.sha256()
        still = {id(tensor) for module in self._still for tensor in module.buffers()}
        for name, tensor in sorted(self.trunk.state_dict(keep_vars=True).items()):
            if not tensor.requires_grad and (isinstance(tensor, nn.Parameter) or id(tensor) in still):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @staticmethod
    def _is_still(path: str, module: nn.Module, names: frozenset[str], batchnorm: str) -> bool:
        if batchnorm == "eval" and isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001
            return True
        own = [f"{path}.{name}" for name, _ in module.named_parameters()]
        return bool(own) and all(name in names for name in own)


class Tail(nn.Module):
    """A segment of a network's trunk with the network's own pooling, standardisation and head.

    Parameters are the network's and have the network's names, so what trains here trains there; training and
    evaluation mode are the network's, frozen parts included.

    Args:
        network: whose weights these are.
        segment: of its trunk, ending at its tap.
    """

    def __init__(self, network: TransferNetwork, segment: nn.Module) -> None:
        super().__init__()
        self.trunk = segment
        self.pool, self.standardise, self.head = network.pool, network.standardise, network.head
        self._whole = (network,)  # in a tuple it is no part of this module

    def forward(self, *values: Tensor) -> Tensor:
        """Logits (B, classes) of what the segment takes."""
        logits: Tensor = self.head(self.standardise(self.pool(self.trunk(*values))))
        return logits

    def train(self, mode: bool = True) -> Tail:  # noqa: FBT001, FBT002 - torch's signature
        """As the whole network does."""
        self.training = mode
        self._whole[0].train(mode)
        return self


def pick_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device.

    Raises:
        UsageError: there is no such kind of device.
        BackboneError: CUDA was asked for and is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"`{name}` is not a device.",
            ways=["auto, cpu, cuda, cuda:1"],
            hint=closest(name, ("auto", "cpu", "cuda")) or "--device auto",
        ) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BackboneError(
            "There is no usable NVIDIA GPU here.",
            ways=["run on the processor with --device cpu", "check the driver with nvidia-smi"],
            hint="--device auto takes a GPU where there is one",
        )
    return device
