"""From measurements to a plan: which recipe, where it begins, and what one training of it costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from advisor.advice import priors
from advisor.advice.cost import WayCost, fine_tuning_seconds
from advisor.errors import DatasetError, UsageError
from advisor.network.sweep import batchnorms
from advisor.recipe import KEYS, Choices, Range, Recipe, Value, for_task, load_recipe
from advisor.recipe.values import automatic_steps, steps_per_epoch
from advisor.strategy import SCENARIOS, Strategy
from advisor.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from advisor.advice.cost import StepCosts
    from advisor.advice.distance import Distance
    from advisor.advice.fits import FitComparison
    from advisor.advice.forecast import Training
    from advisor.advice.input_sizes import SizeCurve
    from advisor.advice.probe import ProbeCurve
    from advisor.advice.scenario import Size, Verdict
    from advisor.advice.timetable import Timetable
    from advisor.network.stages import Stages
    from advisor.plugins import Catalog
    from advisor.progress import Progress
    from advisor.task import Task


def first_of(value: Value) -> bool | float | str:
    """The value a search begins with."""
    return value.first if isinstance(value, Range | Choices) else value


def usable_recipes(catalog: Catalog, progress: Progress, task: Task) -> list[Recipe]:
    """Every installed recipe that validates, by name, with a head for the task; one that does not is a line of talk."""
    recipes = []
    for name in sorted(catalog.recipes):
        try:
            recipes.append(for_task(load_recipe(name, catalog), task, catalog))
        except UsageError as error:
            progress.say(f"recipe {name} ({catalog.recipes[name].plugin.origin}) is left out: {error.message}")
    return recipes


def find_recipe(scenario: int, recipes: Sequence[Recipe]) -> Recipe:
    """The first recipe whose `when` fits a scenario."""
    sides = SCENARIOS[scenario]
    for recipe in recipes:
        if recipe.scenario == scenario and recipe.when == {"size": sides.size, "distance": sides.distance}:
            return recipe
    raise DatasetError(
        f"No installed recipe is for scenario {scenario} ({sides.size}, {sides.distance}).",
        hint="advisor recipes",
    )


def family_of(network: nn.Module, stages: Stages) -> priors.Family:
    """Where fine-tuning begins for a network: transformers, networks with BatchNorm, and convolutional ones without."""
    if stages.tokens:
        return priors.FAMILIES["transformer"]
    return priors.FAMILIES["batchnorm" if batchnorms(network) else "convnext"]


def starting_lr(family: priors.Family, distance: Distance) -> float:
    """Learning rate of the backbone to begin with, by family of network and by distance (method.md section 6)."""
    return family.different if distance.different >= 0.5 else family.similar


def adapt_recipe(
    recipe: Recipe,
    verdict: Verdict,
    curve: ProbeCurve,
    family: priors.Family,
    lr: float,
    images: int,
    sizes: SizeCurve | None,
    training: Training,
    fits: FitComparison | None = None,
) -> Recipe:
    """Put the measurements into the recipe's starting points (method.md sections 5 and 6).

    Args:
        recipe: as it is installed.
        verdict: the decision.
        curve: probes at every stage.
        family: of the network.
        lr: learning rate of the backbone to begin with.
        images: independent ones to train on.
        sizes: the probe at smaller inputs.
        training: that is advised, or that would be.
        fits: the probe on whole pictures, where they are not square.
    """
    changes: dict[str, Value] = {
        "features.tap": _start_at(recipe.get("features.tap"), curve.points[verdict.tap_stage - 1].tap),
        "optimizer.lr": _around(recipe.get("optimizer.lr"), lr),
    }
    depth = recipe.get("freeze.depth")
    if first_of(depth) != 1.0:
        changes["freeze.depth"] = _start_at(depth, verdict.pilot.depth if verdict.pilot else training.depth)
    known = {key: value for key, value in changes.items() if key in recipe.values}
    if first_of(depth) != 1.0 or isinstance(depth, Range | Choices):
        known |= _length(recipe, images, training.steps)
        if sizes is not None and "features.input_size" not in recipe.values:
            known["features.input_size"] = Choices(tuple(point.size for point in sizes.points), training.size)
        for key, value in (("optimizer.layer_decay", family.bottom), ("optimizer.weight_decay", family.weight_decay)):
            if key not in recipe.values and value != KEYS[key].default:
                known[key] = value
    # What was measured one way must be searched that way.
    if fits is not None and "features.fit" not in recipe.values:
        known["features.fit"] = fits.chosen.fit
    if curve.codes != "mean":
        known["features.codes"] = curve.codes
    if curve.balanced:
        known["search.metric"] = "balanced"
    return recipe.with_values(known)


def _length(recipe: Recipe, images: int, start: int) -> dict[str, Value]:
    """How long to train, searched around what so many images call for; as it is where the recipe says it."""
    if "train.steps" in recipe.values or first_of(recipe.get("train.epochs")):
        return {}
    usual = automatic_steps(images, int(first_of(recipe.get("train.batch_size"))))
    low, high = (round(factor * usual) for factor in priors.LENGTHS)
    return {"train.steps": Range(min(low, start), max(high, start), log=True, start=start)}


def recipes_by_strategy(
    recipes: Sequence[Recipe],
    verdict: Verdict,
    curve: ProbeCurve,
    family: priors.Family,
    lr: float,
    images: int,
    sizes: SizeCurve | None,
    training: Training,
    fits: FitComparison | None = None,
) -> dict[Strategy, Recipe]:
    """The recipe of every way, adapted to the dataset; that of the verdict's strategy is what the plan runs.

    LP-FT is left out where none is installed.

    Args:
        recipes: all that are installed.
        verdict: the decision.
        curve: probes at every stage.
        family: of the network.
        lr: learning rate of the backbone to begin with.
        images: independent ones to train on.
        sizes: the probe at smaller inputs.
        training: that is advised, or that would be.
        fits: the probe on whole pictures, where they are not square.
    """

    def adapt(recipe: Recipe) -> Recipe:
        return adapt_recipe(recipe, verdict, curve, family, lr, images, sizes, training, fits)

    adapted = {number: adapt(find_recipe(number, recipes)) for number in SCENARIOS}
    planned = {SCENARIOS[number].strategy: recipe for number, recipe in adapted.items()}
    for recipe in recipes:
        if recipe.name == Strategy.LP_FT.value:
            planned[Strategy.LP_FT] = adapt(recipe)
    return planned | {verdict.strategy: adapted[verdict.scenario]}


def with_budget(recipe: Recipe, times: Timetable) -> Recipe:
    """The recipe with a budget that has room for what is advised: the given one, or its own if that is enough."""
    if times.budget is not None:
        return recipe.with_values({"search.budget": f"{round(times.budget)}s"})
    needed = times.chosen.seconds / priors.SHARE_OF_SEARCH
    if needed <= parse_duration(recipe.text("search.budget")):
        return recipe
    return recipe.with_values({"search.budget": f"{math.ceil(needed / 60)}m"})


def way_cost(recipe: Recipe, splits: Mapping[str, int], side: int, forward: float, costs: StepCosts) -> WayCost:
    """What one training of a recipe's starting point costs.

    Args:
        recipe: adapted to the dataset.
        splits: images per split.
        side: of the backbone's own input, pixels, at which `forward` was timed.
        forward: seconds of one image through the whole network.
        costs: of training steps with everything unfrozen.
    """
    seconds = forward * (splits["train"] + splits["val"])  # the head is fitted to features, read once
    depth, batch = (float(first_of(recipe.get(key))) for key in ("freeze.depth", "train.batch_size"))
    if depth == 1.0:
        return WayCost(recipe.name, seconds, 0)
    size = int(first_of(recipe.get("features.input_size"))) or side
    steps, batch = steps_of(recipe, splits["train"]), int(min(batch, splits["train"]))
    seconds += fine_tuning_seconds(costs, splits, size, forward * (size / side) ** 2, steps, batch, depth)
    return WayCost(recipe.name, seconds, costs.at(size).peak_bytes(batch))


def steps_of(recipe: Recipe, images: int) -> int:
    """Optimiser steps of a recipe's starting point on so many training images."""
    steps, epochs, batch = (
        int(first_of(recipe.get(key))) for key in ("train.steps", "train.epochs", "train.batch_size")
    )
    return epochs * steps_per_epoch(images, batch) if epochs else steps or automatic_steps(images, batch)


