"""What a report is made of beside the figures."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.records.evidence import EvidenceRecord, Explanation, JudgedImage, forecast_of, read_predictions
from advisor.records.plain import Plain
from advisor.records.trial import TrialKind

from .conftest import JSON, damaged, evidence_record, explanation, probe, refuses, trial
from .old import EVIDENCE


def again(record):
    return type(record).from_dict(json.loads(json.dumps(record.to_dict())))


@pytest.mark.parametrize("changes", [{}, {"forecast": None, "mistakes": (), "stages": ()}, {"trials": ()}])
def test_evidence_survives_json(changes):
    assert again(evidence_record(**changes)) == evidence_record(**changes)


@pytest.mark.parametrize("changes", [{}, {"curves": {}, "ablations": (), "left_out": ()}, {"scratch_steps": 12}])
def test_an_explanation_survives_json(changes):
    assert again(explanation(**changes)) == explanation(**changes)


@given(JSON)
@pytest.mark.parametrize("kind", [EvidenceRecord, Explanation, JudgedImage])
def test_anything_else_is_refused_in_words(kind, data):
    assert refuses(kind.from_dict, data)


@pytest.mark.parametrize("record", [evidence_record(), explanation()], ids=["evidence", "explanation"])
def test_every_damage_is_refused_in_words_or_harmless(record):
    refused = [refuses(type(record).from_dict, data) for data in damaged(record.to_dict())]
    assert sum(refused) > 100


def test_trials_are_in_the_order_in_which_they_ended():
    late, early, never = trial(1, ended=9.0), trial(2, ended=3.0), trial(3, ended=None)
    assert [one.number for one in again(evidence_record(trials=(late, early, never))).trials] == [3, 2, 1]


def test_format_1_told_the_share_of_the_steps():
    record = EvidenceRecord.from_dict(EVIDENCE)
    fitted, tuned, repeat, late = record.trials
    assert (tuned.steps, tuned.planned_steps, tuned.trained) == (8, 12, pytest.approx(2 / 3))
    assert fitted.trained is repeat.trained is late.trained is None
    assert late.kind is TrialKind.OUT_OF_TIME
    assert late.values is None
    assert again(record) == record


@pytest.mark.parametrize("trained", [None, 0, 0.0, -1])
def test_format_1_without_a_share_has_no_steps(trained):
    rows = [{**EVIDENCE["trials"][1], "trained": trained}]
    assert EvidenceRecord.from_dict({**EVIDENCE, "trials": rows}).trials[0].trained is None


def test_a_later_format_is_refused():
    with pytest.raises(ValueError, match="it is of format 3, which a later version of transfer-advisor wrote"):
        EvidenceRecord.from_dict({**evidence_record().to_dict(), "format": 3})


def test_only_pictures_are_taken_for_pictures():
    data = evidence_record().to_dict()
    data["mistakes"][0]["picture"] = "javascript:alert(1)"
    assert EvidenceRecord.from_dict(data).mistakes[0].picture == ""


@pytest.mark.parametrize("missing", ["accuracy", "low", "high"])
def test_half_a_forecast_is_none(missing):
    whole = {"accuracy": 0.6, "low": 0.4, "high": 0.7}
    assert forecast_of(Plain(whole)).accuracy == 0.6
    assert forecast_of(Plain({key: value for key, value in whole.items() if key != missing})) is None


def test_an_explanation_as_a_table():
    table = explanation().curve
    assert table.columns.tolist() == ["way", "epoch", "steps", "seconds", "accuracy"]
    assert table.to_numpy().tolist() == [["winner", 0, 0, 0.0, 0.9], ["from-scratch", 1, 4, 0.5, 0.25]]


def test_the_winner_has_a_name():
    assert (explanation().name, explanation(trial=-4).name) == ("trial 3", "the closed-form probe at stage 4")
    assert probe().name in explanation(trial=-5).name


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@given(st.lists(st.builds(JudgedImage, NAMES, NAMES, NAMES, st.floats(0, 1), st.floats(0, 1)), max_size=5))
def test_predictions_survive_csv(tmp_path_factory, images):
    file = tmp_path_factory.mktemp("csv") / "predictions.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["path", "label", "predicted", "probability", "own"])
        table.writerows([one.path, one.label, one.predicted, one.probability, one.own] for one in images)
    assert read_predictions(file) == tuple(images)
    assert [one.right for one in read_predictions(file)] == [one.label == one.predicted for one in images]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("path,label\na,b\n", "predicted"),
        ("path,label,predicted,probability,own\na,b", "predicted is nothing, no text"),
        ("path,label,predicted,probability,own\na,b,c,,\n", "'' is no number"),
        ("path,label,predicted,probability,own\na,b,c,likely,1\n", "'likely' is no number"),
        ("path,label,predicted,probability,own\na,b,c,nan,1\n", "probability is 'nan', no number"),
    ],
)
def test_damaged_predictions_are_refused(tmp_path, rows, words):
    file = tmp_path / "predictions.csv"
    file.write_text(rows)
    with pytest.raises((KeyError, TypeError, ValueError), match=words):
        read_predictions(file)


def test_probabilities_stay_probabilities():
    row = {"path": "a", "label": "b", "predicted": "c", "probability": "1.000001", "own": "0"}
    assert JudgedImage.from_dict(row).probability == 1.0
    assert JudgedImage.from_dict({**row, "probability": -1e-7}).probability == 0.0
