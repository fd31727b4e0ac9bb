"""From a location to a recommendation: measure once, decide, and write the plan."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from advisor.advice import priors
from advisor.advice.measure import measure
from advisor.advice.probe import ProbeCurve, probe
from advisor.advice.scenario import SCENARIOS, Size, Verdict, decide, judge_size
from advisor.data.prepare import prepare
from advisor.errors import DatasetError, UsageError
from advisor.network.stages import Stages, stages_of
from advisor.network.transfer import pick_device
from advisor.plugins import DEFAULT_BACKBONE, Catalog, load_catalog
from advisor.progress import Progress, Silent
from advisor.recipe import Choices, Plan, Range, Recipe, Value, load_recipe

if TYPE_CHECKING:
    from advisor.advice.distance import Distance
    from advisor.data.profile import DatasetProfile
    from advisor.types import Backbone


@dataclass(frozen=True)
class Cost:
    """What computing costs here.

    Attributes:
        forward_ms: one image through the whole network, milliseconds, measured in this run.
        fine_tune_epoch_s: one pass of full fine-tuning over the training images, seconds, taking a
            training step as three forward passes.
        seconds: this recommendation as a whole.
    """

    forward_ms: float
    fine_tune_epoch_s: float
    seconds: float


@dataclass(frozen=True)
class Recommendation:
    """What to do with a dataset, and why.

    Attributes:
        profile: of the dataset.
        backbone: its name.
        weights: licence and source data of its weights.
        size: soft size.
        distance: from the source data.
        curve: probes at every stage.
        verdict: the decision.
        plan: the recipe with its values, for `advisor tune`.
        cost: measured here.
    """

    profile: DatasetProfile
    backbone: str
    weights: dict[str, str]
    size: Size
    distance: Distance
    curve: ProbeCurve
    verdict: Verdict
    plan: Plan
    cost: Cost

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        recipe = self.plan.recipe
        return {
            "dataset": self.profile.to_dict(),
            "backbone": {"name": self.backbone, **self.weights},
            "size": self.size.to_dict(),
            "distance": self.distance.to_dict(),
            "probes": self.curve.to_dict(),
            "verdict": self.verdict.to_dict(),
            "recipe": {
                "name": recipe.name,
                "summary": recipe.summary,
                "start": {key: first_of(value) for key, value in recipe.values.items()},
            },
            "cost": vars(self.cost),
        }


def recommend(
    location: str,
    *,
    backbone: str = DEFAULT_BACKBONE,
    device: str = "auto",
    images: int = priors.PROBE_IMAGES,
    seed: int = 0,
    skip_small_classes: bool = False,
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> Recommendation:
    """Measure a dataset and recommend how to transfer a backbone to it.

    The test part of the dataset is decoded, so that broken files are named, and otherwise untouched.

    Args:
        location: a folder, or whatever an installed dataset format recognises.
        backbone: a name that the catalog knows.
        device: `auto`, `cpu` or `cuda`.
        images: at most this many are passed through the network.
        seed: of splits and samples.
        skip_small_classes: leave out classes too small to split.
        catalog: the installed plugins by default.
        progress: told how far each step is.

    Raises:
        UsageError: nothing recognises the location.
        DatasetError: the images cannot be used as they are.
        BackboneError: there is no such backbone, or its weights are not here.
    """
    began = time.perf_counter()
    progress = progress or Silent()
    catalog = catalog or load_catalog()
    chosen = catalog.backbone(backbone)
    recipes = usable_recipes(catalog, progress)
    target = pick_device(device)
    network = open_network(chosen, target)
    prepared = prepare(
        location,
        chosen.input,
        catalog=catalog,
        seed=seed,
        skip_small_classes=skip_small_classes,
        progress=progress,
    )
    stages = stages_of(network, torch.zeros(1, 3, chosen.input.size, chosen.input.size, device=target))
    measured = measure(prepared, chosen, network, stages, images=images, seed=seed, progress=progress)
    classes = len(prepared.dataset.classes)
    with progress.task("Probing every stage", 1) as advance:
        curve = probe(measured.features, measured.labels, classes, stages)
        advance(1)
    splits = prepared.profile.splits
    size = judge_size(splits["train"] + splits["val"], prepared.profile.per_class_train)
    verdict = decide(size, measured.distance, curve, classes)
    recipe = adapt_recipe(find_recipe(verdict, recipes), verdict, curve, stages, measured.distance)
    forward = measured.forward_seconds
    return Recommendation(
        profile=prepared.profile,
        backbone=chosen.name,
        weights={
            "source": chosen.weights.source,
            "licence": chosen.weights.licence,
            "trained_on": chosen.weights.trained_on,
        },
        size=size,
        distance=measured.distance,
        curve=curve,
        verdict=verdict,
        plan=Plan(
            recipe=recipe,
            location=location,
            backbone=chosen.name,
            digest=prepared.dataset.digest,
            seed=seed,
            skip_small_classes=skip_small_classes,
            evidence={
                "scenario_probabilities": {str(k): round(v, 4) for k, v in verdict.probabilities.items()},
                "probability_large": round(size.large, 4),
                "probability_different": round(measured.distance.different, 4),
                "probe_accuracy": {point.name: round(point.accuracy, 4) for point in curve.points},
                "runner_up": verdict.runner_up,
            },
        ),
        cost=Cost(
            forward_ms=1000 * forward,
            fine_tune_epoch_s=3 * forward * splits["train"],
            seconds=time.perf_counter() - began,
        ),
    )


def open_network(backbone: Backbone, device: torch.device) -> torch.nn.Module:
    """The pretrained network in evaluation mode, laid out for speed."""
    network: torch.nn.Module = backbone.create(True).eval()
    return network.to(device).to(memory_format=torch.channels_last)


def first_of(value: Value) -> bool | float | str:
    """The value a search begins with."""
    return value.first if isinstance(value, Range | Choices) else value


def usable_recipes(catalog: Catalog, progress: Progress) -> list[Recipe]:
    """Every installed recipe that validates, by name; one that does not is a line of talk."""
    recipes = []
    for name in sorted(catalog.recipes):
        try:
            recipes.append(load_recipe(name, catalog))
        except UsageError as error:
            progress.say(f"recipe {name} ({catalog.recipes[name].plugin.origin}) is left out: {error.message}")
    return recipes


def find_recipe(verdict: Verdict, recipes: list[Recipe]) -> Recipe:
    """The first recipe whose `when` fits the verdict."""
    size, distance, _ = SCENARIOS[verdict.scenario]
    for recipe in recipes:
        if recipe.scenario == verdict.scenario and recipe.when == {"size": size, "distance": distance}:
            return recipe
    raise DatasetError(
        f"No installed recipe is for scenario {verdict.scenario} ({size}, {distance}).",
        hint="advisor recipes",
    )


def adapt_recipe(
    recipe: Recipe,
    verdict: Verdict,
    curve: ProbeCurve,
    stages: Stages,
    distance: Distance,
) -> Recipe:
    """Put the measurements into the recipe's starting points (method.md sections 5 and 6)."""
    side = "different" if distance.different >= 0.5 else "similar"
    lr = (priors.LR_TRANSFORMER if stages.tokens else priors.LR_CONVOLUTIONAL) * priors.LR_FACTOR[side]
    changes: dict[str, Value] = {
        "features.tap": _start_at(recipe.get("features.tap"), curve.points[verdict.tap_stage - 1].tap),
        "optimizer.lr": _start_at(recipe.get("optimizer.lr"), lr),
    }
    return recipe.with_values({key: value for key, value in changes.items() if key in recipe.values})


def _start_at(value: Value, start: float) -> Value:
    """Begin a range at a measured value, widening it if need be; fixed values stay as the recipe says."""
    if not isinstance(value, Range):
        return value
    return Range(min(value.low, start), max(value.high, start), value.log, start)
