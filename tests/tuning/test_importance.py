"""Which values made the difference, against trials whose reason is known."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from advisor.tuning.importance import importances

UNIT = FloatDistribution(0.0, 1.0)
HEADS = CategoricalDistribution(("linear", "svm"))


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def trial(value, **params):
    distributions = {name: UNIT if isinstance(one, float) else HEADS for name, one in params.items()}
    return optuna.trial.create_trial(params=params, distributions=distributions, value=value)


def grid(score, points=(0.0, 0.25, 0.5, 0.75, 1.0)):
    return [trial(score(a, b), a=a, b=b) for a in points for b in points]


def test_the_value_that_moved_the_score_comes_first():
    shares = importances(grid(lambda a, b: a + 0.05 * b))
    assert list(shares) == ["a", "b"]
    assert shares["a"] > 0.9


def test_shares_add_up_to_one_and_none_is_negative():
    shares = importances(grid(lambda a, b: a * b))
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) >= 0


def test_it_is_the_same_twice():
    trials = grid(lambda a, b: a - b * b)
    assert importances(trials) == importances(trials)


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [trial(0.5, a=0.1), trial(0.6, a=0.2), trial(0.7, a=0.3)],
        [trial(0.5, a=0.3) for _ in range(9)],
        [trial(0.5, a=n / 9) for n in range(9)],
        [trial(n / 9) for n in range(9)],
        [trial(0.5, a=0.1), trial(0.6, b=0.2), trial(0.7, a=0.3), trial(0.8, b=0.4)],
    ],
    ids=["none", "too few", "nothing varied", "no difference", "no values", "none alike"],
)
def test_where_nothing_can_be_told_apart_nothing_is_said(trials):
    assert importances(trials) == {}


def test_a_value_that_never_changed_has_no_share():
    trials = [trial(n / 9, a=n / 9, head="svm") for n in range(9)]
    assert set(importances(trials)) == {"a"}


def test_trials_of_other_values_are_weighed_by_how_many_they_are():
    many = [trial(n / 19, a=n / 19) for n in range(20)]
    few = [trial(n / 9, b=n / 4) for n in range(5)]
    shares = importances([*many, *few])
    assert shares["a"] == pytest.approx(20 / 25)
    assert shares["b"] == pytest.approx(5 / 25)


def test_a_choice_is_weighed_beside_a_number():
    trials = [trial(0.9 if head == "svm" else 0.1, a=n / 4, head=head) for n in range(5) for head in HEADS.choices]
    assert next(iter(importances(trials))) == "head"
