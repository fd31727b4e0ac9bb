import subprocess
import sys

import pytest

from advisor.strategy import SCENARIOS, Strategy, scenario_for


def test_old_plans_and_fitted_models_name_the_ways_as_ever():
    assert [way.value for way in Strategy] == ["1", "2", "3", "4", "lp-ft"]


def test_every_scenario_has_a_way_and_every_way_but_one_a_scenario():
    assert [scenario.strategy.scenario for scenario in SCENARIOS.values()] == [1, 2, 3, 4]
    assert [way for way in Strategy if way.scenario is None] == [Strategy.LP_FT]
    assert all(way.label for way in Strategy)


def test_large_sets_are_fine_tuned_and_small_ones_are_not():
    for scenario in SCENARIOS.values():
        assert scenario.strategy.fine_tunes == (scenario.size == "large")
        sides = {"large": scenario.size == "large", "different": scenario.distance == "different"}
        assert scenario_for(**sides) is scenario


def test_it_is_light():
    code = "import sys, advisor.strategy; assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("way", Strategy)
def test_a_way_fine_tunes_exactly_where_its_words_say_so(way):
    assert way.fine_tunes != ("frozen" in way.label or "classifier on" in way.label)
    assert Strategy(way.value) is way


def test_no_two_ways_have_the_same_words():
    assert len({way.label for way in Strategy}) == len(Strategy)


def test_the_four_scenarios_are_the_four_combinations():
    assert {(one.size, one.distance) for one in SCENARIOS.values()} == {
        (size, distance) for size in ("small", "large") for distance in ("similar", "different")
    }
    assert [SCENARIOS[number].number for number in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert SCENARIOS[3].words == "small and different"


@pytest.mark.parametrize("unknown", ["5", "", "LP-FT", 1])
def test_what_is_no_way_is_refused(unknown):
    with pytest.raises(ValueError, match="is not a valid Strategy"):
        Strategy(unknown)
