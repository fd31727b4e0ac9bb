"""Words and numbers of the charts of probes, ways and labels, against measurements made by hand."""

import json
from dataclasses import replace

import pytest
from made import cost, drawn_rows, point, probe_curve, recommendation, verdict

from advisor.advice.cost import WayCost
from advisor.advice.forecast import Expected
from advisor.advice.labels import LabelCurve
from advisor.advice.scenario import Size
from advisor.advice.together import JoinedProbe
from advisor.report.charts.recommendation import label_curve, ways_accuracy, ways_cost
from advisor.report.charts.recommendation import probe_curve as probe_chart
from advisor.strategy import Strategy
from advisor.task import make_task

FLAT_ERROR = (1.4, 0.45, 0.1)


def cells(table):
    return [[getattr(cell, "text", cell) for cell in row] for row in table.rows]


def marks(chart):
    return [layer["mark"] if isinstance(layer["mark"], str) else layer["mark"]["type"] for layer in chart.spec["layer"]]


def test_where_the_last_stage_is_best_it_is_said_without_a_lead():
    chart = probe_chart(probe_curve(), 4)
    assert chart.finding.startswith("The last stage is the best: 0.800 ± 0.020.")
    assert "Leave-one-out accuracy on 72 images" in chart.finding
    assert "guessing gives 0.40" in chart.finding


def test_an_earlier_stage_is_named_with_its_lead_over_the_last():
    chart = probe_chart(probe_curve(0.5, 0.9, 0.75, 0.8), 2)
    assert chart.finding.startswith("Stage 2 (\u2068blocks.2\u2069) is the best with 0.900 ± 0.020, +10.0 ± 1.5 points")
    assert "over the last (0.800)" in chart.finding
    assert chart.numbers.marked == {1}
    assert cells(chart.numbers)[1][-1] == "best, read here"


def test_of_equal_stages_the_last_is_the_best():
    assert probe_chart(probe_curve(0.8, 0.8), 2).finding.startswith("The last stage is the best")


def test_tied_stages_are_told_and_bars_are_their_accuracies():
    curve = probe_curve()
    tied = replace(curve, points=(*curve.points[:2], point(3, 0.79, tied=True), curve.points[3]))
    chart = probe_chart(tied, 3)
    notes = [row[-1] for row in cells(chart.numbers)]
    assert notes == ["", "", "tied with the best, read here", "best"]
    assert chart.numbers.bars == (0.5, 0.7, 0.79, 0.8)


@pytest.mark.parametrize(
    ("codes", "words"),
    [("mean", "72 images,"), ("relu", "(positive parts only)"), ("mean+std", "deviation of each channel")],
)
def test_how_stages_are_read_is_said(codes, words):
    assert words in probe_chart(replace(probe_curve(), codes=codes), 4).finding


@pytest.mark.parametrize(("chance", "drawn"), [(0.25, True), (0.001, False)])
def test_guessing_is_drawn_only_where_it_is_not_far_below(chance, drawn):
    chart = probe_chart(replace(probe_curve(0.5, 0.7), chance=chance), 2)
    assert ("by chance" in json.dumps(chart.spec)) == drawn


def test_a_stage_of_any_name_is_cut_in_the_drawing_and_whole_in_the_table():
    long = "layer\n" + "x" * 90
    curve = replace(probe_curve(), points=(*probe_curve().points[:3], point(4, 0.8, name=long)))
    chart = probe_chart(curve, 4)
    assert chart.numbers.rows[3][1].text == long
    assert "\\n" not in json.dumps(chart.spec)
    assert "x" * 60 not in json.dumps(chart.spec)


def test_a_network_of_one_stage_has_a_chart():
    assert probe_chart(probe_curve(0.8), 1).spec["layer"]


def test_the_advised_way_is_marked_and_what_another_may_bring_is_said():
    chart = ways_accuracy(recommendation())
    assert "should reach 0.80 (80 % interval 0.74 to 0.86)" in chart.finding
    assert "fine-tuning as for similar images may bring 1.0 points more." in chart.finding
    assert chart.numbers.marked == {0}
    assert cells(chart.numbers)[0] == ["1 · classifier, last layer", "0.60", "0.80", "0.74 to 0.86", "3 s", "none"]
    assert cells(chart.numbers)[4][1] == "–"  # LP-FT belongs to no scenario


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [(0.75, "no other way is expected to do better"), (0.88, "may bring 8.0 points more.")],
)
def test_what_another_way_may_bring_depends_on_its_lead(accuracy, words):
    expected = dict(verdict().expected)
    expected = {way: Expected(0.7, 0.6, 0.8) for way in expected} | {
        Strategy.LAST_LAYER: Expected(0.8, 0.7, 0.9), Strategy.TUNE_SIMILAR: Expected(accuracy, 0.6, 0.95),
    }  # fmt: skip
    assert words in ways_accuracy(recommendation(verdict=verdict(expected=expected))).finding


