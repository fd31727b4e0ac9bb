"""What comes out of a trial: its score, and that of several folds together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import curve_of

from advisor.tuning.finished import Finished, joined


def finished(rows, scores, weight=None, **changes):
    rows = np.asarray(rows)
    usual = {
        "rows": rows, "image_scores": np.asarray(scores, float),
        "sample_weight": np.ones(len(rows)) if weight is None else np.asarray(weight, float), "loss": 0.5,
        "temperature": 1.0, "tap": 8, "frozen": 4, "frozen_share": 0.4, "steps": 10, "planned_steps": 20,
        "audit": "same", "network": lambda: None, "curve": (), "notes": (),
    }  # fmt: skip
    return Finished(**{**usual, **changes})


def ones(rows):
    return np.ones(len(rows))


def test_accuracy_is_the_mean_that_the_weights_ask_for():
    assert finished([1, 2, 3, 4], [1, 1, 1, 0]).accuracy == pytest.approx(0.75)
    assert finished([1, 2, 3, 4], [1, 1, 1, 0], [1, 1, 1, 3]).accuracy == pytest.approx(0.5)


def test_without_images_the_score_is_nothing_and_no_error():
    assert finished([], []).accuracy == 0.0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 10)), min_size=1, max_size=30))
def test_accuracy_stays_between_the_worst_and_the_best_image(pairs):
    scores, weights = zip(*pairs, strict=True)
    accuracy = finished(range(len(pairs)), scores, weights).accuracy
    assert min(scores) - 1e-9 <= accuracy <= max(scores) + 1e-9


@given(st.permutations(range(12)), st.integers(1, 11))
def test_folds_are_joined_in_the_order_of_their_images(order, cut):
    scores = {row: row % 2 for row in order}
    parts = [finished(sorted(part), [scores[row] for row in sorted(part)]) for part in (order[:cut], order[cut:])]
    whole = joined(parts, ones)
    assert whole.rows.tolist() == list(range(12))
    assert whole.image_scores.tolist() == [scores[row] for row in range(12)]
    assert whole.accuracy == pytest.approx(0.5)


def test_weights_are_asked_for_all_images_together():
    asked = []

    def weight(rows):
        asked.append(rows.tolist())
        return np.where(rows == 3, 3.0, 1.0)

    whole = joined([finished([0, 3], [1, 0]), finished([1, 2], [1, 1])], weight)
    assert asked == [[0, 1, 2, 3]]
    assert whole.accuracy == pytest.approx(3 / 6)


def test_loss_and_temperature_count_every_image_the_same():
    parts = [finished([0, 1, 2], [1, 1, 1], loss=0.3, temperature=2.0), finished([3], [0], loss=1.1, temperature=0.5)]
    whole = joined(parts, ones)
    assert whole.loss == pytest.approx((3 * 0.3 + 1.1) / 4)
    assert whole.temperature == pytest.approx((2.0**3 * 0.5) ** (1 / 4))


def test_steps_add_up_and_notes_are_said_once_in_their_order():
    parts = [finished([0], [1], notes=("a", "b"), steps=3), finished([1], [1], notes=("b", "c"), steps=4)]
    whole = joined(parts, ones)
    assert (whole.steps, whole.planned_steps) == (7, 40)
    assert whole.notes == ("a", "b", "c")


def test_the_curve_and_the_model_are_those_of_the_first_fold():
    parts = [finished([n], [1], curve=curve_of(n / 10), network=lambda n=n: n) for n in range(3)]
    whole = joined(parts, ones)
    assert whole.curve == curve_of(0.0)
    assert whole.network() == 0


def test_one_fold_joined_is_itself():
    part = finished([2, 0, 1], [1, 0, 1])
    whole = joined([part], ones)
    assert (whole.accuracy, whole.loss, whole.steps) == (part.accuracy, part.loss, part.steps)
    assert whole.rows.tolist() == [0, 1, 2]
