"""Words and numbers of the charts of a run's test, against images judged by hand."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import drawn_rows, evidence_record, judged, run_folder, run_record

from advisor.records.evidence import ForecastRecord
from advisor.report.charts import tested as charts

CLASSES = ("auk", "bee", "cat")
MIXED = [
    *[judged("auk", "auk")] * 6, judged("auk", "bee", 0.6), *[judged("bee", "bee", 0.95)] * 4,
    *[judged("bee", "cat", 0.55)] * 2, *[judged("cat", "cat", 0.7)] * 3,
]  # fmt: skip

EXPECTED = ForecastRecord(0.82, 0.75, 0.9)


def cells(table):
    return [[getattr(cell, "text", cell) for cell in row] for row in table.rows]


@pytest.fixture
def run(tmp_path):
    def _run(forecast=EXPECTED, **changes):
        return run_folder(tmp_path, run_record(**changes), evidence_record(forecast=forecast))

    return _run


@pytest.mark.parametrize(
    ("test", "words"),
    [(0.8, "the test images gave 0.800, within it."),
     (0.95, "the test images gave 0.950, 5.0 points above it, though the test's own interval reaches into it."),
     (0.6, "the test images gave 0.600, 15.0 points below it, though the test's own interval reaches into it.")],
)  # fmt: skip
def test_forecast_and_outcome_are_compared(run, test, words):
    said = charts.forecast_words(run(test=test, test_interval=(test - 0.2, test + 0.04)))
    if test == 0.6:
        said_apart = charts.forecast_words(run(test=test, test_interval=(0.5, 0.7)))
        assert said_apart.endswith("15.0 points below it.")
        said = charts.forecast_words(run(test=test, test_interval=(0.5, 0.76)))
    assert said.startswith("The advice expected an accuracy of 0.82 (80 % interval 0.75 to 0.90); ")
    assert said.endswith(words)


def test_without_a_forecast_or_a_test_nothing_is_compared(run):
    assert charts.forecast_words(run(forecast=None)) == ""
    without = run(test=None, test_balanced=None, test_images=0, per_class=())
    assert charts.forecast_words(without).endswith("0.75 to 0.90).")
    assert charts.figures_chart(without) is None


def test_figures_stand_in_the_order_in_which_they_came(run):
    chart = charts.figures_chart(run())
    names = ["expected before (80 %)", "best probe, validation", "winner, validation", "winner, test"]
    assert [row[0] for row in cells(chart.numbers)] == names
    assert cells(chart.numbers)[0] == [names[0], "0.820", "0.750", "0.900"]
    assert cells(chart.numbers)[3] == [names[3], "0.800", "0.584", "0.919"]
    assert chart.numbers.marked == {3}


def test_a_run_without_probes_and_forecast_has_two_figures(run):
    chart = charts.figures_chart(run(forecast=None, probe=None))
    assert len(chart.numbers.rows) == 2
    assert chart.finding.startswith("The plan held no forecast.")


def test_of_balanced_accuracy_no_interval_is_invented(run):
    chart = charts.figures_chart(run(metric="balanced"))
    assert cells(chart.numbers)[-1] == ["winner, test", "0.790", "–", "–"]
    assert chart.numbers.columns[1].label == "balanced accuracy"


@pytest.mark.parametrize(
    ("validation", "words"),
    [(0.8, "Validation and test agree."), (0.804, "agree"), (0.85, "5.0 points below validation; part of that is"),
     (0.7, "10.0 points above validation.")],
)  # fmt: skip
def test_the_fall_from_validation_is_told(run, validation, words):
    assert words in charts.figures_chart(run(validation=validation)).finding


def test_confusions_are_told_the_most_frequent_first():
    chart = charts.confusion_chart(MIXED, CLASSES)
    assert chart.finding == (
        "Taken for each other most: \u2068bee\u2069 for \u2068cat\u2069 (2 of 6, 33 %); \u2068auk\u2069 for "
        "\u2068bee\u2069 (1 of 7, 14 %)."
    )
    assert cells(chart.numbers) == [["bee", "cat", "2", "33 %"], ["auk", "bee", "1", "14 %"]]


def test_the_map_holds_every_image_once():
    rows = [row for row in drawn_rows(charts.confusion_chart(MIXED, CLASSES)) if "n" in row]
    assert sum(row["n"] for row in rows) == len(MIXED)
    assert sum(row["n"] for row in rows if row["wrong"]) == 3
    assert {row["label"]: row["share"] for row in rows if not row["wrong"]}["auk"] == pytest.approx(6 / 7)


def test_without_a_mistake_it_is_said_and_the_table_is_not_empty():
    chart = charts.confusion_chart([judged("auk", "auk"), judged("bee", "bee")], CLASSES)
    assert chart.finding == "Nothing was taken for anything else."
    assert cells(chart.numbers) == [["none", "none", "0", "0 %"]]


@pytest.mark.parametrize("tested", [[], [judged("auk", "auk")] * 3])
def test_of_one_class_nothing_is_confused(tested):
    assert charts.confusion_chart(tested, CLASSES) is None


def test_two_thousand_classes_are_cut_to_the_most_confused():
    names = [f"class {n}" for n in range(2000)]
    tested = [judged(name, name) for name in names] + [judged(names[5], names[7])] * 9
    tested += [judged(names[n], names[n + 1]) for n in range(100, 160)]
    chart = charts.confusion_chart(tested, names)
    assert "Of 2000 classes these are the 20 most confused" in chart.finding
    assert "of 69 mistakes lie between them" in chart.finding
    assert len(chart.numbers.rows) == 40
    assert chart.numbers.rest == 61 - 40
    assert "class 5" in {row.get("label") for row in drawn_rows(chart)}
    assert "Numbers are test images" not in chart.key


def test_long_names_that_are_cut_alike_are_told_apart():
    names = ["x" * 30 + end for end in "ab"]
    rows = drawn_rows(charts.confusion_chart([judged(names[0], names[1]), judged(names[1], names[1])], names))
    assert len({row["label"] for row in rows if "label" in row}) == 2


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=12))
def test_names_become_distinct_and_keep_their_order(names):
    found = charts._distinct(names)
    assert len(set(found)) == len(found)
    assert all(new.startswith(old) for new, old in zip(found, names, strict=True))


@pytest.mark.parametrize(
    ("tested", "words"),
    [
        ([judged("a", "a", 0.999)] * 20, "as sure as it should be"),
        ([judged("a", "b", 0.95)] * 10, "95.0 points too sure"),
        ([judged("a", "a", 0.55)] * 10, "45.0 points too unsure"),
        ([judged("a", "b", 0.75)] * 5 + [judged("a", "a", 0.25)] * 5, "too sure in places and too unsure in others"),
    ],
)
def test_how_sure_it_is_has_a_word(tested, words):
    assert words in charts.calibration_chart(tested).finding


def test_bins_of_the_table_hold_all_images():
    chart = charts.calibration_chart(MIXED)
    assert sum(int(row[2]) for row in cells(chart.numbers)) == len(MIXED)
    assert f"({len(chart.numbers.rows)} of 10 bins hold images)" in chart.finding


def test_without_test_images_there_are_no_charts_of_them():
    assert charts.calibration_chart([]) is None
    assert charts.abstaining_chart([]) is None


def test_abstaining_says_what_is_gained_at_nine_tenths():
    chart = charts.abstaining_chart(MIXED)
    assert (
        "it says something of 62 % of the images and is right on 100 % of those, instead of 81 % of all"
        in chart.finding
    )
    rows = cells(chart.numbers)
    assert rows[0] == ["none", "16", "100 %", "0.812", "3"]
    assert ["0.9", "10", "62 %", "1.000", "0"] in rows


def test_a_model_that_is_always_right_has_nothing_to_gain():
    assert "nothing to gain" in charts.abstaining_chart([judged("a", "a")] * 4).finding


def test_a_model_that_is_never_sure_answers_nothing_from_there():
    chart = charts.abstaining_chart([judged("a", "b", 0.3), judged("a", "a", 0.4)])
    assert chart.finding == "No answer has a probability of 0.9 or more."
    assert len(chart.numbers.rows) == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=40))
def test_wrong_answers_never_grow_as_fewer_are_given(pairs):
    tested = [judged("a", "a" if right else "b", p) for right, p in pairs]
    wrong = [int(row[-1]) for row in cells(charts.abstaining_chart(tested).numbers)]
    assert wrong == sorted(wrong, reverse=True)


@given(st.lists(st.floats(0, 1), max_size=20))
def test_labels_of_the_curve_have_room(shares):
    kept = charts._readable([{"share": share} for share in shares])
    for place, row in enumerate(kept):
        assert all(abs(row["share"] - other["share"]) > 0.11 for other in kept[:place])


def test_of_two_counts_without_room_the_larger_stands():
    rows = [{"sure": 0.50, "n": 3}, {"sure": 0.53, "n": 8}, {"sure": 0.9, "n": 1}]
    assert charts._spaced(rows) == [rows[1], rows[2]]


def test_an_image_of_a_class_that_is_in_no_list_is_left_out_of_the_map_only():
    tested = [*MIXED, judged("dog", "auk")]
    chart = charts.confusion_chart(tested, CLASSES)
    assert "dog" not in {row.get("label") for row in drawn_rows(chart)}
    assert ["dog", "auk", "1", "100 %"] in cells(chart.numbers)


def test_hostile_names_stay_names():
    evil = "</script>\u202e\n"
    chart = charts.confusion_chart([replace(judged(evil, "bee"), label=evil), judged("bee", "bee")], (evil, "bee"))
    assert "\u202e" not in chart.finding
    assert "\n" not in chart.finding
