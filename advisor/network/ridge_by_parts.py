"""The ridge classifier of `advisor.network.ridge`, exact as there, for more rows than may lie in memory as float64.

Many views of many images are many rows of a few hundred columns: only sums over rows are kept, a matrix as wide as the
features; leave-one-out predictions come from a second look at the rows, some families at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from advisor.network.ridge import (
    LAMBDAS,
    SHARED_VARIANCE,
    TINY,
    Ridge,
    eigh,
    fit_ridge,
    rounded,
    together,
    without_family,
)
from advisor.task import task_of_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_PART = 4096  # rows at a time
_FEW = 1 << 25  # numbers that may lie in memory several times over


def fit_ridge_by_parts(
    features: NDArray[np.float32],
    labels: NDArray[np.int64] | NDArray[np.bool_],
    classes: int,
    *,
    weights: NDArray[np.float64] | None = None,
    families: NDArray[np.int64] | None = None,
    scaled: bool = False,
    few: int = _FEW,
) -> Ridge:
    """As `fit_ridge`, to rounding, in the memory of a square matrix of the width beside the features themselves.

    Args:
        features: (n, width).
        labels: as there.
        classes: number of classes.
        weights: as there.
        families: as there.
        scaled: as there.
        few: numbers of a problem that is left to `fit_ridge`, as are those of fewer rows than columns.
    """
    n, d = features.shape
    if n <= d or features.size <= few:
        return fit_ridge(features, labels, classes, weights=weights, families=families, scaled=scaled)
    task = task_of_labels(labels, classes)
    Y = np.where(task.truth(labels), 1.0, -1.0)
    share = np.full(n, 1 / n) if weights is None else weights / weights.sum()
    mean, scale = _scale(features, scaled=scaled)
    middle = sum(share[rows] @ ((features[rows] - mean) / scale) for rows in _parts(n))
    centre = share @ Y
    gram, moments = np.zeros((d, d)), np.zeros((d, Y.shape[1]))

    def read(rows: NDArray[np.int64] | slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rows (…, width) and targets (…, classes) as a plain least-squares problem has them."""
        root = np.sqrt(share[rows] * n)[..., None]
        return root * ((features[rows] - mean) / scale - middle), root * (Y[rows] - centre)

    for part in _parts(n):
        X, target = read(part)
        gram += X.T @ X
        moments += X.T @ target
    e, V = eigh(gram)
    keep = e > e.max(initial=0.0) * 1e-13
    e, V = e[keep], V[:, keep]
    Z = V.T @ moments / np.sqrt(e)[:, None]
    groups = _groups(families, n, len(e))

    def left_out(lambdas: tuple[float, ...]) -> Iterator[tuple[NDArray[np.int64], list[NDArray[np.float64]]]]:
        """For some rows at a time the residuals under each penalty of classifiers fitted without them."""
        for rows in groups:
            X, target = read(rows)
            Q = X @ V / np.sqrt(e)
            residuals = []
            for lam in lambdas:
                f = e / (e + lam)
                residual = target - Q @ (f[:, None] * Z)
                if rows.ndim == 2:
                    residuals.append(without_family(Q, f, share[rows], residual))
                else:
                    residuals.append(residual / np.maximum(1 - share[rows] - Q**2 @ f, TINY)[:, None])
            yield rows, residuals

    errors = np.zeros(len(LAMBDAS))
    for _, residuals in left_out(LAMBDAS):
        errors += [float((residual**2).sum()) for residual in residuals]
    lam = LAMBDAS[int(errors.argmin())]
    loo = np.empty_like(Y)
    for rows, (residual,) in left_out((lam,)):
        loo[rows] = rounded(Y[rows] - residual / np.sqrt(share[rows] * n)[..., None])
    beta = V @ ((np.sqrt(e) / (e + lam))[:, None] * Z)
    weight = (beta / scale[:, None]).T
    bias = centre - beta.T @ middle - weight @ mean
    return Ridge(weight, bias, lam, loo, task.temperature(loo, labels, doubt=1.0))


def _groups(families: NDArray[np.int64] | None, n: int, rank: int) -> list[NDArray[np.int64]]:
    """Rows by themselves (rows,) and rows of families of one size (families, size), some thousand at a time."""
    blocks = together(families, rank)
    alone = np.setdiff1d(np.arange(n), np.concatenate([block.ravel() for block in blocks]) if blocks else [])
    cut = [
        block[start : start + max(1, _PART // block.shape[1])]
        for block in blocks
        for start in range(0, len(block), max(1, _PART // block.shape[1]))
    ]
    return [*(alone[some] for some in _parts(len(alone))), *cut]


def _scale(features: NDArray[np.float32], *, scaled: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and divisor of the columns, as `advisor.network.ridge.standardise` has them."""
    n, d = features.shape
    mean = sum(features[rows].sum(0, dtype=np.float64) for rows in _parts(n)) / n
    if scaled:
        return mean, np.ones(d)
    variance = sum(((features[rows] - mean) ** 2).sum(0) for rows in _parts(n)) / n
    varies = np.sqrt(variance) > TINY * np.maximum(1.0, np.abs(mean))
    shared = SHARED_VARIANCE * variance[varies].mean() if varies.any() else 0.0
    return mean, np.where(varies, np.sqrt((variance + shared) * d), np.inf)


def _parts(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _PART, n)) for start in range(0, n, _PART))
