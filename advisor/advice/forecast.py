"""Expected accuracy of every way of transferring, by a model fitted to measured cells.

The model is small on purpose: eight image sets cannot carry a large one. On the logit scale, the accuracy of a head on
the last stage is its leave-one-out accuracy plus a linear function of the size; every other way adds a gain to that,
linear in a few facts. What fine-tuning gains depends on the training, too: how many steps, how much of the network,
and how well the probe does at its input size. Gains are fitted to paired differences, so what makes a whole set easier
or harder than its probe says does not enter the choice between ways. Coefficients, their spread and the panel that they
come from stand in one file, `fitted.json`, written by `benchmarks/advice/judge.py`.
"""

from __future__ import annotations

import json
import math
from dataclasses import astuple, dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from advisor.advice import priors
from advisor.strategy import Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Z80 = 1.2816  # standard errors to either side of an 80 % interval
_PRIOR_FROM = 500.0  # images per class from which the prior alone speaks
_PIVOT = 25.0  # images per class at which the size term is zero
SHORTEST, LONGEST = 60, 1000  # steps that the panel measured


@dataclass(frozen=True)
class Facts:
    """What is known before anything is trained.

    Attributes:
        images: independent ones that were probed; where small classes weigh as much as large ones, as many as that is
            worth.
        per_class: independent images per class that may be trained on.
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
class Training:
    """A fine-tuning that is thought of.

    Attributes:
        steps: of the optimiser, of 32 images each.
        size: of the input, pixels; 0 is the network's own.
        depth: share of the stages that stay frozen.
        gap: of the best stage's probe at the training's input size over that at the network's own, log odds.
    """

    steps: int
    size: int = 0
    depth: float = 0.0
    gap: float = 0.0


USUAL = Training(250)  # everything, at the network's own input size


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
        coefficients: of the `regressors`; for every way but the first, of its gain over that.
        spread: standard deviation on the logit scale, beyond binomial noise, between image sets left out.
        reach: so many of these, beside binomial noise, hold 80 % of the cells of left-out sets.
    """

    coefficients: tuple[float, ...]
    spread: float
    reach: float


@dataclass(frozen=True)
class Panel:
    """The measured cells that models were fitted to.

    Attributes:
        table: name of the file that holds them.
        sha256: of that file.
        cells: how many there are.
        sets: image sets that they are of.
        per_class: images per class that were asked for; 0 for all.
        seeds: of the draws.
        most_per_class: the largest number of images per class in any cell.
        backbone: that was transferred, and at which input size.
    """

    table: str
    sha256: str
    cells: int
    sets: tuple[str, ...]
    per_class: tuple[int, ...]
    seeds: tuple[int, ...]
    most_per_class: float
    backbone: str


@dataclass(frozen=True)
class Fitted:
    """The content of `fitted.json`: a model for every way, and the panel that they were fitted to."""

    models: Mapping[Strategy, Model]
    panel: Panel


def regressors(
    strategy: Strategy, facts: Facts, most_per_class: float, training: Training = USUAL
) -> NDArray[np.float64]:
    """What a way's accuracy is linear in.

    For a head on the last stage, over its probe: a constant and the size. For a head on an earlier stage, over that: a
    constant, the lead of its probe, and the size. For fine-tuning, over the head on the last stage: a constant, the
    lead of the best probe, the size, the length, the share of the network that stays frozen, what the input size costs
    the probe, the distance, and the probability that the way's learning rate is for images of the other kind.

    Args:
        strategy: the way.
        facts: of the dataset.
        most_per_class: beyond this the panel knows nothing, and the size term stands still.
        training: what fine-tuning would be; other ways do not read it.
    """
    size = math.log(min(max(facts.per_class, 1.0), most_per_class) / _PIVOT)
    if strategy is Strategy.LAST_LAYER:
        return np.array([1.0, size])
    last = logit(facts.last, facts.images)
    if strategy is Strategy.EARLIER_LAYER:
        return np.array([1.0, logit(facts.earlier, facts.images) - last, size])
    best = logit(max(facts.earlier, facts.last), facts.images)
    length = math.log(min(max(training.steps, SHORTEST), LONGEST) / USUAL.steps)
    rate = 1 - facts.different if strategy is Strategy.TUNE_DIFFERENT else facts.different
    return np.array([1.0, best - last, size, length, training.depth, training.gap, facts.different, rate])


def level(
    strategy: Strategy,
    facts: Facts,
    coefficients: Mapping[Strategy, NDArray[np.float64]],
    most_per_class: float,
    training: Training = USUAL,
) -> float:
    """Expected accuracy of a way on the logit scale.

    Args:
        strategy: the way.
        facts: of the dataset.
        coefficients: of all ways.
        most_per_class: the largest number of images per class in the panel.
        training: what fine-tuning would be.
    """
    total = logit(facts.last, facts.images)
    for part in dict.fromkeys((Strategy.LAST_LAYER, strategy)):
        total += float(regressors(part, facts, most_per_class, training) @ coefficients[part])
    return total


