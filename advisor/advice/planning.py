"""From measurements to a plan: which recipe, where it begins, and what one training of it costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from advisor.advice import priors
from advisor.advice.cost import WayCost
from advisor.errors import DatasetError, UsageError
from advisor.recipe import Choices, Range, Recipe, Value, for_task, load_recipe
from advisor.strategy import SCENARIOS, Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.advice.cost import StepCost
    from advisor.advice.distance import Distance
    from advisor.advice.probe import ProbeCurve
    from advisor.advice.scenario import Size, Verdict
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


def starting_lr(stages: Stages, distance: Distance) -> float:
    """Learning rate of the backbone to begin with, by kind of network and by distance (method.md section 6)."""
    side = "different" if distance.different >= 0.5 else "similar"
    return (priors.LR_TRANSFORMER if stages.tokens else priors.LR_CONVOLUTIONAL) * priors.LR_FACTOR[side]


def least_epochs(images: int, batch_size: int) -> int:
    """Passes over the training images that make enough steps for training to move."""
    return math.ceil(priors.LEAST_STEPS / max(1, math.ceil(images / batch_size)))


def adapt_recipe(recipe: Recipe, verdict: Verdict, curve: ProbeCurve, lr: float, images: int) -> Recipe:
    """Put the measurements into the recipe's starting points (method.md sections 5 and 6).

    Args:
        recipe: as it is installed.
        verdict: the decision.
        curve: probes at every stage.
        lr: learning rate of the backbone to begin with.
        images: to train on.
    """
    changes: dict[str, Value] = {
        "features.tap": _start_at(recipe.get("features.tap"), curve.points[verdict.tap_stage - 1].tap),
        "optimizer.lr": _start_at(recipe.get("optimizer.lr"), lr),
    }
    depth = recipe.get("freeze.depth")
    if verdict.pilot is not None and first_of(depth) != 1.0:
        changes["freeze.depth"] = _start_at(depth, verdict.pilot.depth)
    epochs = recipe.get("train.epochs")
    if isinstance(epochs, int):
        changes["train.epochs"] = max(epochs, least_epochs(images, int(str(first_of(recipe.get("train.batch_size"))))))
    known = {key: value for key, value in changes.items() if key in recipe.values}
    # What was measured one way must be searched that way.
    if curve.codes != "mean":
        known["features.codes"] = curve.codes
    if curve.balanced:
        known["search.metric"] = "balanced"
    return recipe.with_values(known)


def recipes_by_strategy(
    recipes: Sequence[Recipe], verdict: Verdict, curve: ProbeCurve, lr: float, images: int
) -> dict[Strategy, Recipe]:
    """The recipe of every way, adapted to the dataset; that of the verdict's strategy is what the plan runs.

    LP-FT is left out where none is installed, and else as it is installed: no measurement moves it.

    Args:
        recipes: all that are installed.
        verdict: the decision.
        curve: probes at every stage.
        lr: learning rate of the backbone to begin with.
        images: to train on.
    """
    adapted = {number: adapt_recipe(find_recipe(number, recipes), verdict, curve, lr, images) for number in SCENARIOS}
    planned = {SCENARIOS[number].strategy: recipe for number, recipe in adapted.items()}
    for recipe in recipes:
        if recipe.name == Strategy.LP_FT.value:
            planned[Strategy.LP_FT] = recipe
    return planned | {verdict.strategy: adapted[verdict.scenario]}


def way_cost(recipe: Recipe, splits: Mapping[str, int], forward: float, step: StepCost) -> WayCost:
    """What one training of a recipe's starting point costs.

    Args:
        recipe: adapted to the dataset.
        splits: images per split.
        forward: seconds of one image through the whole network.
        step: of training with everything unfrozen.
    """
    start = {key: first_of(recipe.get(key)) for key in ("freeze.depth", "train.epochs", "train.batch_size")}
    seconds = forward * (splits["train"] + splits["val"])  # the head is fitted to features, read once
    batch = int(start["train.batch_size"])
    if start["freeze.depth"] == 1.0:
        return WayCost(recipe.name, seconds, 0)
    # A frozen stage still runs forward; its backward pass, two thirds of a step, is saved.
    share = 1 - 2 / 3 * float(start["freeze.depth"])
    steps = math.ceil(splits["train"] / batch)
    epoch = share * step.seconds(splits["train"], steps) + splits["val"] * forward
    return WayCost(recipe.name, seconds + int(start["train.epochs"]) * epoch, step.peak_bytes(batch))


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
