"""TOML for people: comments, order, and nothing lost."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.plugins import load_catalog
from advisor.recipe import KEYS, Choices, Plan, Range, Recipe, load_recipe, parse_plan, parse_recipe
from advisor.recipe.writing import plan_to_toml, recipe_to_toml

CATALOG = load_catalog(only=())


def test_a_bare_recipe_is_two_lines():
    assert recipe_to_toml(Recipe("x")).strip().splitlines() == ["schema = 1", 'name = "x"']


@pytest.mark.parametrize("key", KEYS)
def test_each_value_carries_its_explanation(key):
    line = next(
        line
        for line in reversed(recipe_to_toml(Recipe("x", values={key: KEYS[key].default})).splitlines())
        if line.startswith(key.split(".")[1])
    )
    value, _, comment = line.partition(" # ")
    assert comment == KEYS[key].help
    assert tomllib.loads(value) == {key.split(".")[1]: KEYS[key].default}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Range(0.0, 1.0), "{low = 0.0, high = 1.0}"),
        (Range(1e-4, 1.0, log=True, start=0.0), "{low = 0.0001, high = 1.0, log = true, start = 0.0}"),
        (Choices((1, 2), 2), "{choices = [1, 2], start = 2}"),
        (Choices((False, True), start=False), "{choices = [false, true], start = false}"),
        (True, "true"),
    ],
)
def test_searched_values_are_one_line_each(value, text):
    written = recipe_to_toml(Recipe("x", values={"freeze.depth": value}))
    assert f"depth = {text} # " in written


def test_a_start_at_zero_is_written():
    recipe = Recipe("x", values={"freeze.depth": Range(0.0, 1.0, start=0.0)})
    assert parse_recipe(recipe_to_toml(recipe), "x.toml", CATALOG) == recipe


def test_a_heads_own_values_stand_in_its_own_table_whatever_the_order():
    values = {"head.mlp.hidden": 64, "head.name": "mlp", "head.linear.l2": 1e-3, "head.init": "random"}
    data = tomllib.loads(recipe_to_toml(Recipe("x", values=values)))
    assert data["head"] == {"name": "mlp", "init": "random", "mlp": {"hidden": 64}, "linear": {"l2": 1e-3}}


@given(st.permutations(["train.epochs", "optimizer.lr", "features.tap", "head.mlp.hidden", "head.name"]))
def test_the_same_recipe_is_the_same_text(order):
    values = {"train.epochs": 3, "optimizer.lr": 0.1, "features.tap": 0.5, "head.mlp.hidden": 64, "head.name": "mlp"}
    written = recipe_to_toml(Recipe("x", values={key: values[key] for key in order}))
    assert written == recipe_to_toml(Recipe("x", values=values))


hostile = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(hostile, hostile.filter(bool))
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_out_of_its_quotes(summary, location):
    plan = Plan(Recipe("x", summary), location, "lite0", evidence={"why": summary})
    assert parse_plan(plan_to_toml(plan), "x.toml", CATALOG) == plan


@pytest.mark.parametrize("name", CATALOG.core_recipes)
def test_shipped_recipes_survive_being_written(name):
    recipe = load_recipe(name, CATALOG)
    assert parse_recipe(recipe_to_toml(recipe), "x.toml", CATALOG) == recipe


def test_comments_stand_first_and_provenance_last():
    plan = Plan(Recipe("x", values={"train.epochs": 3}), "d", "lite0", evidence={"e": 1})
    written = plan_to_toml(plan, ["first line", "", "third line"], {"version": "0.1", "nothing": None})
    lines = written.splitlines()
    assert lines[:3] == ["# first line", "", "# third line"]
    order = [
        written.index(part) for part in ("schema = 1", "[data]", "[backbone]", "[train]", "[evidence]", "[provenance]")
    ]
    assert order == sorted(order)
    assert tomllib.loads(written)["provenance"] == {"version": "0.1"}


def test_what_is_none_is_left_out_at_every_depth():
    plan = Plan(Recipe("x"), "d", "lite0", evidence={"a": None, "b": {"c": None, "d": 1}})
    assert tomllib.loads(plan_to_toml(plan))["evidence"] == {"b": {"d": 1}}


def test_several_backbones_are_written_as_choices_and_begin_where_they_began():
    plan = Plan(Recipe("x"), "d", "lite1", backbones=("lite0", "lite1"))
    data = tomllib.loads(plan_to_toml(plan))
    assert data["backbone"]["name"] == {"choices": ["lite0", "lite1"], "start": "lite1"}
    assert parse_plan(plan_to_toml(plan), "x.toml", CATALOG) == plan


def test_no_range_is_written_where_none_is_known():
    assert "range" not in tomllib.loads(plan_to_toml(Plan(Recipe("x"), "d", "lite0")))
