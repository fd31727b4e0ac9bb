"""Errors and intervals of scores whose images come in families."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.task import MultiLabel, SingleLabel
from advisor.task.interval import (
    effective_size,
    family_count,
    family_sums,
    paired,
    score_interval,
    standard_error,
    wilson,
)

SINGLE, BALANCED, MULTI = (
    SingleLabel.numbered(3), SingleLabel.numbered(3).with_metric("balanced"), MultiLabel.numbered(3)
)  # fmt: skip


def drawn(task, families, size, seed, together=0.8):
    """Scores and labels of families whose images share most of their noise."""
    rng, family = np.random.default_rng(seed), np.repeat(np.arange(families), size)
    labels = (rng.choice(3, families, p=(0.5, 0.3, 0.2)) if task.exclusive else rng.random((families, 3)) < 0.4)[family]
    noise = np.sqrt(together) * rng.normal(size=(families, 3))[family]
    noise += np.sqrt(1 - together) * rng.normal(size=(len(family), 3))
    return 1.5 * task.truth(labels) + noise, labels, family


@pytest.mark.parametrize("task", [SINGLE, BALANCED, MULTI], ids=["accuracy", "balanced", "map"])
def test_families_of_one_are_no_families(task):
    scores, labels, _ = drawn(task, 40, 1, 0)
    values, alone = task.image_scores(scores, labels), np.arange(40)[::-1] * 3
    assert task.estimate(values, labels, alone) == task.estimate(values, labels)
    assert task.interval(values, alone) == task.interval(values)
    assert task.effective(labels, alone) == task.effective(labels)
    assert task.per_class(scores, labels, alone) == task.per_class(scores, labels)
    assert paired(values - values.mean(), np.ones(40), alone) == paired(values - values.mean(), np.ones(40))


def test_families_whose_images_differ_are_worth_more_than_their_number():
    rng, family, labels = np.random.default_rng(0), np.repeat(np.arange(40), 5), np.arange(200) % 3
    for task in (SINGLE, BALANCED):
        same = np.repeat(rng.random(40) < 0.7, 5).astype(float)
        assert task.worth(same, labels, family) == pytest.approx(task.effective(labels, family), abs=8)
        assert task.worth(np.ones(200), labels, family) == task.effective(labels, family)
        apart = (rng.random(200) < 0.7).astype(float)
        assert 120 < task.worth(apart, labels, family) <= 200
        assert task.worth(apart, labels) == task.effective(labels)


def test_of_images_by_themselves_it_is_the_textbooks():
    right = np.repeat([1.0, 0.0], [30, 10])
    assert standard_error(right) == pytest.approx(np.sqrt(0.75 * 0.25 / 40))
    assert effective_size(right) == pytest.approx(40)
    assert score_interval(right) == pytest.approx(wilson(30, 40))


@given(st.integers(2, 12), st.integers(2, 8), st.integers(0, 999))
@settings(max_examples=40)
def test_identical_copies_say_as_much_as_one_of_each(families, size, seed):
    each = (np.random.default_rng(seed).random(families) < 0.7).astype(float)
    right, family = np.repeat(each, size), np.repeat(np.arange(families), size)
    assert standard_error(right, families=family) == pytest.approx(standard_error(each))
    assert effective_size(right, family) == pytest.approx(families)
    assert score_interval(right, family) == pytest.approx(score_interval(each))
    assert family_count(family, len(right)) == families


def test_images_of_a_family_that_err_apart_are_worth_more_than_one_and_less_than_all():
    rng, family = np.random.default_rng(0), np.repeat(np.arange(60), 5)
    right = (rng.random(300) < 0.7).astype(float)
    assert 200 < effective_size(right, family) < 300
    assert standard_error(right, families=family) < 1.2 * standard_error(right)


def test_one_family_that_is_wrong_does_not_say_how_alike_images_are():
    right, family = np.ones(200), np.repeat(np.arange(20), 10)
    right[:10] = 0
    apart = np.ones(200)
    apart[::20] = 0  # ten images again, in ten families
    assert effective_size(right, family) < 25
    assert effective_size(apart, family) > 3 * effective_size(right, family)


@pytest.mark.parametrize("task", [SINGLE, BALANCED, MULTI], ids=["accuracy", "balanced", "map"])
@pytest.mark.parametrize("size", [3, 10])
def test_the_standard_error_is_the_spread_over_fresh_families(task, size):
    figures, errors, leads, lead_errors = [], [], [], []
    for seed in range(150):
        scores, labels, family = drawn(task, 60, size, seed)
        worse = scores + 0.5 * drawn(task, 60, size, seed + 1000)[0]
        values, other = task.image_scores(scores, labels), task.image_scores(worse, labels)
        figure, error = task.estimate(values, labels, family)
        lead, lead_error = task.compare(values, other, labels, family)
        figures.append(figure)
        errors.append(error)
        leads.append(lead)
        lead_errors.append(lead_error)
    assert np.mean(errors) == pytest.approx(np.std(figures), rel=0.25)
    assert np.mean(lead_errors) == pytest.approx(np.std(leads), rel=0.3)


def test_twelve_pictures_in_three_copies_are_twelve():
    """Counting thirty-six, the interval held the truth in three cases of four."""
    rng, family, held, blind = np.random.default_rng(0), np.repeat(np.arange(12), 3), [], []
    for _ in range(400):
        right = np.repeat(rng.random(12) < 0.8, 3).astype(float)
        for families, results in ((family, held), (None, blind)):
            low, high = score_interval(right, families)
            results.append(low <= 0.8 <= high)
    assert np.mean(blind) < 0.8
    assert np.mean(held) > 0.92


def test_no_figure_is_certain_however_many_copies_agree():
    family = np.repeat(np.arange(5), 100)
    assert standard_error(np.ones(500), families=family) == pytest.approx(standard_error(np.ones(5)))
    assert score_interval(np.ones(500), family) == pytest.approx(wilson(5, 5))
    assert paired(np.zeros(500), np.ones(500), family)[1] == pytest.approx(1 / 5)


def test_a_balanced_error_knows_families_that_have_images_of_several_classes():
    labels, family = np.tile([0, 1], 40), np.repeat(np.arange(40), 2)
    rng = np.random.default_rng(0)
    figures, errors = [], []
    for _ in range(200):
        values = np.repeat(rng.random(40) < 0.7, 2).astype(float)  # a patient whose images are all easy
        figure, error = BALANCED.estimate(values, labels, family)
        figures.append(figure)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(figures), rel=0.2)


def test_of_unequal_weights_the_heavy_family_counts():
    sums = family_sums(np.array([1.0, 2.0, 3.0]), np.array([7, 7, 2]))
    assert sums.tolist() == [3.0, 3.0]
    values = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 0.0])
    family = np.array([0, 0, 1, 1, 2, 3])
    assert standard_error(values, np.array([1, 1, 1, 1, 1, 1.0]), family) > standard_error(values)


def test_a_family_adds_to_the_precision_what_is_lost_without_it():
    scores, labels, family = drawn(MULTI, 12, 3, 1)
    values = MULTI.image_scores(scores, labels, family)
    assert values.mean() == pytest.approx(MULTI.image_scores(scores, labels).mean())
    without = []
    for one in range(12):
        left = family != one
        without.append(MULTI.image_scores(scores[left], labels[left]).mean())
    jackknife = np.sqrt(11 / 12 * np.sum((np.array(without) - np.mean(without)) ** 2))
    assert standard_error(values, families=family) == pytest.approx(jackknife * np.sqrt(11 / 12), rel=1e-6)


def test_a_class_is_told_by_its_families():
    labels, family = np.repeat([0, 1], [30, 10]), np.repeat(np.arange(8), 5)
    scores = np.eye(3)[labels]
    scores[:5] = np.eye(3)[1]  # one family of six is wrong
    first, second = SINGLE.per_class(scores, labels, family)
    assert (first.images, second.images) == (30, 10)
    assert first.worth < 8
    assert second.worth == pytest.approx(2)
    low, high = SINGLE.class_interval(first)
    assert low < 25 / 30 < high
    assert high - low > 0.4
    assert BALANCED.effective(labels, family) == round(4 / (1 / 6 + 1 / 2))
    assert [one.worth for one in MULTI.per_class(scores, np.eye(3, dtype=bool)[labels], family)] == [6, 2]
