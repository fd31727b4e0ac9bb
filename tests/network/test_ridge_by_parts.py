"""Ridge from sums over rows is the same classifier, with the same leave-one-out predictions."""

import numpy as np
import pytest

from advisor.network import ridge_by_parts as module
from advisor.network.ridge import fit_ridge
from advisor.network.ridge_by_parts import fit_ridge_by_parts


def views_of(images, times, width, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % 3
    first = rng.normal(size=(images, width)) + 0.8 * np.eye(3)[labels] @ rng.normal(size=(3, width))
    rows = np.concatenate([first + rng.normal(0, 0.3, first.shape) for _ in range(times)])
    return rows.astype(np.float32), np.tile(labels, times), np.tile(np.arange(images), times)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("families", ["none", "views", "some"])
def test_it_is_the_same_to_rounding(monkeypatch, scaled, weighted, families):
    monkeypatch.setattr(module, "_PART", 17)
    rows, labels, together = views_of(40, 3, 30)
    rows[:, 4] = 7.0  # never varies
    if scaled:
        rows = (rows - rows.mean(0)) / 10
    if families == "some":  # of one row to several
        together = np.where(np.arange(120) < 100, np.arange(120), 500 + np.arange(120) // 7)
    asked = {
        "weights": 1 + 0.5 * np.sin(np.arange(120)) if weighted else None,
        "families": None if families == "none" else together, "scaled": scaled,
    }  # fmt: skip
    plain, parts = fit_ridge(rows, labels, 3, **asked), fit_ridge_by_parts(rows, labels, 3, **asked, few=0)
    assert parts.lam == plain.lam
    assert parts.temperature == pytest.approx(plain.temperature, rel=1e-6)
    for name in ("weight", "bias", "loo"):
        np.testing.assert_allclose(getattr(parts, name), getattr(plain, name), atol=1e-7, rtol=1e-5)


def test_several_labels_an_image():
    rows, labels, families = views_of(40, 3, 20)
    truth = np.stack([labels == 0, labels > 0], axis=1)
    plain = fit_ridge(rows, truth, 2, families=families)
    np.testing.assert_allclose(fit_ridge_by_parts(rows, truth, 2, families=families, few=0).loo, plain.loo, atol=1e-7)


def test_small_and_wide_problems_are_left_to_the_plain_one(monkeypatch):
    def refuse(*_args, **_asked):
        raise AssertionError

    monkeypatch.setattr(module, "_scale", refuse)
    rows, labels, _ = views_of(30, 1, 40)
    fit_ridge_by_parts(rows, labels, 3, few=0)
    fit_ridge_by_parts(*views_of(40, 3, 20)[:2], 3)
    with pytest.raises(AssertionError):
        fit_ridge_by_parts(*views_of(40, 3, 20)[:2], 3, few=0)


def test_rows_are_held_as_float64_some_at_a_time_only():
    import tracemalloc

    rows, labels, families = views_of(5000, 4, 80)
    tracemalloc.start()
    fit_ridge_by_parts(rows, labels, 3, families=families, few=0)
    parts = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    fit_ridge(rows, labels, 3, families=families)
    whole = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert parts < 0.5 * whole