def logit(accuracy: float, images: int) -> float:
    """Log odds; all or none right is taken as half an image less."""
    edge = 0.5 / max(1, images)
    p = min(max(accuracy, edge), 1 - edge)
    return math.log(p / (1 - p))


def predict(
    strategy: Strategy,
    facts: Facts,
    models: Mapping[Strategy, Model],
    most_per_class: float,
    training: Training = USUAL,
    *,
    test_images: int = 0,
) -> Expected:
    """Expected accuracy of a way.

    Args:
        strategy: the way.
        facts: of the dataset.
        models: fitted, of all ways.
        most_per_class: the largest number of images per class in the panel.
        training: what fine-tuning would be.
        test_images: on how many images the accuracy will be judged; 0 leaves that noise out.
    """
    coefficients = {way: np.array(model.coefficients) for way, model in models.items()}
    middle = level(strategy, facts, coefficients, most_per_class, training)
    p = min(max(facts.last, 0.5 / facts.images), 1 - 0.5 / facts.images)
    sampling = 1 / (facts.images * p * (1 - p))
    if test_images:
        q = _sigmoid(middle)
        sampling += 1 / max(0.25, test_images * q * (1 - q))
    spread = math.hypot(models[strategy].reach * models[strategy].spread, Z80 * math.sqrt(sampling))
    return Expected(_sigmoid(middle), _sigmoid(middle - spread), _sigmoid(middle + spread))


@cache
def fitted() -> Fitted:
    """The shipped models, and what they come from."""
    data = json.loads(resources.files("advisor.advice").joinpath("fitted.json").read_text(encoding="utf-8"))
    models = {
        Strategy(way): Model(tuple(entry["coefficients"]), entry["spread"], entry["reach"])
        for way, entry in data["models"].items()
    }
    panel = data["panel"]
    return Fitted(
        models,
        Panel(
            table=panel["table"],
            sha256=panel["sha256"],
            cells=panel["cells"],
            sets=tuple(panel["sets"]),
            per_class=tuple(panel["per_class"]),
            seeds=tuple(panel["seeds"]),
            most_per_class=panel["most_per_class"],
            backbone=panel["backbone"],
        ),
    )


def forecast(facts: Facts, training: Training = USUAL) -> dict[Strategy, Expected]:
    """Expected accuracy of every way by the shipped models, fine-tuning by a training like this one.

    The panel ends at some number of images per class. From there to 500 the model hands over, in the logarithm,
    to the prior: heads do as well as their probe, and fine-tuning gains what was published (method.md section 3).
    """
    models, most = fitted().models, fitted().panel.most_per_class
    expected = {strategy: predict(strategy, facts, models, most, training) for strategy in Strategy}
    if facts.per_class > most:
        trust = max(0.0, 1 - math.log(facts.per_class / most) / math.log(max(_PRIOR_FROM / most, 1 + 1e-9)))
        expected = {
            strategy: _blend(trust, by_model, _by_prior(strategy, facts)) for strategy, by_model in expected.items()
        }
    return expected


def _by_prior(strategy: Strategy, facts: Facts) -> Expected:
    """Expected accuracy without the panel."""
    start = facts.earlier if strategy is Strategy.EARLIER_LAYER else facts.last
    gain, sd = fine_tune_gain(facts.per_class, facts.different) if strategy.fine_tunes else (0.0, 0.0)
    accuracy = min(1.0, max(0.0, start + min(gain / 100, priors.MAX_SHARE_OF_HEADROOM * (1 - start))))
    # Errors cannot spread further than the headroom lets them.
    spread = Z80 * math.hypot(min(sd / 100, 1 - start), math.sqrt(max(start * (1 - start), 1e-4) / facts.images))
    return Expected(accuracy, max(0.0, accuracy - spread), min(1.0, accuracy + spread))


def _blend(trust: float, one: Expected, other: Expected) -> Expected:
    mix = [trust * a + (1 - trust) * b for a, b in zip(astuple(one), astuple(other), strict=True)]
    return Expected(*mix)


def fine_tune_gain(per_class: float, different: float) -> tuple[float, float]:
    """Prior gain of fine-tuning over the last-layer probe, points, and its standard deviation.

    Interpolated in the logarithm of the images per class, and between similar and different.
    """
    (near, near_sd), (far, far_sd) = (
        _interpolated(priors.FINE_TUNE_GAIN[side], per_class) for side in ("similar", "different")
    )
    return near + different * (far - near), near_sd + different * (far_sd - near_sd)


def _interpolated(table: priors.Gains, per_class: float) -> tuple[float, float]:
    sizes, gains, spreads = zip(*table, strict=True)
    x, at = math.log(max(per_class, 1e-9)), np.log(sizes)
    return float(np.interp(x, at, gains)), float(np.interp(x, at, spreads))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
