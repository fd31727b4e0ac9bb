"""Expected accuracy of every way of transferring, by a model fitted to measured cells.

The model is small on purpose: eight image sets cannot carry a large one. On the logit scale, the accuracy of a head on
the last stage is its leave-one-out accuracy plus a linear function of the size; every other way adds a gain to that,
linear in two or three facts. Gains are fitted to paired differences, so what makes a whole set easier or harder than
its probe says does not enter the choice between ways. Coefficients, their spread and the panel of cells that they come
from stand in one file, `fitted.json`, written by `benchmarks/advice/judge.py`.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import astuple, dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from advisor.advice import priors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

WAYS = ("1", "2", "3", "4", "lp-ft")
TUNING = ("2", "4", "lp-ft")
_Z80 = 1.2816
_PRIOR_FROM = 500.0  # images per class from which the prior alone speaks
_PIVOT = 25.0  # images per class at which the size term is zero
_USUAL = 1.0  # logit of an accuracy of .73, about the middle of the panel


@dataclass(frozen=True)
class Seen:
    """What is known before anything is trained.

    Attributes:
        images: that were probed; where small classes weigh as much as large ones, as many as that is worth.
        per_class: images per class that may be trained on.
        different: probability that they are unlike the source data.
        last: leave-one-out accuracy at the last stage.
        earlier: that of the best earlier stage.
    """

    images: int
    per_class: float
    different: float
    last: float
    earlier: float


@dataclass(frozen=True)
class Expected:
    """Expected accuracy of a way, 0..1, with an 80 % interval."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Model:
    """A fitted way.

    Attributes:
        coefficients: of `facts`; for every way but the first, of its gain over that.
        spread: standard deviation on the logit scale, beyond binomial noise, between image sets left out.
        reach: standard deviations within which 80 % of the cells of left-out sets lie.
    """

    coefficients: tuple[float, ...]
    spread: float
    reach: float


def facts(way: str, seen: Seen, most_per_class: float) -> NDArray[np.float64]:
    """What a way is linear in.

    For a head on the last stage, over its probe: a constant and the size. For the others, over that: on an earlier
    stage a constant, the lead of its probe, and the size; for tuning a constant, the size, in different sets how well
    the best probe does (labels that features can tell apart are learnt from), and the probability that the way's
    learning rates are for images of the other kind.

    Args:
        way: one of `WAYS`.
        seen: of the dataset.
        most_per_class: beyond this the panel knows nothing, and the size term stands still.
    """
    size = math.log(min(max(seen.per_class, 1.0), most_per_class) / _PIVOT)
    if way == "1":
        return np.array([1.0, size])
    lead = logit(seen.earlier, seen.images) - logit(seen.last, seen.images)
    if way == "3":
        return np.array([1.0, lead, size])
    best = logit(max(seen.earlier, seen.last), seen.images)
    tuning = [1.0, size, seen.different * (best - _USUAL)]
    mismatch = {"2": [seen.different], "4": [1 - seen.different], "lp-ft": []}[way]
    return np.array([*tuning, *mismatch])


def level(way: str, seen: Seen, coefficients: Mapping[str, NDArray[np.float64]], most_per_class: float) -> float:
    """Expected accuracy of a way on the logit scale.

    Args:
        way: one of `WAYS`.
        seen: of the dataset.
        coefficients: of all ways.
        most_per_class: the largest number of images per class in the panel.
    """
    total = logit(seen.last, seen.images)
    for part in dict.fromkeys(("1", way)):
        total += float(facts(part, seen, most_per_class) @ coefficients[part])
    return total


def logit(accuracy: float, images: int) -> float:
    """Log odds; all or none right is taken as half an image less."""
    edge = 0.5 / max(1, images)
    p = min(max(accuracy, edge), 1 - edge)
    return math.log(p / (1 - p))


