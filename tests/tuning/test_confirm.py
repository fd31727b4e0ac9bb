import numpy as np
import pytest

from advisor.tuning.confirm import Standing, choose, leaders, optimism, pack, paired, unpack

N = 400
WORTH = np.ones(N)


def standing(number, right, *, seeds=1, frozen=0, tap=8, kind="trial", loss=1.0, linear=True):
    """A trial that is right on the first `right` images under every seed; a list gives one figure per seed."""
    rights = right if isinstance(right, list) else [right] * seeds
    credit = np.stack([np.arange(N) < count for count in rights])
    return Standing(number, kind, {}, credit, loss, 1.0, tap, frozen, linear, sound=False)


def test_packed_answers_come_back():
    credit = np.random.default_rng(0).random(37) < 0.5
    assert (unpack(pack(credit), 37) == credit).all()


def test_a_clear_lead_wins_although_it_costs_more():
    found = choose([standing(0, 300, frozen=8, kind="probe"), standing(1, 380)], WORTH, seeds=1)
    assert found.chosen.number == found.best.number == 1
    assert found.behind == found.behind_se == 0


def test_within_one_standard_error_the_cheapest_wins():
    cheap, dear = standing(0, 379, frozen=8, kind="probe"), standing(1, 380)
    found = choose([dear, cheap], WORTH, seeds=1)
    assert (found.chosen.number, found.best.number) == (0, 1)
    assert found.behind == pytest.approx(1 / N)
    assert found.behind <= found.behind_se
    # Of equally deep ones the shorter network, then the plain head.
    assert choose([standing(0, 300, frozen=8), standing(1, 300, frozen=7, tap=7)], WORTH, seeds=1).chosen.number == 1
    assert choose([standing(0, 300, linear=False), standing(1, 300)], WORTH, seeds=1).chosen.number == 1


def test_luck_under_the_first_seed_does_not_last():
    lucky = standing(0, [390, 300, 300])
    steady = standing(1, [380, 380, 380])
    found = choose([lucky, steady], WORTH, seeds=3)
    assert found.best.number == found.chosen.number == 1
    assert (found.sure, found.unsure) == (2, 0)
    again = choose([lucky, steady, standing(2, 385)], WORTH, seeds=3)
    assert (again.sure, again.unsure) == (2, 1)


def test_a_trial_that_was_not_judged_again_does_not_overtake_those_that_were():
    judged = [standing(i, [380 - i, 340, 340]) for i in range(3)]
    found = choose([*judged, standing(9, 370)], WORTH, seeds=3)
    assert found.best.number in {0, 1, 2}
    # Nor does a leader for which there was no time, however good its only figure.
    found = choose([judged[0], judged[1], standing(8, 379)], WORTH, seeds=3)
    assert found.best.number in {0, 1}
    assert [rival.number for rival in leaders([*judged, standing(9, 370)], WORTH)] == [0, 1, 2]


def test_the_probe_is_always_compared():
    trials = [standing(i, 380 - i) for i in range(4)]
    assert choose([*trials, standing(9, 379, kind="probe", frozen=8)], WORTH, seeds=1).chosen.number == 9


def test_nothing_below_the_probe_is_taken():
    probe, shorter = standing(0, 380, kind="probe", frozen=8), standing(1, 379, frozen=5, tap=5)
    assert choose([probe, shorter], WORTH, seeds=1).chosen.number == 0
    assert choose([standing(0, 380, frozen=8), shorter], WORTH, seeds=1).chosen.number == 1


def test_images_count_what_they_are_worth():
    worth = np.where(np.arange(N) < 300, 1 / 3, 3.0)
    early, late = standing(0, 300), standing(1, 300)
    late = Standing(**{**late.__dict__, "credit": late.credit[:, ::-1]})
    assert early.accuracy(worth) == pytest.approx(100 / 400)
    assert leaders([early, late], worth)[0].number == 1


def test_paired_differences():
    difference = np.zeros(100)
    difference[:10] = 1
    mean, se = paired(difference, np.ones(100))
    assert mean == pytest.approx(0.1)
    assert se == pytest.approx(np.sqrt(0.1 * 0.9 / 100 + 1e-4))
    assert paired(np.zeros(100), np.ones(100))[1] > 0


def test_the_best_of_equals_is_optimistic_and_a_single_trial_is_not():
    """Thirty trials of true accuracy .7 on 100 images: the best figure is several points too high."""
    rng = np.random.default_rng(0)
    gaps, estimates = [], []
    for seed in range(20):
        credit = rng.random((30, 100)) < 0.7
        gaps.append(credit.mean(1).max() - 0.7)
        estimates.append(optimism(credit, np.ones(100), seed))
    assert np.mean(gaps) > 0.06
    assert abs(np.mean(estimates) - np.mean(gaps)) < 0.5 * np.mean(gaps)
    assert optimism(rng.random((1, 400)) < 0.7, np.ones(400)) < 0.01
