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
