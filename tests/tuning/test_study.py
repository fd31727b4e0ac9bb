"""Whole searches on tabulated curves: what is tried, when it ends, what is handed over."""

import re
import subprocess
import sys
from dataclasses import replace

import optuna
import pytest
from replay import IMAGES, Replay
from searches import CATALOG, STAGES, VALUES, ledger, searching

from advisor.errors import RunError
from advisor.recipe import Choices, Range, Recipe
from advisor.recipe.values import FeatureValues, FreezeValues, HeadValues, TrialValues
from advisor.records.trial import TrialKind, TrialState
from advisor.tuning.failures import HopelessError, OutOfTimeError, TrialFailedError
from advisor.tuning.runner import Footprint
from advisor.tuning.space import SearchSpace
from advisor.tuning.study import Search


def depth_helps(values):
    """The deeper it trains, the better; best at a rate of 1e-3."""
    from math import log10

    lr = values.optimizer.lr if values.optimizer else 1e-3
    return 0.9 - 0.2 * values.freeze.depth - 0.05 * abs(log10(lr) + 3)


def test_constructing_a_search_touches_nothing():
    runner, book = Replay(depth_helps), ledger()
    Search(Recipe("x"), SearchSpace(Recipe("x"), STAGES, CATALOG), book, runner)
    assert not book.study.trials
    assert book.setting("folds") is None
    assert not runner.runs
    assert not runner.dropped


def test_the_probes_come_first_then_the_plans_start_and_the_best_is_chosen():
    runner = Replay(depth_helps)
    search, _ = searching(runner)
    heard = []
    assert search.run(trials=6, deadline=1e6, on_trial=heard.append) == "trials"
    records = search.ledger.records()
    assert [record.number for record in records[:8]] == [-8, -7, -6, -5, -4, -3, -2, -1]
    assert all(record.kind is TrialKind.PROBE for record in records[:8])
    first = search.ledger.record(0)
    assert (first.start, first.values.freeze.depth, first.values.optimizer.lr) == ("plan", 0.0, 1e-3)
    assert heard[0].number == -8  # what trials have to beat
    assert [record.number for record in heard[1:]] == sorted(record.number for record in heard[1:])
    chosen = search.choice().chosen
    assert not chosen.head_only
    assert chosen.accuracy(search.sample_weight) > 0.85


def test_a_resumed_search_repeats_nothing_and_goes_on():
    runner, book = Replay(depth_helps), ledger()
    searching(runner, book)[0].run(trials=3, deadline=1e6)
    ran = len(runner.runs)
    search, _ = searching(runner, book)
    assert search.run(trials=3, deadline=1e6) == "trials"
    assert len(runner.runs) == ran
    assert search.run(trials=5, deadline=1e6) == "trials"
    assert len(search.ledger.searched()) == 5
    values = [record.values for record in search.ledger.searched()]
    assert all(one not in values[:place] for place, one in enumerate(values))


def test_the_deadline_is_kept_and_no_training_is_begun_that_cannot_fit():
    runner = Replay(depth_helps, lambda values: 100 * (1.1 - values.freeze.depth))
    search, heard = searching(runner, budget=60, trials=50)
    assert search.run(trials=50, deadline=60.0) in {"time", "exhausted"}
    assert runner.clock.now <= 60 * 1.02
    assert any("--budget" in sentence for sentence in heard.sentences)
    assert sum("--budget" in sentence for sentence in heard.sentences) <= 2  # told once each
    minutes = [int(found[1]) for one in heard.sentences if (found := re.search(r"--budget (\d+)m leaves room", one))]
    assert minutes
    assert min(minutes) > 1  # minute, which was the budget
    done = [record for record in search.ledger.searched() if record.state is TrialState.COMPLETE and record.steps]
    assert done  # something was fine-tuned all the same
    assert all(record.values.freeze.depth > 0 for record in done)


