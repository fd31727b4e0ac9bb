"""From measurements to recipes and costs."""

from dataclasses import replace

import pytest
import timm
from hypothesis import given
from hypothesis import strategies as st
from verdicts import LARGE, PILOT, SMALL, curve, distance, expectations, times, verdict

from advisor.advice import priors
from advisor.advice.cost import StepCost, StepCosts
from advisor.advice.forecast import Training
from advisor.advice.input_sizes import SizeCurve, SizePoint
from advisor.advice.planning import (
    adapt_recipe,
    evidence_of,
    family_of,
    find_recipe,
    first_of,
    recipes_by_strategy,
    starting_lr,
    steps_of,
    usable_recipes,
    way_cost,
    with_budget,
)
from advisor.errors import DatasetError
from advisor.network.stages import Stage, Stages
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.recipe import Choices, Range, Recipe
from advisor.recipe.values import JUDGEMENTS, automatic_steps, steps_per_epoch
from advisor.strategy import SCENARIOS, Strategy
from advisor.task import MultiLabel, SingleLabel

CATALOG = load_catalog(only=())
RECIPES = usable_recipes(CATALOG, Silent(), SingleLabel(("a", "b")))
FLAT = curve([0.5, 0.9, 0.8])
FAMILY = priors.FAMILIES["batchnorm"]
TRAINING = Training(400, 96)
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
    rates = {
        (kind, side): starting_lr(priors.FAMILIES[kind], distance(side))
        for kind in priors.FAMILIES
        for side in (0.2, 0.8)
    }
    for kind in priors.FAMILIES:
        assert rates[kind, 0.2] < rates[kind, 0.8]
        assert starting_lr(priors.FAMILIES[kind], distance(0.5)) == rates[kind, 0.8]  # undecided counts as different
    assert rates["transformer", 0.8] < rates["convnext", 0.8] < rates["batchnorm", 0.8]


@pytest.mark.parametrize(
    ("architecture", "kind"), [("test_resnet", "batchnorm"), ("test_convnext", "convnext"), ("test_vit", "transformer")]
)
def test_the_family_is_that_of_the_network(architecture, kind):
    stages = replace(STAGES, tokens=kind == "transformer")
    assert family_of(timm.create_model(architecture), stages) == priors.FAMILIES[kind]


# -- adapting a recipe


def test_measurements_move_starts_and_widen_ranges_that_do_not_hold_them():
    recipe = Recipe("x", values={
        "features.tap": Range(0.8, 1.0), "optimizer.lr": Range(1e-5, 1e-3, log=True), "train.epochs": 40,
        "train.batch_size": 16,
    })  # fmt: skip
    adapted = adapt_recipe(recipe, verdict(tap_stage=2), FLAT, FAMILY, 5e-3, images=1000, sizes=None, training=TRAINING)
    assert adapted.values["features.tap"] == Range(pytest.approx(2 / 3), 1.0, start=pytest.approx(2 / 3))
    below, above = priors.RATES_AROUND
    assert adapted.values["optimizer.lr"] == Range(5e-3 * below, 5e-3 * above, log=True, start=5e-3)
    assert adapted.values["train.epochs"] == 40
    assert recipe.values["features.tap"] == Range(0.8, 1.0)


def test_fixed_values_stay_and_keys_that_a_recipe_lacks_are_not_added():
    fixed = Recipe("x", values={"features.tap": 1.0, "optimizer.lr": 1e-4, "freeze.depth": 1.0})
    assert (
        adapt_recipe(
            fixed, verdict(tap_stage=1, pilot=PILOT), FLAT, FAMILY, 5e-3, images=100, sizes=None, training=TRAINING
        )
        == fixed
    )
    assert (
        adapt_recipe(
            Recipe("y"), verdict(tap_stage=1), FLAT, FAMILY, 5e-3, images=100, sizes=None, training=TRAINING
        ).values
        == {}
    )


