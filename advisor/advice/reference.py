"""A backbone's own distance constants, from images like those it was trained on (method.md section 2).

For the author of a backbone plugin who has ImageNet: the three votes of the distance need a middle, at
which an image set is as likely similar as different. Two anchors are measured: the training-like images
themselves, and the same images with scrambled phases, which keep colours and spectrum and lose everything
else. Where the middle lies between them was set on image sets with Lite0, for which both anchors and the
middles are known; a new backbone gets its middles at the same relative places.

A network without BatchNorm remembers nothing of its source data. For such a one, what its stages answer to
one half of the images is written to a file that ships with the plugin, and the other half is measured against it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import numpy as np

from advisor.advice import priors
from advisor.advice.distance import Distance, measure_distance, pool_moments, write_sources
from advisor.advice.measure import look
from advisor.data.prepare import prepare
from advisor.data.sampling import sample_rows
from advisor.errors import BackboneError, DatasetError
from advisor.network.opening import open_network, stages_for
from advisor.network.sweep import Sweeper, batchnorms, has_classifier
from advisor.network.transfer import pick_device
from advisor.plugins import Catalog, load_catalog
from advisor.progress import Progress, Silent
from advisor.types import Reference, Vote

_LEAST_IMAGES = 500


@dataclass(frozen=True)
class Measurement:
    """Constants for a plugin's `Backbone(reference=…)`, and what they were taken from.

    Attributes:
        backbone: its name.
        images: that were measured.
        late: D_late of the training-like images, and of the scrambled ones.
        gain: G of the training-like images; that of scrambled ones is 0 by definition.
        kurtosis: of the logits of the training-like images, and of the scrambled ones.
        reference: the constants.
        statistics: of the stages, as the bytes of a file; None for a network with BatchNorm.
    """

    backbone: str
    images: int
    late: tuple[float, float]
    gain: float
    kurtosis: tuple[float, float]
    reference: Reference
    statistics: bytes | None = None

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON, without the bytes of the statistics."""
        return asdict(replace(self, statistics=None))

    def to_python(self) -> str:
        """A line to paste into the plugin."""
        votes = ", ".join(
            f"{name}=Vote({vote.middle:.3g}, {vote.scale:.2g})"
            for name, vote in (("late", self.reference.late), ("gain", self.reference.gain),
                               ("kurtosis", self.reference.kurtosis))
        )  # fmt: skip
        return f"Reference({votes})  # {self.images} images, {self.backbone}"


def measure_reference(
    backbone: str,
    location: str,
    *,
    device: str = "auto",
    seed: int = 0,
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Measure a backbone's distance constants.

    Args:
        backbone: a name that the catalog knows; with its own classifier.
        location: at least 500 images like those it was trained on.
        device: `auto`, `cpu` or `cuda`.
        seed: of the sample.
        catalog: the installed plugins by default.
        progress: told how far it is.

    Raises:
        BackboneError: the network has no classifier.
        DatasetError: too few images.
    """
    catalog, progress = catalog or load_catalog(), progress or Silent()
    # Without constants of its own, the scrambled images are measured in full.
    chosen = replace(catalog.backbone(backbone), reference=None, statistics=None)
    target = pick_device(device)
    network = open_network(chosen, target)
    stages = stages_for(chosen, network)
    prepared = prepare(location, chosen.input, catalog=catalog, seed=seed, skip_small_classes=True, progress=progress)
    frame = prepared.dataset.frame
    rows, _ = sample_rows(frame["row"].to_numpy(np.int64), frame["label"].to_numpy(np.int64), 4 * _LEAST_IMAGES, seed)
    if len(rows) < _LEAST_IMAGES:
        raise DatasetError(
            f"{len(rows)} images are too few for constants that others rely on; {_LEAST_IMAGES} are needed.",
            hint="take a thousand images of ImageNet's validation part, one folder per class",
        )
    if not has_classifier(network):
        raise BackboneError(
            f"`{backbone}` has no classifier, so two of the three votes have nothing to take constants from.",
            ways=["leave `reference` out: the distance then rests on BatchNorm, its own or a borrowed one"],
            hint="advisor backbones",
        )
    at_stages = not batchnorms(network)
    sweeper = Sweeper(network, stages, stage_moments=at_stages)
    looked = look(prepared.pixels, sweeper, chosen, rows, seed, target, progress)
    observed, sources = looked.observed, looked.sources
    if at_stages:
        # Even and odd places are two stratified halves.
        sources = pool_moments(observed.select(np.arange(0, len(rows), 2)))
        observed = observed.select(np.arange(1, len(rows), 2))
    distance = measure_distance(observed, looked.control, sources, None, seed=seed)
    scrambled = measure_distance(looked.control, looked.control, sources, None, seed=seed)
    assert distance.late is not None
    assert distance.late_control is not None
    assert distance.gain is not None
    assert distance.kurtosis is not None
    return Measurement(
        backbone=backbone,
        images=len(rows),
        late=(distance.late.value, distance.late_control),
        gain=distance.gain.value,
        kurtosis=(distance.kurtosis.value, _value(scrambled)),
        reference=Reference(
            late=_between(
                math.log(max(distance.late.value, 1e-9)), math.log(distance.late_control), priors.LATE_ANCHOR
            ),
            gain=_between(distance.gain.value, 0.0, priors.GAIN_ANCHOR),
            kurtosis=_between(distance.kurtosis.value, _value(scrambled), priors.KURTOSIS_ANCHOR),
        ),
        statistics=write_sources(sources) if at_stages else None,
    )


def _value(distance: Distance) -> float:
    assert distance.kurtosis is not None
    return distance.kurtosis.value


def _between(near: float, far: float, anchor: priors.VotePlacement) -> Vote:
    """A vote at the same relative place between two anchors as Lite0's."""
    return Vote(near + anchor.place * (far - near), abs(far - near) * anchor.scale)
