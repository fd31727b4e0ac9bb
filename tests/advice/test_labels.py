from dataclasses import replace

import numpy as np
from conftest import clouds

from advisor.advice.labels import LabelCurve, label_curve
from advisor.network.ridge import fit_ridge
from advisor.task import SingleLabel


def test_the_curve_foresees_what_twice_the_labels_bring():
    features, labels = clouds([400] * 4, 0.45, width=40)
    order = np.random.default_rng(0).permutation(1600)
    half = order[:800]

    def accuracy(rows):
        return float(fit_ridge(features[rows], labels[rows], 4).correct(labels[rows]).mean())

    curve = label_curve(features[half], labels[half], SingleLabel.numbered(4), accuracy(half), have=800, seed=0)
    assert curve is not None
    assert abs(curve.doubled - accuracy(order)) < 0.03
    assert curve.doubled_interval[0] <= curve.doubled <= curve.doubled_interval[1]
    sizes, measured = zip(*curve.points, strict=True)
    assert sizes[-1] == 800
    assert measured[0] < measured[-1]


def test_labels_that_say_nothing_promise_nothing():
    features, labels = clouds([100] * 3, 0.0)
    fit = fit_ridge(features, labels, 3)
    curve = label_curve(features, labels, SingleLabel.numbered(3), float(fit.correct(labels).mean()), have=300, seed=0)
    assert curve is not None
    assert curve.doubled < 0.5


def test_too_few_images_have_no_curve():
    features, labels = clouds([10] * 3, 1.0)
    assert label_curve(features, labels, SingleLabel.numbered(3), 0.9, have=30, seed=0) is None


def test_what_two_points_more_would_take_is_said_in_words():
    curve = LabelCurve(((10, 0.5),), 0.9, 0.6, (0.5, 0.7), 320, (1.0, 0.5, 0.1))
    assert curve.more == "2 more points would take about 320 labelled images"
    assert replace(curve, images_for_gain=None).more == "16 times the labels would not bring 2 more points"
