"""What commands print of predictions, trials and findings, from records made by hand."""

import io
import json
import math
import sys

import pytest
from made import HEAD_ONLY, head_only_trial, probe, trial

from advisor.cli import console, pages
from advisor.cli.listing import print_rows
from advisor.doctor.examination import Diagnosis
from advisor.records.trial import TrialKind, TrialState


def row(path="a.png", label="auk", **changes):
    top = [{"label": "auk", "probability": 0.9}, {"label": "bee", "probability": 0.1}]
    return {"path": path, "label": label, "probability": 0.9, "top": top, **changes}


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_predictions_stand_below_each_other(capsys):
    pages.predictions(console.page(), [row(), row("longer.png"), {"path": "b.png", "error": "not an image"}])
    assert lines(capsys) == [
        "a.png       auk 0.900   bee 0.100", "longer.png  auk 0.900   bee 0.100", "b.png       unreadable: not an image",
    ]  # fmt: skip


def test_where_nothing_is_likely_enough_it_is_said(capsys):
    pages.predictions(console.page(), [row(label="")])
    assert lines(capsys) == ["a.png  none likely enough (auk 0.900   bee 0.100)"]
    pages.predictions(console.page(), [])
    assert lines(capsys) == []


def test_names_are_printed_letter_by_letter(capsys):
    evil = "[bold]x[/bold]\x1b[2J"
    top = [{"label": evil, "probability": 1.0}]
    pages.predictions(console.page(), [row(evil, top=top)])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.count("[bold]x[/bold]\\x1b[2J") == 2


def test_a_trial_that_ended_well_is_one_line_and_the_best_has_a_star():
    best = [-1.0]
    first = pages.trial_line(trial(0, 0.8), best)
    assert first == ("trial 0  validation 0.800 * tap 8, frozen 4, linear, lr 1.0e-03, 40 steps, 8.0 s  (best 0.800)")
    second = pages.trial_line(trial(1, 0.7), best)
    assert " * " not in second
    assert second.endswith("(best 0.800)")
    assert best == [0.8]


def test_a_head_has_no_rate_and_a_probe_is_called_so():
    assert "lr " not in pages.trial_line(head_only_trial(3, 0.7), [0.0])
    assert pages.trial_line(probe(8, 0.6), [0.0]).startswith("probe    validation 0.600")


def test_notes_stand_below_the_line():
    said = pages.trial_line(trial(0, 0.8, notes=("cut short", "memory was little")), [0.0])
    assert said.splitlines()[1:] == ["        cut short", "        memory was little"]


@pytest.mark.parametrize("state", [TrialState.FAIL, TrialState.PRUNED])
def test_a_trial_without_a_score_says_why_and_is_never_the_best(state):
    best = [0.5]
    said = pages.trial_line(trial(4, None, state=state, reason="it broke"), best)
    assert said == f"trial 4  {state.lower()}: it broke"
    assert best == [0.5]
    assert pages.trial_line(trial(5, None, state=TrialState.FAIL, values=None, reason=""), best).endswith("fail: ")


def test_a_repeat_is_told_by_its_reason():
    said = pages.trial_line(trial(6, 0.8, kind=TrialKind.REPEAT, reason="as trial 2"), [0.9])
    assert said == "trial 6  0.800, as trial 2"


def test_an_equal_score_is_no_new_best():
    assert " * " not in pages.trial_line(trial(1, 0.8, values=HEAD_ONLY, steps=0), [0.8])


@pytest.mark.parametrize(
    ("states", "last"),
    [(["ok", "ok"], "No problem; 2 things looked at."), (["ok", "note"], "No problem, 1 to note; 2 things looked at."),
     (["problem", "note", "problem"], "2 problems of 3 things looked at."), (["problem"], "1 problem of 1 things looked")],
)  # fmt: skip
def test_a_diagnosis_ends_with_what_was_found(capsys, states, last):
    pages.diagnosis(console.page(), [Diagnosis("x", state, "y") for state in states])
    assert lines(capsys)[-1].startswith(last)


def test_numbers_that_json_does_not_have_become_null(capsys):
    console.print_json({"a": math.nan, "b": [math.inf, 1.5], "c": {"d": -math.inf}, 3: (1, 2)})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": {"d": None}, "3": [1, 2]}


def test_only_documents_reach_stdout_and_it_is_given_back(capsys):
    with console.only_documents():
        sys.stdout.write("a library's talk\n")
        console.print_json({"a": "ü"})
    sys.stdout.write("after\n")
    out, err = capsys.readouterr()
    assert out == '{\n  "a": "ü"\n}\nafter\n'
    assert err == "a library's talk\n"


def test_stdout_is_given_back_after_an_error(capsys):
    with pytest.raises(ZeroDivisionError), console.only_documents():
        raise ZeroDivisionError
    sys.stdout.write("after\n")
    assert capsys.readouterr().out == "after\n"


def test_a_page_is_as_wide_as_it_is_told_to_be(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    assert console.page().width == 50
    monkeypatch.setenv("COLUMNS", "wide")
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert console.page().width == 120


@pytest.mark.parametrize("as_json", [True, False])
def test_lists_are_tables_or_json(capsys, as_json):
    assert print_rows([{"name": "svm", "size": 3}], "heads", json=as_json) == 0
    out = capsys.readouterr().out
    assert (json.loads(out) == [{"name": "svm", "size": 3}]) if as_json else out.splitlines()[1].split() == ["svm", "3"]


def test_an_empty_list_is_a_sentence_or_an_empty_document(capsys):
    print_rows([], "heads", json=False)
    assert lines(capsys) == ["No heads are installed."]
    print_rows([], "heads", json=True)
    assert json.loads(capsys.readouterr().out) == []
