"""In which order a search grows the trainings that lead: by replay, on tabulated curves."""

from math import log2

import pytest
from replay import Replay
from searches import searching

from advisor.recipe import Choices, Range, Recipe
from advisor.records.trial import Way

LENGTH = {"train__steps": Range(200, 1600, log=True, start=400), "freeze__depth": 0.0}


def steps_help(values):
    """Every doubling brings two points; the images are learnt from 1600 steps on."""
    return 0.7 + 0.02 * log2(values.train.steps / 400)


def learnt(values):
    return 0.8 + 0.08 * log2(values.train.steps / 400)


def trainings(search):
    return [record for record in search.ledger.searched() if record.way is Way.TUNED]


def best_so_far(search):
    """The best accuracy after each training."""
    best, out = 0.0, []
    for record in trainings(search):
        best = max(best, record.accuracy or 0.0)
        out.append(best)
    return out


def test_what_has_not_learnt_its_images_is_trained_longer_before_anything_else():
    runner = Replay(steps_help, lambda values: values.train.steps / 10, learnt=learnt)
    others = [Recipe("other", values={"optimizer.lr": 3e-3, "train.steps": 400})]
    search, _ = searching(runner, scenarios=others, **LENGTH)
    search.run(trials=4, deadline=1e6)
    ran = [(record.start, record.values.train.steps, record.values.optimizer.lr) for record in trainings(search)]
    assert ran == [
        ("plan", 400, 1e-3), ("longer than trial 0", 800, 1e-3), ("longer than trial 1", 1600, 1e-3),
        ("other", 400, 3e-3),
    ]  # fmt: skip
    assert best_so_far(search) == sorted(best_so_far(search))
    assert best_so_far(search)[2] == pytest.approx(0.74)


def test_a_longer_training_that_does_not_lead_is_not_followed_up():
    runner = Replay(lambda values: 0.7 - values.train.steps / 1e4, learnt=lambda _values: 0.5)
    search, _ = searching(runner, **LENGTH)
    search.run(trials=5, deadline=1e6)
    longer = [record for record in trainings(search) if record.start.startswith("longer")]
    assert longer[0].values.train.steps == 800
    # Whatever is longer follows the training that led at its time, never the one that came out behind it.
    assert all(record.start != "longer than trial 1" for record in longer)


@pytest.mark.parametrize(
    ("share", "seconds", "changes"),
    [
        (0.96, 10.0, {}),  # it has learnt its images
        (0.5, 10.0, {"train__steps": 400}),  # its length is fixed
        (0.5, 10.0, {"train__steps": Range(300, 410, start=400)}),  # hardly more is allowed
    ],
)
def test_a_training_is_left_as_it_is_where_more_steps_would_do_nothing(share, seconds, changes):
    runner = Replay(steps_help, lambda _values: seconds, learnt=lambda _values: share)
    search, _ = searching(runner, **{**LENGTH, **changes})
    search.run(trials=2, deadline=1e6)
    assert not any(record.start.startswith("longer") for record in trainings(search))


def test_what_does_not_fit_is_not_made_longer():
    runner = Replay(steps_help, lambda values: values.train.steps / 10, learnt=learnt)
    search, _ = searching(runner, budget=150, **LENGTH)
    search.run(trials=5, deadline=150.0)
    assert runner.clock.now <= 150
    assert not any(record.start.startswith("longer") for record in trainings(search))


def test_of_a_few_lengths_the_next_one_is_taken():
    runner = Replay(steps_help, learnt=lambda _values: 0.5)
    search, _ = searching(runner, freeze__depth=0.0, train__steps=Choices((300, 900, 1200), 300))
    search.run(trials=3, deadline=1e6)
    assert [record.values.train.steps for record in trainings(search)] == [300, 900, 1200]


SIZES = {**LENGTH, "features__input_size": Choices((64, 96, 128), 64)}


def size_helps(values):
    """Every larger input brings three points."""
    return 0.7 + 0.03 * {64: 0, 96: 1, 128: 2}[values.features.input_size] + 0.01 * log2(values.train.steps / 200)


