"""Every constant that a verdict rests on, with where it comes from.

They were set on small panels of image sets (method.md sections 2, 3 and 5) and are priors, not truths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.types import Vote

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Family:
    """Where fine-tuning begins for a family of networks.

    Attributes:
        similar: peak learning rate where images look like the training data.
        different: where they do not.
        bottom: rate of the lowest stage over that of the highest; 1 treats all alike.
        weight_decay: decoupled.
    """

    similar: float
    different: float
    bottom: float = 1.0
    weight_decay: float = 0.01


@dataclass(frozen=True)
class VotePlacement:
    """Where a vote's middle lies between training-like images (0) and the same scrambled (1), and its scale there."""

    place: float
    scale: float


# Images per class, gain in points, its standard deviation; growing in the first.
Gains = tuple[tuple[float, float, float], ...]

# Distance votes, method.md section 2. `gain` and `kurtosis` serve every backbone without constants of its own.
GAIN = Vote(0.75, 0.25)
KURTOSIS = Vote(5.7, 0.6)
SELF_CONTROL = Vote(0.40, 0.08)  # of D_late over that of the phase-scrambled images
# Lite0: ImageNet ln .005, scrambled ln .11 (.045 at a self-control of .40), middle ln .045; gain 2, 0, .75;
# kurtosis 12, 3.5, 5.7 (method.md section 2).
LATE_ANCHOR, GAIN_ANCHOR, KURTOSIS_ANCHOR = (
    VotePlacement(0.71, 0.11),
    VotePlacement(0.62, 0.125),
    VotePlacement(0.74, 0.07),
)
DISTANCE_IMAGES = 256
DISTANCE_MINIMUM = 16
CONTROL_IMAGES = 60
JACKKNIFE_BLOCKS = 10
JACKKNIFE_95 = 2.262  # standard errors to either side: with so many blocks, nine degrees of freedom
SIMILAR_BELOW, DIFFERENT_ABOVE = 0.40, 0.60

# D_early over D_late from which a similar set is called shifted at the low level. Measured with Lite0: clothing
# photographs 0.5, their gray copies 2.3, 64-pixel copies 2.6; white-ground renders 1.6.
LOW_LEVEL_SHIFT = 1.8

# Size, method.md section 3: log10 of the images that may be trained on, and of those per class. The middles, 200 and
# 20, are from the panel, where fine-tuning paid from 25 per class (250 images) and not at 10; method.md has 2 000, 50.
IMAGES = Vote(2.3, 0.25)
IMAGES_PER_CLASS = Vote(1.3, 0.25)
SMALL_BELOW, LARGE_ABOVE = 0.35, 0.65

# Largest class over smallest from which accuracies are means over classes and the probe weights classes equally.
IMBALANCED = 3.0

# Prior gain of fine-tuning over the last-layer probe, points (standard deviation), by images per class: how it grows
# beyond the panel to which the models of `forecast` were fitted.
FINE_TUNE_GAIN: dict[str, Gains] = {
    "similar": ((5, -8, 6), (10, -1, 3), (25, 1, 3), (100, 1, 3), (500, 3, 3)),
    "different": ((5, -2, 8), (10, 3, 8), (25, 8, 8), (100, 15, 12), (500, 15, 12)),
}
MAX_SHARE_OF_HEADROOM = 0.7

# Where no budget is given: the longest training that is weighed, seconds, and the gain in expected accuracy, 0..1, for
# which a longer one is advised.
USUAL_TIME = 3600.0
WORTH_MORE_TIME = 0.01
# Of a search's budget, what its longest training may take: probes, a second candidate, the last fit on all images and
# the test need the rest.
SHARE_OF_SEARCH = 0.3

# Peak learning rates of AdamW for batches of 32 by family of network and by distance (docs/method.md section 6): those
# of networks with BatchNorm were tried by hand on small sets, the others are of published recipes. `bottom` is the rate
# of the lowest stage over that of the highest.
FAMILIES: Mapping[str, Family] = {
    "batchnorm": Family(similar=3e-4, different=1e-3),
    "convnext": Family(similar=1e-4, different=3e-4, bottom=0.05, weight_decay=0.05),
    "transformer": Family(similar=5e-5, different=1e-4, bottom=0.1, weight_decay=0.05),
}
RATES_AROUND = (0.1, 3.0)  # times that, where a rate is searched
# A training's length is searched between these multiples of what the images call for.
LENGTHS = (0.5, 4.0)

# At most this many images are probed; more change the estimates by less than their standard errors.
PROBE_IMAGES = 2000

# Steps of the pilot's short trainings, at least.
LEAST_STEPS = 60
