import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.network.ridge import fit_ridge, standardise
from advisor.task import SingleLabel


def brute_force(features, labels, classes, lam, weights=None):
    """Refit weights and intercept without each row in turn."""
    X, _, _ = standardise(features)
    w = np.ones(len(labels)) if weights is None else weights
    Y = np.where(labels[:, None] == np.arange(classes), 1.0, -1.0)
    n, d = X.shape
    out = np.empty((n, classes))
    for i in range(n):
        keep = np.arange(n) != i
        design = np.hstack([X[keep], np.ones((n - 1, 1))])
        penalty = np.diag([lam] * d + [0.0])
        weighted = design * w[keep, None]
        coef = np.linalg.solve(weighted.T @ design + penalty, weighted.T @ Y[keep])
        out[i] = np.append(X[i], 1.0) @ coef
    return out


@pytest.mark.parametrize(("n", "d"), [(30, 12), (20, 40), (25, 25)])
@pytest.mark.parametrize("lam", [1e-3, 0.1, 3.0])
def test_leave_one_out_agrees_with_brute_force(n, d, lam):
    rng = np.random.default_rng(n + d)
    features = rng.normal(2, 3, (n, d)) @ rng.normal(size=(d, d))
    labels = rng.integers(0, 3, n)
    labels[:3] = [0, 1, 2]
    fit = fit_ridge(features, labels, 3, (lam,))
    np.testing.assert_allclose(fit.loo, brute_force(features, labels, 3, lam), atol=1e-8, rtol=0)


def without_families(features, labels, classes, lam, families, weights=None):
    """Refit weights and intercept without each family in turn."""
    X, _, _ = standardise(features)
    w = np.ones(len(labels)) if weights is None else weights
    Y = np.where(labels[:, None] == np.arange(classes), 1.0, -1.0)
    n, d = X.shape
    out = np.empty((n, classes))
    for family in np.unique(families):
        keep = families != family
        design = np.hstack([X[keep], np.ones((keep.sum(), 1))])
        weighted = design * w[keep, None]
        coef = np.linalg.solve(weighted.T @ design + np.diag([lam] * d + [0.0]), weighted.T @ Y[keep])
        out[~keep] = np.hstack([X[~keep], np.ones(((~keep).sum(), 1))]) @ coef
    return out


@pytest.mark.parametrize(("n", "d"), [(36, 10), (24, 50)])
@pytest.mark.parametrize("lam", [1e-3, 0.1, 3.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_leaving_a_family_out_agrees_with_brute_force(n, d, lam, weighted):
    rng = np.random.default_rng(n)
    features, labels = rng.normal(2, 3, (n, d)), np.repeat([0, 1, 2], [n - 12, 7, 5])
    families = rng.choice([3, -7, 40, 41, 5, 1000, 6, 8, 9, 11], n)  # of one image to several, in any order
    families[:3] = [100, 101, 102]
    weights = SingleLabel.numbered(3).class_weights(labels) if weighted else None
    fit = fit_ridge(features, labels, 3, (lam,), weights, families)
    np.testing.assert_allclose(
        fit.loo, without_families(features, labels, 3, lam, families, weights), atol=1e-8, rtol=0
    )


def test_families_larger_than_a_block_and_of_half_the_images_are_left_out_whole(monkeypatch):
    monkeypatch.setattr("advisor.network.ridge._BLOCK", 500)
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 30)), np.arange(60) % 2
    families = np.repeat(np.arange(13), [30, 5, 5, 5, 3, 3, 3, 1, 1, 1, 1, 1, 1])
    fit = fit_ridge(features, labels, 2, (0.1,), families=families)
    np.testing.assert_allclose(fit.loo, without_families(features, labels, 2, 0.1, families), atol=1e-8, rtol=0)


def test_families_of_one_are_leave_one_out_to_the_last_digit():
    features, labels = problem(5)
    plain, alone = fit_ridge(features, labels, 3), fit_ridge(features, labels, 3, families=np.arange(40)[::-1] * 7)
    assert (plain.loo == alone.loo).all()
    assert (plain.lam, plain.temperature) == (alone.lam, alone.temperature)


