"""One trial as a record."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.recipe.values import FreezeValues, HeadValues
from advisor.records.trial import (
    CurvePoint,
    TrialKind,
    TrialRecord,
    TrialState,
    Way,
    curve_from_list,
    curve_to_list,
    is_plain_probe,
    probe_number,
    probe_stages,
    trial_name,
    values_of,
)

from .conftest import JSON, damaged, probe, refuses, trial, values

BARE = TrialRecord(7, TrialKind.INTERRUPTED, TrialState.FAIL, reason="stopped")


@pytest.mark.parametrize("record", [trial(), probe(), BARE, trial(accuracy=None, curve=(), ended=None)])
def test_it_survives_json(record):
    assert TrialRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record


@given(
    st.sampled_from(TrialKind), st.sampled_from(TrialState), st.none() | st.floats(0, 1), st.none() | st.integers(0, 99),
    st.text(),
)  # fmt: skip
def test_any_of_them_survives_json(kind, state, accuracy, steps, words):
    record = trial(kind=kind, state=state, accuracy=accuracy, steps=steps, reason=words, notes=(words,), start=words)
    assert TrialRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record


@given(JSON)
def test_anything_else_is_refused_in_words(data):
    assert refuses(TrialRecord.from_dict, data)


def test_every_damage_is_refused_in_words_or_harmless():
    refused = [refuses(TrialRecord.from_dict, data) for data in damaged(trial().to_dict())]
    assert sum(refused) > 100


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("kind", "guess", "kind is 'guess', none of probe, trial, soup, repeat"),
        ("state", "ASLEEP", "state is 'ASLEEP', none of RUNNING"),
        ("values", {"optimizer.lr": 0.1}, "the values of a trial are incomplete: optimizer"),
        ("values", {"features.tap": "all"}, "features.tap is 'all', no number"),
        ("values", {"freeze.batchnorm": 3}, "freeze.batchnorm is 3, no text"),
        ("values", {"features.tap": [1]}, "features.tap is"),
        ("curve", [[1, 2, 3]], "a point of a learning curve has 3 numbers in place of 4"),
        ("curve", [[1, 2, 3, "x"]], "'x' is no number"),
        ("tap", 2.5, "tap is 2.5, no whole number"),
    ],
)
def test_the_error_says_what_is_wrong(key, value, words):
    with pytest.raises((TypeError, ValueError), match=words):
        TrialRecord.from_dict({**trial().to_dict(), key: value})


def test_whole_numbers_may_stand_for_others_in_values():
    assert values_of({**values().to_flat(), "features.tap": 1}).features.tap == 1.0


def test_what_is_not_trained_has_no_rate():
    assert (trial().backbone_lr, trial().lr_ratio, trial().head) == (3e-4, 10.0, "linear")
    for record in (probe(), BARE, trial(tap=5, frozen=5)):
        assert (record.backbone_lr, record.lr_ratio) == (None, None)
    assert (probe().head, BARE.head) == ("ridge", "")


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("inf"), float("nan")])
def test_a_ratio_that_cannot_be_drawn_is_none(ratio):
    own = values()
    assert trial(values=replace(own, optimizer=replace(own.optimizer, lr_ratio=ratio))).lr_ratio is None


def test_the_way_is_told_by_stages_or_else_by_values():
    assert probe().way is Way.PROBE
    assert trial(tap=5, frozen=5).way is trial(values=None, tap=None).way is Way.HEAD
    assert trial(tap=5, frozen=0).way is Way.TUNED
    alone = values(freeze=FreezeValues(1.0), head=HeadValues("svm"), optimizer=None, train=None)
    assert trial(tap=None, frozen=None, values=alone).way is Way.HEAD
    assert trial(tap=None, frozen=None).way is Way.TUNED


def test_only_a_finished_trial_of_its_own_is_scored():
    assert trial().scored
    assert probe().scored
    for changes in ({"state": TrialState.PRUNED}, {"kind": TrialKind.REPEAT}, {"accuracy": None}):
        assert not trial(**changes).scored
    assert [state.finished for state in TrialState] == [False, False, True, True, True]


def test_the_share_that_was_trained():
    assert trial().trained == 0.5
    assert probe().trained is trial(planned_steps=None).trained is trial(steps=0).trained is None


def test_names():
    assert (trial().name, probe().name, trial_name(0)) == ("trial 3", "probe at stage 5", "trial 0")


@pytest.mark.parametrize(
    ("stages", "number", "name"),
    [((5,), -5, "probe at stage 5"), ((4, 7), -4007, "probe at stages 4 and 7"),
     ((1, 12, 130), -1012130, "probe at stages 1, 12 and 130")],
)  # fmt: skip
def test_a_probes_number_tells_which_stages_it_reads(stages, number, name):
    assert probe_number(stages) == number
    assert probe_stages(number) == stages
    assert trial_name(number) == name
    assert is_plain_probe(number)


def test_the_number_of_a_probe_on_further_views_tells_them_too():
    views, mirrored = probe_number((4, 7), views=4), probe_number((5,), mirrored=True)
    assert (trial_name(views), trial_name(mirrored)) == (
        "probe at stages 4 and 7 on 4 views", "probe at stage 5 with mirror images",
    )  # fmt: skip
    assert (probe_stages(views), probe_stages(mirrored)) == ((4, 7), (5,))
    assert not is_plain_probe(views)
    assert not is_plain_probe(mirrored)
    assert abs(probe_number((499, 499, 499), views=64)) < 2**53  # every reader of JSON knows it


@given(st.lists(st.builds(CurvePoint, st.integers(0, 99), st.integers(0, 10**6), st.floats(0, 1e5), st.floats(0, 1))))
def test_a_curve_survives_to_a_millisecond_and_six_digits(points):
    curve = curve_from_list(curve_to_list(tuple(points)))
    assert [(one.epoch, one.steps) for one in curve] == [(one.epoch, one.steps) for one in points]
    for read, point in zip(curve, points, strict=True):
        assert read.seconds == pytest.approx(point.seconds, abs=5e-4)
        assert read.accuracy == pytest.approx(point.accuracy, abs=5e-7)


def test_points_without_a_figure_are_left_out():
    assert curve_from_list([[1, 4, 0.5, None], [2, 8, float("nan"), 0.5], [3, 12, 0.5, 0.5]]) == (
        CurvePoint(3, 12, 0.5, 0.5),
    )
