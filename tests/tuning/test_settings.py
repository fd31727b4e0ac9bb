"""From a trial's values to what the loop is told, and what all trials of a run share, on one small real network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made import VALUES

from advisor.network.stages import TOKENS
from advisor.outcome.run import Machine, open_contexts
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.recipe import Plan, Recipe
from advisor.recipe.values import FeatureValues, FreezeValues
from advisor.testing.samples import own_cache, tiny_images, tiny_network
from advisor.tuning import settings
from advisor.tuning.context import ContextPool, Limits, TrialContext, folds_of, most_folds, rows_of


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Networks and images of a plan over 30 drawn images; nothing is trained."""
    home = tmp_path_factory.mktemp("settings")
    plan = Plan(Recipe("test", values={}), str(tiny_images(home / "shapes", each=10)), tiny_network(home / "network"))
    with own_cache(home):
        yield open_contexts(plan, Machine("cpu"), load_catalog(), Silent())


@pytest.fixture
def context(pool):
    return pool.first


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
            assert rate == pytest.approx(1e-3 * 0.5 ** depths[name.removeprefix("trunk.")])
    assert len(set(rates.values())) > 3


@pytest.mark.parametrize(
    ("asked", "epochs", "batch", "mode"),
    [
        ("eval", 999, 64, "eval"), ("train", 1, 4, "train"), ("adabn", 999, 64, "eval"),
        ("auto", 4, 32, "eval"), ("auto", 9000, 8, "eval"), ("auto", 9000, 16, "train"),
    ],
)  # fmt: skip
def test_batchnorm_follows_only_where_there_are_steps_enough(context, asked, epochs, batch, mode):
    chosen = values(freeze={"batchnorm": asked}, train={"epochs": epochs, "batch_size": batch})
    assert settings.batchnorm_mode(chosen, context) == mode


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
    assert (schedule.optimizer, schedule.weight_decay, schedule.epochs, schedule.batch_size) == ("adamw", 0.02, 4, 32)
    assert (schedule.mixup, schedule.ema, schedule.l2_sp, schedule.balance) == (0.2, 0.99, 0.1, "sampling")
    assert settings.schedule_of(VALUES, context).l2_sp == 0.0


def test_a_trial_without_steps_has_no_schedule(context):
    with pytest.raises(ValueError, match="optimizer and train"):
        settings.schedule_of(replace(VALUES, optimizer=None), context)


# What all trials of a run share.


def test_features_are_computed_once_an_image_and_in_the_order_that_is_asked_for(context):
    forwards = context._features.get(context.rows("train"), 2)
    backwards = context._features.get(context.rows("train")[::-1].copy(), 2)
    assert torch.equal(forwards, backwards.flip(0))


def test_standardised_features_of_the_training_part_have_no_mean_and_the_length_of_one(context):
    features = context.features("train", len(context.stages))
    assert features.mean(0).abs().max() < 1e-4
    assert 0.2 < float(features.norm(dim=1).mean()) < 2


def test_standardisation_of_positions_has_the_width_of_the_stage(context):
    pooled, tokens = context.standardise(2), context.standardise(2, tokens=True)
    assert torch.equal(pooled.mean, tokens.mean)
    assert tokens.mean is not pooled.mean


def test_a_network_is_built_anew_and_the_start_stays_as_it_was(context):
    before = context.audit()
    width = context.features("train", 2).shape[1]
    built = context.build(2, linear(width))
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.zero_()
    assert context.audit() == before
    assert not built.training
    assert built.tap == 2


def test_the_audit_sees_a_change_of_the_start(context):
    before = context.audit()
    parameter = next(context.network.parameters())
    kept = parameter.detach().clone()
    with torch.no_grad():
        parameter.add_(1)
    assert context.audit() != before
    with torch.no_grad():
        parameter.copy_(kept)
    assert context.audit() == before


