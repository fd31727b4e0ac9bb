"""What a training reads: the images, with fresh random views, or kept activations of the frozen part."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from advisor.data.views import augmented_view
from advisor.network.kept import CLEAN, View
from advisor.network.stages import TOKENS
from advisor.tuning.failures import OutOfTimeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from advisor.network.activations import ActivationCache, Activations
    from advisor.network.transfer import TransferNetwork
    from advisor.recipe.values import TrialValues
    from advisor.tuning.context import TrialContext


_FURTHER = 1000  # numbers of views between one draw and the next; far more than are ever kept of an image
_DEEP = 0.6  # share of the stages that must be frozen for kept views to be worth their sameness


@dataclass(frozen=True)
class TrainingSource:
    """What a training reads: images, or kept activations of the frozen part.

    Attributes:
        model: from those to logits.
        take: from training positions (B,) and an epoch to the model's inputs.
        judged: from a slice of the validation images to the model's inputs.
        share: of a forward pass that the model still computes, about.
    """

    model: nn.Module
    take: Callable[[Tensor, int], tuple[Tensor, ...]]
    judged: Callable[[slice], tuple[Tensor, ...]]
    share: float


def source_of(
    context: TrialContext, network: TransferNetwork, values: TrialValues, *, frozen: int, seed: int, deadline: float
) -> TrainingSource:
    """Kept activations where the recipe wants them and there is room, else the images themselves.

    Args:
        context: whose images are read.
        network: to train, frozen and cut.
        values: of the trial.
        frozen: stages below the cut.
        seed: of the draws.
        deadline: on `time.monotonic`.

    Raises:
        OutOfTimeError: the activations would not be computed in time.
        BackboneError: they cannot be kept.
    """
    rows, held = context.rows("train"), context.rows("val")
    views = kept_views(context, values, tap=network.tap, frozen=frozen, codes=network.codes)
    cut = min(frozen, network.tap - 1)  # where all is frozen, its last stage is computed at every step
    if views and context.activations is not None:
        return _kept_source(context, context.activations, network, values, views, cut, seed, deadline)
    generator, augment = torch.Generator().manual_seed(seed), values.augment
    resident = context.resident(rows)

    def take(batch: Tensor, _epoch: int) -> tuple[Tensor, ...]:
        if resident is not None:
            pixels = resident[batch.to(context.device, non_blocking=True)]
        else:
            pixels = torch.from_numpy(context.prepared.pixels.batch(rows[batch.cpu().numpy()])).to(context.device)
        return (augmented_view(pixels, context.backbone.input, augment, generator),)

    return TrainingSource(network, take, lambda part: (context.clean(held[part]),), 1.0)


def kept_views(context: TrialContext, values: TrialValues, *, tap: int, frozen: int, codes: str) -> int:
    """Views of an image that a training draws from, the plain one among them; 0 where every epoch has fresh ones.

    Args:
        context: whose images are read.
        values: of the trial.
        tap: stages kept.
        frozen: stages frozen.
        codes: how the head reads the tap.
    """
    if values.features.also or values.features.mirrored:
        return 0  # what is kept is one stage's output of one image
    mode = values.features.cache or "auto"
    # Stochastic depth is lost where a network that was cut at an earlier tap is split once more.
    split_twice = bool(values.drop_path) and tap < len(context.stages)
    cut = min(frozen, tap - 1)
    # What is kept of the last stage is its pooled vector.
    unpooled = codes == TOKENS and tap == len(context.stages)
    cache = context.activations if cut and mode != "fresh" and not split_twice and not unpooled else None
    views = _views(values, len(context.rows("train")))
    # A long training wants new views all the time; keeping a few pays only where most of the work is below the cut.
    deep = cut >= _DEEP * len(context.stages)
    if cache is not None and (mode == "views" or (deep and cache.pays(cut, len(context.kept("train")[0]), views))):
        return views
    return 0


def views_learnt(values: TrialValues, seed: int, draw: int = 0) -> tuple[View, ...]:
    """Views that a head fitted in closed form learns from, the clean one first and mostly the only one.

    Args:
        values: of the trial.
        seed: of the trial, for views that no other trial has.
        draw: of the context; a further seed that learnt from the same pictures would judge the luck of the draw again.
    """
    mode, kind = values.features.cache or "auto", values.augment
    if mode == "auto" or kind == "none":
        return (CLEAN,)
    drawn = seed + 1 if mode == "fresh" else draw
    return (CLEAN, *(View(kind, number, drawn) for number in range(1, values.features.views or 1)))


def missing_images(context: TrialContext, cache: ActivationCache, values: TrialValues, views: int, at: int) -> int:
    """How many images, each of its views counted, a training with kept views would have to compute first."""
    return sum(len(some) for some, view in _wanted(context, values, views) if not cache.has(some, at, view))


def _wanted(context: TrialContext, values: TrialValues, views: int) -> list[tuple[NDArray[np.int64], View]]:
    """Rows and views of the activations that a training reads: those to learn from, last those to judge by."""
    augment = values.augment
    apart = context.draw * _FURTHER  # a further seed that drew the same pictures would judge the luck of the draw again
    numbers = (0, *(apart + number for number in range(1, views)))
    learnt = [(context.kept("train")[0], View(augment, number)) for number in numbers]
    return [*learnt, (context.kept("val")[0], View(augment, 0))]


def _kept_source(
    context: TrialContext,
    cache: ActivationCache,
    network: TransferNetwork,
    values: TrialValues,
    views: int,
    at: int,
    seed: int,
    deadline: float,
) -> TrainingSource:
    """Views of the activations at the freeze boundary; each image draws one of them in every epoch."""
    (_, places), (_, held) = context.kept("train"), context.kept("val")
    wanted, missing = _wanted(context, values, views), missing_images(context, cache, values, views, at)
    if time.monotonic() + missing * context.seconds_per_image() > deadline:
        raise OutOfTimeError(f"the frozen part of {missing} views would not be computed in the time left")
    *kept, judged = [cache.get(some, at, view) for some, view in wanted]
    model = network.tail(cache.segments.between(network.trunk, at, network.tap, tapped=True))
    generator = torch.Generator().manual_seed(seed)
    # Every image goes through all its views, in an order of its own, before any comes back.
    rounds = -(-values.steps[1].passes(len(places)) // views)
    order = torch.rand(len(places), rounds, views, generator=generator).argsort(-1).flatten(1)

    def take(batch: Tensor, epoch: int) -> tuple[Tensor, ...]:
        batch = batch.cpu()
        return _to_device(_drawn(kept, places[batch], order[batch, epoch]), context.device)

    def judged_part(part: slice) -> tuple[Tensor, ...]:
        return _to_device(judged.take(held[part]), context.device)

    return TrainingSource(model, take, judged_part, 1.0 - at / max(1, len(context.stages)))


def _drawn(kept: Sequence[Activations], batch: Tensor, draw: Tensor) -> tuple[Tensor, ...]:
    """Per-image tensors of a batch, each image from the view that it drew."""
    out: list[Tensor] = []
    for number, view in enumerate(kept):
        mine = (draw == number).nonzero().flatten()
        if len(mine):
            for index, part in enumerate(view.take(batch[mine])):
                if index == len(out):
                    out.append(part.new_empty((len(batch), *part.shape[1:])))
                out[index][mine] = part
    return tuple(out)


def _to_device(tensors: tuple[Tensor, ...], device: torch.device) -> tuple[Tensor, ...]:
    return tuple(
        tensor.to(device).float().contiguous(memory_format=torch.channels_last)
        if tensor.ndim == 4
        else tensor.to(device).float()
        for tensor in tensors
    )


def _views(values: TrialValues, images: int) -> int:
    """Kept views of an image: no more than there are epochs to draw them in, and one where there is no chance."""
    if values.augment == "none":
        return 1
    return min(values.features.views or 1, values.steps[1].passes(images))
