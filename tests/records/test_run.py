"""What a run came to, as a record."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.records.run import DatasetRecord, RunRecord, WinnerRecord
from advisor.records.trial import TrialKind

from .conftest import JSON, damaged, refuses, run_record, values
from .old import REPORT

MULTI = {"dataset": DatasetRecord("tags", "0", True, {"train": 3}, ("a", "b")), "metric": "map", "test_balanced": None}
UNTESTED = {"test": None, "test_balanced": None, "test_images": 0, "test_interval": (0.0, 1.0), "per_class": ()}


def read(data):
    return RunRecord.from_dict(json.loads(json.dumps(data)))


@pytest.mark.parametrize(
    "changes", [{}, MULTI, UNTESTED, {"metric": "balanced"}, {"scenario": None, "probe": None, "advice": {}}]
)
def test_it_survives_json(changes):
    record = run_record(**changes)
    assert read(record.to_dict()) == record


@given(st.floats(0, 1), st.floats(0, 1), st.text(), st.dictionaries(st.text(), st.text()))
def test_any_of_them_survives_json_to_six_digits(validation, test, words, versions):
    record = run_record(validation=validation, test=test, recipe=words, device=words, versions=versions)
    again = read(record.to_dict())
    assert again.validation == pytest.approx(validation, rel=1e-5)
    assert again.test == pytest.approx(test, rel=1e-5)
    assert replace(again, validation=validation, test=test) == record


@given(JSON)
def test_anything_else_is_refused_in_words(data):
    assert refuses(RunRecord.from_dict, data)


def test_every_damage_is_refused_in_words_or_harmless():
    refused = [refuses(RunRecord.from_dict, data) for data in damaged(run_record().to_dict())]
    assert sum(refused) > 400


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("metric", "map", "`map` is no metric"),
        ("metric", "loss", "`loss` is no metric"),
        ("test_interval_95", [0.5], "test_interval_95 is no pair of numbers"),
        ("test_images", "many", "'many' is no number"),
        ("seed", 0.5, "seed is 0.5, no whole number"),
        ("test_per_class", {"a": {"images": 3}}, "recall"),
        ("dataset", {**REPORT["dataset"], "classes": None}, "nothing is no list"),
        ("winner", {**REPORT["winner"], "kind": "loser"}, "loser"),
    ],
)
def test_the_error_says_what_is_wrong(key, value, words):
    with pytest.raises((TypeError, ValueError, KeyError), match=words):
        RunRecord.from_dict({**run_record().to_dict(), key: value})


def test_a_metric_of_one_class_an_image_is_refused_for_several():
    with pytest.raises(ValueError, match="`accuracy` is no metric of several labels an image"):
        RunRecord.from_dict({**run_record(**MULTI).to_dict(), "metric": "accuracy"})


def test_the_old_form_is_read():
    record = read(REPORT)
    assert (record.validation_seeds, record.choice.unsure) == (1, 0)
    assert record.winner.values.optimizer.lr_ratio == 10.0
    assert record.to_dict()["test_per_class"] == REPORT["test_per_class"]


def test_figures_are_compared_in_the_measure_of_the_search():
    assert run_record().compared == 0.875
    assert run_record(metric="balanced").compared == 0.85
    assert (run_record().metric_name, run_record(metric="balanced").metric_name) == ("accuracy", "balanced accuracy")
    assert run_record(**MULTI).metric_name == "mean average precision"
    assert not run_record(**MULTI).task.exclusive


def test_names():
    assert run_record().winner.name == "trial 3"
    assert WinnerRecord(-4, TrialKind.PROBE, 1.0, values()).name == "the closed-form probe"
    assert [plugin.is_core for plugin in run_record().plugins] == [True, False]


@pytest.mark.parametrize(
    ("changed", "guessing", "beats"),
    [
        ({}, 10 / 18, True),
        ({"test_interval": (0.5, 0.96)}, 10 / 18, False),
        ({"metric": "balanced"}, 1 / 2, True),
        ({"metric": "balanced", "test_balanced": 0.6}, 1 / 2, False),
        ({"test": None, "test_balanced": None, "test_images": 0, "per_class": ()}, None, None),
    ],
)
def test_a_figure_is_held_against_guessing(changed, guessing, beats):
    """Saying the largest class of the test images, or one of the classes where each counts alike."""
    record = run_record(**changed)
    assert record.guessing == pytest.approx(guessing) if guessing else record.guessing is None
    assert record.beats_guessing is beats
    plain = record.to_dict()
    assert plain["test_beats_guessing"] is beats