def test_a_way_without_a_recipe_has_no_row_of_costs():
    ways = {way: one for way, one in cost().ways.items() if way is not Strategy.LP_FT}
    chart = ways_accuracy(recommendation(cost=replace(cost(), ways=ways)))
    assert len(chart.numbers.rows) == 4


def test_another_measure_is_named_in_title_and_columns():
    task = make_task(("auk", "bee", "cat"), multilabel=True)
    chart = ways_accuracy(recommendation(curve=replace(probe_curve(), task=task)))
    assert chart.title == "Expected mean average precision"
    assert "expected mean average precision" in [column.label for column in chart.numbers.columns]


@pytest.mark.parametrize(("longest", "unit"), [(90, "seconds"), (600, "minutes"), (9000, "hours")])
def test_costs_are_drawn_in_the_unit_of_the_longest(longest, unit):
    ways = {Strategy.LAST_LAYER: WayCost("r", 3.0, 0), Strategy.TUNE_SIMILAR: WayCost("r", longest, 2_000_000)}
    chart = ways_cost(ways, Strategy.LAST_LAYER)
    assert f"on this machine, {unit}" in json.dumps(chart.spec)
    assert "the advised way takes about 3 s" in chart.finding
    assert chart.numbers.marked == {0}
    assert cells(chart.numbers)[1][2] == "2 MB"


def curve(**changes):
    usual = LabelCurve(((18, 0.6), (36, 0.7), (72, 0.8)), 0.9, 0.84, (0.81, 0.87), None, FLAT_ERROR)
    return replace(usual, **changes)


def test_twice_the_labels_are_told_with_their_interval_beside_what_was_measured():
    chart = label_curve(recommendation(), curve())
    assert chart.finding.startswith("With twice the labels the linear classifier would reach about 0.84 (80 % interval")
    rows = cells(chart.numbers)
    assert [row[0] for row in rows] == ["18", "36", "72", "144"]
    assert rows[-1] == ["144", "0.840", "expected, 80 % interval 0.81 to 0.87"]


@pytest.mark.parametrize(
    ("images", "words"),
    [(None, "16 times the labels would not bring 2"), (250, "2 more points would take about 250 labelled images")],
)
def test_what_two_points_more_would_take_is_said(images, words):
    assert words in label_curve(recommendation(), curve(images_for_gain=images)).finding


def test_where_fine_tuning_is_advised_nothing_overtakes():
    tuned = verdict(strategy=Strategy.TUNE_SIMILAR, rival=Strategy.LAST_LAYER, scenario=2)
    found = recommendation(verdict=tuned)
    assert "fine-tuning would be advised" not in label_curve(found, curve()).finding
    assert "fine-tuning ahead" not in json.dumps(label_curve(found, curve()).spec)


def test_the_curve_goes_no_farther_than_sixteen_times_the_labels():
    for size in (Size(72, 22.0, 0.1, 72), Size(72, 2.0, 0.0, 72)):
        chart = label_curve(recommendation(size=size), curve())
        drawn = [row["n"] for row in drawn_rows(chart) if "value" in row]
        assert 144 <= max(drawn) <= 16 * 72
        assert min(drawn) == 18


def test_every_chart_draws_what_its_marks_need():
    found = recommendation()
    assert {"line", "point", "rule", "text"} <= set(marks(probe_chart(found.curve, 4)))
    assert {"rule", "point", "text"} <= set(marks(ways_accuracy(found)))
    assert "bar" in marks(ways_cost(found.cost.ways, Strategy.LP_FT))
    assert {"line", "point"} <= set(marks(label_curve(found, curve())))


def test_stages_that_are_read_together_are_told_beside_the_single_ones():
    together = JoinedProbe((2, 4), ("blocks.2", "blocks.4"), 96, 0.83, 0.02, 0.03, 0.012, 0.1)
    alone, chart = (probe_chart(replace(probe_curve(), joined=one), 4) for one in (None, together))
    assert "together" not in alone.finding
    assert "Stages 2 and 4 together: 0.830, +3.0 ± 1.2 points against the best one" in chart.finding
    assert cells(chart.numbers)[:-1] == cells(alone.numbers)
    assert cells(chart.numbers)[-1][:5] == ["2 + 4", "–", "96", "0.830", "0.020"]
    assert chart.numbers.bars == (*alone.numbers.bars, 0.83)