def test_a_head_of_positions_gets_them(context):
    built = context.build(3, torch.nn.Identity(), tokens=True)
    with torch.inference_mode():
        out = built(context.clean(context.rows("train")[:2]))
    assert built.codes == TOKENS
    assert out.ndim == 3


def test_one_network_is_opened_once_for_each_start(pool):
    first = pool.of(VALUES)
    assert first is pool.first
    assert pool.of(replace(VALUES, features=FeatureValues(input_size=first.backbone.input.size))) is first
    other = pool.of(replace(VALUES, features=FeatureValues(input_size=32)))
    assert other is not first
    assert other.backbone.input.size == 32
    assert pool.of(replace(VALUES, features=FeatureValues(input_size=32))) is other
    assert other.clean(other.rows("train")[:1]).shape == (1, 3, 32, 32)


def test_random_weights_are_drawn_from_the_seed_and_leave_torchs_own_as_it_was(pool):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    random = replace(VALUES, features=FeatureValues(weights="random"))
    digests = {seed: ContextPool(pool.first, seed=seed).of(random).audit() for seed in (1, 2)}
    assert digests[1] != digests[2]
    assert ContextPool(pool.first, seed=1).of(random).audit() == digests[1]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_statistics_are_those_of_these_images_where_it_is_asked_for(pool):
    adapted = pool.of(replace(VALUES, freeze=FreezeValues(0.5, "adabn")))
    own = dict(pool.first.network.named_buffers())
    means = [name for name in own if name.endswith("running_mean")]
    assert means
    assert any(not torch.allclose(own[name], dict(adapted.network.named_buffers())[name]) for name in means)
    for name, parameter in adapted.network.named_parameters():
        assert torch.equal(parameter, dict(pool.first.network.named_parameters())[name])


@pytest.mark.parametrize("count", [2, 3, 5])
def test_folds_judge_every_image_once_and_train_on_none_that_they_judge(context, count):
    folds = folds_of(context, count, seed=0)
    every = np.sort(np.concatenate([context.rows("train"), context.rows("val")]))
    assert rows_of(folds).tolist() == every.tolist()
    for fold in folds:
        assert not set(fold.rows("train")) & set(fold.rows("val"))
        assert len(fold.rows("train")) + len(fold.rows("val")) == len(every)
        assert set(fold.labels("val").tolist()) == {0, 1, 2}
        assert fold.rows("test").tolist() == context.rows("test").tolist()


def test_one_fold_is_the_validation_part_itself_and_another_seed_draws_otherwise(context):
    assert folds_of(context, 1, seed=0) == [context]
    drawn = [folds_of(context, 2, seed=seed)[0].rows("val").tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_there_are_no_more_folds_than_the_smallest_class_has_images(context):
    assert most_folds(context) == 8  # ten a class, two of them for the test
    labels = context.prepared.dataset.targets(context.rows("train"))
    rows = context.rows("train")
    fewer = np.concatenate([rows[labels == 0][:1], rows[labels != 0]])
    assert most_folds(context.divided(fewer, context.rows("val")[:0])) == 1


def test_activations_of_folds_are_kept_in_one_pool(context):
    fold = folds_of(context, 2, seed=0)[0]
    rows, places = fold.kept("val")
    assert rows[places.numpy()].tolist() == fold.rows("val").tolist()
    assert len(rows) == len(context.rows("train")) + len(context.rows("val"))
    own, places = context.kept("val")
    assert own.tolist() == context.rows("val").tolist()
    assert places.tolist() == list(range(len(own)))


def test_without_limits_given_memory_has_none():
    assert Limits().memory is None
    assert Limits().cache > 0


def test_on_a_processor_no_pixels_are_resident(context):
    assert context.resident(context.rows("train")) is None


def test_what_is_measured_is_measured_once(context, monkeypatch):
    seconds = context.seconds_per_image()
    assert seconds > 0
    monkeypatch.setattr(TrialContext, "clean", lambda *_args: pytest.fail("measured again"))
    assert context.seconds_per_image() == seconds