def test_what_turns_out_too_long_is_tried_again_with_more_stages_frozen():
    runner = Replay(depth_helps, lambda values: 1000 * (1.1 - values.freeze.depth), forecast=lambda _values: 1.0)
    search, _ = searching(runner, budget=100)
    search.run(trials=2, deadline=100.0)
    kinds = [record.kind for record in search.ledger.ended()]
    assert kinds[0] is TrialKind.OUT_OF_TIME
    assert search.ledger.record(0).values.freeze.depth == 0
    later = [record for record in search.ledger.searched() if record.state is TrialState.COMPLETE]
    assert later
    assert later[0].values.freeze.depth > 0


def test_a_hopeless_training_is_stopped_with_its_reason_and_the_search_goes_on():
    runner = Replay(depth_helps, events={10: HopelessError("the loss is above that of guessing")})
    search, _ = searching(runner)
    search.run(trials=4, deadline=1e6)
    (stopped,) = [record for record in search.ledger.searched() if record.state is TrialState.PRUNED]
    assert stopped.reason == "the loss is above that of guessing"
    assert not stopped.scored
    assert len(search.ledger.searched()) == 4


def test_trainings_of_different_length_are_compared_at_their_ends_only():
    """A slow riser that ends best is never stopped for being behind half-way."""
    runner = Replay(lambda values: 0.95 if values.optimizer and values.optimizer.lr < 3e-4 else 0.7)
    search, _ = searching(runner, freeze__depth=0.0)
    search.run(trials=10, deadline=1e6)
    assert {record.state for record in search.ledger.searched()} == {TrialState.COMPLETE}


def test_a_failed_trial_keeps_its_reason_and_the_search_goes_on():
    runner = Replay(
        depth_helps, events={9: TrialFailedError("the loss became nan"), 10: ValueError("odd\nsecond line")}
    )
    search, _ = searching(runner)
    search.run(trials=4, deadline=1e6)
    reasons = {record.number: record.reason for record in search.ledger.ended() if record.state is TrialState.FAIL}
    assert list(reasons.values()) == ["the loss became nan", "ValueError: odd"]
    assert search.has_result


def test_an_interrupted_trial_is_marked_and_its_start_is_tried_again():
    runner, book = Replay(depth_helps, events={9: KeyboardInterrupt()}), ledger()
    search, _ = searching(runner, book)
    with pytest.raises(KeyboardInterrupt):
        search.run(trials=3, deadline=1e6)
    assert [record.kind for record in book.ended()] == [TrialKind.INTERRUPTED]
    again, _ = searching(runner, book)
    again.run(trials=1, deadline=1e6)
    (done,) = again.ledger.searched()
    assert (done.start, done.values.optimizer.lr) == ("plan", 1e-3)


def test_a_killed_process_leaves_a_trial_that_the_next_owner_ends():
    runner, book = Replay(depth_helps), ledger()
    book.ask(optuna.samplers.RandomSampler(seed=0))
    assert book.running() == 1
    search, _ = searching(runner, book)
    assert book.running() == 0
    assert [record.kind for record in book.ended()] == [TrialKind.INTERRUPTED]
    search.run(trials=2, deadline=1e6)
    assert len(book.searched()) == 2


def test_a_helper_runs_no_probes_and_enqueues_no_starts():
    runner, book = Replay(depth_helps), ledger()
    book.settle("folds", 1)
    helper, _ = searching(runner, book, worker=1)
    helper.run(trials=3, deadline=1e6)
    assert all(record.number >= 0 and not record.start for record in book.records())
    assert len(book.searched()) == 3


def test_nothing_new_to_try_ends_the_search():
    runner = Replay(depth_helps)
    search, _ = searching(runner, freeze__depth=0.0, optimizer__lr=1e-3)
    assert search.run(trials=50, deadline=1e6) == "exhausted"
    assert len(search.ledger.searched()) == 1
    repeats = [record for record in search.ledger.ended() if record.kind is TrialKind.REPEAT]
    assert {record.reason for record in repeats} == {"the same values as trial 0"}