def evidence_of(verdict: Verdict, size: Size, distance: Distance, curve: ProbeCurve) -> dict[str, object]:
    """What the plan keeps of the reasons and of the forecast."""
    expected = verdict.forecast
    return {
        "strategy": verdict.strategy.value,
        "scenario_probabilities": {str(k): round(v, 4) for k, v in verdict.probabilities.items()},
        "probability_large": round(size.large, 4),
        "probability_different": round(distance.different, 4),
        "probe_accuracy": {point.name: round(point.accuracy, 4) for point in curve.points},
        "runner_up": verdict.runner_up,
        "expected": {
            "metric": curve.metric,
            "accuracy": round(expected.accuracy, 4),
            "low": round(expected.low, 4),
            "high": round(expected.high, 4),
        },
    }


def _start_at(value: Value, start: float) -> Value:
    """Begin a range at a measured value, widening it if need be; fixed values stay as the recipe says."""
    if not isinstance(value, Range):
        return value
    return Range(min(value.low, start), max(value.high, start), value.log, start)


def _around(value: Value, rate: float) -> Value:
    """A searched learning rate around a measured one: what is right differs by orders of magnitude between families."""
    below, above = priors.RATES_AROUND
    return Range(rate * below, rate * above, log=True, start=rate) if isinstance(value, Range) else value
