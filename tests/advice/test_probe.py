import json

import numpy as np
import pytest
from conftest import clouds
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from advisor.advice import probe as module
from advisor.advice.probe import nearest_votes, probe
from advisor.network.ridge import standardise
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


@given(st.integers(0, 200))
@settings(max_examples=8)
def test_votes_are_those_of_the_ten_nearest_by_brute_force(seed):
    features, labels = clouds([9, 7, 5], 1.0, seed=seed)
    truth = labels[:, None] == np.arange(3)
    votes = nearest_votes(features, truth)
    X = standardise(features)[0]
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    for image in range(len(X)):
        similar = X @ X[image]
        similar[image] = -np.inf
        near = np.argsort(-similar)[:10]
        np.testing.assert_allclose(votes[image], ((1 + similar[near])[:, None] * truth[near]).sum(0), atol=1e-5)


def test_blocks_do_not_change_the_votes(monkeypatch):
    features, labels = clouds([20, 20], 1.0)
    truth = labels[:, None] == np.arange(2)
    whole = nearest_votes(features, truth)
    monkeypatch.setattr(module, "_BLOCK", 7)
    np.testing.assert_allclose(nearest_votes(features, truth), whole, atol=1e-6)


def test_two_images_vote_for_each_other_and_equal_ones_are_no_accident():
    truth = np.eye(2, dtype=bool)
    assert (nearest_votes(np.array([[0.0, 1.0], [1.0, 0.0]], np.float32), truth).argmax(1) == [1, 0]).all()
    assert np.isfinite(nearest_votes(np.ones((5, 3), np.float32), np.ones((5, 1), bool))).all()


def test_the_order_of_images_does_not_change_a_curve():
    features, labels = clouds([30, 30, 30], 0.6)
    order = np.random.default_rng(0).permutation(90)
    task = SingleLabel.numbered(3)
    one = probe([features] * 3, labels, task, STAGES)
    other = probe([features[order]] * 3, labels[order], task, STAGES)
    for first, second in zip(one.points, other.points, strict=True):
        assert second.accuracy == pytest.approx(first.accuracy)
        assert second.neighbours == pytest.approx(first.neighbours, abs=0.02)
        assert second.penalty == first.penalty


def test_a_curve_is_told_stage_by_stage_and_is_a_table_and_plain_data():
    features, labels = clouds([20, 20], 1.0)
    told = []
    curve = probe([features, features, features[:, :5]], labels, SingleLabel.numbered(2), STAGES, told.append)
    assert told == [1, 1, 1]
    assert curve.frame.index.tolist() == [1, 2, 3]
    assert curve.frame["width"].tolist() == [12, 12, 5]
    assert [point.tap for point in curve.points] == pytest.approx([1 / 3, 2 / 3, 1])
    plain = json.loads(json.dumps(curve.to_dict()))
    assert [point["name"] for point in plain["points"]] == ["early", "middle", "late"]
    assert plain["images"] == 40
    assert curve.last.gain == 0
    assert curve.points[0].gain == pytest.approx(curve.points[0].accuracy - curve.last.accuracy)


def test_of_equally_good_stages_the_last_is_best():
    features, labels = clouds([20, 20], 1.0)
    assert probe([features] * 3, labels, SingleLabel.numbered(2), STAGES).best.stage == 3


def copies(photographs, quality=0.05, count=3, seed=1):
    """Features of so many near copies of each photograph, and which are of one."""
    rng = np.random.default_rng(seed)
    features = np.repeat(photographs, count, axis=0)
    noise = quality * rng.normal(size=features.shape)
    return (features + noise).astype(np.float32), np.repeat(np.arange(len(photographs)), count)


def test_copies_with_random_labels_teach_no_stage_anything():
    rng = np.random.default_rng(0)
    features, families = copies(rng.normal(size=(60, 100)))
    labels = np.repeat(rng.integers(0, 2, 60), 3)
    told, curve = (probe([features] * 3, labels, SingleLabel.numbered(2), STAGES, families=f) for f in (None, families))
    assert told.best.accuracy > 0.95  # without families each is told by its copies
    assert told.best.neighbours > curve.best.neighbours
    assert abs(curve.best.accuracy - 0.5) < 0.2
    assert abs(curve.best.neighbours - 0.5) < 0.25
    assert curve.best.se > 1.3 * (0.25 / 180) ** 0.5
    assert (curve.images, curve.independent) == (180, 60)
    assert 60 <= curve.effective < 75
    assert curve.to_dict()["independent"] == 60


def test_copies_are_as_sure_as_their_originals():
    near, labels = clouds([20] * 3, 0.6)
    features, families = copies(near, quality=0.001)
    alone = probe([near] * 3, labels, SingleLabel.numbered(3), STAGES)
    copied = probe([features] * 3, np.repeat(labels, 3), SingleLabel.numbered(3), STAGES, families=families)
    assert copied.best.accuracy == pytest.approx(alone.best.accuracy, abs=0.07)
    assert copied.best.se == pytest.approx(alone.best.se, rel=0.15)


def test_neighbours_of_ones_own_family_have_no_vote():
    features, families = copies(np.random.default_rng(0).normal(size=(20, 30)), count=15)  # more copies than neighbours
    votes = nearest_votes(features, np.eye(20, dtype=bool)[families], families)
    assert (votes[np.arange(300), families] == 0).all()
    assert (votes.sum(1) > 0).all()
    huge = np.repeat([0, 1], [299, 1])  # and where few are left, no other than these vote
    assert np.isfinite(nearest_votes(features, np.eye(20, dtype=bool)[families], huge)).all()