def test_what_is_left_out_changes_no_weight_of_the_same_penalty():
    features, labels = problem(6)
    plain, other = (fit_ridge(features, labels, 3, (0.3,), families=f) for f in (None, np.arange(40) // 4))
    np.testing.assert_array_equal(plain.weight, other.weight)
    assert np.abs(plain.loo - other.loo).max() > 0.01


def test_photographs_in_three_qualities_with_random_labels_teach_nothing():
    rng = np.random.default_rng(0)
    photographs, labels = rng.normal(size=(60, 200)), rng.integers(0, 2, 60)
    features = np.repeat(photographs, 3, axis=0) + rng.normal(0, 0.05, (180, 200))
    labels, families = np.repeat(labels, 3), np.repeat(np.arange(60), 3)
    told, honest = fit_ridge(features, labels, 2), fit_ridge(features, labels, 2, families=families)
    assert told.correct(labels).mean() > 0.95  # each recognises its copies
    assert abs(honest.correct(labels).mean() - 0.5) < 0.2
    assert honest.lam > told.lam
    assert honest.temperature < told.temperature


def test_one_family_of_all_images_leaves_none_to_fit():
    with pytest.raises(ValueError, match="one family"):
        fit_ridge(*problem(0), 3, families=np.zeros(40, np.int64))


def test_several_labels_an_image_are_one_problem_each():
    rng = np.random.default_rng(3)
    truth = rng.random((50, 3)) < 0.4
    features = truth @ rng.normal(size=(3, 12)) + rng.normal(size=(50, 12))
    fit = fit_ridge(features, truth, 3, (0.1,))
    for column in range(3):
        alone = fit_ridge(features, truth[:, column].astype(np.int64), 2, (0.1,))
        np.testing.assert_allclose(fit.loo[:, column], alone.loo[:, 1], atol=1e-12)

    def nll(t):
        return np.mean(np.logaddexp(0, np.where(truth, -t, t) * fit.loo))

    assert nll(fit.temperature) <= min(nll(0.5 * fit.temperature), nll(2 * fit.temperature)) + 1e-9


@pytest.mark.parametrize(("n", "d"), [(40, 12), (30, 50)])
def test_leave_one_out_agrees_with_brute_force_under_class_weights(n, d):
    rng = np.random.default_rng(n)
    features, labels = rng.normal(2, 3, (n, d)), np.repeat([0, 1, 2], [n - 9, 6, 3])
    weights = SingleLabel.numbered(3).class_weights(labels)
    assert [weights[labels == label].sum() for label in range(3)] == pytest.approx([n / 3] * 3)
    fit = fit_ridge(features, labels, 3, (0.1,), weights)
    np.testing.assert_allclose(fit.loo, brute_force(features, labels, 3, 0.1, weights), atol=1e-8, rtol=0)
    X, _, _ = standardise(features)
    Y = np.where(labels[:, None] == np.arange(3), 1.0, -1.0)
    design = np.hstack([X, np.ones((n, 1))])
    weighted = design * weights[:, None]
    coef = np.linalg.solve(weighted.T @ design + np.diag([0.1] * d + [0.0]), weighted.T @ Y)
    np.testing.assert_allclose(features @ fit.weight.T + fit.bias, design @ coef, atol=1e-8)


def test_a_channel_that_hardly_varies_does_not_drown_the_others():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    features = rng.normal(size=(60, 20)) + labels[:, None] * 0.8
    rare = np.zeros((60, 40))
    rare[rng.integers(0, 60, 40), np.arange(40)] = 0.01  # each answers to one image, a little
    fit = fit_ridge(np.hstack([features, rare]), labels, 2)
    new = rng.normal(size=(400, 20)) + (np.arange(400) % 2)[:, None] * 0.8
    loud = np.where(rng.random((400, 40)) < 0.1, 0.5, 0.0)  # and in new images more
    quiet, noisy = (np.hstack([new, extra]) @ fit.weight.T + fit.bias for extra in (np.zeros((400, 40)), loud))
    assert (quiet.argmax(1) == noisy.argmax(1)).mean() > 0.95


def test_weights_on_raw_features_predict_what_the_fit_says():
    rng = np.random.default_rng(0)
    features = rng.normal(5, 2, (40, 10))
    labels = rng.integers(0, 2, 40)
    fit = fit_ridge(features, labels, 2, (0.3,))
    X, _, _ = standardise(features)
    Y = np.where(labels[:, None] == np.arange(2), 1.0, -1.0)
    beta = np.linalg.solve(X.T @ X + 0.3 * np.eye(10), X.T @ (Y - Y.mean(0)))
    np.testing.assert_allclose(features @ fit.weight.T + fit.bias, X @ beta + Y.mean(0), atol=1e-10)


def test_the_penalty_is_chosen_by_leave_one_out_error():
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(60, 30)), rng.integers(0, 3, 60)
    Y = np.where(labels[:, None] == np.arange(3), 1.0, -1.0)
    errors = {lam: np.mean((fit_ridge(features, labels, 3, (lam,)).loo - Y) ** 2) for lam in (1e-3, 0.1, 3.0, 30.0)}
    assert fit_ridge(features, labels, 3, tuple(errors)).lam == min(errors, key=errors.get)


def test_constant_and_identical_features_are_no_accident():
    labels = np.array([0, 1] * 10)
    fit = fit_ridge(np.full((20, 5), 3.7), labels, 2)
    assert np.isfinite(fit.loo).all()
    assert np.isfinite(fit.weight).all()
    mixed = np.hstack([np.full((20, 1), 1e6), labels[:, None] + np.random.default_rng(0).normal(0, 0.1, (20, 1))])
    assert fit_ridge(mixed, labels, 2).correct(labels).all()


def test_temperature_improves_the_likelihood():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    features = np.eye(3)[labels] + rng.normal(0, 0.7, (200, 3))
    fit = fit_ridge(features, labels, 3)

    def nll(t):
        logits = t * fit.loo
        return np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(200), labels])

    assert nll(fit.temperature) <= min(nll(0.5 * fit.temperature), nll(2 * fit.temperature), nll(1.0)) + 1e-9


