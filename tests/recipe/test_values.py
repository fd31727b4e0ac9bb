"""The values of a trial, typed, and the key paths that they have in TOML and Optuna."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.plugins import load_catalog
from advisor.recipe.schema import KEYS
from advisor.recipe.values import (
    FeatureValues,
    FreezeValues,
    HeadValues,
    OptimizerValues,
    TrainValues,
    TrialValues,
    automatic_steps,
    growth_of,
    steps_per_epoch,
)

numbers = st.floats(0, 1, allow_nan=False)
words = st.text(min_size=1, max_size=8)
scalars = st.booleans() | st.integers(-9, 9) | numbers | words
features = st.builds(
    FeatureValues, tap=numbers, weights=words, input_size=st.integers(0, 512), cache=st.none() | words,
    views=st.none() | st.integers(1, 8),
)  # fmt: skip
names = st.text("abcdefghij_", min_size=1, max_size=6)
heads = st.builds(HeadValues, name=names, init=words, params=st.dictionaries(names, scalars, max_size=3)).filter(
    lambda head: head.name not in {"name", "init"}
)
optimizers = st.builds(
    OptimizerValues, name=words, lr=numbers, lr_ratio=numbers, weight_decay=numbers,
    layer_decay=st.none() | numbers, l2_sp=st.none() | numbers,
)  # fmt: skip
trainings = st.builds(
    TrainValues, epochs=st.integers(1, 9), batch_size=st.integers(2, 64), warmup=numbers, label_smoothing=numbers,
    mixup=numbers, ema=numbers, augment=st.none() | words, drop_path=st.none() | numbers,
    parts=st.none() | words, lora_rank=st.none() | st.integers(1, 9), grow_from=st.none() | words,
)  # fmt: skip


@st.composite
def trials(draw):
    steps = draw(st.none() | st.tuples(optimizers, trainings))
    return TrialValues(
        features=draw(features),
        head=draw(heads),
        freeze=draw(st.builds(FreezeValues, depth=numbers, batchnorm=words)),
        balance=draw(words),
        optimizer=steps[0] if steps else None,
        train=steps[1] if steps else None,
        backbone=draw(st.just("") | words),
    )


@given(trials())
@settings(max_examples=80)
def test_what_is_written_as_key_paths_reads_back_equal(values):
    assert TrialValues.from_flat(values.to_flat()) == values


@given(trials())
@settings(max_examples=40)
def test_no_key_is_written_of_what_does_nothing(values):
    flat = values.to_flat()
    assert None not in flat.values()
    assert ("optimizer.lr" in flat) == (values.optimizer is not None)
    assert ("backbone.name" in flat) == bool(values.backbone)


@pytest.mark.parametrize("section", ["features", "freeze", "optimizer", "train"])
def test_every_searched_key_of_a_section_is_a_field_of_the_same_name_and_kind(section):
    kind = {
        "features": FeatureValues, "freeze": FreezeValues, "optimizer": OptimizerValues, "train": TrainValues
    }[section]  # fmt: skip
    fields = {field.name: str(field.type).removesuffix(" | None") for field in dataclasses.fields(kind)}
    keys = {
        key.removeprefix(f"{section}."): spec.kind.__name__
        for key, spec in KEYS.items()
        if key.startswith(f"{section}.")
    }
    # How stages are read is one for all trials; how classes are balanced matters without a training, too.
    for elsewhere in ("codes", "balance"):
        keys.pop(elsewhere, None)
    assert fields == keys


@pytest.mark.parametrize("section", ["features", "freeze"])
def test_values_nobody_gave_are_the_schemas_defaults(section):
    own = TrialValues().to_flat()
    given_defaults = {key: value for key, value in own.items() if key.startswith(section)}
    assert given_defaults
    for key, value in given_defaults.items():
        assert value == KEYS[key].default, key
    assert own["head.name"] == KEYS["head.name"].default
    assert own["head.init"] == KEYS["head.init"].default
    assert own["train.balance"] == KEYS["train.balance"].default


def test_whole_numbers_become_numbers_where_a_number_is_meant_and_stay_whole_elsewhere():
    values = TrialValues.from_flat({
        "features.tap": 1, "freeze.depth": 0, "optimizer.name": "sgd", "optimizer.lr": 1, "optimizer.lr_ratio": 10,
        "optimizer.weight_decay": 0, "optimizer.l2_sp": 2, "train.epochs": 3, "train.batch_size": 8, "train.warmup": 0,
        "train.label_smoothing": 0, "train.mixup": 0, "train.ema": 0, "train.drop_path": 0,
    })  # fmt: skip
    optimizer, train = values.steps
    for number in (
        values.features.tap,
        values.freeze.depth,
        optimizer.lr,
        optimizer.l2_sp,
        train.warmup,
        train.drop_path,
    ):
        assert type(number) is float
    assert type(train.epochs) is int
    assert type(train.batch_size) is int


def test_values_of_other_heads_and_of_the_search_are_left_out():
    flat = {
        "head.name": "mlp",
        "head.mlp.hidden": 64,
        "head.linear.l2": 0.1,
        "search.trials": 20,
        "features.codes": "relu",
    }
    values = TrialValues.from_flat(flat)
    assert values.head == HeadValues("mlp", params={"hidden": 64})
    assert values.to_flat().keys() & {"head.linear.l2", "search.trials", "features.codes"} == set()


def test_a_head_whose_name_begins_like_anothers_has_its_own_values():
    values = TrialValues.from_flat({"head.name": "mlp", "head.mlp2.hidden": 9, "head.mlp.hidden": 3})
    assert values.head.params == {"hidden": 3}


def test_steps_described_in_part_are_refused_by_the_name_of_the_part():
    with pytest.raises(KeyError, match="optimizer"):
        TrialValues.from_flat({"optimizer.lr": 0.1})
    whole = {"optimizer.name": "sgd", "optimizer.lr": 0.1, "optimizer.lr_ratio": 1.0, "optimizer.weight_decay": 0.0}
    with pytest.raises(KeyError, match=r"train.*batch_size"):
        TrialValues.from_flat(whole)


@pytest.mark.parametrize("missing", ["optimizer", "train"])
def test_a_trial_without_steps_has_none_to_give(missing):
    optimizer = OptimizerValues("adamw", 1e-3, 10.0, 0.0)
    train = TrainValues(1, 8, 0.1, 0.0, 0.0, 0.0)
    whole = TrialValues(optimizer=optimizer, train=train)
    assert whole.steps == (optimizer, train)
    with pytest.raises(ValueError, match="gradient steps"):
        _ = dataclasses.replace(whole, **{missing: None}).steps


def test_what_is_not_said_of_a_training_is_off():
    assert TrialValues().augment == "none"
    assert TrialValues().drop_path == 0.0
    train = TrainValues(1, 8, 0.1, 0.0, 0.0, 0.0)
    optimizer = OptimizerValues("adamw", 1e-3, 10.0, 0.0)
    assert TrialValues(optimizer=optimizer, train=train).augment == "none"
    louder = dataclasses.replace(train, augment="crop", drop_path=0.3)
    assert TrialValues(optimizer=optimizer, train=louder).augment == "crop"
    assert TrialValues(optimizer=optimizer, train=louder).drop_path == 0.3


@given(trials(), numbers)
@settings(max_examples=30)
def test_another_depth_changes_the_depth_alone(values, depth):
    other = values.at_depth(depth)
    assert other.freeze.depth == depth
    assert other.at_depth(values.freeze.depth) == values


@given(optimizers)
def test_the_heads_rate_is_the_backbones_times_the_ratio(optimizer):
    assert optimizer.head_lr == pytest.approx(optimizer.lr * optimizer.lr_ratio)


def test_every_installed_heads_parameters_survive():
    for name, offer in load_catalog().heads.items():
        params = {param.name: param.default for param in offer.item.params}
        values = TrialValues(head=HeadValues(name, "random", params))
        assert TrialValues.from_flat(values.to_flat()).head == values.head


@pytest.mark.parametrize(
    ("images", "batch", "steps"),
    [(97, 32, 3), (98, 32, 4), (96, 32, 3), (33, 32, 1), (32, 32, 1), (3, 32, 1), (1, 32, 1), (10, 3, 3)],
)
def test_a_pass_leaves_out_a_last_batch_of_one(images, batch, steps):
    assert steps_per_epoch(images, batch) == steps


@given(st.integers(1, 200_000))
def test_more_images_never_get_fewer_steps_and_never_more_passes(images):
    assert automatic_steps(2 * images, 32) >= automatic_steps(images, 32) >= 300
    passes = [automatic_steps(count, 32) / steps_per_epoch(count, 32) for count in (images, 2 * images)]
    assert passes[1] <= passes[0] + 1


def test_published_lengths_are_near():
    assert 450 <= automatic_steps(500, 32) <= 600  # the plain loop's 480
    assert 900 <= automatic_steps(1000, 32) <= 1000  # VTAB-1k's 1 000 in batches of 64


def test_a_training_that_grew_says_what_came_before():
    values = TrialValues(optimizer=OptimizerValues("adamw", 1e-3, 3.0, 0.0),
                         train=TrainValues(32, 0.1, 0.0, 0.0, 0.0, epochs=9)).at_size(64)  # fmt: skip
    grown = values.grown(96, 150, 300).grown(128, 80, 150)
    assert grown.train.grow_from == "64:300, 96:150"
    assert (grown.features.input_size, grown.train.steps, grown.train.epochs) == (128, 80, 0)
    middle = grown.before
    assert (middle.features.input_size, middle.train.steps, middle.train.grow_from) == (96, 150, "64:300")
    assert middle.before.train.steps == 300
    assert middle.before.before is None
    assert TrialValues.from_flat(grown.to_flat()) == grown


@pytest.mark.parametrize("text", ["64", "64:", ":300", "0:300", "64:0", "a:b", "64:300; 96:100"])
def test_a_growth_that_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError, match="no side and steps"):
        growth_of(text)
