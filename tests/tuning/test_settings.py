"""From a trial's values to what the loop is told, on one small real network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made import VALUES

from advisor.recipe.values import FeatureValues, steps_per_epoch
from advisor.tuning import settings


def values(**parts):
    return replace(VALUES, **{name: replace(getattr(VALUES, name), **changes) for name, changes in parts.items()})


def linear(width):
    return torch.nn.Linear(width, 3)


@pytest.fixture
def network(context):
    width = context.features("train", len(context.stages)).shape[1]
    return context.build(len(context.stages), linear(width))


def test_every_parameter_that_trains_has_a_rate_and_the_head_its_own(network):
    network.freeze(2, batchnorm="eval")
    rates = settings.learning_rates(network, network, VALUES)
    trains = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert set(rates) == trains
    heads = [rate for name, rate in rates.items() if name.startswith("head.")]
    assert heads == pytest.approx([1e-2, 1e-2])
    assert {rate for name, rate in rates.items() if not name.startswith("head.")} == {1e-3}
    network.freeze(0, batchnorm="eval")


def test_stages_far_from_the_head_learn_more_slowly(network):
    network.freeze(0, batchnorm="eval")
    rates = settings.learning_rates(network, network, values(optimizer={"layer_decay": 0.5}))
    depths = network.stages_from_top()
    for name, rate in rates.items():
        if not name.startswith("head."):
            share = depths[name.removeprefix("trunk.")] / (len(network.stages) - 1)
            assert rate == pytest.approx(1e-3 * 0.5**share)  # the lowest stage has half the rate, whatever their number
    assert len(set(rates.values())) > 3


@pytest.mark.parametrize(
    ("asked", "epochs", "batch", "mode"),
    [
        ("eval", 999, 64, "eval"), ("train", 1, 4, "train"), ("adabn", 999, 64, "eval"),
        ("auto", 4, 32, "eval"), ("auto", 9000, 8, "eval"), ("auto", 9000, 64, "train"),
    ],
)  # fmt: skip
def test_batchnorm_follows_only_in_large_batches_of_many_images(context, monkeypatch, asked, epochs, batch, mode):
    monkeypatch.setattr(settings, "_FEW_IMAGES", len(context.rows("train")))
    chosen = values(freeze={"batchnorm": asked}, train={"epochs": epochs, "batch_size": batch})
    assert settings.batchnorm_mode(chosen, context) == mode
    monkeypatch.setattr(settings, "_FEW_IMAGES", len(context.rows("train")) + 1)
    assert settings.batchnorm_mode(chosen, context) == ("eval" if asked == "auto" else mode)


def test_a_network_of_random_weights_has_no_statistics_to_keep(pool):
    context = pool.of(replace(VALUES, features=FeatureValues(weights="random")))
    assert settings.batchnorm_mode(VALUES, context) == "train"


@pytest.mark.parametrize(
    ("asked", "metric", "unequal", "mode"),
    [
        ("weights", "accuracy", False, "weights"), ("sampling", "accuracy", False, "sampling"),
        ("none", "balanced", True, "none"), ("auto", "balanced", False, "none"), ("auto", "balanced", True, "weights"),
        ("auto", "accuracy", True, "none"),
    ],
)  # fmt: skip
def test_classes_are_evened_out_where_they_differ_and_that_is_what_counts(context, asked, metric, unequal, mode):
    rows = context.rows("train")
    if unequal:
        labels = context.prepared.dataset.targets(rows)
        few = np.concatenate([rows[labels == 0], rows[labels != 0][:2]])
        context = context.divided(few, context.rows("val"))
    context = replace_task(context, metric)
    assert settings.balance_mode(replace(VALUES, balance=asked), context) == mode


def replace_task(context, metric):
    other = context.divided(context.rows("train"), context.rows("val"))
    other.task = context.task.with_metric(metric)
    return other


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80))
def test_repeats_even_classes_out_up_to_twenty_times(labels):
    labels = torch.tensor(labels)
    places = settings.class_repeats(labels)
    counts, before = torch.bincount(labels[places], minlength=5), torch.bincount(labels, minlength=5)
    assert set(places.tolist()) == set(range(len(labels)))
    present = before > 0
    assert (counts[present] <= 20 * before[present]).all()
    # Rounding leaves a class with two thirds of the largest at the least.
    capped = before.max() > 20 * before
    assert (3 * counts[present & ~capped] >= 2 * before.max()).all()


def test_the_schedule_is_what_the_values_say(context):
    chosen = values(optimizer={"l2_sp": 0.1, "weight_decay": 0.02}, train={"mixup": 0.2, "ema": 0.99})
    schedule = settings.schedule_of(replace(chosen, balance="sampling"), context)
    steps = 4 * steps_per_epoch(len(context.rows("train")), 32)
    assert (schedule.optimizer, schedule.weight_decay, schedule.steps, schedule.batch_size) == (
        "adamw",
        0.02,
        steps,
        32,
    )
    assert schedule.clip == 1.0
    assert (schedule.mixup, schedule.ema, schedule.l2_sp, schedule.balance) == (0.2, 0.99, 0.1, "sampling")
    assert settings.schedule_of(VALUES, context).l2_sp == 0.0


def test_a_trial_without_steps_has_no_schedule(context):
    with pytest.raises(ValueError, match="optimizer and train"):
        settings.schedule_of(replace(VALUES, optimizer=None), context)
