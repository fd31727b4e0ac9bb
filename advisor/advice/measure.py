"""Every forward pass of a recommendation: distance from the first images, features of all of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.advice import priors
from advisor.advice.distance import (
    Distance,
    Estimate,
    Observed,
    SourceStatistics,
    class_distances,
    measure_distance,
    read_sources,
    scramble_phases,
    statistics_of,
)
from advisor.data.sampling import sample_rows
from advisor.data.views import clean_view
from advisor.errors import BackboneError, DatasetError
from advisor.network.features import FeatureStore, compute_features
from advisor.network.sweep import BATCH, Sweeper, batchnorms

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from advisor.data.pixels import PixelStore
    from advisor.data.prepare import Prepared
    from advisor.network.stages import Stages
    from advisor.progress import Progress
    from advisor.types import Backbone, Reference


_LEAST_CLASSES = 300  # of a head whose predictions vote; the curves are those of heads with a thousand
_ENOUGH_TIMED = 128  # images


@dataclass(frozen=True)
class Measured:
    """What the forward passes brought home.

    Attributes:
        rows: (n,) places in the pixel store of the images that were passed; every prefix is stratified.
        labels: (n,) their classes; the rarest of each image where it may have several.
        features: for each stage (n, width) float32.
        distance: of the first images from the backbone's source data.
        class_distances: D_late by class, where BatchNorm and enough images allow.
        forward_seconds: one image through the whole network, measured here.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    features: list[NDArray[np.float32]]
    distance: Distance
    class_distances: dict[int, Estimate]
    forward_seconds: float


def measure(
    prepared: Prepared,
    backbone: Backbone,
    network: nn.Module,
    stages: Stages,
    *,
    images: int,
    seed: int,
    progress: Progress,
    lender: Callable[[], Lender] | None = None,
) -> Measured:
    """Pass a stratified sample of the images that may be trained on through a network.

    Args:
        prepared: the dataset; its test part is left alone.
        backbone: what the network is.
        network: pretrained, in evaluation mode, on the device to compute on.
        stages: of the network.
        images: at most this many.
        seed: of the sample and of the scrambled phases.
        progress: told how far it is.
        lender: opens a network that serves as the ruler where this one has no BatchNorm, or a head of too few classes
            to vote.

    Raises:
        DatasetError: fewer images than can be measured.
    """
    frame = prepared.dataset.frame
    trainable = frame.loc[frame["split"] != "test"]
    rows, labels = sample_rows(trainable["row"].to_numpy(np.int64), trainable["label"].to_numpy(np.int64), images, seed)
    if len(rows) < priors.DISTANCE_MINIMUM:
        raise DatasetError(
            f"{len(rows)} images to train on are too few to measure anything; {priors.DISTANCE_MINIMUM} are needed.",
            ways=["add labelled images", "move images from the test folder to the training folder"],
            hint="even ten images per class help",
        )
    device = next(network.parameters()).device
    sweeper = Sweeper(network, stages, stage_moments=reads_stages(backbone, network))
    spec = backbone.input
    store = FeatureStore.open(prepared.pixels, network, stages, spec)
    near = rows[: priors.DISTANCE_IMAGES]
    known = store.known()

    def keep(batch: NDArray[np.int64], pooled: list[Tensor]) -> None:
        if not known.issuperset(batch.tolist()):
            store.add(batch, [value.cpu().numpy() for value in pooled])

    # The constants of the distance are those of central squares, which are read apart where pictures are read whole.
    whole = spec.fit != "crop"
    card = replace(backbone, input=replace(spec, fit="crop"))
    squares, keeping = prepared.squares, _keep_nothing if whole else keep
    looked = look(squares, sweeper, card, near, seed, device, progress, keeping)
    store.flush()
    observed, control, sources, reference = looked.observed, looked.control, looked.sources, backbone.reference
    borrowed = ""
    if reference is None and observed.logits is not None and observed.logits.shape[1] < _LEAST_CLASSES:
        observed, control = replace(observed, logits=None), replace(control, logits=None)
    if (not sources or observed.logits is None) and lender is not None:
        other, observed_alone = lender(), observed.logits is None
        borrowed = other.backbone.name
        lent = look(squares, Sweeper(other.network, other.stages), other.backbone, near, seed, device, progress)
        # Its statistics with this network's own class predictions; without the latter, its predictions too.
        observed = replace(lent.observed, logits=lent.observed.logits if observed.logits is None else observed.logits)
        control = replace(lent.control, logits=lent.control.logits if control.logits is None else control.logits)
        sources, reference = lent.sources, _late_only(other.backbone.reference, observed_alone)
    families = prepared.dataset.families(near)
    distance = measure_distance(observed, control, sources, reference, seed=seed, families=families)
    by_class = class_distances(observed, sources, prepared.dataset.truth(near), seed=seed, families=families)
    left = len(set((rows if whole else rows[len(near) :]).tolist()) - known)
    began = time.perf_counter()
    features = compute_features(sweeper, prepared.pixels, rows, spec, store=store, device=device, progress=progress)
    # Many images without the distance's extras tell best what reading costs.
    seconds = (time.perf_counter() - began) / left if left >= _ENOUGH_TIMED else looked.seconds
    return Measured(rows, labels, features, replace(distance, borrowed=borrowed), by_class, seconds)


