import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.data.range import ValueRange, ValueRanges
from advisor.errors import RecipeError, UsageError
from advisor.plugins import load_catalog
from advisor.recipe import (
    KEYS,
    Choices,
    Plan,
    Range,
    Recipe,
    for_task,
    heads_of,
    load_plan,
    load_recipe,
    parse_plan,
    parse_recipe,
    plan_to_toml,
    recipe_to_toml,
)
from advisor.task import MultiLabel, SingleLabel
from advisor.units import parse_duration

CATALOG = load_catalog()


def values_of(key):
    """Valid values of a key: scalars, and where it is searchable ranges and choices."""
    spec = KEYS[key]
    if spec.kind is str:
        written = {
            "features.also": ("", "0.5", "0.4 0.7"),
            "train.grow_from": ("", "64:300", "64:300, 96:150"),
            "search.budget": ("90s", "10m", "1h30m"),
        }
        scalar = st.sampled_from(spec.choices or written.get(key) or tuple(sorted(CATALOG.heads)))
        if not spec.searchable:
            return scalar
        return scalar | st.lists(scalar, min_size=1, unique=True).map(lambda found: Choices(tuple(found), found[-1]))
    if spec.kind is bool:
        return st.booleans() | st.just(Choices((True, False), False))
    low, high = max(spec.low, -1e6), min(spec.high, 1e6)
    scalar = st.integers(int(low), int(high)) if spec.kind is int else st.floats(low, high)
    if not spec.searchable:
        return scalar
    pairs = st.tuples(scalar, scalar).filter(lambda pair: pair[0] < pair[1])
    return scalar | pairs.map(lambda pair: Range(pair[0], pair[1], log=pair[0] > 0, start=pair[1]))


recipes = st.builds(
    Recipe,
    name=st.text(min_size=1, alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])),
    summary=st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])),
    scenario=st.none() | st.sampled_from([1, 2, 3, 4]),
    when=st.fixed_dictionaries({}, optional={"size": st.sampled_from(["small", "large"])}),
    values=st.fixed_dictionaries({}, optional={key: values_of(key) for key in KEYS}).map(
        # Stages beside the tap lie below it.
        lambda values: {**values, "features.tap": 0.9} if "features.also" in values else values
    ),
)


@given(recipes)
@settings(max_examples=60, deadline=None)
def test_what_is_written_reads_back_equal(recipe):
    assert parse_recipe(recipe_to_toml(recipe), "x.toml", CATALOG) == recipe
    ranges = ValueRanges(uint16=ValueRange(0.0, 4095.0), float32=ValueRange(270.25, 320.5, guessed=True))
    plan = Plan(
        recipe, "./data", "lite0", digest="abc", seed=3, evidence={"why": {"a": 1.5, "b": ["x"]}}, ranges=ranges
    )
    assert parse_plan(plan_to_toml(plan, ["a comment", ""]), "x.toml", CATALOG) == plan


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("[range.uint8]\nlow = 0\nhigh = 1", "range.uint8: unknown; known: uint16, int32, float32"),
        ("[range.uint16]\nlow = 0", "range.uint16.high: is missing"),
        ("[range.uint16]\nlow = 9\nhigh = 9", "range.uint16: low 9 is not below high 9"),
        ('[range.uint16]\nlow = "a"\nhigh = nan', "range.uint16.low: found a; a finite number is allowed"),
        ("[range]\nuint16 = 4095", "range.uint16: found 4095; low and high are expected"),
        ("[range.uint16]\nlow = 0\nhigh = 1\ntop = 3", "range.uint16.top: unknown; known: low, high, guessed"),
        ("[range.uint16]\nlow = 0\nhigh = 1\nguessed = 1", "range.uint16.guessed: found 1; true or false is allowed"),
    ],
)
def test_a_range_is_validated_and_a_recipe_has_none(table, problem):
    text = f'schema = 1\nname = "x"\n[data]\nlocation = "d"\n[backbone]\nname = "lite0"\n{table}\n'
    with pytest.raises(RecipeError, match=re.escape(problem)):
        parse_plan(text, "x.toml", CATALOG)
    with pytest.raises(RecipeError, match="range: unknown"):
        parse_recipe(text, "x.toml", CATALOG)


@pytest.mark.parametrize("name", sorted(CATALOG.recipes))
def test_shipped_recipes_are_named_like_their_files_and_summarised(name):
    recipe = load_recipe(name, CATALOG)
    assert recipe.name == name
    assert recipe.summary
    assert math.isfinite(parse_duration(str(recipe.get("search.budget"))))


def test_the_four_scenarios_have_one_recipe_each():
    found = [load_recipe(name, CATALOG) for name in CATALOG.recipes]
    assert sorted(recipe.scenario for recipe in found if recipe.scenario) == [1, 2, 3, 4]


BAD = """
schema = 2
nam = "x"
scenario = 7
[when]
size = "tiny"
colour = 1
[features]
tap = { low = 0.9, high = 0.1 }
[freeze]
depth = 1.5
[head]
name = "linaer"
svm.c = 1
nohead.x = 1
[optimizer]
lr = "fast"
lrratio = 10
weight_decay = { low = 0.0, high = 0.1, log = true }
[train]
epochs = 2.5
batch_size = true
augment = { choices = ["crop", "spin"] }
warmup = nan
[search]
trials = { low = 1, high = 3 }
budget = "soon"
"""


