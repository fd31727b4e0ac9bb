"""What all trials of a run share, on one small real network: features, statistics, folds, and networks built anew."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made import VALUES

from advisor.network.stages import TOKENS
from advisor.recipe.values import FeatureValues, FreezeValues
from advisor.tuning.context import ContextPool, Limits, TrialContext
from advisor.tuning.folds import folds_of, most_folds, rows_of


def linear(width):
    return torch.nn.Linear(width, 3)


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


def test_each_fit_has_pixels_of_its_own_and_no_seconds_are_borrowed_from_another(pool):
    whole = replace(VALUES, features=FeatureValues(fit="pad"))
    padded = pool.of(whole)
    assert padded is pool.of(whole)
    assert padded.backbone.input.fit == "pad"
    assert pool.first.backbone.input.fit == "crop"
    assert padded.prepared.pixels.folder != pool.first.prepared.pixels.folder
    assert padded.prepared.squares == pool.first.prepared.squares
    rows = padded.rows("train")[:4]
    assert not torch.equal(padded.clean(rows), pool.first.clean(rows))
    smaller = pool.of(replace(VALUES, features=FeatureValues(fit="pad", input_size=32)))
    assert (smaller.backbone.input.fit, smaller.backbone.input.size) == ("pad", 32)
    assert pool.seconds_per_image(whole) == padded.seconds_per_image()


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


def test_a_fold_is_standardised_by_its_own_training_images(context):
    whole = context.standardise(3).mean.clone()
    fold = folds_of(context, 2, seed=0)[0]
    assert not torch.equal(fold.standardise(3).mean, whole)
    assert torch.equal(context.standardise(3).mean, whole)
    assert fold.features("train", 3).mean(0).abs().max() < 1e-4
