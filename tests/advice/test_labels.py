import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import clouds
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.advice.labels import LabelCurve, _error, _fit, label_curve
from advisor.network.ridge import fit_ridge
from advisor.task import SingleLabel


def test_the_curve_foresees_what_twice_the_labels_bring():
    features, labels = clouds([400] * 4, 0.45, width=40)
    order = np.random.default_rng(0).permutation(1600)
    half = order[:800]

    def accuracy(rows):
        return float(fit_ridge(features[rows], labels[rows], 4).correct(labels[rows]).mean())

    now = (accuracy(half), 0.01)
    curve = label_curve(features[half], labels[half], SingleLabel.numbered(4), now, have=800, seed=0)
    assert curve is not None
    assert abs(curve.doubled - accuracy(order)) < 0.03
    assert curve.doubled_interval[0] <= curve.doubled <= curve.doubled_interval[1]
    sizes, measured = zip(*curve.points, strict=True)
    assert sizes[-1] == 800
    assert measured[0] < measured[-1]


def test_labels_that_say_nothing_promise_nothing():
    features, labels = clouds([100] * 3, 0.0)
    fit = fit_ridge(features, labels, 3)
    now = (float(fit.correct(labels).mean()), 0.03)
    curve = label_curve(features, labels, SingleLabel.numbered(3), now, have=300, seed=0)
    assert curve is not None
    assert curve.doubled < 0.5


def test_too_few_images_have_no_curve():
    features, labels = clouds([10] * 3, 1.0)
    assert label_curve(features, labels, SingleLabel.numbered(3), (0.9, 0.05), have=30, seed=0) is None


def test_what_two_points_more_would_take_is_said_in_words():
    curve = LabelCurve(((10, 0.5),), 0.9, 0.6, (0.5, 0.7), 320, (1.0, 0.5, 0.1))
    assert curve.more == "2 more points would take about 320 labelled images"
    assert replace(curve, images_for_gain=None).more == "16 times the labels would not bring 2 more points"


def power_law(a, b, c):
    sizes = np.array([20.0, 32, 50, 80, 200])
    return sizes, a * sizes**-b + c


@pytest.mark.parametrize(("a", "b", "c"), [(1.0, 0.5, 0.0), (2.0, 0.8, 0.0), (0.8, 0.3, 0.0)])
def test_a_curve_without_a_ceiling_is_found_again(a, b, c):
    sizes, error = power_law(a, b, c)
    fitted = _fit(sizes, error)
    np.testing.assert_allclose(_error(fitted, sizes), error, atol=0.005)
    assert float(_error(fitted, 1000.0)) == pytest.approx(float(_error((a, b, c), 1000.0)), abs=0.02)


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
@settings(max_examples=30)
def test_whatever_was_measured_more_labels_never_hurt_and_errors_stay_errors(errors):
    sizes = np.array([20.0, 32, 50, 80, 200])
    a, b, c = _fit(sizes, np.array(errors))
    assert a >= 0
    assert 0.05 <= b <= 1.5
    assert 0 <= c <= 1
    ahead = _error((a, b, c), np.geomspace(20, 5000, 50))
    assert (np.diff(ahead) <= 1e-12).all()


@given(st.integers(0, 50))
@settings(max_examples=3)
def test_a_curve_has_what_it_promises(seed):
    features, labels = clouds([60, 60, 60], 0.7, seed=seed)
    found = label_curve(features, labels, SingleLabel.numbered(3), (0.8, 0.02), have=500, seed=seed)
    assert found.points[-1] == (180, 0.8)
    assert [images for images, _ in found.points] == sorted(images for images, _ in found.points)
    assert 0 <= found.doubled_interval[0] <= found.doubled <= found.doubled_interval[1] <= 1
    assert found.doubled <= found.ceiling + 1e-9
    assert found.at(1000) == pytest.approx(found.doubled)
    if found.images_for_gain is not None:
        assert 500 < found.images_for_gain <= 16 * 500
        assert found.at(found.images_for_gain) - found.at(500) >= 0.02 - 1e-9
    assert json.loads(json.dumps(found.to_dict()))["points"][-1] == [180, 0.8]
    assert label_curve(features, labels, SingleLabel.numbered(3), (0.8, 0.02), have=500, seed=seed) == found


def test_copies_are_drawn_together_and_count_as_one():
    near, labels = clouds([60] * 3, 0.6, width=30)
    features = np.repeat(near, 3, axis=0) + np.random.default_rng(0).normal(0, 0.01, (540, 30)).astype(np.float32)
    families, task = np.repeat(np.arange(180), 3), SingleLabel.numbered(3)
    alone = label_curve(near, labels, task, (0.8, 0.03), have=180, seed=0)
    copied = label_curve(features, np.repeat(labels, 3), task, (0.8, 0.03), have=180, seed=0, families=families)
    assert [size for size, _ in copied.points] == [size for size, _ in alone.points]
    for (_, one), (_, other) in zip(alone.points, copied.points, strict=True):
        assert one == pytest.approx(other, abs=0.08)
    assert copied.counted == "independent labelled images"
    assert "independent labelled images" in replace(copied, images_for_gain=320).more
