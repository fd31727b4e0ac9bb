import optuna
import pytest

from advisor.network.stages import Stage, Stages
from advisor.plugins import load_catalog
from advisor.recipe import Choices, Range, Recipe, load_recipe
from advisor.tuning.space import SearchSpace, frozen_recipe

CATALOG = load_catalog()
STAGES = Stages(tuple(Stage(f"s{i}", f"s{i}", (f"p{i}",)) for i in range(8)))


def space(**values):
    return SearchSpace(Recipe("x", values={k.replace("__", "."): v for k, v in values.items()}), STAGES, CATALOG)


def asked(searched, params):
    """Values of a trial with fixed parameters, and the names it asked for."""
    trial = optuna.trial.FixedTrial(params)
    return searched.suggest(trial).to_flat(), set(trial.params)


LR = {"optimizer__lr": Range(1e-5, 1e-3, log=True), "optimizer__lr_ratio": Range(1, 100, log=True)}


def test_nothing_that_would_do_nothing_is_asked_for():
    searched = space(freeze__depth=Range(0, 1), head__name=Choices(("linear", "svm")), **LR)
    params = {"freeze.depth": 8, "head.name": "linear"}
    values, names = asked(searched, params)
    assert names == {"freeze.depth", "head.name"}
    assert "optimizer.lr" not in values
    assert "head.linear.l2" in values
    assert "head.svm.l2" not in values
    values, names = asked(searched, {**params, "freeze.depth": 4, "optimizer.lr": 1e-4, "optimizer.lr_ratio": 5})
    assert {"optimizer.lr", "optimizer.lr_ratio"} <= names
    assert values["freeze.depth"] == 0.5


def test_how_a_picture_becomes_a_square_is_asked_for_where_it_is_searched():
    searched = space(features__fit=Choices(("crop", "pad"), "pad"))
    assert searched.searched() == ("features.fit",)
    assert searched.start().features.fit == "pad"
    assert asked(searched, {"features.fit": "crop"})[0]["features.fit"] == "crop"
    assert space().start().features.fit == "crop"


def test_with_nothing_but_the_head_to_train_there_is_no_ratio():
    searched = space(head__init="random", **LR)
    values, names = asked(searched, {"optimizer.lr": 1e-4})
    assert names == {"optimizer.lr"}
    assert values["optimizer.lr_ratio"] == 10


def test_start_values_round_trip_through_optuna():
    for name in CATALOG.recipes:
        searched = SearchSpace(load_recipe(name, CATALOG), STAGES, CATALOG)
        values, _ = asked(searched, searched.start_params())
        start = searched.start().to_flat()
        assert values.keys() == start.keys()
        for key, value in start.items():
            if key in ("features.tap", "freeze.depth"):
                assert abs(values[key] - value) <= 0.5 / 8 + 1e-9
            else:
                assert values[key] == value


@pytest.mark.parametrize(("low", "high", "steps"), [(0.3, 1.0, range(3, 9)), (0.0, 1.0, range(9)), (0.51, 0.6, [4])])
def test_depths_are_whole_stages(low, high, steps):
    searched = space(freeze__depth=Range(low, high), head__init="random")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = {round(8 * searched.suggest(study.ask()).freeze.depth) for _ in range(80)}
    assert seen == set(steps)


@pytest.mark.parametrize("count", [13, 14, 25])
def test_of_many_stages_the_start_and_both_ends_are_always_among_the_steps(count):
    many = Stages(tuple(Stage(f"s{i}", f"s{i}", (f"p{i}",)) for i in range(count)))
    for start in range(1, count + 1):
        recipe = Recipe("x", values={"features.tap": Range(0.1, 1.0, start=start / count), "freeze.depth": Range(0, 1)})
        searched = SearchSpace(recipe, many, CATALOG)
        if start / count >= 0.1:
            params = searched.start_params()
            values, _ = asked(searched, params)
            assert many.tap_index(values["features.tap"]) == start
        taps = {round(count * level) for level in searched._levels(Range(0.1, 1.0, start=start / count))}
        assert len(taps) <= 9
        assert count in taps


def test_several_backbones_start_where_the_plan_says():
    searched = SearchSpace(Recipe("x"), STAGES, CATALOG, backbones=("a", "b"), backbone="b", stages_of=lambda _: STAGES)
    assert searched.start().backbone == "b"


def test_whole_numbers_without_a_start_begin_whole():
    searched = space(train__epochs=Range(1, 4), freeze__depth=0.5)
    assert isinstance(searched.start().steps[1].epochs, int)


def test_head_only_overrides_the_depth():
    searched = space(freeze__depth=Range(0, 1), **LR)
    trial = optuna.trial.FixedTrial({})
    assert searched.suggest(trial, head_only=True).freeze.depth == 1.0
    assert searched.allows_head_only
    assert not space(freeze__depth=0.0).allows_head_only
    assert not space(freeze__depth=Choices((0.0, 0.5))).allows_head_only


def test_the_recipe_of_a_trial_has_scalars_only():
    recipe = load_recipe("small-different", CATALOG)
    searched = SearchSpace(recipe, STAGES, CATALOG)
    fixed = frozen_recipe(recipe, searched.start())
    assert not [value for value in fixed.values.values() if isinstance(value, Range | Choices)]
    assert SearchSpace(fixed, STAGES, CATALOG).start() == searched.start()


def test_whole_number_parameters_of_heads_stay_whole(install):
    from test_plugins import example_of

    from advisor import hookspecs

    install("mlp", example_of(hookspecs.advisor_heads))
    recipe = Recipe("x", values={"head.name": "two-layer", "head.two-layer.hidden": Range(8, 512, log=True, start=8)})
    searched = SearchSpace(recipe, STAGES, load_catalog())
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert all(isinstance(searched.suggest(study.ask()).head.params["hidden"], int) for _ in range(5))
