import numpy as np
from conftest import clouds

from advisor.advice.health import find_confusions, find_suspects
from advisor.advice.probe import probe
from advisor.network.stages import Stage, Stages
from advisor.task import SingleLabel

STAGES = Stages(tuple(Stage(name, name, ()) for name in ("early", "middle", "late")))
NAMES = ("cat", "dog", "bird")
TASK = SingleLabel(NAMES)


def test_switched_labels_are_found_and_clean_ones_left_alone():
    features, labels = clouds([60, 60, 60], 2.0)
    paths = [f"{i}.png" for i in range(180)]
    clean = probe([features] * 3, labels, TASK, STAGES)
    assert find_suspects(clean, [features] * 3, labels, paths, NAMES) == ()
    wrong = labels.copy()
    wrong[[3, 70, 150]] = [1, 2, 0]
    curve = probe([features] * 3, wrong, TASK, STAGES)
    suspects = find_suspects(curve, [features] * 3, wrong, paths, NAMES)
    assert {s.path for s in suspects} == {"3.png", "70.png", "150.png"}
    assert {(s.label, s.looks_like) for s in suspects} == {("dog", "cat"), ("bird", "dog"), ("cat", "bird")}


def test_shuffled_labels_make_no_suspects():
    features, labels = clouds([60, 60, 60], 2.0)
    shuffled = np.random.default_rng(0).permutation(labels)
    curve = probe([features] * 3, shuffled, TASK, STAGES)
    assert len(find_suspects(curve, [features] * 3, shuffled, [""] * 180, NAMES)) <= 3


def test_the_pair_that_is_mixed_up_comes_first():
    features, labels = clouds([50, 50, 50], 3.0)
    rng = np.random.default_rng(1)
    features[labels == 2] = features[labels == 0] + rng.normal(0, 0.3, (50, 12)).astype(np.float32)
    curve = probe([features] * 3, labels, TASK, STAGES)
    first = find_confusions(curve, labels, NAMES)[0]
    assert {first.label, first.taken_for} == {"cat", "bird"}
    assert 0 < first.share <= 1
