"""Words and numbers of the charts of size and distance, against measurements made by hand."""

import math
from dataclasses import replace

import pytest
from made import distance, drawn_rows, verdict

from advisor.advice.distance import Estimate
from advisor.advice.scenario import Size
from advisor.report.charts.distance import depth_profile, distance_votes, scenario_map
from advisor.strategy import SCENARIOS

SIZE = Size(72, 22.0, 0.1, 72)


def cells(table):
    return [[getattr(cell, "text", cell) for cell in row] for row in table.rows]


def test_the_map_says_both_probabilities_and_ranks_the_scenarios():
    chart = scenario_map(verdict(), SIZE, distance())
    assert "different is 0.25 (95 % interval 0.12 to 0.41)" in chart.finding
    assert "large 0.10" in chart.finding
    ranking = (
        "1 (small and similar) 0.60, 3 (small and different) 0.20, 2 (large and similar) 0.15, 4 (large and different)"
    )
    assert ranking in chart.finding
    assert "still favour" not in chart.finding


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_advised_scenario_is_marked_and_a_turn_is_said(number):
    chart = scenario_map(verdict(scenario=number), SIZE, distance())
    assert chart.numbers.marked == {number - 1}
    assert [row[2] for row in cells(chart.numbers)] == ["advised" if n == number else "" for n in SCENARIOS]
    assert ("still favour scenario" in chart.finding) == (number != 1)


@pytest.mark.parametrize(
    ("different", "large"), [(0.0, 0.0), (0.25, 0.25), (0.75, 0.75), (1.0, 1.0), (0.25, 0.3), (0.25, 0.2), (0.75, 0.7)]
)
def test_the_names_of_quadrants_keep_out_of_the_way_of_the_point(different, large):
    chart = scenario_map(verdict(), replace(SIZE, large=large), distance(different=different))
    labels = [row for row in drawn_rows(chart) if "t" in row]
    assert len(labels) == 8
    for row in labels:
        assert 0 < row["x"] < 1
        assert 0 < row["y"] < 1
        assert abs(row["x"] - different) >= 0.25 or abs(row["y"] - large) > 0.1


def test_depths_are_told_with_their_intervals_and_the_largest():
    chart = depth_profile(distance())
    assert "early third 0.020, middle third 0.030, late third 0.060; largest in the late third" in chart.finding
    assert cells(chart.numbers)[2] == ["late third", "0.0600", "0.0510", "0.0690"]


def test_intervals_stay_within_the_scale():
    chart = depth_profile(distance(early=Estimate(0.001, 0.01), late=Estimate(0.99, 0.01)))
    low, high = cells(chart.numbers)[0][2], cells(chart.numbers)[2][3]
    assert (low, high) == ("0.0000", "1.0000")


def test_an_error_that_is_unknown_is_a_dash_and_draws_no_rule():
    chart = depth_profile(distance(early=Estimate(0.1, math.nan)))
    assert cells(chart.numbers)[0] == ["early third", "0.1000", "–", "–"]
    assert not any(layer["mark"] == "rule" or layer["mark"].get("type") == "rule" for layer in chart.spec["layer"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"votes": {"late": 0.9}}, "which see content, meet something unfamiliar"),
        ({"votes": {"late": 0.1}, "early": Estimate(0.5, 0.01)}, "Only the early layers"),
        ({"votes": {"late": 0.1}}, "No depth meets much"),
    ],
)
def test_the_kind_of_shift_is_said(changes, words):
    assert words in depth_profile(distance(**changes)).finding


def test_an_unknown_shift_adds_no_sentence():
    chart = depth_profile(distance(early=None, votes={}))
    assert chart.finding.endswith("largest in the late third.")
    assert len(chart.numbers.rows) == 2


def test_without_measurements_there_is_no_chart():
    assert depth_profile(distance(early=None, middle=None, late=None)) is None
    assert distance_votes(distance(votes={}, vote_intervals={})) is None


def test_votes_are_told_one_by_one_and_together():
    chart = distance_votes(distance())
    assert chart.finding.startswith("Together 0.25, which counts as similar")
    assert "late layers' statistics 0.20, spread of the class predictions 0.30." in chart.finding
    rows = cells(chart.numbers)
    assert rows[-1] == ["all votes together", "0.25", "0.12", "0.41"]
    assert chart.numbers.marked == {2}
    assert rows[0][1:] == ["0.20", "0.10", "0.35"]


@pytest.mark.parametrize(
    ("different", "side"), [(0.39, "similar"), (0.4, "borderline"), (0.6, "borderline"), (0.61, "different")]
)
def test_the_side_is_that_of_the_thresholds(different, side):
    assert (
        f"counts as {side} (from 0.40 to 0.60 is borderline)" in distance_votes(distance(different=different)).finding
    )


def test_a_vote_of_a_kind_that_is_not_known_keeps_its_name():
    chart = distance_votes(distance(votes={"smell": 0.5}, vote_intervals={"smell": (0.4, 0.6)}))
    assert cells(chart.numbers)[0][0] == "smell"


@pytest.mark.parametrize("make", [depth_profile, distance_votes])
def test_charts_that_are_there_can_be_drawn(make):
    spec = make(distance()).spec
    assert spec["width"] == "container"
    assert "config" not in spec
    assert "$schema" not in spec
