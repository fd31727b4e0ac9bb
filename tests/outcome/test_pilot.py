import dataclasses

import pytest
from conftest import draw

import advisor
from advisor.advice.scenario import Pilot, decide
from advisor.outcome.pilot import pilot


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