def test_every_problem_is_reported_at_once_with_its_path():
    with pytest.raises(RecipeError) as error:
        parse_recipe(BAD, "bad.toml", CATALOG)
    text = str(error.value)
    for fragment in (
        "schema: found 2",
        "nam: unknown; did you mean `name`?",
        "name: is missing",
        "scenario: found 7",
        'when.size: found "tiny"',
        "when.colour: unknown",
        "features.tap: low 0.9 is not below high 0.1",
        "freeze.depth: found 1.5; 0 to 1 is allowed",
        "head.name: found",
        "did you mean `linear`?",
        "head.svm.c: unknown",
        "head.nohead: unknown head",
        'optimizer.lr: found "fast" (text); a number is allowed',
        "optimizer.lrratio: unknown; did you mean `optimizer.lr_ratio`?",
        "optimizer.weight_decay.low: found 0",
        "train.epochs: found 2.5; a whole number is allowed",
        "train.batch_size: found true",
        "train.augment.choices: found",
        "train.warmup: found nan",
        "search.trials:",
        "search.budget:",
    ):
        assert fragment in text, fragment
    assert "hint:" in text
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "this is not toml",
        "schema = 1\nname = 3\n",
        "schema = 1\nname = 'x'\nhead = 3\n",
        "schema = 1\nname = 'x'\nwhen = 'now'\n",
        "schema = 1\nname = 'x'\n[head]\nname = {}\n",
        "schema = 1\nname = 'x'\n[optimizer]\nlr = [1, 2]\n",
        "schema = 1\nname = 'x'\n[optimizer]\nlr = { choices = [] }\n",
        "schema = 1\nname = 'x'\n[optimizer]\nlr = { low = 'a', high = 1 }\n",
        "schema = 1\nname = 'x'\n[train]\naugment = { choices = [['crop']] }\n",
        "schema = 1\nname = 'x'\n[train]\naugment = { choices = ['crop'], start = ['crop'] }\n",
        "schema = 1\nname = 'x'\nscenario = [1]\n",
        "schema = 1\nname = 'x'\n[when]\nsize = ['small']\n",
        "schema = 1\nname = 'x'\n[head]\nname = 1979-05-27\n",
    ],
)
def test_odd_files_are_refused_in_words(text):
    with pytest.raises(RecipeError, match=r"x\.toml"):
        parse_recipe(text, "x.toml", CATALOG)


def test_a_plan_needs_its_dataset_and_backbone(tmp_path):
    with pytest.raises(RecipeError) as error:
        parse_plan("schema = 1\nname = 'x'\n[data]\nlocation = 3\nspeed = 1\n", "plan.toml", CATALOG)
    assert "data.location: found 3" in str(error.value)
    assert "data.speed: unknown" in str(error.value)
    assert "backbone.name: is missing" in str(error.value)
    with pytest.raises(UsageError, match="advisor recommend"):
        load_plan(tmp_path / "none.toml", CATALOG)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400)])
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "10", "-5m", "5 parsecs", "m"])
def test_bad_durations(text):
    with pytest.raises(UsageError, match="hint:"):
        parse_duration(text)


def test_a_recipe_gets_a_head_that_learns_the_task():
    catalog = load_catalog()
    small, tags = load_recipe("small-similar", catalog), MultiLabel(("a", "b"))
    assert for_task(small, SingleLabel(("a", "b")), catalog) == small
    several = for_task(small, tags, catalog)
    assert heads_of(several) == ("sigmoid",)
    assert not [key for key in several.values if key.startswith("head.") and key not in {"head.name", "head.init"}]
    assert {k: v for k, v in several.values.items() if not k.startswith("head.")} == {
        k: v for k, v in small.values.items() if not k.startswith("head.")
    }
    mixed = small.with_values({"head.name": Choices(("ridge", "sigmoid"), start="ridge")})
    assert for_task(mixed, tags, catalog) == mixed  # all of them can


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        ('also = "early"', 'features.also: found "early" (text); one or two fractions'),
        ('also = "0.2 0.3 0.4"', "one or two fractions of the stages"),
        ('also = "1.5"', "one or two fractions of the stages"),
        ("also = 0.5", "features.also: found 0.5; text is allowed"),
        ('also = { choices = ["", "0.5", "x"] }', 'features.also: found "x"'),
        ('tap = 0.5\nalso = "0.4 0.6"', "stages below the tap are allowed, which is 0.5"),
        ("mirrored = 1", "features.mirrored: found 1; true or false is allowed"),
    ],
)
def test_what_a_head_reads_is_checked(features, problem):
    with pytest.raises(RecipeError) as error:
        parse_recipe(f'schema = 1\nname = "x"\n[features]\n{features}\n', "x.toml", CATALOG)
    assert problem in str(error.value)


def test_earlier_stages_may_be_fixed_or_searched():
    text = 'schema = 1\nname = "x"\n[features]\ntap = 0.9\n{}\n'
    assert parse_recipe(text.format('also = "0.4 0.7"'), "x.toml", CATALOG).get("features.also") == "0.4 0.7"
    searched = parse_recipe(text.format('also = { choices = ["", "0.5"] }'), "x.toml", CATALOG).get("features.also")
    assert searched == Choices(("", "0.5"))