def test_leaders_are_judged_again_under_further_seeds_once():
    runner, book = Replay(depth_helps), ledger()
    search, _ = searching(runner, book, search__seeds=3)
    search.run(trials=5, deadline=1e6)
    ran = len(runner.runs)
    search.confirm(1e6)
    again = {number for number in (record.number for record in book.records()) if book.further_seeds(number) == (1, 2)}
    assert 1 <= len(again) <= 3
    assert len(runner.runs) == ran + 2 * len(again)
    search.confirm(1e6)
    assert len(runner.runs) == ran + 2 * len(again)
    chosen = search.choice().chosen
    assert chosen.deterministic or chosen.image_scores.shape[0] == 3


def test_judging_again_stops_where_the_time_does():
    runner = Replay(depth_helps)
    search, _ = searching(runner, search__seeds=3)
    search.run(trials=4, deadline=1e6)
    ran = len(runner.runs)
    search.confirm(runner.clock.now + 1.0)  # a training takes ten
    assert len(runner.runs) == ran


def test_the_same_values_are_trained_under_the_same_seed_whatever_is_kept():
    runner = Replay(depth_helps)
    search, _ = searching(runner)
    values = search.space.start()
    assert search.seed_of(values) == search.seed_of(search.space.start())
    assert search.seed_of(values) != search.seed_of(values, 1)
    kept = SearchSpace(Recipe("plan", values={**VALUES, "features.cache": "views"}), STAGES, CATALOG).start()
    assert search.seed_of(kept) == search.seed_of(values)


@pytest.mark.parametrize(("images", "given", "seconds", "folds"), [
    (200, False, 1.0, 5), (200, False, 6.0, 3), (200, False, 30.0, 1), (200, True, 1.0, 1), (5000, False, 1.0, 1),
])  # fmt: skip
def test_few_images_are_cross_validated_where_the_budget_has_room(images, given, seconds, folds):
    runner = Replay(depth_helps, lambda _values: seconds)
    runner.images, runner.given_validation = images, given
    search, _ = searching(runner, budget=100)
    assert search.folds == folds


@pytest.mark.parametrize("scenarios", [(), (Recipe("tunes", values={"freeze.depth": 0.0}),)], ids=["drawn", "scenario"])
@pytest.mark.parametrize(("seconds", "folds"), [(1.0, 5), (6.0, 3), (30.0, 1)])
def test_folds_are_priced_by_the_first_training_where_the_plan_begins_with_a_head(scenarios, seconds, folds):
    """A start that trains nothing costs nothing, and one fine-tuning in five folds took 253 of 280 seconds."""
    runner = Replay(depth_helps, lambda _values: seconds)
    runner.given_validation = False
    search, _ = searching(runner, budget=100, scenarios=scenarios, freeze__depth=Range(0.0, 1.0, start=1.0))
    assert search.folds == folds


def test_a_plan_of_heads_alone_is_always_cross_validated():
    runner = Replay(depth_helps, lambda _values: 1000.0)
    runner.given_validation = False
    assert searching(runner, budget=1, freeze__depth=1.0)[0].folds == 5


def test_asked_folds_are_made_as_far_as_the_smallest_class_goes():
    runner = Replay(depth_helps)
    runner.most_folds = 3
    search, heard = searching(runner, search__folds=9)
    assert search.folds == 3
    assert "3 are used" in heard.sentences[0]
    search.run(trials=2, deadline=1e6)
    record = search.ledger.record(0)
    assert search.ledger.image_scores(0, IMAGES).shape == (1, IMAGES)
    assert record.accuracy == pytest.approx(0.9, abs=0.02)


def test_the_models_of_the_leaders_are_kept_and_no_others():
    runner = Replay(depth_helps)
    search, _ = searching(runner)
    search.run(trials=8, deadline=1e6)
    trained = [one for one in search.scored_trials() if not one.deterministic]
    best = sorted(trained, key=lambda one: -one.accuracy(search.sample_weight))[:5]
    assert {(member.trial, member.seed) for member in runner.kept} == {(one.number, 0) for one in best}


