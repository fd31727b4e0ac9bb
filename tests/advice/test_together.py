"""The probe that reads several stages at once, beside the best single one."""

import json

import numpy as np
import pytest

from advisor.advice.probe import probe
from advisor.advice.together import probe_together
from advisor.network.joining import joined
from advisor.network.ridge import fit_ridge
from advisor.network.stages import Stage, Stages
from advisor.task import MultiLabel, SingleLabel

STAGES = Stages(tuple(Stage(name, name, ()) for name in ("early", "middle", "late")))


def halves(n=120, shift=12.0):
    """Three stages: the first tells even classes from odd ones, the last the lower half from the upper."""
    rng, labels = np.random.default_rng(0), np.arange(n) % 4
    early, middle, late = (rng.normal(size=(n, width)).astype(np.float32) for width in (6, 20, 60))
    early[:, 0] += shift * (labels % 2)
    late[:, 0] += shift * (labels // 2)
    return [early, middle, late], labels


def test_what_it_has_over_the_best_stage_is_paired_and_exact():
    features, labels = halves()
    task = SingleLabel.numbered(4)
    curve = probe(features, labels, task, STAGES)
    together = probe_together(curve, features)
    assert {1, 3} <= set(together.stages)
    assert together.names == tuple(STAGES.stages[stage - 1].name for stage in together.stages)
    fit = fit_ridge(joined([features[stage - 1] for stage in together.stages]), labels, 4, scaled=True)
    assert together.accuracy == pytest.approx(fit.correct(labels).mean(), abs=0.02)  # the rule of succession
    assert together.gain == pytest.approx(together.accuracy - curve.best.accuracy)
    assert together.gain > 0.2
    assert 0 < together.gain_se < 0.1
    assert together.width == sum(features[stage - 1].shape[1] for stage in together.stages)


def test_nothing_is_told_where_one_stage_knows_all():
    rng, labels = np.random.default_rng(1), np.arange(90) % 3
    known = (np.eye(3)[labels] + rng.normal(0, 0.01, (90, 3))).astype(np.float32)
    features = [rng.normal(size=(90, 200)).astype(np.float32)] * 2 + [known]
    assert probe_together(probe(features, labels, SingleLabel.numbered(3), STAGES), features) is None


def test_copies_are_left_out_together():
    features, labels = halves(40, shift=0.0)  # nothing but noise
    copies, again = [np.repeat(stage, 3, axis=0) for stage in features], np.repeat(labels, 3)
    curve = probe(copies, again, SingleLabel.numbered(4), STAGES)
    told, honest = (probe_together(curve, copies, families) for families in (None, np.repeat(np.arange(40), 3)))
    assert told is None or told.accuracy > 0.6
    assert honest is None or honest.accuracy < 0.5


def test_several_labels_are_judged_by_mean_average_precision():
    features, labels = halves()
    truth = np.stack([labels % 2 == 1, labels // 2 == 1], axis=1)
    curve = probe(features, truth, MultiLabel.numbered(2), STAGES)
    together = probe_together(curve, features)
    assert together.accuracy > curve.best.accuracy
    assert together.accuracy > 0.95


def test_it_is_plain_data_in_the_curve():
    from dataclasses import replace

    features, labels = halves()
    curve = probe(features, labels, SingleLabel.numbered(4), STAGES)
    assert curve.to_dict()["joined"] is None
    told = json.loads(json.dumps(replace(curve, joined=probe_together(curve, features)).to_dict()))
    assert set(told["joined"]) >= {"stages", "accuracy", "gain", "gain_se"}
