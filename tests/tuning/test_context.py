"""What all trials of a run share, on one small real network: features, statistics, folds, and networks built anew."""

import copy
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from made import HEAD_ONLY, VALUES, trial

from advisor.data.views import clean_view
from advisor.network.adabn import reestimate_batchnorm
from advisor.network.ridge import fit_ridge
from advisor.network.stages import TOKENS
from advisor.network.sweep import BATCH
from advisor.recipe.values import FeatureValues, FreezeValues
from advisor.tuning import network_runner
from advisor.tuning.confirm import ScoredTrial
from advisor.tuning.context import Limits, TrialContext
from advisor.tuning.folds import folds_of, most_folds, rows_of
from advisor.tuning.network_runner import NetworkRunner, origin_of
from advisor.tuning.pool import ContextPool
from advisor.tuning.source import _wanted
from advisor.tuning.weights import KeptWeights
from advisor.types import InputSpec


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


def test_in_main_memory_pixels_are_kept_where_every_view_would_enlarge_them(context):
    rows, spec = context.rows("train"), context.backbone.input
    stored = context.prepared.pixels.side
    assert stored != spec.resize
    kept = context.resident(rows)
    assert kept.shape == (len(rows), spec.resize, spec.resize, 3)
    assert context.resident(rows) is kept
    pixels = torch.from_numpy(context.prepared.pixels.batch(rows))
    # Rounded to whole levels, an image is at most half a level away from what it was.
    exact, rounded = clean_view(pixels, spec), clean_view(kept, spec)
    assert (exact - rounded).abs().max() <= 0.51 / (255 * min(spec.std))


def test_in_main_memory_pixels_are_not_kept_where_they_have_their_size(context, monkeypatch):
    monkeypatch.setattr(context, "backbone", replace(context.backbone, input=InputSpec(
        size=context.prepared.pixels.side, crop_pct=1.0, mean=(0.5,) * 3, std=(0.5,) * 3)))  # fmt: skip
    assert context.resident(context.rows("train")) is None


def test_in_main_memory_pixels_are_not_kept_where_they_take_too_much(context, monkeypatch):
    monkeypatch.setattr("advisor.tuning.context._MOST_ENLARGED", 1000)
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


@pytest.fixture
def runner(pool, tmp_path):
    return NetworkRunner(pool, origin_of(VALUES, pretrained=True), KeptWeights(tmp_path, "key"))


def test_further_seeds_see_other_pictures_and_the_same_clean_ones(runner):
    values = replace(VALUES, train=replace(VALUES.steps[1], augment="crop"))
    drawn = []
    for draw in range(3):
        (context,) = runner.fold_contexts(values, 1, draw)
        *learnt, judged = _wanted(context, values, 4)
        assert learnt[0][1].clean
        assert judged[1].clean
        drawn += [str(view) for _, view in learnt[1:]]
    assert len(set(drawn)) == len(drawn) == 9


def test_statistics_of_a_fold_are_those_of_the_images_it_learns_from(runner, pool):
    adapted = replace(VALUES, freeze=FreezeValues(1.0, "adabn"))
    folds = runner.fold_contexts(adapted, 2)
    assert rows_of(folds).tolist() == runner.rows(2).tolist()
    for fold in folds:
        expected = copy.deepcopy(pool.first.network)
        rows = fold.rows("train")
        reestimate_batchnorm(expected, [fold.clean(part) for part in np.array_split(rows, -(-len(rows) // BATCH))])
        for (name, own), (_, other) in zip(fold.network.named_buffers(), expected.named_buffers(), strict=True):
            torch.testing.assert_close(own, other, msg=name)
    means = [dict(fold.network.named_buffers())["bn1.running_mean"] for fold in folds]
    assert not torch.allclose(*means, atol=1e-4)


def test_what_explains_a_choice_is_judged_where_nothing_was_chosen(runner, monkeypatch):
    (chosen_by,) = runner.fold_contexts(VALUES, 1)
    (other,) = runner.unchosen_contexts(VALUES, 1, 3)
    assert set(other.rows("val")) != set(chosen_by.rows("val"))
    assert set(other.rows("val")) | set(other.rows("train")) == set(chosen_by.rows("val")) | set(
        chosen_by.rows("train")
    )
    folds = {draw: [fold.rows("val").tolist() for fold in runner.fold_contexts(VALUES, 2, draw)] for draw in (0, 3)}
    assert [fold.rows("val").tolist() for fold in runner.unchosen_contexts(VALUES, 2, 3)] == folds[3] != folds[0]
    monkeypatch.setattr(NetworkRunner, "given_validation", True)
    (given,) = runner.unchosen_contexts(VALUES, 1, 3)
    assert given.rows("val").tolist() == chosen_by.rows("val").tolist()
    assert given.draw == 3


def test_the_probe_of_a_search_is_that_of_a_recommendation(context):
    """Features are standardised once, not by the context and again by the head."""
    raw, labels = context.raw_features("train", 3), context.labels("train")
    kind = context.catalog.head("ridge")
    head = kind.create(raw.shape[1], 3)
    kind.fit(head, context.features("train", 3), labels, **context.scaling_known(kind.fit))
    expected = fit_ridge(raw.numpy(), labels.numpy(), 3)
    held = context.raw_features("val", 3)
    logits = expected.temperature * (held.double().numpy() @ expected.weight.T + expected.bias)
    with torch.inference_mode():
        own = head(context.features("val", 3)).numpy()
    np.testing.assert_allclose(own, logits, rtol=1e-3, atol=1e-3)


def test_the_winner_learns_from_a_drawn_validation_part_too(runner, monkeypatch):
    """A head always, a training where the time allows; a part that came with the dataset is left alone."""
    original, learnt_from = network_runner.run_trial, []

    def run_trial(context, values, **more):
        learnt_from.append((len(context.rows("train")), len(context.rows("val"))))
        return original(context, values, **more)

    monkeypatch.setattr(network_runner, "run_trial", run_trial)
    last, drawn = len(runner.context.stages), (len(runner.context.rows("train")), len(runner.context.rows("val")))
    heads, tuned = (
        ScoredTrial(
            trial(values=values, tap=last, frozen=frozen), np.ones((1, drawn[1])), linear=True, deterministic=heads
        )
        for values, frozen, heads in ((HEAD_ONLY, last, True), (replace(VALUES, head=HEAD_ONLY.head), 2, False))
    )

    def handed_over(chosen, deadline):
        _, refitted = runner.network(chosen, folds=1, seed=0, deadline=deadline)
        return refitted, learnt_from[-1]

    everything = (True, (sum(drawn), 0))
    assert handed_over(heads, time.monotonic()) == everything
    assert handed_over(tuned, time.monotonic() + 1e6) == everything
    assert handed_over(tuned, time.monotonic()) == (False, drawn)
    monkeypatch.setattr(NetworkRunner, "given_validation", True)
    assert handed_over(heads, time.monotonic() + 1e6) == (False, drawn)