def size_costs(values):
    """Seconds of all that is trained, what came before included; cost is pixels."""
    before = values.before
    own = values.train.steps / 10 * (values.features.input_size / 64) ** 2
    return own + (size_costs(before) if before else 0.0)


def test_what_leads_goes_on_at_a_larger_input_from_its_own_weights():
    runner = Replay(size_helps, size_costs, learnt=lambda _values: 0.99)
    search, _ = searching(runner, **SIZES)
    search.run(trials=3, deadline=1e6)
    first, second, third = trainings(search)
    assert [one.values.features.input_size for one in (first, second, third)] == [64, 96, 128]
    assert second.values.train.grow_from == f"64:{first.steps}"
    assert third.values.train.grow_from == f"64:{first.steps}, 96:{second.steps}"
    assert second.values.before.before is None
    assert third.values.before.features.input_size == 96
    assert runner.grown[-2:] == [first.number, second.number]  # of the kept weights
    assert second.start == "trial 0, larger than 64"
    assert best_so_far(search) == sorted(best_so_far(search))
    assert second.seconds >= first.seconds  # what came before is counted: it would have to be trained again


def test_longer_comes_before_larger_and_the_best_so_far_rises_steadily():
    def grown_helps(values):
        return size_helps(values) + (0.01 if values.before else 0.0)

    def learnt_by(values):
        return 0.8 + 0.1 * log2(values.train.steps / 400) + (0.2 if values.before else 0.0)

    runner = Replay(grown_helps, size_costs, learnt=learnt_by)
    search, _ = searching(runner, **SIZES)
    search.run(trials=5, deadline=1e6)
    ran = [
        (one.values.features.input_size, one.values.train.steps, bool(one.values.before)) for one in trainings(search)
    ]
    assert ran[:5] == [(64, 400, False), (64, 800, False), (64, 1600, False), (96, 200, True), (128, 200, True)]
    assert best_so_far(search) == sorted(best_so_far(search))


def test_each_training_is_grown_once_and_one_that_does_not_gain_ends_the_line():
    def smaller_is_better(values):
        return size_helps(values) - (0.2 if values.before else 0.0)

    runner = Replay(smaller_is_better, size_costs, learnt=lambda _values: 0.99)
    search, _ = searching(runner, **SIZES)
    search.run(trials=6, deadline=1e6)
    grown = [one for one in trainings(search) if one.values.before]
    assert len({one.start for one in grown}) == len(grown)
    assert trainings(search)[1].values.before
    assert all(one.values.before.before is None for one in grown)


@pytest.mark.parametrize("changes", [
    {"features__input_size": 64}, {"train__steps": 400}, {"search__folds": 5},
])  # fmt: skip
def test_nothing_grows_where_sizes_or_lengths_are_fixed_or_no_weights_are_kept(changes):
    runner = Replay(lambda _values: 0.7, learnt=lambda _values: 0.99)
    search, _ = searching(runner, **{**SIZES, **changes})
    search.run(trials=3, deadline=1e6)
    assert not any(one.values.before for one in trainings(search))


def test_nothing_grows_that_does_not_fit_the_time_or_the_weights():
    runner = Replay(size_helps, size_costs, learnt=lambda _values: 0.99)
    search, _ = searching(runner, budget=130, **SIZES)
    search.run(trials=5, deadline=130.0)
    assert runner.clock.now <= 130 * 1.02
    assert not any(one.values.before for one in trainings(search))
    runner = Replay(size_helps, size_costs, learnt=lambda _values: 0.99)
    runner.can_grow = lambda _values, _side: False
    search, _ = searching(runner, **SIZES)
    search.run(trials=3, deadline=1e6)
    assert not any(one.values.before for one in trainings(search))


def test_what_grew_keeps_its_growth_when_another_value_is_changed():
    runner = Replay(size_helps, size_costs, learnt=lambda _values: 0.99)
    search, _ = searching(runner, **SIZES)
    search.run(trials=2, deadline=1e6)
    grown = trainings(search)[1].values
    _, changed = search.space.with_other(grown, "optimizer.lr")
    assert changed.before is not None
    assert changed.train.grow_from == grown.train.grow_from
