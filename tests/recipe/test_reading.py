"""What a person may write into a recipe or a plan, and what is said where it is wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.errors import RecipeError, UsageError
from advisor.plugins import load_catalog
from advisor.recipe import KEYS, Choices, Range, load_plan, load_recipe, parse_plan, parse_recipe
from advisor.types import RecipeFile

CATALOG = load_catalog(only=())
HEADER = 'schema = 1\nname = "x"\n'
PLAN = HEADER + '[data]\nlocation = "d"\n[backbone]\nname = "lite0"\n'


def problems(text, parse=parse_recipe):
    with pytest.raises(RecipeError) as refused:
        parse(text, "x.toml", CATALOG)
    first, *lines = str(refused.value).splitlines()
    listed = [line.strip() for line in lines if line.startswith("  ")]
    assert first == f"{len(listed)} {'problem' if len(listed) == 1 else 'problems'} in x.toml:"
    assert lines[-1].startswith("hint: ")
    return listed


def one_problem(text, parse=parse_recipe):
    (listed,) = problems(text, parse)
    return listed


@pytest.mark.parametrize("name", KEYS)
def test_every_default_may_be_written_down(name):
    section, _, key = name.rpartition(".")
    value = KEYS[name].default
    text = f'"{value}"' if isinstance(value, str) else str(value).lower()
    recipe = parse_recipe(f"{HEADER}[{section}]\n{key} = {text}\n", "x.toml", CATALOG)
    assert recipe.values == {name: value}
    assert type(recipe.values[name]) is KEYS[name].kind


@pytest.mark.parametrize("name", [name for name, key in KEYS.items() if key.kind in (int, float)])
@pytest.mark.parametrize("side", [-1, 1])
def test_numbers_are_allowed_up_to_their_bounds_and_not_beyond(name, side):
    section, _, key = name.rpartition(".")
    spec = KEYS[name]
    end = spec.low if side < 0 else spec.high
    text = f"{HEADER}[{section}]\n{key} = "
    assert parse_recipe(f"{text}{end}\n", "x.toml", CATALOG).values[name] == end
    beyond = end + side * (1 if spec.kind is int else max(1e-9, abs(end) * 1e-3))
    assert one_problem(f"{text}{beyond}\n").startswith(
        f"{name}: found {beyond}; {spec.low:g} to {spec.high:g} is allowed"
    )


@pytest.mark.parametrize("name", [name for name, key in KEYS.items() if not key.searchable])
def test_what_is_fixed_cannot_be_searched(name):
    section, _, key = name.rpartition(".")
    problem = one_problem(f"{HEADER}[{section}]\n{key} = {{ choices = [1, 2] }}\n")
    assert problem.startswith(f"{name}: found")
    assert "this value is fixed, not searched" in problem


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("lr = { low = 0.1 }", "optimizer.lr.high: is missing; a range needs low and high"),
        ("lr = { low = 0.1, high = 0.1 }", "optimizer.lr: low 0.1 is not below high 0.1"),
        ("lr = { low = 0.1, high = 0.2, logs = true }", "optimizer.lr.logs: unknown; did you mean `log`?"),
        ("lr = { low = 0.1, high = 0.2, step = 1 }", "optimizer.lr.step: unknown; known: low, high, log, start"),
        ("lr = { low = 0.1, high = 0.2, log = 1 }", "optimizer.lr.log: found 1; true or false is allowed"),
        ("lr = { low = 0.1, high = 0.2, start = 0.3 }", "optimizer.lr.start: found 0.3; 0.1 to 0.2 is allowed"),
        ("lr = { low = 0.1, high = 20 }", "optimizer.lr.high: found 20; 1e-08 to 10 is allowed"),
        ("lr = { low = true, high = 0.2 }", "optimizer.lr.low: found true; a number is allowed"),
        ("lr = { choices = [0.1, 0.2], start = 0.3 }", "optimizer.lr.start: found 0.3; one of the choices is allowed"),
        ("lr = { choices = 0.1 }", "optimizer.lr.choices: found 0.1; a list with at least one value is allowed"),
        ("lr = { choices = [0.1], low = 0.1 }", "optimizer.lr.low: unknown; known: choices, start"),
        ("weight_decay = { low = 0, high = 0.1, log = true }",
         "optimizer.weight_decay.low: found 0; a logarithmic range starts above 0"),
        ('name = "adam"', 'optimizer.name: found "adam" (text); allowed: adamw, sgd; did you mean `adamw`?'),
        ("name = { low = 1, high = 2 }",
         "optimizer.name: found {'low': 1, 'high': 2}; text or { choices = [...] } is allowed"),
        ("lr = nan", "optimizer.lr: found nan; 1e-08 to 10 is allowed"),
        ("lr = inf", "optimizer.lr: found inf; 1e-08 to 10 is allowed"),
        ("momentum = 0.9", f"optimizer.momentum: unknown; known: {', '.join(k for k in KEYS if k[:4] == 'opti')}"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_problem_with_what_is_allowed(line, problem):
    assert one_problem(f"{HEADER}[optimizer]\n{line}\n") == problem


def test_two_missing_ends_are_two_problems():
    assert problems(f"{HEADER}[optimizer]\nlr = {{ log = true }}\n") == [
        "optimizer.lr.low: is missing; a range needs low and high",
        "optimizer.lr.high: is missing; a range needs low and high",
    ]


def test_good_ranges_and_choices_come_through_as_they_are():
    recipe = parse_recipe(
        f"{HEADER}[optimizer]\nlr = {{ low = 1e-4, high = 1, log = true, start = 1 }}\n"
        '[train]\naugment = { choices = ["crop", "none"], start = "none" }\nepochs = { low = 1, high = 3 }\n',
        "x.toml",
        CATALOG,
    )
    assert recipe.values == {
        "optimizer.lr": Range(1e-4, 1, log=True, start=1),
        "train.augment": Choices(("crop", "none"), "none"),
        "train.epochs": Range(1, 3),
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('name = "x"\n', "schema: found nothing; 1 is what this version reads"),
        ('schema = "1"\nname = "x"\n', 'schema: found "1" (text); 1 is what this version reads'),
        ("schema = 1\n", "name: is missing; a recipe needs one"),
        ('schema = 1\nname = ""\n', "name: is missing; a recipe needs one"),
        (HEADER + "summary = 3\n", "summary: found 3; text is allowed"),
        (HEADER + "scenario = true\n", "scenario: found true; 1, 2, 3 or 4 is allowed"),
        (HEADER + "scenario = 0\n", "scenario: found 0; 1, 2, 3 or 4 is allowed"),
        (HEADER + '[when]\nsize = "huge"\n', 'when.size: found "huge" (text); small or large is allowed'),
        (HEADER + '[when]\ndistanse = "similar"\n', "when.distanse: unknown; did you mean `distance`?"),
        (HEADER + "train = 3\n", "train: found 3; a table [train] is expected"),
        (HEADER + "[trian]\nepochs = 3\n", "trian: unknown; did you mean `train`?"),
        (HEADER + "[head.linear]\nl3 = 1\n", "head.linear.l3: unknown; known: l2"),
        (HEADER + "[head.ridge]\nl2 = 1\n", "head.ridge.l2: unknown; known: none"),
        (HEADER + "[head.linear]\nl2 = 1\n", "head.linear.l2: found 1; 1e-06 to 0.1 is allowed"),
        (HEADER + "[head.liner]\nl2 = 1\n", "head.liner: unknown head; did you mean `linear`?"),
        (HEADER + '[search]\nbudget = "10"\n',
         'search.budget: found "10" (text); a length of time such as 90s, 20m or 1h30m is allowed'),
        (HEADER + '[train]\ngrow_from = "64"\n',
         "train.grow_from: `64` is no side and steps, such as 64:300"),
        (HEADER + '[data]\nlocation = "d"\n', None),
    ],
)  # fmt: skip
def test_each_part_of_a_recipe_says_what_it_takes(text, problem):
    listed = one_problem(text)
    assert listed == problem if problem else listed.startswith("data: unknown; ")


def test_a_scenario_that_is_refused_is_not_kept():
    with pytest.raises(RecipeError):
        parse_recipe(HEADER + "scenario = 9\n", "x.toml", CATALOG)
    assert parse_recipe(HEADER + "scenario = 4\n", "x.toml", CATALOG).scenario == 4
    assert parse_recipe(HEADER, "x.toml", CATALOG).scenario is None


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_whatever_is_in_a_file_it_is_read_or_refused_in_words(text):
    for parse in (parse_recipe, parse_plan):
        with pytest.raises(RecipeError, match="hint:"):
            parse(text, "x.toml", CATALOG)  # no text this short has a schema, a name and what a plan needs


@given(
    st.dictionaries(
        st.sampled_from(
            [*{key.split(".")[0] for key in KEYS}, "when", "data", "backbone", "range", "evidence", "name"]
        ),
        st.integers(-2, 2) | st.lists(st.integers(), max_size=2) | st.booleans() | st.text("ab", max_size=2),
        max_size=5,
    )
)
@settings(max_examples=60, deadline=None)
def test_a_plan_whose_tables_are_something_else_names_each(content):
    import tomlkit

    text = tomlkit.dumps({"schema": 1, "name": "x", **content})
    with pytest.raises(RecipeError) as refused:
        parse_plan(text, "x.toml", CATALOG)
    for name, value in content.items():
        if name != "name" or not isinstance(value, str):
            assert f"\n  {name}" in str(refused.value)


# -- plans


def test_a_plan_takes_its_defaults_where_it_says_nothing():
    plan = parse_plan(PLAN, "x.toml", CATALOG)
    assert (plan.location, plan.backbone, plan.digest, plan.seed) == ("d", "lite0", "", 0)
    assert not plan.skip_small_classes
    assert plan.backbones == ()
    assert plan.evidence == {}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("seed = -1", "data.seed: found -1; 0 to 4294967295 is allowed"),
        ("seed = 4294967296", "data.seed: found 4294967296; 0 to 4294967295 is allowed"),
        ("seed = true", "data.seed: found true; a whole number is allowed"),
        ("seed = 1.0", "data.seed: found 1.0; a whole number is allowed"),
        ("digest = 3", "data.digest: found 3; text is allowed"),
        ('skip_small_classes = "yes"', 'data.skip_small_classes: found "yes" (text); true or false is allowed'),
        ("sed = 1", "data.sed: unknown; did you mean `seed`?"),
    ],
)
def test_what_a_plan_says_of_its_data_is_checked(data, problem):
    text = f'{HEADER}[data]\nlocation = "d"\n{data}\n[backbone]\nname = "lite0"\n'
    assert one_problem(text, parse_plan) == problem


def test_the_largest_seed_is_allowed():
    assert parse_plan(PLAN.replace('"d"', '"d"\nseed = 4294967295'), "x.toml", CATALOG).seed == 2**32 - 1


def test_several_backbones_begin_with_the_first_or_the_start():
    several = PLAN.replace('"lite0"', '{ choices = ["lite0", "lite1"] }')
    assert parse_plan(several, "x.toml", CATALOG).backbone == "lite0"
    other = PLAN.replace('"lite0"', '{ choices = ["lite0", "lite1"], start = "lite1" }')
    plan = parse_plan(other, "x.toml", CATALOG)
    assert plan.backbone == "lite1"
    assert plan.backbones == ("lite0", "lite1")


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ("{ choices = [] }", "backbone.name.choices: found []; a list with at least one value is allowed"),
        ("{ choices = [1] }", "backbone.name.choices: found 1; text is allowed"),
        ('{ choices = ["a"], start = "b" }', 'backbone.name.start: found "b" (text); one of the choices is allowed'),
        ('{ choices = ["a"], starts = "a" }', "backbone.name.starts: unknown; did you mean `start`?"),
    ],
)
def test_wrong_choices_of_backbones_are_named(names, problem):
    assert problem in problems(PLAN.replace('"lite0"', names), parse_plan)


@pytest.mark.parametrize("name", ["evidence", "provenance"])
def test_free_tables_are_tables_and_hold_anything(name):
    assert one_problem(f"{name} = 3\n{PLAN}", parse_plan) == f"{name}: found 3; a table [{name}] is expected"
    plan = parse_plan(f"{PLAN}[{name}.deeper]\nanything = [1, 2]\n", "x.toml", CATALOG)
    assert plan.evidence == ({"deeper": {"anything": [1, 2]}} if name == "evidence" else {})


# -- files


def test_a_missing_file_proposes_the_one_beside_it(tmp_path, monkeypatch):
    (tmp_path / "advisor.toml").write_text(PLAN)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refused:
        load_plan("advisr.toml", CATALOG)
    assert refused.value.hint == "did you mean `advisor.toml`?"
    assert load_plan("advisor.toml", CATALOG).location == "d"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"name = '\xe9'"])
def test_a_file_of_another_encoding_is_refused_in_words(tmp_path, content):
    path = tmp_path / "plan.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"cannot be read.*\nhint: a plan is a UTF-8 text file"):
        load_plan(path, CATALOG)


def test_a_folder_is_no_plan(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        load_plan(tmp_path, CATALOG)


def test_names_in_any_script_are_read(tmp_path):
    path = tmp_path / "план.toml"
    path.write_text(PLAN.replace('"x"', '"котики 🐈"'), encoding="utf-8")
    assert load_plan(path, CATALOG).recipe.name == "котики 🐈"


def test_a_recipe_is_a_name_or_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(HEADER)
    assert load_recipe(str(path), CATALOG).name == "x"
    assert load_recipe("small-similar", CATALOG).name == "small-similar"
    with pytest.raises(UsageError, match="did you mean `small-similar`"):
        load_recipe("small-similr", CATALOG)


def test_a_packages_recipe_that_cannot_be_read_is_named_with_the_reason():
    def broken():
        raise FileNotFoundError("gone")

    class Holder:
        def recipe(self, name):
            return RecipeFile(name, broken)

    with pytest.raises(RecipeError, match="`theirs` cannot be read: FileNotFoundError: gone"):
        load_recipe("theirs", Holder())
