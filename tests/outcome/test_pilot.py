import dataclasses

import numpy as np
import pytest
from conftest import draw
from scipy.stats import norm

import advisor
from advisor.advice.scenario import Pilot, decide
from advisor.outcome.pilot import better_of, pilot


def test_a_pilot_replaces_the_prior_and_plans_what_it_found(tiny, tiny_folder):
    found = advisor.recommend(str(tiny_folder), backbone=tiny)
    assert found.verdict.pilot is None
    again = pilot(found)
    measured = again.verdict.pilot
    assert measured is not None
    assert measured.se > 0
    assert measured.images == found.profile.splits["train"]
    assert measured.judged_on == found.profile.splits["val"]
    assert any("pilot" in reason for reason in again.verdict.reasons)
    assert again.plan.recipe.scenario == again.verdict.scenario
    assert again.plan.digest == found.plan.digest


@pytest.mark.parametrize(("gain", "scenarios"), [(0.2, (2, 4)), (-0.2, (1, 3)), (0.005, (1, 3))])
def test_the_measured_gain_decides(tiny, tiny_folder, gain, scenarios):
    found = advisor.recommend(str(tiny_folder), backbone=tiny)
    # Room above the probe, so that a gain can be expected at all.
    points = tuple(dataclasses.replace(point, accuracy=0.6, gain=0.0) for point in found.curve.points)
    curve = dataclasses.replace(found.curve, points=points)
    result = Pilot(gain, 0.01, 0.0, 40, 12, 1.0)
    verdict = decide(found.size, found.distance, curve, found.times, result)
    assert verdict.scenario in scenarios
    assert verdict.runner_up != verdict.scenario


def test_a_pilot_of_a_changed_folder_is_refused(tiny, tiny_folder):
    found = advisor.recommend(str(tiny_folder), backbone=tiny)
    draw(0, 99).save(tiny_folder / "across" / "new.png")
    with pytest.raises(advisor.errors.RunError, match="not the dataset"):
        pilot(found)


def test_of_two_depths_that_gain_nothing_one_pilot_in_twenty_says_otherwise():
    """The better of two against one standard error was said to gain in 29 of 100."""
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(300):
        probe, *tuned = (rng.random(200) < 0.7 for _ in range(3))
        _, gain, se = better_of([one.astype(float) for one in tuned], probe.astype(float), np.ones(200))
        passed += gain > 1.645 * se
    assert passed <= 0.08 * 300


def test_the_better_depth_is_named_and_a_clear_gain_stays():
    rng = np.random.default_rng(1)
    probe = (rng.random(200) < 0.6).astype(float)
    worse, better = np.minimum(probe, rng.random(200) < 0.9), np.maximum(probe, rng.random(200) < 0.5)
    place, gain, se = better_of([worse, better], probe, np.ones(200))
    assert place == 1
    assert gain == pytest.approx((better - probe).mean(), abs=0.01)
    assert gain > 3 * se


def test_a_gain_must_exceed_what_chance_gives_one_time_in_twenty(tiny, tiny_folder):
    found = advisor.recommend(str(tiny_folder), backbone=tiny)
    verdict = decide(found.size, found.distance, found.curve, found.times, Pilot(0.012, 0.01, 0.0, 40, 12, 1.0))
    assert verdict.required_lead == pytest.approx(norm.ppf(0.95) * 0.01, rel=1e-3)
