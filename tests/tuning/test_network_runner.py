"""Trials on real small networks: a training that goes on at a larger input."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from advisor.recipe.values import FreezeValues, HeadValues, OptimizerValues, TrainValues, TrialValues
from advisor.records.trial import TrialKind, TrialRecord, TrialState
from advisor.tuning import network_runner
from advisor.tuning.confirm import ScoredTrial
from advisor.tuning.network_runner import NetworkRunner, origin_of
from advisor.tuning.weights import KeptWeights

SMALL = TrialValues(
    head=HeadValues("linear", params={"l2": 1e-3}),
    freeze=FreezeValues(0.5),
    optimizer=OptimizerValues("adamw", 1e-3, 3.0, 0.0),
    train=TrainValues(16, 0.1, 0.0, 0.0, 0.0, steps=4, augment="none"),
).at_size(32)


@pytest.fixture
def runner(pool, tmp_path):
    return NetworkRunner(pool, origin_of(SMALL, pretrained=True), KeptWeights(tmp_path, "study"))


def same(one, other):
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_it_goes_on_from_the_kept_weights_or_trains_what_came_before_to_the_same_end(runner):
    first = runner.run(SMALL, folds=1, seed=3, deadline=np.inf)
    runner.keep(0, first)
    assert runner.can_grow(SMALL, 48)
    grown = SMALL.grown(48, 3, first.steps)
    kept = runner.run(grown, folds=1, seed=3, deadline=np.inf, grows=0)
    anew = runner.run(grown, folds=1, seed=3, deadline=np.inf)
    assert (kept.steps, anew.steps) == (3, 3)
    assert same(kept.network().state_dict(), anew.network().state_dict())
    assert not same(kept.network().state_dict(), first.network().state_dict())
    # What is frozen is the same at both sizes, and the scale of the features that of the first.
    assert kept.audit == first.audit
    assert torch.equal(kept.network().standardise.mean, first.network().standardise.mean)
    fresh = runner.run(replace(grown, train=replace(grown.train, grow_from=None)), folds=1, seed=3, deadline=np.inf)
    assert not same(kept.network().state_dict(), fresh.network().state_dict())
    assert runner.seconds(grown) > runner.seconds(replace(grown, train=replace(grown.train, grow_from=None)))


def test_folds_and_the_last_fit_train_what_came_before_too(runner):
    grown = SMALL.grown(48, 3, 4)
    done = runner.run(grown, folds=2, seed=1, deadline=np.inf)
    assert done.steps == 6
    record = TrialRecord(
        0, TrialKind.TRIAL, TrialState.COMPLETE, grown, seconds=1.0, tap=done.tap, frozen=done.frozen, steps=3,
        planned_steps=3,
    )  # fmt: skip
    chosen = ScoredTrial(record, done.image_scores[None], linear=True, deterministic=False)
    network, refitted = runner.network(chosen, folds=2, seed=1)
    assert refitted
    alone = replace(chosen, record=replace(record, values=replace(grown, train=replace(grown.train, grow_from=None))))
    other, _ = runner.network(alone, folds=2, seed=1)
    assert not same(network.state_dict(), other.state_dict())


def test_statistics_taken_anew_are_those_of_one_size(runner):
    assert not runner.can_grow(replace(SMALL, freeze=FreezeValues(0.5, "adabn")), 48)


def test_what_a_model_costs_is_measured_of_the_network_as_it_is_cut_and_once(runner, monkeypatch):
    probes = runner.probes()
    first, last = (runner.footprint(probes[number]) for number in (max(probes), min(probes)))  # -1 is the first stage
    assert 0 < first.size < last.size
    assert first.seconds > 0
    monkeypatch.setattr(network_runner, "_seconds_per_image", lambda *_: 1 / 0)
    assert runner.footprint(probes[min(probes)]) == last