def test_without_a_finished_trial_there_is_no_choice():
    runner = Replay(depth_helps, events={1: TrialFailedError("no room")})
    search, _ = searching(runner, features__weights="random", head__init="random", freeze__depth=0.0)
    search.run(trials=1, deadline=1e6)
    with pytest.raises(RunError, match="No trial has finished: no room"):
        search.choice()
    assert not search.has_result


def test_scenarios_recipes_are_tried_after_the_plans_own_cheapest_first():
    runner = Replay(depth_helps, lambda values: 10 * (1.1 - values.freeze.depth))
    others = [
        Recipe("all", values={"freeze.depth": 0.0, "optimizer.lr": 3e-3}),
        Recipe("half", values={"freeze.depth": 0.5, "optimizer.lr": 3e-4}),
        Recipe("head", values={"freeze.depth": 1.0}),
    ]
    search, _ = searching(runner, scenarios=others, head__name=Choices(("linear", "svm")))
    search.run(trials=4, deadline=1e6)
    assert [record.start for record in search.ledger.searched()] == ["plan", "head", "half", "all"]


def test_out_of_time_in_the_very_end_leaves_heads_only():
    runner = Replay(depth_helps, events={9: OutOfTimeError("no step fits", 1e9)})
    search, heard = searching(runner, freeze__depth=Choices((0.0, 1.0)), budget=100)
    search.run(trials=3, deadline=100.0)
    assert any("classifiers on frozen features" in sentence for sentence in heard.sentences) or all(
        record.values.freeze.depth == 1 for record in search.ledger.searched()
    )


def test_no_torch_is_needed():
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "import advisor.tuning.study, advisor.tuning.ledger, advisor.tuning.space, replay\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


class Offering(Replay):
    """One that offers a probe on several stages and one that takes long to read its views."""

    def probe_of_several(self, tap):
        super().probe_of_several(tap)
        return -(1000 + tap), TrialValues(FeatureValues(also="0.1"), HeadValues("ridge"), FreezeValues(1.0, "eval"))

    def variants(self, probe, kind):
        views = replace(probe, features=replace(probe.features, cache="views", views=4), view_kind=kind)
        mirrored = replace(probe, features=replace(probe.features, mirrored=True))
        return {-999_008: mirrored, -504_008: views} if kind != "none" else {-999_008: mirrored}

    def seconds(self, values):
        return 30.0 if values.view_kind else 2.0 if values.features.mirrored else super().seconds(values)


@pytest.mark.parametrize(("budget", "offered"), [(10.0, []), (100.0, [-999_008]), (1000.0, [-504_008, -999_008])])
def test_probes_on_several_stages_and_on_views_come_once_as_far_as_the_budget_goes(budget, offered):
    runner, book = Offering(depth_helps), ledger()
    for _ in range(2):
        search, _ = searching(runner, book, budget=budget)
        search.run(trials=1, deadline=1e6)
        numbers = [record.number for record in search.ledger.records() if record.kind is TrialKind.PROBE]
        assert sorted(numbers) == sorted([*range(-8, 0), -1008, *offered])
        assert runner.asked_for_several == [8]
        assert search.may_mirror == bool(offered)


@pytest.mark.parametrize("prefer", ["small", "fast"])
def test_a_plan_may_prefer_a_cheap_model_of_those_that_are_tied(prefer):
    runner = Replay(lambda _values: 0.6, probe=0.6)
    runner.footprint = lambda values: Footprint(values.features.tap, values.features.tap)
    search, _ = searching(runner, search__prefer=prefer)
    search.run(trials=2, deadline=1e6)
    scored = search.scored_trials()
    tied = [replace(one, image_scores=scored[0].image_scores) for one in scored if one.is_probe]
    cheaper = [
        replace(one, record=replace(one.record, values=replace(one.values, features=FeatureValues(-one.number / 8))))
        for one in tied
    ]
    search.scored_trials = lambda: cheaper
    assert search.choice().chosen.number == -1  # the probe at the first stage