def _keep_nothing(_batch: NDArray[np.int64], _pooled: list[Tensor]) -> None:
    """For a pass of which nothing is kept."""


@dataclass(frozen=True)
class Lender:
    """A network with BatchNorm statistics, for backbones without.

    Attributes:
        backbone: what it is.
        network: pretrained, in evaluation mode, on the device.
        stages: of the network.
    """

    backbone: Backbone
    network: nn.Module
    stages: Stages


@dataclass(frozen=True)
class Looked:
    """What one pass over a few images, and over the first of them with scrambled phases, brought.

    Attributes:
        observed: of the images.
        control: of the scrambled ones; its moments are left out where the backbone has constants.
        sources: what the BatchNorm layers remember, or what is known of the stages; empty where neither is.
        seconds: per image, of the network alone.
    """

    observed: Observed
    control: Observed
    sources: list[SourceStatistics]
    seconds: float


def look(
    pixels: PixelStore,
    sweeper: Sweeper,
    backbone: Backbone,
    rows: NDArray[np.int64],
    seed: int,
    device: torch.device,
    progress: Progress,
    keep: Callable[[NDArray[np.int64], list[Tensor]], None] = _keep_nothing,
) -> Looked:
    """Pass some images, and the first of them again with scrambled phases, for the distance."""
    controls = min(len(rows), priors.CONTROL_IMAGES)
    observed, control = _Collector(len(rows)), _Collector(controls)
    # Only a backbone without constants of its own is judged against the scrambled statistics.
    bare = backbone.reference is None
    quick = knowing = sweeper
    seconds = 0.0
    with progress.task("Measuring distance", len(rows) + controls) as advance:
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            images = clean_view(torch.from_numpy(pixels.batch(batch)).to(device), backbone.input)
            if not start:
                quick = sweeper.folded(images[:1])
                knowing = quick if quick.knows_moments else sweeper
            began = time.perf_counter()
            swept = knowing(images, distance=True)
            seconds += time.perf_counter() - began
            observed.add(swept.moments, swept.logits)
            layers, counted = swept.layers, len(swept.moments)
            keep(batch, swept.pooled)
            advance(len(batch))
            part = images[: max(0, controls - start)]
            if len(part):
                plain = knowing if bare else quick
                swept = plain(scramble_phases(part, seed + start), distance=True, moments=bare)
                control.add(swept.moments, swept.logits)
                advance(len(part))
    sources = statistics_of(layers)
    if sweeper.stage_moments and backbone.statistics is not None:
        sources = stage_sources(backbone, counted)
    return Looked(observed.result(), control.result(), sources, seconds / len(rows))


def reads_stages(backbone: Backbone, network: nn.Module) -> bool:
    """Whether the distance is measured at the stages: there is no BatchNorm, and a file says what is usual there."""
    return backbone.statistics is not None and not batchnorms(network)


def stage_sources(backbone: Backbone, stages: int) -> list[SourceStatistics]:
    """What a backbone's file says of its stages.

    Raises:
        BackboneError: the file is of another network, or none at all.
    """
    assert backbone.statistics is not None
    try:
        sources = read_sources(backbone.statistics())
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"The stage statistics of `{backbone.name}` cannot be read: {error}",
            hint=f"its author writes them with: advisor reference {backbone.name} ./imagenet-val --statistics FILE",
        ) from error
    if len(sources) != stages:
        raise BackboneError(
            f"The stage statistics of `{backbone.name}` are of {len(sources)} stages; the network has {stages}.",
            hint=f"its author writes them with: advisor reference {backbone.name} ./imagenet-val --statistics FILE",
        )
    return sources


def _late_only(reference: Reference | None, logits_too: bool) -> Reference | None:  # noqa: FBT001
    """A lender's constants for the vote that its statistics cast; the class predictions keep their own."""
    if reference is None or logits_too:
        return reference
    return replace(reference, gain=priors.GAIN, kurtosis=priors.KURTOSIS)


class _Collector:
    """Gathers what batches bring for the distance.

    The room for all images is claimed with the first batch. Small arrays kept from every batch, between the
    large ones that come and go, leave holes in memory that cannot be given back.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._filled = 0
        self._means: list[NDArray[np.float32]] = []
        self._variances: list[NDArray[np.float32]] = []
        self._logits: NDArray[np.float32] | None = None

    def add(self, moments: list[tuple[torch.Tensor, torch.Tensor]], logits: torch.Tensor | None) -> None:
        if not self._filled:
            self._means = [self._room(mean) for mean, _ in moments]
            self._variances = [self._room(variance) for _, variance in moments]
            self._logits = None if logits is None else self._room(logits)
        first = moments[0][0] if moments else logits
        span = slice(self._filled, self._filled + (0 if first is None else len(first)))
        for means, variances, (mean, variance) in zip(self._means, self._variances, moments, strict=True):
            means[span] = mean.cpu().numpy()
            variances[span] = variance.cpu().numpy()
        if self._logits is not None and logits is not None:
            self._logits[span] = logits.float().cpu().numpy()
        self._filled = span.stop

    def result(self) -> Observed:
        return Observed(tuple(self._means), tuple(self._variances), self._logits)

    def _room(self, like: torch.Tensor) -> NDArray[np.float32]:
        return np.empty((self._count, like.shape[1]), np.float32)
