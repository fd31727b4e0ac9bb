"""Every key, its default and its bounds; where a search begins; recipes as values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.recipe.schema import KEYS, Choices, Plan, Range, Recipe, key_of
from advisor.types import Param

CHECKED = [key for key, spec in KEYS.items() if spec.kind in (int, float)]


@pytest.mark.parametrize("name", KEYS)
def test_a_default_is_of_its_keys_kind_and_allowed(name):
    key = KEYS[name]
    assert type(key.default) is key.kind
    if key.choices:
        assert key.default in key.choices
    if key.kind in (int, float):
        assert key.low <= key.default <= key.high


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_explained_in_one_line_and_has_a_section(name):
    section, _, rest = name.partition(".")
    assert section in {"features", "head", "freeze", "optimizer", "train", "search"}
    assert rest.isidentifier()
    assert KEYS[name].help
    assert len(KEYS[name].help.splitlines()) == 1
    assert not KEYS[name].help.endswith(".")


@pytest.mark.parametrize("name", CHECKED)
def test_numbers_have_two_finite_bounds_in_order(name):
    key = KEYS[name]
    assert math.isfinite(key.low)
    assert math.isfinite(key.high)
    assert key.low < key.high


def test_what_the_search_itself_is_told_cannot_be_searched():
    assert not [name for name, key in KEYS.items() if name.startswith("search.") and key.searchable]


positive = st.floats(1e-6, 1e3)


@given(positive, positive, st.booleans())
def test_a_search_begins_between_its_bounds(one, other, log):
    low, high = sorted((one, other))
    first = Range(low, high, log).first
    assert low * (1 - 1e-9) <= first <= high * (1 + 1e-9)


@given(positive, positive)
def test_the_middle_of_a_logarithmic_range_is_as_many_times_above_its_start_as_below_its_end(low, high):
    first = Range(low, high, log=True).first
    assert first / low == pytest.approx(high / first)


@pytest.mark.parametrize("start", [0.0, 0.5, 1.0])
def test_a_start_is_where_the_search_begins_even_at_zero(start):
    assert Range(0.0, 1.0, start=start).first == start
    assert Choices((1.0, start), start).first == start


@pytest.mark.parametrize("start", [False, 0, ""])
def test_a_start_that_counts_as_nothing_is_a_start(start):
    assert Choices((True, 7, start), start).first is start


def test_without_a_start_the_first_choice_comes_first():
    assert Choices(("b", "a")).first == "b"


def test_a_missing_key_is_its_default_and_a_heads_own_unknown_key_nothing():
    recipe = Recipe("x", values={"train.epochs": 7, "head.mlp.hidden": 64})
    assert recipe.get("train.epochs") == 7
    assert recipe.get("train.batch_size") == KEYS["train.batch_size"].default
    assert recipe.get("head.mlp.hidden") == 64
    assert recipe.get("head.mlp.dropout") == ""


def test_changed_values_are_a_new_recipe():
    old = Recipe("x", "summary", 2, {"size": "large"}, {"train.epochs": 7, "train.ema": 0.5})
    new = old.with_values({"train.epochs": 9, "optimizer.lr": Range(1e-4, 1e-2, log=True)})
    assert old.values == {"train.epochs": 7, "train.ema": 0.5}
    assert new.values == {"train.epochs": 9, "train.ema": 0.5, "optimizer.lr": Range(1e-4, 1e-2, log=True)}
    assert (new.name, new.summary, new.scenario, new.when) == (old.name, old.summary, old.scenario, old.when)


def test_fixed_values_are_read_with_their_kind_and_searched_ones_refused():
    recipe = Recipe("x", values={"train.epochs": Range(1, 9), "search.trials": 3, "search.budget": "90s"})
    assert recipe.whole("search.trials") == 3
    assert recipe.text("search.budget") == "90s"
    with pytest.raises(TypeError, match=r"train\.epochs"):
        recipe.whole("train.epochs")
    with pytest.raises(TypeError, match=r"search\.budget"):
        recipe.whole("search.budget")


def test_a_plan_of_one_backbone_searches_none():
    plan = Plan(Recipe("x"), "./data", "lite0")
    assert plan.backbones == ()
    assert not plan.ranges
    assert plan.seed == 0


@pytest.mark.parametrize(
    ("param", "kind", "low", "high"),
    [
        (Param("l2", 3e-4, low=1e-6, high=0.1, log=True, help="h"), float, 1e-6, 0.1),
        (Param("hidden", 256, low=32), int, 32, math.inf),
        (Param("open", 1.0), float, -math.inf, math.inf),
        (Param("kind", "a", choices=("a", "b")), str, -math.inf, math.inf),
        (Param("flag", default=True), bool, -math.inf, math.inf),
        (Param("zero", 0.0, low=0.0, high=0.0), float, 0.0, 0.0),
    ],
    ids=lambda value: value.name if isinstance(value, Param) else None,
)
def test_a_heads_parameter_is_a_key(param, kind, low, high):
    key = key_of(param)
    assert key.kind is kind
    assert (key.low, key.high) == (low, high)
    assert key.default == param.default
    assert key.choices == param.choices
    assert key.searchable
