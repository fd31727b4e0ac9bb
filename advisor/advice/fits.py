"""How pictures that are not square become squares: the probe on one sample, three ways (method.md 6)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from advisor.advice import priors
from advisor.advice.probe import probe
from advisor.advice.sampled import SAMPLE, features_of
from advisor.data.pixels import decode_rows
from advisor.data.sampling import sample_rows
from advisor.network.features import FeatureStore, compute_features
from advisor.network.opening import stages_for
from advisor.network.sweep import Sweeper
from advisor.progress import Silent
from advisor.types import FITS

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from advisor.data.prepare import Prepared
    from advisor.progress import Progress
    from advisor.types import Backbone

# Longer over shorter side of the median picture: a fifth of it is never looked at. At 4 : 3, the usual shape of
# photographs, it can go either way (docs/method.md section 6, benchmarks/fits.py).
CLEARLY_NOT_SQUARE = 1.25
WORDS = {"crop": "cut to their middle", "squash": "squashed", "pad": "padded"}


@dataclass(frozen=True)
class FitPoint:
    """One way for a picture to become a square.

    Attributes:
        fit: one of `advisor.types.FITS`.
        accuracy: of the best stage's probe on the sample, leave-one-out, in the curve's metric.
        gain: that less the accuracy of central squares, 0..1.
        gain_se: its standard error, paired over the images.
    """

    fit: str
    accuracy: float
    gain: float
    gain_se: float


@dataclass(frozen=True)
class FitComparison:
    """The probe on central squares, and on whole pictures that are squashed or padded.

    Attributes:
        images: of the sample.
        shape: longer over shorter side of the images, median.
        points: in the order of `advisor.types.FITS`.
    """

    images: int
    shape: float
    points: tuple[FitPoint, ...]

    @property
    def left_out(self) -> float:
        """Share of the median picture that its central square leaves out."""
        return 1 - 1 / self.shape

    @property
    def chosen(self) -> FitPoint:
        """The better one of the two that show everything if it leads by more than a standard error; else the crop."""
        crop, *whole = self.points
        best = max(whole, key=lambda point: point.accuracy)
        return best if best.gain > best.gain_se else crop

    @property
    def sentence(self) -> str:
        """What the shapes ask for, in words."""
        chosen = self.chosen
        first, second = sorted(self.points[1:], key=lambda point: point is not chosen)
        return (
            f"the pictures are not square (median {self.shape:.1f} : 1), and the centre square leaves out "
            f"{100 * self.left_out:.0f} % of each; in the probe, {WORDS[first.fit]} is {_points(first)} and "
            f"{WORDS[second.fit]} {_points(second)}, so they are {WORDS[chosen.fit]}"
        )

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        points = [asdict(point) for point in self.points]
        return {"images": self.images, "shape": self.shape, "chosen": self.chosen.fit, "points": points}


def compare_fits(
    prepared: Prepared,
    backbone: Backbone,
    network: nn.Module,
    *,
    images: int,
    seed: int,
    progress: Progress,
    codes: str = "mean",
    least: float = CLEARLY_NOT_SQUARE,
) -> FitComparison | None:
    """Probe a sample of the images that may be trained on as central squares, squashed and padded.

    Args:
        prepared: the dataset.
        backbone: what the network is.
        network: pretrained, in evaluation mode, on the device to compute on.
        images: at most this many, and no more than 400.
        seed: of the sample.
        progress: told how far it is.
        codes: how stages are read, one of `advisor.network.stages.CODES`.
        least: longer over shorter side of the median picture from which it is worth a look.

    Returns:
        None where the median picture is about square, or there is too little to tell.
    """
    frame = prepared.dataset.frame
    trainable = frame.loc[frame["split"] != "test"]
    shape = median_shape(trainable)
    if shape < least:
        return None
    most = min(images, SAMPLE)
    rows, _ = sample_rows(trainable["row"].to_numpy(np.int64), trainable["label"].to_numpy(np.int64), most, seed)
    task, labels, kept = prepared.dataset.task.restricted(prepared.dataset.targets(rows))
    if len(rows) < priors.DISTANCE_MINIMUM or not len(kept):
        return None
    stages = stages_for(backbone, network, codes=codes)
    curves = {}
    with progress.task("Trying crop, squash and pad", len(rows) * len(FITS)) as advance:
        for fit in FITS:
            spec = replace(backbone.input, fit=fit)
            if fit == "crop":  # where it is kept, these features are those that everything else begins with
                store = FeatureStore.open(prepared.squares, network, stages, spec)
                features = compute_features(
                    Sweeper(network, stages), prepared.squares, rows, spec,
                    store=store, device=next(network.parameters()).device, progress=Silent(),
                )  # fmt: skip
                advance(len(rows))
            else:
                read = partial(decode_rows, prepared.dataset, spec=spec)
                features, _ = features_of(read, rows, spec, network, stages, advance)
            curves[fit] = probe(features, labels, task, stages, families=prepared.dataset.families(rows))
    crop, points = curves["crop"], []
    for fit, curve in curves.items():
        own, base = (one.image_scores[one.best.stage - 1] for one in (curve, crop))
        gain, error = curve.task.compare(own, base, curve.labels, curve.families) if fit != "crop" else (0.0, 0.0)
        points.append(FitPoint(fit, curve.best.accuracy, gain, error))
    return FitComparison(len(rows), shape, tuple(points))


def median_shape(frame: pd.DataFrame) -> float:
    """Longer over shorter side, median; whether pictures lie or stand does not matter."""
    sides = frame[["width", "height"]]
    return float((sides.max(axis=1) / sides.min(axis=1)).median())


def _points(point: FitPoint) -> str:
    better = "better" if point.gain >= 0 else "worse"
    return f"{100 * abs(point.gain):.1f} ± {100 * point.gain_se:.1f} points {better}"
