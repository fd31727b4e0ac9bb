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


def test_confusions_are_shares_of_the_given_class_the_most_images_first():
    features, labels = clouds([40, 40, 40], 0.3)
    curve = probe([features] * 3, labels, TASK, STAGES)
    said = curve.fits[curve.best.stage - 1].loo.argmax(1)
    pairs = find_confusions(curve, labels, NAMES, most=99)
    assert [pair.images for pair in pairs] == sorted((pair.images for pair in pairs), reverse=True)
    for pair in pairs:
        label, other = NAMES.index(pair.label), NAMES.index(pair.taken_for)
        assert pair.images == ((labels == label) & (said == other)).sum() >= 2
        assert pair.share == round(pair.images / 40, 4)
        assert pair.label != pair.taken_for
    assert find_confusions(curve, labels, NAMES, most=2) == pairs[:2]


def test_one_mistake_is_an_accident_and_none_is_nothing():
    features, labels = clouds([40, 40, 40], 6.0)
    assert find_confusions(probe([features] * 3, labels, TASK, STAGES), labels, NAMES) == ()
    labels = labels.copy()
    labels[0] = 1
    assert find_confusions(probe([features] * 3, labels, TASK, STAGES), labels, NAMES) == ()


def test_suspects_are_surest_first_with_probabilities():
    features, labels = clouds([60, 60, 60], 1.2)
    wrong = labels.copy()
    rows = np.arange(0, 180, 12)
    wrong[rows] = (wrong[rows] + 1) % 3
    curve = probe([features] * 3, wrong, TASK, STAGES)
    suspects = find_suspects(curve, [features] * 3, wrong, [str(i) for i in range(180)], NAMES)
    assert len(suspects) >= 5
    for one in suspects:
        assert 0.5 <= one.probability <= 1
        assert one.label == NAMES[wrong[int(one.path)]]
        assert one.looks_like != one.label
    right = sum(one.looks_like == NAMES[labels[int(one.path)]] for one in suspects)
    assert right >= 0.9 * len(suspects)


def test_a_wrong_label_is_doubted_though_all_copies_of_the_image_carry_it():
    near, labels = clouds([60, 60, 60], 0.6, width=400)
    features = np.repeat(near, 3, axis=0) + np.random.default_rng(0).normal(0, 0.01, (540, 400)).astype(np.float32)
    families, wrong = np.repeat(np.arange(180), 3), np.repeat(labels, 3)
    wrong[9:12] = 1  # the fourth image of the first class, in its three copies
    paths = [f"{i}.png" for i in range(540)]
    blind = probe([features] * 3, wrong, TASK, STAGES)
    assert not {"9.png", "10.png", "11.png"} & {
        s.path for s in find_suspects(blind, [features] * 3, wrong, paths, NAMES)
    }
    curve = probe([features] * 3, wrong, TASK, STAGES, families=families)
    assert {s.path for s in find_suspects(curve, [features] * 3, wrong, paths, NAMES)} == {"9.png", "10.png", "11.png"}