def test_a_search_that_may_train_gets_its_length_from_the_images_and_said_ones_are_left():
    recipe = Recipe("x", values={"freeze.depth": Range(0.0, 1.0), "train.batch_size": 32})
    steps = adapt_recipe(recipe, verdict(), FLAT, FAMILY, 1e-4, images=500, sizes=None, training=TRAINING).values[
        "train.steps"
    ]
    low, high = priors.LENGTHS
    usual = automatic_steps(500, 32)
    assert steps == Range(round(low * usual), round(high * usual), log=True, start=steps.start)
    assert steps.start == TRAINING.steps
    for said in ({"train.epochs": 2}, {"train.steps": 77}):
        known = Recipe("x", values={"freeze.depth": 0.0, **said})
        assert (
            adapt_recipe(known, verdict(), FLAT, FAMILY, 1e-4, images=500, sizes=None, training=TRAINING).values
            == known.values
        )


def test_families_bring_their_decay_and_rates_by_stage():
    recipe = Recipe("x", values={"freeze.depth": 0.0, "train.epochs": 1})
    vit = priors.FAMILIES["transformer"]
    adapted = adapt_recipe(recipe, verdict(), FLAT, vit, 1e-4, images=500, sizes=None, training=TRAINING).values
    assert (adapted["optimizer.layer_decay"], adapted["optimizer.weight_decay"]) == (vit.bottom, vit.weight_decay)
    assert adapted["train.parts"] == Choices(("all", "lora", "bias"), "all")
    own = recipe.with_values({
        "optimizer.layer_decay": 0.5, "optimizer.weight_decay": 0.0, "train.parts": "all",
    })  # fmt: skip
    assert adapt_recipe(own, verdict(), FLAT, vit, 1e-4, images=500, sizes=None, training=TRAINING).values == own.values


def test_where_few_parameters_may_train_higher_rates_are_searched():
    recipe = Recipe("x", values={"freeze.depth": 0.0, "optimizer.lr": Range(1e-5, 1e-3, log=True)})
    adapted, plain = (
        adapt_recipe(
            recipe, verdict(), FLAT, priors.FAMILIES[name], 1e-4, images=500, sizes=None, training=TRAINING
        ).values
        for name in ("transformer", "convnext")
    )
    assert adapted["optimizer.lr"].high == pytest.approx(priors.PARTS_RATE * plain["optimizer.lr"].high)
    assert adapted["optimizer.lr"].first == plain["optimizer.lr"].first
    assert "train.parts" not in plain


def test_sizes_are_searched_from_the_smallest_that_does():
    points = tuple(SizePoint(size, 0.8, behind, 0.01, 0.01) for size, behind in ((64, 0.1), (96, 0.005), (224, 0.0)))
    sizes = SizeCurve(400, 80, points)
    recipe = Recipe("x", values={"freeze.depth": 0.0, "train.epochs": 1})
    adapted = adapt_recipe(recipe, verdict(), FLAT, FAMILY, 1e-4, images=500, sizes=sizes, training=TRAINING)
    assert adapted.values["features.input_size"] == Choices((64, 96, 224), 96)
    fixed = recipe.with_values({"features.input_size": 128})
    assert adapt_recipe(fixed, verdict(), FLAT, FAMILY, 1e-4, images=500, sizes=sizes, training=TRAINING) == fixed


@given(st.integers(2, 10**5), st.integers(2, 256))
def test_the_length_is_what_the_recipe_says_or_what_the_images_call_for(images, batch):
    def steps(**values):
        flat = {f"train.{name}": value for name, value in values.items()}
        return steps_of(Recipe("x", values={"train.batch_size": batch, **flat}), images)

    assert steps() >= 300
    assert steps(steps=17) == 17
    assert steps(epochs=3) == 3 * steps_per_epoch(images, batch)


def test_the_search_of_depths_begins_at_the_pilots_or_at_the_trainings():
    recipe = Recipe("x", values={"freeze.depth": Range(0.0, 0.4), "train.epochs": 1})
    assert adapt_recipe(recipe, verdict(pilot=PILOT), FLAT, FAMILY, 1e-4, 100, None, TRAINING).values[
        "freeze.depth"
    ] == Range(0.0, 0.5, start=0.5)
    upper = replace(TRAINING, depth=0.3)
    assert adapt_recipe(recipe, verdict(), FLAT, FAMILY, 1e-4, 100, None, upper).values["freeze.depth"] == Range(
        0.0, 0.4, start=0.3
    )


