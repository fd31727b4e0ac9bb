import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from advisor.task.precision import average_precisions, precision_scores


def drawn(rng, n=120, classes=5, skill=1.0):
    truth = rng.random((n, classes)) < np.linspace(0.05, 0.5, classes)
    truth[0] = True
    return skill * truth + rng.normal(size=truth.shape), truth


def test_average_precision_is_that_of_scikit_learn_and_unknown_without_images():
    scores, truth = drawn(np.random.default_rng(0))
    truth[:, 2] = False
    found = average_precisions(scores, truth)
    assert np.isnan(found[2])
    for label in (0, 1, 3, 4):
        assert found[label] == pytest.approx(average_precision_score(truth[:, label], scores[:, label]), abs=1e-12)


@pytest.mark.parametrize("digits", [0, 1])
def test_equal_scores_are_no_order(digits):
    """Which file is read first says nothing of a model."""
    scores, truth = drawn(np.random.default_rng(4))
    scores = scores.round(digits)
    found = average_precisions(scores, truth)
    for label in range(5):
        assert found[label] == pytest.approx(average_precision_score(truth[:, label], scores[:, label]), abs=1e-12)
    order = np.argsort(~truth[:, 0], kind="stable")  # all that have the first label come first
    np.testing.assert_allclose(average_precisions(scores[order], truth[order]), found, atol=1e-12)
    np.testing.assert_allclose(precision_scores(scores[order], truth[order]), precision_scores(scores, truth)[order])


def test_one_answer_to_all_images_has_the_precision_of_guessing():
    truth = np.arange(100) < 30
    for order in (np.arange(100), np.arange(100)[::-1]):
        assert average_precisions(np.zeros((100, 1)), truth[order, None])[0] == pytest.approx(0.3)


@pytest.mark.parametrize("digits", [0, 9])
def test_credit_is_the_jackknife_of_the_mean_average_precision(digits):
    scores, truth = drawn(np.random.default_rng(1))
    scores = scores.round(digits)
    whole = average_precisions(scores, truth).mean()
    lost = []
    for image in range(len(truth)):
        rest = np.arange(len(truth)) != image
        lost.append((len(truth) - 1) * (whole - average_precisions(scores[rest], truth[rest]).mean()))
    image_scores = precision_scores(scores, truth)
    assert image_scores.mean() == pytest.approx(whole, abs=1e-12)
    np.testing.assert_allclose(image_scores - whole, np.array(lost) - np.mean(lost), atol=1e-10)


def test_its_error_is_that_of_new_images_alone_and_paired():
    rng = np.random.default_rng(2)
    figures, errors, leads, lead_errors = [], [], [], []
    for _ in range(200):
        scores, truth = drawn(rng, n=200)
        worse = scores + rng.normal(size=scores.shape) * 0.5
        image_scores, other = precision_scores(scores, truth), precision_scores(worse, truth)
        figures.append(image_scores.mean())
        errors.append(image_scores.std() / 200**0.5)
        leads.append((image_scores - other).mean())
        lead_errors.append((image_scores - other).std() / 200**0.5)
    assert np.mean(errors) == pytest.approx(np.std(figures), rel=0.2)
    assert np.mean(lead_errors) == pytest.approx(np.std(leads), rel=0.2)


def test_labels_of_one_image_or_of_none():
    scores, truth = drawn(np.random.default_rng(3))
    truth[:, 0], truth[:, 1] = False, False
    truth[7, 1] = True
    known = average_precisions(scores, truth)[1:]
    assert precision_scores(scores, truth).mean() == pytest.approx(known.mean())
    with pytest.raises(ValueError, match="no image has any label"):
        precision_scores(scores, np.zeros_like(truth))
