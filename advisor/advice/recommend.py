"""From a location to a recommendation: measure once, decide, and write the plan."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from advisor.advice import priors
from advisor.advice.backbones import BackboneRow, best_backbone, compare_backbones
from advisor.advice.cost import StepCost, measure_step
from advisor.advice.forecast import TUNING
from advisor.advice.inspection import ClassAdvice, inspect
from advisor.advice.scenario import SCENARIOS, Size, Verdict, decide, judge_size, overtaking
from advisor.data.prepare import prepare
from advisor.data.views import clean_view
from advisor.errors import DatasetError, UsageError
from advisor.network.opening import open_network
from advisor.network.sweep import BATCH
from advisor.network.transfer import pick_device
from advisor.notebook import bullets, card, paragraph, table
from advisor.plugins import DEFAULT_BACKBONE, Catalog, load_catalog
from advisor.progress import Progress, Silent
from advisor.recipe import Choices, Plan, Range, Recipe, Value, for_multilabel, load_recipe
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from advisor.advice.distance import Distance
    from advisor.advice.examples import Examples
    from advisor.advice.health import ConfusedClasses, Suspect
    from advisor.advice.labels import LabelCurve
    from advisor.advice.probe import ProbeCurve
    from advisor.data.profile import DatasetProfile
    from advisor.network.stages import Stages


@dataclass(frozen=True)
class Cost:
    """What computing costs here.

    Attributes:
        forward_ms: one image through the whole network, milliseconds, measured in this run.
        train_ms: one image in a training step with everything unfrozen, milliseconds, likewise.
        ways: for each scenario's recipe (`1` to `4`) and for `lp-ft`, one training of it.
        seconds: this recommendation as a whole.
    """

    forward_ms: float
    train_ms: float
    ways: dict[str, WayCost]
    seconds: float


@dataclass(frozen=True)
class WayCost:
    """One training of a recipe's starting point on this machine.

    Attributes:
        recipe: its name.
        seconds: of which reading the features of the frozen network once is a part.
        extra_bytes: of memory that training takes on top of what reading features does.
    """

    recipe: str
    seconds: float
    extra_bytes: int


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
        labels: accuracy against labels; None with too few images.
        classes: one entry per class.
        suspects: images whose label looks wrong, the surest first.
        confusions: pairs of classes that are mixed up most.
        verdict: the decision.
        plan: the recipe with its values, for `advisor tune`.
        start_lr: learning rate of the backbone to begin with.
        cost: measured here.
        backbones: those that were compared, the most accurate first; empty when one was given.
        examples: typical and odd images of every class.
    """

    profile: DatasetProfile
    backbone: str
    weights: dict[str, str]
    size: Size
    distance: Distance
    curve: ProbeCurve
    labels: LabelCurve | None
    classes: tuple[ClassAdvice, ...]
    suspects: tuple[Suspect, ...]
    confusions: tuple[ConfusedClasses, ...]
    verdict: Verdict
    plan: Plan
    start_lr: float
    cost: Cost
    backbones: tuple[BackboneRow, ...] = ()
    examples: tuple[Examples, ...] = ()

    @property
    def overtaking(self) -> int | None:
        """Images per class from which fine-tuning would be recommended; None where it is, or none are enough."""
        tuned = str(self.verdict.scenario) in TUNING
        return None if tuned else overtaking(self.size, self.distance, self.curve)

    @property
    def flips(self) -> tuple[str, ...]:
        """What would change the verdict, in words: labels, thresholds, and the time there is for a training."""
        expected, ways = self.verdict.expected, self.cost.ways
        head, tune = (max(names, key=lambda name: expected[name].accuracy) for names in (("1", "3"), ("2", "4")))
        lead = 100 * (expected[tune].accuracy - expected[head].accuracy)
        chosen = str(self.verdict.scenario)
        if chosen in TUNING:
            budget = (
                f"less than {show_duration(ways[chosen].seconds)} for a training: a classifier on frozen features "
                f"({show_duration(ways[head].seconds)}, expected {expected[head].accuracy:.2f} against "
                f"{expected[chosen].accuracy:.2f})"
            )
        elif lead > 0:
            budget = f"{show_duration(ways[tune].seconds)} to spend on an expected {lead:+.1f} points: fine-tune"
        else:
            return self.verdict.flips
        return (*self.verdict.flips, budget)

    @property
    def ways(self) -> pd.DataFrame:
        """What each way may bring and cost, a row for each scenario (`1` to `4`) and for `lp-ft`.

        Columns: `way` in words, `probability` of the scenario, `expected` accuracy with `low` and `high` (80 %),
        `seconds` of one training, `extra_bytes` of memory for it, `recommended`.
        """
        import pandas as pd

        return pd.DataFrame(self._ways()).set_index("scenario")

    def _ways(self) -> list[dict[str, Any]]:
        words = {str(number): scenario[2] for number, scenario in SCENARIOS.items()}
        words[priors.LP_FT] = "head first, then the whole network gently"
        return [
            {
                "scenario": name,
                "way": words[name],
                "probability": self.verdict.probabilities[int(name)] if name.isdigit() else float("nan"),
                "expected": expected.accuracy,
                "low": expected.low,
                "high": expected.high,
                "seconds": self.cost.ways[name].seconds,
                "extra_bytes": self.cost.ways[name].extra_bytes,
                "recommended": name == str(self.verdict.scenario),
            }
            for name, expected in self.verdict.expected.items()
            if name in self.cost.ways
        ]

    def _repr_html_(self) -> str:
        """For notebooks: the verdict, why, and what each way may bring."""
        verdict, profile = self.verdict, self.profile
        size, distance, what = SCENARIOS[verdict.scenario]
        point = self.curve.points[verdict.tap_stage - 1]
        ways = self._ways()
        rows = [
            (way["scenario"], way["way"], "" if math.isnan(way["probability"]) else f"{way['probability']:.2f}",
             f"{way['expected']:.2f} ({way['low']:.2f} to {way['high']:.2f})", show_duration(way["seconds"]))
            for way in ways
        ]  # fmt: skip
        columns = ("scenario", "way", "probability", f"expected {self.curve.metric} (80 %)", "one training")
        return card(
            f"Scenario {verdict.scenario}: {size} and {distance}. {what[0].upper()}{what[1:]}.",
            "" if verdict.learnable else paragraph("Nothing that could be learned is visible: check the labels first."),
            bullets(verdict.reasons),
            table(columns, rows, strong=[way["recommended"] for way in ways].index(True)),
            paragraph(
                f"{profile.name}, {profile.images} images, read by {self.backbone} at {point.name}: "
                f"probe {point.accuracy:.3f} ± {point.se:.3f}. advisor.tune(…) runs the plan."
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        recipe = self.plan.recipe
        return {
            "dataset": self.profile.to_dict(),
            "backbone": {"name": self.backbone, **self.weights},
            "size": self.size.to_dict(),
            "distance": self.distance.to_dict(),
            "probes": self.curve.to_dict(),
            "labels": self.labels.to_dict() if self.labels else None,
            "classes": [asdict(entry) for entry in self.classes],
            "suspects": [asdict(entry) for entry in self.suspects],
            "confusions": [asdict(entry) for entry in self.confusions],
            "verdict": {**self.verdict.to_dict(), "flips": self.flips},
            "recipe": {
                "name": recipe.name,
                "summary": recipe.summary,
                "start": {key: first_of(value) for key, value in recipe.values.items()},
            },
            "cost": asdict(self.cost),
            "backbones": [asdict(row) for row in self.backbones],
            "examples": [asdict(entry) for entry in self.examples],
        }


def recommend(
    location: str | Path,
    *,
    backbone: str = DEFAULT_BACKBONE,
    backbones: Sequence[str] = (),
    device: str = "auto",
    images: int = priors.PROBE_IMAGES,
    codes: str = "mean",
    seed: int = 0,
    skip_small_classes: bool = False,
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> Recommendation:
    """Measure a dataset and recommend how to transfer a backbone to it.

    The test part of the dataset is decoded, so that broken files and copies are named; no network sees it.

    Args:
        location: a folder, or whatever an installed dataset format recognises.
        backbone: a name that the catalog knows.
        backbones: several names: all are probed, and the best takes the place of `backbone`.
        device: `auto`, `cpu` or `cuda`.
        images: at most this many are passed through the network.
        codes: how stages are read, one of `advisor.network.stages.CODES`.
        seed: of splits and samples.
        skip_small_classes: leave out classes too small to split.
        catalog: the installed plugins by default.
        progress: told how far each step is.

    Raises:
        UsageError: nothing recognises the location.
        DatasetError: the images cannot be used as they are.
        BackboneError: there is no such backbone, or its weights are not here.
    """
    began, location = time.perf_counter(), str(location)
    progress = progress or Silent()
    catalog = catalog or load_catalog()
    target = pick_device(device)
    compared = compare_backbones(
        location, backbones, device=target, images=images, seed=seed, skip_small_classes=skip_small_classes,
        catalog=catalog, progress=progress, codes=codes,
    ) if backbones else ()  # fmt: skip
    chosen = catalog.backbone(best_backbone(compared) if compared else backbone)
    network = open_network(chosen, target)
    prepared = prepare(
        location,
        chosen.input,
        catalog=catalog,
        seed=seed,
        skip_small_classes=skip_small_classes,
        progress=progress,
    )
    found = inspect(
        prepared, chosen, network, catalog=catalog, images=images, seed=seed, progress=progress, codes=codes
    )
    measured, curve, stages = found.measured, found.curve, found.stages
    splits = prepared.profile.splits
    if len(found.classes) < len(prepared.dataset.classes):
        progress.say(
            f"{len(found.classes)} of {len(prepared.dataset.classes)} classes are probed; accuracies are for telling "
            "those apart, and lower for all. Probe more with --images."
        )
    recipes = usable_recipes(catalog, progress, multilabel=curve.multilabel)
    size = judge_size(splits["train"] + splits["val"], prepared.profile.per_class_train)
    verdict = decide(size, measured.distance, curve)
    lr = starting_lr(stages, measured.distance)
    rows = torch.from_numpy(prepared.pixels.batch(measured.rows[:BATCH])).to(target)
    with progress.task("Timing a training step", 1) as advance:
        step = measure_step(network, clean_view(rows, chosen.input))
        advance(1)
    adapted = {n: adapt_recipe(find_recipe(n, recipes), verdict, curve, lr, splits) for n in SCENARIOS}
    named = {str(number): way for number, way in adapted.items()} | {
        r.name: r for r in recipes if r.name == priors.LP_FT
    }
    ways = {name: way_cost(way, splits, measured.forward_seconds, step) for name, way in named.items()}
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
        labels=found.labels,
        classes=found.classes,
        suspects=found.suspects,
        confusions=found.confusions,
        verdict=verdict,
        plan=Plan(
            recipe=adapted[verdict.scenario],
            location=location,
            backbone=chosen.name,
            digest=prepared.dataset.digest,
            seed=seed,
            skip_small_classes=skip_small_classes,
            evidence=_evidence(verdict, size, measured.distance, curve),
        ),
        start_lr=lr,
        cost=Cost(
            forward_ms=1000 * measured.forward_seconds,
            train_ms=1000 * step.seconds_per_image,
            ways=ways,
            seconds=time.perf_counter() - began,
        ),
        backbones=compared,
        examples=found.examples,
    )


def way_cost(recipe: Recipe, splits: dict[str, int], forward: float, step: StepCost) -> WayCost:
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


def first_of(value: Value) -> bool | float | str:
    """The value a search begins with."""
    return value.first if isinstance(value, Range | Choices) else value


def usable_recipes(catalog: Catalog, progress: Progress, *, multilabel: bool = False) -> list[Recipe]:
    """Every installed recipe that validates, by name; one that does not is a line of talk.

    For images that may have `multilabel` labels, with a head that learns them.
    """
    recipes = []
    for name in sorted(catalog.recipes):
        try:
            recipe = load_recipe(name, catalog)
            recipes.append(for_multilabel(recipe, catalog) if multilabel else recipe)
        except UsageError as error:
            progress.say(f"recipe {name} ({catalog.recipes[name].plugin.origin}) is left out: {error.message}")
    return recipes


def find_recipe(scenario: int, recipes: list[Recipe]) -> Recipe:
    """The first recipe whose `when` fits a scenario."""
    size, distance, _ = SCENARIOS[scenario]
    for recipe in recipes:
        if recipe.scenario == scenario and recipe.when == {"size": size, "distance": distance}:
            return recipe
    raise DatasetError(
        f"No installed recipe is for scenario {scenario} ({size}, {distance}).",
        hint="advisor recipes",
    )


def starting_lr(stages: Stages, distance: Distance) -> float:
    """Learning rate of the backbone to begin with, by kind of network and by distance (method.md section 6)."""
    side = "different" if distance.different >= 0.5 else "similar"
    return (priors.LR_TRANSFORMER if stages.tokens else priors.LR_CONVOLUTIONAL) * priors.LR_FACTOR[side]


def least_epochs(images: int, batch_size: int) -> int:
    """Passes over the training images that make enough steps for training to move."""
    return math.ceil(priors.LEAST_STEPS / max(1, math.ceil(images / batch_size)))


def adapt_recipe(recipe: Recipe, verdict: Verdict, curve: ProbeCurve, lr: float, splits: dict[str, int]) -> Recipe:
    """Put the measurements into the recipe's starting points (method.md sections 5 and 6)."""
    changes: dict[str, Value] = {
        "features.tap": _start_at(recipe.get("features.tap"), curve.points[verdict.tap_stage - 1].tap),
        "optimizer.lr": _start_at(recipe.get("optimizer.lr"), lr),
    }
    depth = recipe.get("freeze.depth")
    if verdict.pilot is not None and first_of(depth) != 1.0:
        changes["freeze.depth"] = _start_at(depth, verdict.pilot.depth)
    epochs = recipe.get("train.epochs")
    if isinstance(epochs, int):
        changes["train.epochs"] = max(
            epochs, least_epochs(splits["train"], int(str(first_of(recipe.get("train.batch_size")))))
        )
    known = {key: value for key, value in changes.items() if key in recipe.values}
    # What was measured one way must be searched that way.
    if curve.codes != "mean":
        known["features.codes"] = curve.codes
    if curve.balanced:
        known["search.metric"] = "balanced"
    return recipe.with_values(known)


def replan(found: Recommendation, verdict: Verdict, *, catalog: Catalog, progress: Progress) -> Recommendation:
    """The same recommendation under another verdict, with its recipe and plan."""
    recipes = usable_recipes(catalog, progress, multilabel=found.curve.multilabel)
    recipe = adapt_recipe(
        find_recipe(verdict.scenario, recipes), verdict, found.curve, found.start_lr, found.profile.splits
    )
    evidence = _evidence(verdict, found.size, found.distance, found.curve)
    return replace(found, verdict=verdict, plan=replace(found.plan, recipe=recipe, evidence=evidence))


def _evidence(verdict: Verdict, size: Size, distance: Distance, curve: ProbeCurve) -> dict[str, Any]:
    """What the plan keeps of the reasons, and of what was foretold."""
    expected = verdict.expected[str(verdict.scenario)]
    return {
        "scenario_probabilities": {str(k): round(v, 4) for k, v in verdict.probabilities.items()},
        "probability_large": round(size.large, 4),
        "probability_different": round(distance.different, 4),
        "probe_accuracy": {point.name: round(point.accuracy, 4) for point in curve.points},
        "runner_up": verdict.runner_up,
        "expected": {
            "metric": curve.metric,
            **{name: round(getattr(expected, name), 4) for name in ("accuracy", "low", "high")},
        },
    }


def _start_at(value: Value, start: float) -> Value:
    """Begin a range at a measured value, widening it if need be; fixed values stay as the recipe says."""
    if not isinstance(value, Range):
        return value
    return Range(min(value.low, start), max(value.high, start), value.log, start)
