import numpy as np
import pytest
from conftest import clouds
from sklearn.metrics import average_precision_score

from advisor.advice.probe import nearest_votes, probe
from advisor.network.stages import Stage, Stages
from advisor.task import MultiLabel, SingleLabel

STAGES = Stages(tuple(Stage(name, name, ()) for name in ("early", "middle", "late")))


def test_the_curve_has_both_opinions_and_says_which_stages_are_tied():
    near, labels = clouds([30] * 4, 0.1)
    far, _ = clouds([30] * 4, 1.5)
    curve = probe([near, far, far + 1e-4], labels, SingleLabel.numbered(4), STAGES)
    assert curve.metric == "accuracy"
    assert [point.tied for point in curve.points] == [False, True, True]
    assert curve.best.stage == 3
    assert curve.points[1].neighbours > 0.8 > curve.points[0].neighbours
    assert 0.24 < curve.chance < 0.26


def test_unequal_classes_are_judged_by_balanced_accuracy():
    features, labels = clouds([200, 12, 12], 0.5)
    curve = probe([features] * 3, labels, SingleLabel.numbered(3), STAGES)
    assert curve.metric == "balanced accuracy"
    assert curve.chance == pytest.approx(1 / 3)
    assert curve.effective == round(9 / (1 / 200 + 2 / 12))
    right = curve.fits[0].correct(labels)
    assert curve.points[0].accuracy == pytest.approx(np.mean([right[labels == c].mean() for c in range(3)]))
    # Always saying the largest class is worth nothing here.
    assert curve.task.score((labels == 0).astype(float), labels) == pytest.approx(1 / 3)


def test_several_labels_are_judged_by_mean_average_precision_with_paired_errors():
    rng = np.random.default_rng(0)
    truth = rng.random((150, 4)) < (0.5, 0.3, 0.3, 0.1)
    far = (truth @ rng.normal(size=(4, 20)) * 0.8 + rng.normal(size=(150, 20))).astype(np.float32)
    near = (truth @ rng.normal(size=(4, 20)) * 0.3 + rng.normal(size=(150, 20))).astype(np.float32)
    again = far + rng.normal(0, 0.1, far.shape).astype(np.float32)
    curve = probe([near, far, again], truth, MultiLabel.numbered(4), STAGES)
    assert curve.metric == "mean average precision"
    assert curve.chance == pytest.approx(truth.mean())
    assert [point.tied for point in curve.points] == [False, True, True]
    first, second, last = curve.points
    assert curve.chance < first.accuracy < second.accuracy
    assert first.neighbours < second.neighbours
    assert first.gain == pytest.approx(first.accuracy - last.accuracy)
    assert 0 < second.gain_se < first.gain_se < 0.1  # nearly the same features, nearly the same errors
    plain = np.mean([average_precision_score(truth[:, c], curve.fits[0].loo[:, c]) for c in range(4)])
    assert first.accuracy == pytest.approx(plain)
    with pytest.raises(ValueError, match=r"\[1\]"):
        probe([near] * 3, np.column_stack([truth[:, 0], np.ones(150, bool)]), MultiLabel.numbered(2), STAGES)


def test_neighbours_are_others_and_follow_the_cosine():
    features, labels = clouds([15, 15], 4)
    assert (nearest_votes(features, SingleLabel.numbered(2).truth(labels)).argmax(1) == labels).all()
    votes = nearest_votes(features, np.eye(30, dtype=bool))  # one image per class: no neighbour can be right
    assert (votes.diagonal() == 0).all()
