"""One forward pass of the whole pretrained network that brings home everything the advice needs."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from advisor.network.fold import FoldedNorm, fold_batchnorm
from advisor.network.timm_network import TimmNetwork
from advisor.network.transfer import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor
    from torch.utils.hooks import RemovableHandle

    from advisor.network.stages import Stage, Stages

BATCH = 8  # on two CPU cores larger batches fall out of the cache and are slower
_CUDA_BATCH = 128  # a GPU idles on fewer
_MOMENT_POSITIONS = 14  # per side; estimates from a grid of positions cost little, and late layers have no more


@dataclass(frozen=True)
class Swept:
    """What one batch brought.

    Attributes:
        pooled: for each stage (B, width), the last one the penultimate vector; float32 on the device.
        logits: (B, K) of the network's own classifier; None where there is none or none was asked for.
        moments: per-image channel means and variances, each (B, C) float32, of the input of each BatchNorm layer
            that ran, in module order, or of the output of each stage but the last; empty where none were asked for.
        layers: those BatchNorm layers, in the same order; empty where stages were measured.
    """

    pooled: list[Tensor]
    logits: Tensor | None
    moments: list[tuple[Tensor, Tensor]]
    layers: list[nn.BatchNorm2d]


class Sweeper:
    """Runs batches through a network with hooks on its stages.

    Args:
        network: with its original classifier, in evaluation mode.
        stages: of that network.
        stage_moments: take moments at the stages' outputs rather than in front of BatchNorm layers.
    """

    def __init__(self, network: nn.Module, stages: Stages, *, stage_moments: bool = False) -> None:
        self.network = network
        self.stages = stages
        self.stage_moments = stage_moments
        self._folded: Sweeper | None = None

    def __call__(self, images: Tensor, *, distance: bool = False, moments: bool = True) -> Swept:
        """Run a batch (B, 3, H, W); with `distance`, also bring the logits and, unless told not to, the moments."""
        taps: dict[str, Tensor] = {}
        found: dict[object, tuple[Tensor, Tensor]] = {}  # by BatchNorm layer, or by a stage's tap
        with torch.inference_mode(), self._hooks(taps, found if distance and moments else None):
            network = self.network
            assert isinstance(network, TimmNetwork)
            features = network.forward_features(images)
            penultimate = network.forward_head(features, pre_logits=True)
            logits = network.forward_head(features) if distance and has_classifier(network) else None
        pooled = [taps[stage.tap] for stage in self.stages.stages[:-1]]
        pooled.append(Pool(channels_last=False, codes=self.stages.codes)(penultimate))
        layers = [norm for _, norm in _norms(self.network) if norm in found]
        places = [stage.tap for stage in self.stages.stages if stage.tap in found] if self.stage_moments else layers
        return Swept([value.float() for value in pooled], logits, [found[place] for place in places], layers)

    def folded(self, example: Tensor) -> Sweeper:
        """One that reads the same features faster, BatchNorm folded away; itself where that cannot be done.

        Its moments are those of the same layers, unless it `knows_moments` no longer.

        Args:
            example: (1, 3, size, size) on the network's device, on which both are compared; it is done once.
        """
        if self._folded is None:
            network = fold_batchnorm(
                self.network, example, lambda net, images: Sweeper(net, self.stages)(images).pooled
            )
            self._folded = self if network is None else Sweeper(network, self.stages, stage_moments=self.stage_moments)
        return self._folded

    @property
    def knows_moments(self) -> bool:
        """Whether no folded layer hides what went into it."""
        return all(module.invertible for module in self.network.modules() if isinstance(module, FoldedNorm))

    @contextmanager
    def _hooks(self, taps: dict[str, Tensor], moments: dict[object, tuple[Tensor, Tensor]] | None) -> Iterator[None]:
        handles: list[RemovableHandle] = []

        def tap(stage: Stage) -> Callable[[object, object, Tensor], None]:
            pool = Pool(channels_last=stage.channels_last, codes=self.stages.codes)

            def hook(_module: object, _inputs: object, output: Tensor) -> None:
                taps[stage.tap] = pool(output)
                if moments is not None and self.stage_moments:
                    moments[stage.tap] = channel_moments(_as_map(output, stage))

            return hook

        def moment(norm: nn.BatchNorm2d) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
            def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                assert moments is not None
                # A head is run twice, once for its features and once for its logits; the first call counts.
                if norm not in moments:
                    mean, variance = channel_moments(inputs[0])
                    moments[norm] = module.undo(mean, variance) if isinstance(module, FoldedNorm) else (mean, variance)

            return hook

        handles += [
            self.network.get_submodule(stage.tap).register_forward_hook(tap(stage)) for stage in self.stages.stages[:-1]
        ]
        if moments is not None and not self.stage_moments:
            handles += [place.register_forward_pre_hook(moment(norm)) for place, norm in _norms(self.network)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def batch_for(device: torch.device) -> int:
    """Images to pass at once where nothing is trained."""
    return _CUDA_BATCH if device.type == "cuda" else BATCH


def batchnorms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """The network's BatchNorm layers that carry statistics, in module order."""
    return [
        module for module in network.modules() if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
    ]


def _norms(network: nn.Module) -> list[tuple[nn.Module, nn.BatchNorm2d]]:
    """BatchNorm layers in module order, each with the module that is run in its place: itself, or what it left."""
    whole = set(batchnorms(network))
    found: list[tuple[nn.Module, nn.BatchNorm2d]] = []
    for module in network.modules():
        if isinstance(module, FoldedNorm):
            found.append((module, module.origin[0]))
        elif isinstance(module, nn.BatchNorm2d) and module in whole:
            found.append((module, module))
    return found


def _as_map(output: Tensor, stage: Stage) -> Tensor:
    """A stage's output as (B, C, H, W); tokens (B, N, C) become (B, C, N, 1)."""
    if output.ndim == 3:
        return output.transpose(1, 2).unsqueeze(-1)
    return output.permute(0, 3, 1, 2) if stage.channels_last else output


def has_classifier(network: nn.Module) -> bool:
    """Whether the network still has a classifier of its own."""
    return int(getattr(network, "num_classes", 0) or 0) > 0


def channel_moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Per-image channel mean and variance of (B, C, H, W) over a grid of at most 14 × 14 positions.

    Returns:
        Two (B, C) float32 tensors.
    """
    step = max(1, features.shape[-1] // _MOMENT_POSITIONS)
    values = features[..., ::step, ::step].permute(0, 2, 3, 1).flatten(1, 2).float()
    mean = values.mean(1)
    return mean, (values - mean.unsqueeze(1)).square_().mean(1)
