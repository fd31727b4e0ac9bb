"""Every forward pass of a recommendation: distance from the first images, features of all of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.advice import priors
from advisor.advice.distance import Distance, Observed, measure_distance, scramble_phases, source_of
from advisor.data.views import clean_view
from advisor.errors import DatasetError
from advisor.network.features import FeatureStore, compute_features
from advisor.network.sweep import BATCH, Sweeper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advisor.data.prepare import Prepared
    from advisor.network.stages import Stages
    from advisor.progress import Progress
    from advisor.types import Backbone


@dataclass(frozen=True)
class Measured:
    """What the forward passes brought home.

    Attributes:
        rows: (n,) places in the pixel store of the images that were passed; every prefix is stratified.
        labels: (n,) their classes.
        features: for each stage (n, width) float32.
        distance: of the first images from the backbone's source data.
        forward_seconds: one image through the whole network, measured here.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    features: list[NDArray[np.float32]]
    distance: Distance
    forward_seconds: float


def measure(
    prepared: Prepared,
    backbone: Backbone,
    network: torch.nn.Module,
    stages: Stages,
    *,
    images: int,
    seed: int,
    progress: Progress,
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

    Raises:
        DatasetError: fewer images than can be measured.
    """
    frame = prepared.dataset.frame
    trainable = frame.loc[frame["split"] != "test"]
    rows, labels = _sample(trainable["row"].to_numpy(np.int64), trainable["label"].to_numpy(np.int64), images, seed)
    if len(rows) < priors.DISTANCE_MINIMUM:
        raise DatasetError(
            f"{len(rows)} images to train on are too few to measure anything; {priors.DISTANCE_MINIMUM} are needed.",
            ways=["add labelled images", "move images from the test folder to the training folder"],
            hint="even ten images per class help",
        )
    device = next(network.parameters()).device
    sweeper = Sweeper(network, stages)
    spec = backbone.input
    store = FeatureStore.open(prepared.pixels, network, stages, spec)
    near = rows[: priors.DISTANCE_IMAGES]
    known = store.known()
    controls = min(len(near), priors.CONTROL_IMAGES)
    observed, control = _Collector(len(near)), _Collector(controls)
    began = time.perf_counter()
    with progress.task("Measuring distance", len(near) + controls) as advance:
        for start in range(0, len(near), BATCH):
            batch = near[start : start + BATCH]
            pixels = clean_view(torch.from_numpy(prepared.pixels.batch(batch)).to(device), spec)
            swept = sweeper(pixels, distance=True)
            observed.add(swept.moments, swept.logits)
            layers = swept.layers
            if not known.issuperset(batch.tolist()):
                store.add(batch, [value.cpu().numpy() for value in swept.pooled])
            advance(len(batch))
            part = pixels[: max(0, controls - start)]
            if len(part):
                swept = sweeper(scramble_phases(part, seed + start), distance=True)
                control.add(swept.moments, swept.logits)
                advance(len(part))
    store.flush()
    seconds = (time.perf_counter() - began) / (len(near) + controls)
    distance = measure_distance(observed.result(), control.result(), source_of(layers), backbone.reference, seed=seed)
    features = compute_features(sweeper, prepared.pixels, rows, spec, store=store, device=device, progress=progress)
    return Measured(rows, labels, features, distance, seconds)


def _sample(
    rows: NDArray[np.int64], labels: NDArray[np.int64], most: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At most `most` rows, their classes interleaved: every prefix is stratified."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rows))
    turn = np.empty(len(rows))
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        turn[mine] = (np.arange(len(mine)) + rng.random()) / len(mine)
    chosen = np.argsort(turn, kind="stable")[:most]
    return rows[chosen], labels[chosen]


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
