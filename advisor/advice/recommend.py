"""From a location to a recommendation: measure once, decide, and make the plan."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from advisor.advice import priors
from advisor.advice.backbones import best_backbone, compare_backbones
from advisor.advice.cost import Cost, StepCosts, measure_step
from advisor.advice.fits import compare_fits
from advisor.advice.input_sizes import measure_sizes
from advisor.advice.inspection import inspect
from advisor.advice.planning import (
    evidence_of,
    family_of,
    recipes_by_strategy,
    starting_lr,
    usable_recipes,
    way_cost,
    with_budget,
)
from advisor.advice.recommendation import Recommendation
from advisor.advice.scenario import Verdict, decide, facts_of, judge_size
from advisor.advice.timetable import Timetable, offers_of
from advisor.advice.together import probe_together
from advisor.data.prepare import prepare
from advisor.data.views import clean_view
from advisor.network.input_size import resize_input
from advisor.network.opening import open_network
from advisor.network.sweep import BATCH
from advisor.network.transfer import pick_device
from advisor.plugins import DEFAULT_BACKBONE, Catalog, load_catalog
from advisor.progress import Progress, Silent
from advisor.recipe import Plan
from advisor.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from advisor.advice.fits import FitComparison
    from advisor.advice.input_sizes import SizeCurve
    from advisor.data.prepare import Prepared
    from advisor.types import Backbone


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
    budget: str = "",
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
        budget: of the search that is to come, such as `10m`; by default as much as is worth it.
        catalog: the installed plugins by default.
        progress: told how far each step is.

    Raises:
        UsageError: nothing recognises the location, or the budget is no length of time.
        DatasetError: the images cannot be used as they are.
        BackboneError: there is no such backbone, or its weights are not here.
    """
    began, location = time.perf_counter(), str(location)
    seconds = parse_duration(budget) if budget else None  # refused before minutes of work
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
        tell=not compared,
    )
    fits = compare_fits(prepared, chosen, network, images=images, seed=seed, progress=progress, codes=codes)
    if fits is not None and fits.chosen.fit != "crop":
        chosen = replace(chosen, input=replace(chosen.input, fit=fits.chosen.fit))
        prepared = prepared.at(chosen.input, progress)
    inspected = inspect(
        prepared, chosen, network, catalog=catalog, images=images, seed=seed, progress=progress, codes=codes
    )
    measured, curve, stages = inspected.measured, inspected.curve, inspected.stages
    with progress.task("Reading stages together", 1) as advance:
        curve = replace(curve, joined=probe_together(curve, measured.features, curve.families))
        advance(1)
    splits = prepared.profile.splits
    if len(inspected.classes) < len(prepared.dataset.classes):
        progress.say(
            f"{len(inspected.classes)} of {len(prepared.dataset.classes)} classes are probed, so accuracies are those "
            "of telling these apart; for all classes they are lower. --images probes more."
        )
    recipes = usable_recipes(catalog, progress, curve.task)
    profile = prepared.profile
    size = judge_size(splits["train"] + splits["val"], profile.per_class_train, profile.independent_trainable)
    sizes = measure_sizes(prepared, chosen, network, stages, measured, progress=progress)
    costs = _time_steps(prepared, chosen, network, measured.rows, sizes, progress)
    facts = facts_of(curve, size.per_class, measured.distance)
    times = Timetable(
        offers_of(facts, splits, chosen.input.size, sizes, measured.forward_seconds, costs),
        seconds,
    )
    verdict = _with_fit(decide(size, measured.distance, curve, times), fits)
    family = family_of(network, stages)
    lr = starting_lr(family, measured.distance)
    trained_on = profile.independent_splits["train"]
    planned = recipes_by_strategy(
        recipes, verdict, curve, family, lr, trained_on, sizes, times.training, fits
    )  # fmt: skip
    ways = {
        strategy: way_cost(recipe, splits, chosen.input.size, measured.forward_seconds, costs)
        for strategy, recipe in planned.items()
    }
    return Recommendation(
        profile=prepared.profile,
        backbone=chosen.name,
        weights=chosen.weights,
        size=size,
        distance=measured.distance,
        curve=curve,
        labels=inspected.labels,
        classes=inspected.classes,
        suspects=inspected.suspects,
        confusions=inspected.confusions,
        verdict=verdict,
        plan=Plan(
            recipe=with_budget(planned[verdict.strategy], times),
            location=location,
            backbone=chosen.name,
            digest=prepared.dataset.digest,
            seed=seed,
            skip_small_classes=skip_small_classes,
            ranges=prepared.dataset.ranges,
            evidence=evidence_of(verdict, size, measured.distance, curve),
        ),
        start_lr=lr,
        family=family,
        sizes=sizes,
        times=times,
        cost=Cost(
            forward_ms=1000 * measured.forward_seconds,
            train_ms=1000 * costs.at(chosen.input.size).seconds_per_image,
            ways=ways,
            seconds=time.perf_counter() - began,
        ),
        backbones=compared,
        examples=inspected.examples,
        fits=fits,
    )


def _time_steps(
    prepared: Prepared,
    backbone: Backbone,
    network: nn.Module,
    rows: NDArray[np.int64],
    sizes: SizeCurve | None,
    progress: Progress,
) -> StepCosts:
    """Training steps at the network's own input size, and at the smallest that was probed."""
    device = next(network.parameters()).device
    images = torch.from_numpy(prepared.pixels.batch(rows[:BATCH])).to(device)
    own, costs = backbone.input.size, {}
    with progress.task("Timing a training step", 2 if sizes else 1) as advance:
        for size in dict.fromkeys((sizes.points[0].size if sizes else own, own)):
            smaller, spec = network, backbone.input
            if size != own:
                smaller = copy.deepcopy(network)
                spec = resize_input(smaller, backbone.input, size)
            costs[size] = measure_step(smaller, clean_view(images, spec))
            advance(1)
    return StepCosts(costs)


def _with_fit(verdict: Verdict, fits: FitComparison | None) -> Verdict:
    """The verdict with what the pictures' shapes ask for among its reasons."""
    return verdict if fits is None else replace(verdict, reasons=(*verdict.reasons, fits.sentence))


def replan(recommendation: Recommendation, verdict: Verdict, *, catalog: Catalog, progress: Progress) -> Recommendation:
    """The same recommendation under another verdict, with its recipe and plan."""
    curve, cost, verdict = recommendation.curve, recommendation.cost, _with_fit(verdict, recommendation.fits)
    recipes = usable_recipes(catalog, progress, curve.task)
    images = recommendation.profile.independent_splits["train"]
    planned = recipes_by_strategy(
        recipes, verdict, curve, recommendation.family, recommendation.start_lr, images, recommendation.sizes,
        recommendation.times.training, recommendation.fits,
    )  # fmt: skip
    recipe = with_budget(planned[verdict.strategy], recommendation.times)
    evidence = evidence_of(verdict, recommendation.size, recommendation.distance, curve)
    ways = {**cost.ways, verdict.strategy: replace(cost.ways[verdict.strategy], recipe=recipe.name)}
    return replace(
        recommendation,
        verdict=verdict,
        plan=replace(recommendation.plan, recipe=recipe, evidence=evidence),
        cost=replace(cost, ways=ways),
    )