def problem(seed, n=40, d=9, classes=3):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    return rng.normal(1, 2, (n, d)) + labels[:, None] * 0.5, labels


@given(st.integers(0, 200))
@settings(max_examples=15)
def test_the_order_of_images_does_not_matter(seed):
    features, labels = problem(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    one, other = fit_ridge(features, labels, 3), fit_ridge(features[order], labels[order], 3)
    np.testing.assert_allclose(other.weight, one.weight, atol=1e-9)
    np.testing.assert_allclose(other.loo, one.loo[order], atol=1e-9)
    assert other.lam == one.lam


@given(st.integers(0, 200), st.floats(-50, 50), st.floats(0.01, 100))
@settings(max_examples=15)
def test_a_shift_and_a_common_scale_of_the_features_change_no_prediction(seed, shift, scale):
    features, labels = problem(seed)
    one, other = fit_ridge(features, labels, 3), fit_ridge(features * scale + shift, labels, 3)
    np.testing.assert_allclose(other.loo, one.loo, atol=1e-6)
    np.testing.assert_allclose(
        (features * scale + shift) @ other.weight.T + other.bias, features @ one.weight.T + one.bias, atol=1e-6
    )


@given(st.integers(0, 200))
@settings(max_examples=10)
def test_renamed_classes_are_renamed_answers(seed):
    features, labels = problem(seed)
    names = np.random.default_rng(seed).permutation(3)
    one, other = fit_ridge(features, labels, 3), fit_ridge(features, names[labels], 3)
    np.testing.assert_allclose(other.loo[:, names], one.loo, atol=1e-9)


@pytest.mark.parametrize("lam", [0.01, 1.0])
def test_it_is_scikit_learns_ridge(lam):
    from sklearn.linear_model import Ridge

    features, labels = problem(0)
    X, _, _ = standardise(features)
    model = Ridge(alpha=lam).fit(X, np.where(labels[:, None] == np.arange(3), 1.0, -1.0))
    fit = fit_ridge(features, labels, 3, (lam,))
    np.testing.assert_allclose(features @ fit.weight.T + fit.bias, model.predict(X), atol=1e-8)


def test_it_is_scikit_learns_ridge_under_weights_whatever_their_sum():
    from sklearn.linear_model import Ridge

    features, labels = problem(1)
    weights = np.random.default_rng(0).uniform(0.2, 3, len(labels))
    X, _, _ = standardise(features)
    model = Ridge(alpha=0.5).fit(
        X, np.where(labels[:, None] == np.arange(3), 1.0, -1.0), sample_weight=weights / weights.mean()
    )
    for factor in (1, 7):
        fit = fit_ridge(features, labels, 3, (0.5,), weights * factor)
        np.testing.assert_allclose(features @ fit.weight.T + fit.bias, model.predict(X), atol=1e-8)


def test_a_class_without_images_is_never_said():
    features, labels = problem(2)
    fit = fit_ridge(features, labels, 5)
    assert fit.weight.shape == (5, 9)
    assert set((features @ fit.weight.T + fit.bias).argmax(1)) <= {0, 1, 2}


def test_no_penalty_to_choose_from_is_an_error():
    with pytest.raises(ValueError, match="no penalty"):
        fit_ridge(*problem(0), 3, ())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_not_fitted_in_silence(value):
    features, labels = problem(0)
    features[3, 2] = value
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="infs or NaNs"):
        fit_ridge(features, labels, 3)


@given(st.integers(2, 40), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=30)
def test_standardised_rows_have_length_at_most_one_on_average_and_lead_back(n, d, seed):
    features = np.random.default_rng(seed).normal(3, 5, (n, d))
    X, mean, scale = standardise(features)
    assert (X**2).sum(1).mean() <= 1 + 1e-9
    np.testing.assert_allclose(X.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(X * scale + mean, features, atol=1e-8)


def test_memory_order_and_single_precision_are_no_matter():
    features, labels = problem(3)
    one = fit_ridge(features, labels, 3)
    for same in (np.asfortranarray(features), np.repeat(features, 2, axis=0)[::2], features.astype(np.float32)):
        np.testing.assert_allclose(fit_ridge(same, labels, 3).loo, one.loo, atol=1e-4)