def predict(
    way: str, seen: Seen, models: Mapping[str, Model], most_per_class: float, *, test_images: int = 0
) -> Expected:
    """Expected accuracy of a way.

    Args:
        way: one of `WAYS`.
        seen: of the dataset.
        models: fitted, of all ways.
        most_per_class: the largest number of images per class in the panel.
        test_images: on how many images the accuracy will be judged; 0 leaves that noise out.
    """
    middle = level(way, seen, {name: np.array(model.coefficients) for name, model in models.items()}, most_per_class)
    p = min(max(seen.last, 0.5 / seen.images), 1 - 0.5 / seen.images)
    variance = models[way].spread ** 2 + 1 / (seen.images * p * (1 - p))
    if test_images:
        q = _sigmoid(middle)
        variance += 1 / max(0.25, test_images * q * (1 - q))
    spread = models[way].reach * math.sqrt(variance)
    return Expected(_sigmoid(middle), _sigmoid(middle - spread), _sigmoid(middle + spread))


@cache
def fitted() -> tuple[dict[str, Model], dict[str, Any]]:
    """The shipped models by way, and what they come from."""
    data = json.loads(resources.files("advisor.advice").joinpath("fitted.json").read_text(encoding="utf-8"))
    models = {
        way: Model(tuple(entry["coefficients"]), entry["spread"], entry["reach"])
        for way, entry in data["models"].items()
    }
    return models, data["panel"]


def forecast(seen: Seen) -> dict[str, Expected]:
    """Expected accuracy of every way by the shipped models.

    The panel ends at some number of images per class. From there to 500 the model hands over, in the logarithm,
    to the prior: heads do as well as their probe, and fine-tuning gains what was published (method.md section 3).
    """
    models, panel = fitted()
    most = panel["most_per_class"]
    found = {way: predict(way, seen, models, most) for way in WAYS}
    if seen.per_class > most:
        trust = max(0.0, 1 - math.log(seen.per_class / most) / math.log(max(_PRIOR_FROM / most, 1 + 1e-9)))
        found = {way: _blend(trust, found[way], _by_prior(way, seen)) for way in WAYS}
    return found


def _by_prior(way: str, seen: Seen) -> Expected:
    """Expected accuracy without the panel."""
    start = seen.earlier if way == "3" else seen.last
    gain, sd = fine_tune_gain(seen.per_class, seen.different) if way in TUNING else (0.0, 0.0)
    accuracy = min(1.0, max(0.0, start + min(gain / 100, priors.MAX_SHARE_OF_HEADROOM * (1 - start))))
    # Errors cannot spread further than the headroom lets them.
    spread = _Z80 * math.hypot(min(sd / 100, 1 - start), math.sqrt(max(start * (1 - start), 1e-4) / seen.images))
    return Expected(accuracy, max(0.0, accuracy - spread), min(1.0, accuracy + spread))


def _blend(trust: float, one: Expected, other: Expected) -> Expected:
    mix = [trust * a + (1 - trust) * b for a, b in zip(astuple(one), astuple(other), strict=True)]
    return Expected(*mix)


def fine_tune_gain(per_class: float, different: float) -> tuple[float, float]:
    """Prior gain of fine-tuning over the last-layer probe, points, and its standard deviation.

    Interpolated in the logarithm of the images per class, and between similar and different.
    """
    found = []
    for side in ("similar", "different"):
        table = priors.FINE_TUNE_GAIN[side]
        x = min(max(math.log(max(per_class, 1e-9)), math.log(table[0][0])), math.log(table[-1][0]))
        for (n0, gain0, sd0), (n1, gain1, sd1) in itertools.pairwise(table):
            if x <= math.log(n1) or n1 == table[-1][0]:
                t = (x - math.log(n0)) / (math.log(n1) - math.log(n0))
                found.append((gain0 + t * (gain1 - gain0), sd0 + t * (sd1 - sd0)))
                break
    (near, near_sd), (far, far_sd) = found
    return near + different * (far - near), near_sd + different * (far_sd - near_sd)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