def test_what_was_measured_one_way_is_searched_that_way():
    recipe = Recipe("x", values={"freeze.depth": 1.0})
    codes = replace(FLAT, codes="mean+std")
    assert adapt_recipe(recipe, verdict(), codes, FAMILY, 1e-4, 100, None, TRAINING).values == {
        "freeze.depth": 1.0,
        "features.codes": "mean+std",
    }
    balanced = replace(FLAT, task=SingleLabel.numbered(10).with_metric("balanced"))
    assert adapt_recipe(recipe, verdict(), balanced, FAMILY, 1e-4, 100, None, TRAINING).values == {
        "freeze.depth": 1.0,
        "search.metric": "balanced",
    }


def test_the_way_of_the_verdict_is_what_its_scenario_plans():
    early = verdict(Strategy.EARLIER_LAYER, scenario=1, tap_stage=2)
    planned = recipes_by_strategy(RECIPES, early, FLAT, FAMILY, 1e-4, 100, None, TRAINING)
    assert set(planned) == set(Strategy)
    assert planned[Strategy.EARLIER_LAYER].scenario == 1
    assert planned[Strategy.TUNE_DIFFERENT].scenario == 4
    without = [recipe for recipe in RECIPES if recipe.name != "lp-ft"]
    assert set(recipes_by_strategy(without, early, FLAT, FAMILY, 1e-4, 100, None, TRAINING)) == set(Strategy) - {
        Strategy.LP_FT
    }


# -- what a way costs

STEP = StepCosts(
    {224: StepCost(seconds_per_image=0.1, seconds_per_step=0.5, weights_bytes=1000, activation_bytes_per_image=10)}
)
SPLITS = {"train": 100, "val": 20, "test": 30}


def test_a_frozen_network_costs_one_pass_and_no_memory():
    cost = way_cost(Recipe("x", values={"freeze.depth": 1.0}), SPLITS, 224, forward=0.02, costs=STEP)
    assert (cost.recipe, cost.extra_bytes) == ("x", 0)
    assert cost.seconds == pytest.approx(0.02 * 120)


def test_a_training_costs_its_steps_its_validation_and_its_memory():
    recipe = Recipe("x", values={"freeze.depth": 0.0, "train.epochs": 3, "train.batch_size": 32})
    cost = way_cost(recipe, SPLITS, 224, forward=0.02, costs=STEP)
    steps = 3 * 4
    training = steps * 32 * 0.1 + steps * 0.5
    assert cost.seconds == pytest.approx(0.02 * 120 + training + JUDGEMENTS * 20 * 0.02)
    half = way_cost(recipe.with_values({"features.input_size": 112}), SPLITS, 224, forward=0.02, costs=STEP)
    # Pixels are a quarter; the update of the weights is the same.
    assert half.seconds == pytest.approx(0.02 * 120 + steps * 32 * 0.025 + steps * 0.5 + JUDGEMENTS * 20 * 0.005)
    assert cost.extra_bytes == 1000 + 32 * 10


@given(st.floats(0, 0.99), st.floats(0, 0.99))
def test_the_more_is_frozen_the_less_it_costs(one, other):
    def seconds(depth):
        return way_cost(Recipe("x", values={"freeze.depth": depth}), SPLITS, 224, 0.02, STEP).seconds

    low, high = sorted((one, other))
    assert seconds(high) <= seconds(low) + 1e-9
    assert seconds(1.0) <= seconds(high)


def test_a_searched_depth_costs_what_its_start_costs():
    searched = Recipe("x", values={"freeze.depth": Range(0.0, 1.0, start=0.25)})
    fixed = Recipe("x", values={"freeze.depth": 0.25})
    assert way_cost(searched, SPLITS, 224, 0.02, STEP) == way_cost(fixed, SPLITS, 224, 0.02, STEP)


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


def test_a_budget_is_that_which_was_given_or_has_room_for_what_is_advised():
    recipe = Recipe("x", values={"search.budget": "30m"})
    assert with_budget(recipe, times(budget=90.0)).text("search.budget") == "90s"
    tuned = expectations(similar=0.9)
    assert with_budget(recipe, times(tuned, seconds=60.0)) == recipe
    assert with_budget(recipe, times(tuned, seconds=1800.0)).text("search.budget") == "100m"
