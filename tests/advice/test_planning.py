"""From measurements to recipes and costs."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdicts import LARGE, PILOT, SMALL, curve, distance, expectations, verdict

from advisor.advice import priors
from advisor.advice.cost import StepCost
from advisor.advice.planning import (
    adapt_recipe,
    evidence_of,
    find_recipe,
    first_of,
    least_epochs,
    recipes_by_strategy,
    starting_lr,
    usable_recipes,
    way_cost,
)
from advisor.errors import DatasetError
from advisor.network.stages import Stage, Stages
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.recipe import Choices, Range, Recipe
from advisor.strategy import SCENARIOS, Strategy
from advisor.task import MultiLabel, SingleLabel

CATALOG = load_catalog(only=())
RECIPES = usable_recipes(CATALOG, Silent(), SingleLabel(("a", "b")))
FLAT = curve([0.5, 0.9, 0.8])
STAGES = Stages(tuple(Stage(name, name, ()) for name in "abc"))


@pytest.mark.parametrize(
    ("value", "first"),
    [(3, 3), ("linear", "linear"), (True, True), (Range(0.0, 1.0), 0.5), (Range(1e-4, 1e-2, log=True), 1e-3),
     (Range(0.0, 1.0, start=0.2), 0.2), (Choices(("a", "b")), "a"), (Choices(("a", "b"), "b"), "b")],
)  # fmt: skip
def test_a_search_begins_at_its_start(value, first):
    assert first_of(value) == (pytest.approx(first) if isinstance(first, float) else first)


def test_recipes_come_by_name_and_learn_the_task():
    assert [recipe.name for recipe in RECIPES] == sorted(CATALOG.recipes)
    several = usable_recipes(CATALOG, Silent(), MultiLabel(("a", "b")))
    assert [recipe.name for recipe in several] == [recipe.name for recipe in RECIPES]
    for recipe in several:
        head = first_of(recipe.get("head.name"))
        assert CATALOG.head(head).multilabel


@pytest.mark.parametrize("number", SCENARIOS)
def test_every_scenario_has_a_recipe_that_does_what_its_way_says(number):
    recipe = find_recipe(number, RECIPES)
    assert recipe.scenario == number
    trains = first_of(recipe.get("freeze.depth")) < 1.0
    assert trains == SCENARIOS[number].strategy.fine_tunes


def test_a_recipe_for_other_images_is_no_recipe_for_these():
    one = find_recipe(1, RECIPES)
    wrong = [recipe for recipe in RECIPES if recipe.scenario != 1] + [replace(one, when={"size": "small"})]
    with pytest.raises(DatasetError, match=r"scenario 1 \(small, similar\)") as refused:
        find_recipe(1, wrong)
    assert refused.value.hint == "advisor recipes"


def test_transformers_and_similar_images_begin_with_smaller_rates():
    tokens = replace(STAGES, tokens=True)
    rates = {
        (stages.tokens, side): starting_lr(stages, distance(side)) for stages in (STAGES, tokens) for side in (0.2, 0.8)
    }
    assert rates[True, 0.2] < rates[False, 0.2] < rates[False, 0.8]
    assert rates[True, 0.2] < rates[True, 0.8]
    assert starting_lr(STAGES, distance(0.5)) == rates[False, 0.8]  # undecided counts as different


@given(st.integers(1, 10**6), st.integers(1, 4096))
def test_there_are_enough_steps_and_not_an_epoch_more(images, batch):
    epochs = least_epochs(images, batch)
    steps = math.ceil(images / batch)
    assert epochs * steps >= priors.LEAST_STEPS
    assert (epochs - 1) * steps < priors.LEAST_STEPS


def test_no_images_at_all_still_have_epochs():
    assert least_epochs(0, 32) == priors.LEAST_STEPS


# -- adapting a recipe


def test_measurements_move_starts_and_widen_ranges_that_do_not_hold_them():
    recipe = Recipe("x", values={
        "features.tap": Range(0.8, 1.0), "optimizer.lr": Range(1e-5, 1e-3, log=True), "train.epochs": 40,
        "train.batch_size": 16,
    })  # fmt: skip
    adapted = adapt_recipe(recipe, verdict(tap_stage=2), FLAT, 5e-3, images=1000)
    assert adapted.values["features.tap"] == Range(pytest.approx(2 / 3), 1.0, start=pytest.approx(2 / 3))
    assert adapted.values["optimizer.lr"] == Range(1e-5, 5e-3, log=True, start=5e-3)
    assert adapted.values["train.epochs"] == 40
    assert recipe.values["features.tap"] == Range(0.8, 1.0)


def test_fixed_values_stay_and_keys_that_a_recipe_lacks_are_not_added():
    fixed = Recipe("x", values={"features.tap": 1.0, "optimizer.lr": 1e-4, "freeze.depth": 1.0})
    assert adapt_recipe(fixed, verdict(tap_stage=1, pilot=PILOT), FLAT, 5e-3, images=100) == fixed
    assert adapt_recipe(Recipe("y"), verdict(tap_stage=1), FLAT, 5e-3, images=100).values == {}


def test_few_images_get_more_passes_and_searched_epochs_are_left():
    recipe = Recipe("x", values={"train.epochs": 2, "train.batch_size": Range(16, 64, start=16)})
    assert adapt_recipe(recipe, verdict(), FLAT, 1e-4, images=32).values["train.epochs"] == 30
    assert adapt_recipe(recipe, verdict(), FLAT, 1e-4, images=10_000).values["train.epochs"] == 2
    searched = Recipe("x", values={"train.epochs": Range(1, 3)})
    assert adapt_recipe(searched, verdict(), FLAT, 1e-4, images=32) == searched


def test_a_pilots_depth_is_where_the_search_of_depths_begins():
    recipe = Recipe("x", values={"freeze.depth": Range(0.0, 0.4)})
    assert adapt_recipe(recipe, verdict(pilot=PILOT), FLAT, 1e-4, 100).values["freeze.depth"] == Range(
        0.0, 0.5, start=0.5
    )
    assert adapt_recipe(recipe, verdict(), FLAT, 1e-4, 100) == recipe


def test_what_was_measured_one_way_is_searched_that_way():
    recipe = Recipe("x")
    codes = replace(FLAT, codes="mean+std")
    assert adapt_recipe(recipe, verdict(), codes, 1e-4, 100).values == {"features.codes": "mean+std"}
    balanced = replace(FLAT, task=SingleLabel.numbered(10).with_metric("balanced"))
    assert adapt_recipe(recipe, verdict(), balanced, 1e-4, 100).values == {"search.metric": "balanced"}


def test_the_way_of_the_verdict_is_what_its_scenario_plans():
    early = verdict(Strategy.EARLIER_LAYER, scenario=1, tap_stage=2)
    planned = recipes_by_strategy(RECIPES, early, FLAT, 1e-4, 100)
    assert set(planned) == set(Strategy)
    assert planned[Strategy.EARLIER_LAYER].scenario == 1
    assert planned[Strategy.TUNE_DIFFERENT].scenario == 4
    without = [recipe for recipe in RECIPES if recipe.name != "lp-ft"]
    assert set(recipes_by_strategy(without, early, FLAT, 1e-4, 100)) == set(Strategy) - {Strategy.LP_FT}


# -- what a way costs

STEP = StepCost(seconds_per_image=0.1, seconds_per_step=0.5, weights_bytes=1000, activation_bytes_per_image=10)
SPLITS = {"train": 100, "val": 20, "test": 30}


def test_a_frozen_network_costs_one_pass_and_no_memory():
    cost = way_cost(Recipe("x", values={"freeze.depth": 1.0}), SPLITS, forward=0.02, step=STEP)
    assert (cost.recipe, cost.extra_bytes) == ("x", 0)
    assert cost.seconds == pytest.approx(0.02 * 120)


def test_a_training_costs_its_steps_its_validation_and_its_memory():
    recipe = Recipe("x", values={"freeze.depth": 0.0, "train.epochs": 3, "train.batch_size": 32})
    cost = way_cost(recipe, SPLITS, forward=0.02, step=STEP)
    epoch = 100 * 0.1 + 4 * 0.5 + 20 * 0.02
    assert cost.seconds == pytest.approx(0.02 * 120 + 3 * epoch)
    assert cost.extra_bytes == 1000 + 32 * 10


@given(st.floats(0, 0.99), st.floats(0, 0.99))
def test_the_more_is_frozen_the_less_it_costs(one, other):
    def seconds(depth):
        return way_cost(Recipe("x", values={"freeze.depth": depth}), SPLITS, 0.02, STEP).seconds

    low, high = sorted((one, other))
    assert seconds(high) <= seconds(low) + 1e-9
    assert seconds(1.0) <= seconds(high)


def test_a_searched_depth_costs_what_its_start_costs():
    searched = Recipe("x", values={"freeze.depth": Range(0.0, 1.0, start=0.25)})
    fixed = Recipe("x", values={"freeze.depth": 0.25})
    assert way_cost(searched, SPLITS, 0.02, STEP) == way_cost(fixed, SPLITS, 0.02, STEP)


# -- what a plan keeps


def test_the_evidence_is_plain_rounded_and_of_the_recommended_way():
    one = verdict(
        Strategy.TUNE_DIFFERENT, Strategy.EARLIER_LAYER, scenario=4, expected=expectations(different=0.123456)
    )
    evidence = evidence_of(one, LARGE, distance(0.87654321), FLAT)
    assert evidence["strategy"] == "4"
    assert evidence["expected"] == {"metric": "accuracy", "accuracy": 0.1235, "low": 0.0735, "high": 0.1735}
    assert evidence["probability_different"] == 0.8765
    assert evidence["probability_large"] == round(LARGE.large, 4)
    assert evidence["probe_accuracy"] == {"stage1": 0.5, "stage2": 0.9, "stage3": 0.8}
    assert set(evidence["scenario_probabilities"]) == {"1", "2", "3", "4"}
    assert evidence["runner_up"] == one.runner_up
    assert evidence_of(one, SMALL, distance(), FLAT)["probability_large"] < 0.5
