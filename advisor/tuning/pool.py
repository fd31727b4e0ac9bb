"""The contexts of a run: one for each backbone, input, weights and BatchNorm that trials start from."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from advisor.errors import BackboneError
from advisor.network.adabn import reestimate_batchnorm
from advisor.network.input_size import resize_input
from advisor.network.opening import open_network, stages_for
from advisor.network.sweep import BATCH
from advisor.tuning.context import TrialContext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from advisor.network.stages import Stages
    from advisor.recipe.values import TrialValues
    from advisor.types import Backbone

_SCRATCH_MOMENTUM = 0.1  # torch's own; the 1 % of timm's ports leaves a short training with the statistics of noise


class ContextPool:
    """All contexts of a run: one for each backbone, input, weights and BatchNorm that trials start from.

    Args:
        first: the context of the plan's own backbone, pretrained, at its own input size, with the plan's fit.
        codes: how stages are read, one of `advisor.network.stages.CODES`.
        seed: of random weights.
    """

    def __init__(self, first: TrialContext, *, codes: str = "mean", seed: int = 0) -> None:
        self.first = first
        self.codes = codes
        self.seed = seed
        self.folded = False  # whether every image that may be trained on is also judged
        self._contexts: dict[tuple[str, str, int, str, bool], TrialContext] = {
            (first.backbone.name, "pretrained", 0, first.backbone.input.fit, False): first,
        }

    def of(self, values: TrialValues) -> TrialContext:
        """The context that a trial's values ask for; made when first asked.

        Raises:
            BackboneError: the backbone cannot be opened, or takes no images of that size.
        """
        features, adapted = values.features, values.freeze.batchnorm == "adabn"
        return self._of(values.backbone, features.weights, features.input_size, features.fit, adapted=adapted)

    def seconds_per_image(self, values: TrialValues) -> float:
        """Forward time of an image as a trial reads it; of an input size that none has had yet, by its pixels."""
        size, own = values.features.input_size, self.first.backbone.input.size
        name = values.backbone or self.first.backbone.name
        weights, fit = values.features.weights, values.features.fit
        opened = self._contexts.get((name, weights, 0 if size == own else size, fit, False))
        if opened is not None:
            return opened.seconds_per_image()
        return self.first.seconds_per_image() * ((size or own) / own) ** 2

    def adapted(self, context: TrialContext) -> TrialContext:
        """The same images with BatchNorm statistics of those to train on, and of no other [Li 2016].

        Raises:
            BackboneError: the network has no BatchNorm.
        """
        return self._adapted(context, context.rows("train")).divided(context.rows("train"), context.rows("val"))

    def stages_of(self, backbone: str) -> Stages:
        """The stages of a backbone."""
        return self._of(backbone).stages

    def _of(
        self, name: str, weights: str = "pretrained", size: int = 0, fit: str = "", *, adapted: bool = False
    ) -> TrialContext:
        name, fit = name or self.first.backbone.name, fit or self.first.backbone.input.fit
        if name == self.first.backbone.name and size == self.first.backbone.input.size:
            size = 0
        key = (name, weights, size, fit, adapted)
        if key not in self._contexts:
            self._contexts[key] = (
                self._whole_adapted(self._of(name, weights, size, fit))
                if adapted
                else self._opened(name, weights, size, fit)
            )
        return self._contexts[key]

    def _whole_adapted(self, context: TrialContext) -> TrialContext:
        """By all images that the model to be handed over learns from: after cross-validation those that judged, too."""
        judged = context.rows("val") if self.folded else context.rows("val")[:0]
        return self._adapted(context, np.concatenate([context.rows("train"), judged]))

    def _opened(self, name: str, weights: str, size: int, fit: str) -> TrialContext:
        first = self.first
        backbone = fitted(first.backbone if name == first.backbone.name else first.catalog.backbone(name), fit)
        if weights == "random":
            network = _random_network(backbone, self.seed, first.device)
        elif name == first.backbone.name:
            network = copy.deepcopy(first.network)
        else:
            network = open_network(backbone, first.device)
        if size not in (0, backbone.input.size):
            backbone = replace(backbone, input=resize_input(network, backbone.input, size))
        return TrialContext(
            backbone, network, stages_for(backbone, network, codes=self.codes),
            first.prepared.at(backbone.input, first.progress), first.catalog, first.device, first.progress,
            limits=first.limits, pretrained=weights == "pretrained", metric=first.metric,
        )  # fmt: skip

    def _adapted(self, context: TrialContext, rows: NDArray[np.int64]) -> TrialContext:
        """The same with the BatchNorm statistics of some images, whose labels play no part [Li 2016]."""
        network = copy.deepcopy(context.network)

        def batches() -> Iterator[Tensor]:
            with context.progress.task("Re-estimating BatchNorm", len(rows)) as advance:
                for batch in np.array_split(rows, -(-len(rows) // BATCH)):  # even: one image alone has no variance
                    yield context.clean(batch)
                    advance(len(batch))

        if not reestimate_batchnorm(network, batches()):
            raise BackboneError(
                f"`{context.backbone.name}` has no BatchNorm whose statistics could be re-estimated.",
                ways=['leave it out: [freeze] batchnorm = "auto"'],
                hint="ViT, Swin and ConvNeXt have none",
            )
        return TrialContext(
            context.backbone, network, context.stages, context.prepared, context.catalog, context.device,
            context.progress, limits=context.limits, pretrained=context.pretrained, metric=context.metric,
        )  # fmt: skip


def fitted(backbone: Backbone, fit: str) -> Backbone:
    """The same backbone with another way for pictures to become squares."""
    return replace(backbone, input=replace(backbone.input, fit=fit))


def _random_network(backbone: Backbone, seed: int, device: torch.device) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = backbone.create(False).eval()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001
            module.momentum = _SCRATCH_MOMENTUM
    return network.to(device).to(memory_format=torch.channels_last)
