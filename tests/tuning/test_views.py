"""Heads on a frozen network that learn from several views of an image, and answers averaged with mirror images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from advisor.errors import BackboneError
from advisor.network.kept import CLEAN, MIRRORED, View
from advisor.network.ridge import fit_ridge
from advisor.network.stages import Reading
from advisor.recipe import Choices, Recipe
from advisor.recipe.values import FeatureValues, FreezeValues, HeadValues, TrialValues
from advisor.records.trial import probe_number
from advisor.tuning.failures import OutOfTimeError
from advisor.tuning.network_runner import NetworkRunner
from advisor.tuning.pool import ContextPool
from advisor.tuning.source import views_learnt
from advisor.tuning.space import SearchSpace, frozen_recipe
from advisor.tuning.trial import run_trial

NEVER = 1e12


def on_views(mode="views", count=3, kind="crop", head="ridge", **features):
    return TrialValues(
        FeatureValues(cache=mode, views=count, **features), HeadValues(head), FreezeValues(1.0, "eval"), view_kind=kind
    )


def test_values_on_views_survive_and_those_without_are_as_before():
    assert TrialValues.from_flat(on_views().to_flat()) == on_views()
    assert "train.augment" not in TrialValues().to_flat()
    assert "features.mirrored" not in TrialValues().to_flat()
    mirrored = TrialValues(FeatureValues(mirrored=True))
    assert TrialValues.from_flat(mirrored.to_flat()) == mirrored


@pytest.mark.parametrize("mode", ["auto", "views", "fresh"])
def test_the_cache_of_a_closed_form_is_asked_for_only_where_it_does_something(context, mode):
    recipe = Recipe("x", values={
        "features.cache": mode, "head.name": "ridge", "train.augment": Choices(("crop", "none")), "features.views": 5,
    })  # fmt: skip
    space = SearchSpace(recipe, context.stages, context.catalog)
    values = space.start()
    assert values.train is None
    if mode == "auto":
        assert (values.features.cache, values.view_kind) == (None, "")
        assert views_learnt(values, 3) == (CLEAN,)
        return
    assert (values.features.cache, values.features.views, values.view_kind) == (mode, 5, "crop")
    assert space.at(space.params(values)) == values
    again = SearchSpace(frozen_recipe(recipe, values), context.stages, context.catalog).start()
    assert again == values
    views = views_learnt(values, 3)
    assert views[0] == CLEAN
    assert len(set(views)) == 5
    assert {view.draw for view in views[1:]} == ({0} if mode == "views" else {4})
    further = views_learnt(values, 3, draw=2)  # of a leader that is judged again
    assert mode == "fresh" or not set(views[1:]) & set(further[1:])


def test_no_random_views_is_one_view():
    assert views_learnt(on_views(kind="none"), 0) == views_learnt(on_views(count=1), 0) == (CLEAN,)


def test_a_view_of_an_image_depends_on_its_row_alone(context):
    rows, view = context.rows("train"), View("crop", 2)
    pixels = torch.from_numpy(context.prepared.pixels.batch(rows[:6]))
    spec = context.backbone.input
    whole = view.of(pixels, rows[:6], spec)
    assert torch.equal(view.of(pixels[[4, 1]], rows[[4, 1]], spec), whole[[4, 1]])
    assert not torch.equal(View("crop", 3).of(pixels, rows[:6], spec), whole)
    assert not torch.equal(View("crop", 2, 1).of(pixels, rows[:6], spec), whole)
    assert torch.equal(MIRRORED.of(pixels, rows[:6], spec), CLEAN.of(pixels, rows[:6], spec).flip(-1))


def test_a_head_learns_from_all_its_views_and_leaves_out_all_of_an_image(context):
    values = on_views()
    network = run_trial(context, values, seed=0, deadline=NEVER).network()
    views = views_learnt(values, 0)
    columns = torch.cat([context.features("train", 5, view) for view in views]).numpy()
    labels = context.labels("train").numpy()
    together = fit_ridge(columns, np.tile(labels, 3), 3, families=np.tile(context.families("train"), 3), scaled=True)
    np.testing.assert_allclose(
        network.head.weight.detach().numpy(), together.weight * together.temperature, rtol=1e-4, atol=1e-6
    )
    apart = fit_ridge(columns, np.tile(labels, 3), 3, scaled=True)
    assert together.lam >= apart.lam  # views of one image recognise each other


@pytest.mark.parametrize("head", ["linear", "svm", "cosine"])
def test_other_closed_forms_learn_from_them_too(context, head):
    param = {"linear": {"l2": 1e-3}, "svm": {"l2": 1e-3}, "cosine": {"scale": 16.0}}[head]
    values = replace(on_views(), head=HeadValues(head, params=param))
    plain = run_trial(context, replace(values, features=FeatureValues(), view_kind=""), seed=0, deadline=NEVER)
    viewed = run_trial(context, values, seed=0, deadline=NEVER)
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert not torch.allclose(plain.network()(images), viewed.network()(images), atol=1e-4)
    assert viewed.steps == 0


def test_fresh_views_are_a_trials_own_and_leave_nothing_behind(context):
    kept = run_trial(context, on_views(), seed=0, deadline=NEVER).network().head.weight
    first, again, other = (
        run_trial(context, on_views("fresh"), seed=seed, deadline=NEVER).network().head.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert not torch.allclose(first, kept)
    drawn = {view.draw for view in context._features._arrays}
    assert drawn == {0, 3}  # of the last seed only
    assert all(view.draw == 0 for view in context._features._store)


def test_one_view_where_several_were_asked_for_is_said(context):
    finished = run_trial(context, on_views(kind="none"), seed=0, deadline=NEVER)
    assert "only one view" in finished.notes[0]
    assert not run_trial(context, on_views(), seed=0, deadline=NEVER).notes


def test_views_that_would_take_too_long_are_not_begun(context):
    with pytest.raises(OutOfTimeError, match="views would not be read in the time left"):
        run_trial(context, on_views(count=60, kind="flip_crop"), seed=0, deadline=0)


def test_mirrored_answers_are_those_of_the_mean_features(context):
    values = TrialValues(FeatureValues(mirrored=True, also="0.4"), HeadValues("ridge"), FreezeValues(1.0, "eval"))
    finished = run_trial(context, values, seed=0, deadline=NEVER)
    network = finished.network()
    assert network.reading == Reading(5, (2,), mirrored=True)
    rows = context.rows("val")
    with torch.inference_mode():
        answers, back = network(context.clean(rows)), network(context.clean(rows).flip(-1))
        kept = network.head(context.features("val", network.reading))
    torch.testing.assert_close(answers, back, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(answers, kept, atol=1e-3, rtol=1e-3)
    right = (answers.argmax(1) == context.labels("val")).double().numpy()
    assert (right == finished.image_scores).all()
    network.train()
    network.trunk.eval()
    with torch.inference_mode():
        assert not torch.allclose(network(context.clean(rows)), answers, atol=1e-3)  # a training reads one view


def test_a_network_that_cannot_be_traced_is_refused_before_anything_is_fitted(context, monkeypatch):
    def untraceable(*_args):
        raise BackboneError("it has loops", hint="none")

    monkeypatch.setattr("advisor.tuning.context.Segments", untraceable)
    monkeypatch.setattr(context, "_cache", [])
    values = TrialValues(FeatureValues(also="0.4"), HeadValues("ridge"), FreezeValues(1.0, "eval"))
    with pytest.raises(BackboneError, match=r"several stages of .*, which cannot be traced"):
        run_trial(context, values, seed=0, deadline=NEVER)
    runner = NetworkRunner(ContextPool(context), TrialValues(), None)
    assert runner.probe_of_several(5) is None
    assert len(runner.variants(next(iter(runner.probes().values())), "crop")) == 2


def test_what_views_cost_is_told_until_they_are_known(context):
    runner = NetworkRunner(ContextPool(context), TrialValues(), None)
    plain = next(iter(runner.probes().values()))
    values = runner.variants(plain, "flip_crop")[probe_number((5,), views=4)]
    train, both = len(context.rows("train")), len(context.rows("train")) + len(context.rows("val"))
    assert runner.seconds(values) == pytest.approx(3 * both * context.seconds_per_image())
    run_trial(context, values, seed=0, deadline=NEVER)
    assert runner.seconds(values) == pytest.approx(3 * (both - train) * context.seconds_per_image())
    assert runner.seconds(plain) == 0
    mirrored = runner.variants(plain, "none")
    assert [one.features.mirrored for one in mirrored.values()] == [True]
