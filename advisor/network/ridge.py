"""Linear classifiers in closed form, with exact leave-one-out predictions (method.md section 4).

Images that belong together, such as copies of one photograph or the images of one patient, are left out together:
a classifier that has seen the others of a family has seen this one.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from advisor.network.threads import one_blas_thread
from advisor.task import task_of_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAMBDAS = tuple(float(v) for v in np.logspace(-4, 2, 25))
SHARED_VARIANCE = 0.3  # of the mean variance of all columns, added to each
TINY = 1e-12
_DECIMALS = 9
_SMALL = 2048  # rows of a matrix; larger ones gain from threads
_BLOCK = 1 << 24  # numbers of the families that are solved for at a time


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge classifier on raw features.

    Attributes:
        weight: (classes, width) float64, for features as given (standardisation is folded in).
        bias: (classes,) float64.
        lam: the penalty, chosen by leave-one-out mean squared error.
        loo: (n, classes) float64, for each image the prediction of the classifier fitted without it and without the
            others of its family. Targets are -1 and +1.
        temperature: factor that turns predictions into calibrated logits, chosen by leave-one-out
            likelihood.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    lam: float
    loo: NDArray[np.float64]
    temperature: float

    def correct(self, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which images (n,) the leave-one-out classifiers get right, where each has one label (n,)."""
        return np.asarray(self.loo.argmax(1) == labels)


def fit_ridge(
    features: NDArray[np.floating],
    labels: NDArray[np.int64] | NDArray[np.bool_],
    classes: int,
    lambdas: tuple[float, ...] = LAMBDAS,
    weights: NDArray[np.float64] | None = None,
    families: NDArray[np.int64] | None = None,
    *,
    scaled: bool = False,
) -> Ridge:
    """Fit one-against-all ridge regression; one eigendecomposition serves every penalty and class.

    Columns are standardised once over all rows and divided by the square root of the width; the
    intercept is not penalised. The leave-one-out predictions are those of refitting (weights and
    intercept) without each row in turn, or without each family of rows, to rounding: residuals r of a family g become
    (I - H_gg)^-1 r_g, with H the hat matrix, and r / (1 - leverage) for a row by itself.

    Args:
        features: (n, width).
        labels: (n,) in 0..classes-1, or (n, classes) of True and False where an image may have several or none.
        classes: number of classes.
        lambdas: penalties to choose from.
        weights: (n,) of the images in the squared error, with mean 1; equal by default. See
            `advisor.task.Task.class_weights`.
        families: (n,) equal for images that are left out together; by default each is by itself.
        scaled: the columns have the scale that they shall have, as those of several stages beside each other.

    Raises:
        ValueError: there is no penalty to choose from, or one family has all the images.
    """
    X, mean, scale = centred(features) if scaled else standardise(features)
    n, d = X.shape
    task = task_of_labels(labels, classes)
    Y = np.where(task.truth(labels), 1.0, -1.0)
    share = np.full(n, 1 / n) if weights is None else weights / weights.sum()
    root = np.sqrt(share * n)[:, None]
    # A weighted least-squares problem is a plain one on rows scaled by the root of their weight.
    middle, centre = share @ X, share @ Y
    X, Yc = root * (X - middle), root * (Y - centre)
    # The thin singular value decomposition X = Q √e Vᵀ, from the smaller of the two Gram matrices.
    e, vectors = eigh(X @ X.T if n <= d else X.T @ X)
    keep = e > e.max(initial=0.0) * 1e-13
    e, vectors = e[keep], vectors[:, keep]
    Q = vectors if n <= d else (X @ vectors) / np.sqrt(e)
    V = (X.T @ vectors) / np.sqrt(e) if n <= d else vectors
    Z = Q.T @ Yc
    Q2 = Q**2
    blocks = together(families, Q.shape[1])
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for lam in lambdas:
        f = e / (e + lam)
        residual = Yc - Q @ (f[:, None] * Z)
        own = np.maximum(1 - share - Q2 @ f, TINY)
        loo_residual = residual / own[:, None]  # of the scaled rows, so its square is already weighted
        for rows in blocks:
            loo_residual[rows] = without_family(Q[rows], f, share[rows], residual[rows])
        error = float(np.mean(loo_residual**2))
        if best is None or error < best[0]:
            best = (error, lam, rounded(Y - loo_residual / root))
    if best is None:
        raise ValueError("no penalty to choose from")
    _, lam, loo = best
    beta = V @ ((np.sqrt(e) / (e + lam))[:, None] * Z)
    weight = (beta / scale[:, None]).T
    bias = centre - beta.T @ middle - weight @ mean
    return Ridge(weight, bias, lam, loo, task.temperature(loo, labels, doubt=1.0))


def together(families: NDArray[np.int64] | None, rank: int) -> list[NDArray[np.int64]]:
    """Rows of the families that have several, families of one size stacked: (families, size), in blocks."""
    if families is None:
        return []
    _, family, sizes = np.unique(families, return_inverse=True, return_counts=True)
    if len(sizes) == 1:
        raise ValueError("all images are of one family, so that none are left to fit a classifier to without it")
    order = np.argsort(sizes[family] * (len(sizes) + 1) + family, kind="stable")  # by size, and then by family
    blocks = []
    for size in np.unique(sizes[sizes > 1]).tolist():
        rows = order[sizes[family[order]] == size].reshape(-1, size)
        each = max(1, _BLOCK // (size * (size + rank + 1)))
        blocks += [rows[start : start + each] for start in range(0, len(rows), each)]
    return blocks


def without_family(
    Q: NDArray[np.float64], f: NDArray[np.float64], share: NDArray[np.float64], residual: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Residuals (families, size, classes) of classifiers fitted without each family.

    Args:
        Q: (families, size, rank) left singular vectors.
        f: (rank,) by what the penalty shrinks each of them.
        share: (families, size) of the rows in the squared error, which is their leverage on the intercept.
        residual: (families, size, classes) of the classifier fitted to all rows.
    """
    root = np.sqrt(share)
    hat = (Q * f) @ Q.transpose(0, 2, 1) + root[:, :, None] * root[:, None, :]
    left = (1 + TINY) * np.eye(Q.shape[1]) - hat
    return np.asarray(np.linalg.solve(left, residual))


def rounded(predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predictions without their last digits: where classes are tied, what is lost to rounding would tell the label."""
    return np.round(predictions, _DECIMALS)


def centred(
    features: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """As `standardise`, but nothing is divided."""
    X = np.asarray(features, dtype=np.float64)
    mean = X.mean(0)
    return X - mean, mean, np.ones_like(mean)


def standardise(
    features: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Bring columns to about unit variance and divide by √width.

    A share of the mean variance is added to each column's own. Many channels of a last layer answer to a few
    images only; divided by the little they vary in the training images, one answer in a new image would drown
    all others, and a leave-one-out estimate would not notice, having scaled that image too. On eight image
    sets at 5 to 50 images per class the addition raised the test accuracy of the last stage by 4 points on
    average and that of the one before by none (`benchmarks/probes.py`).

    Args:
        features: (n, width).

    Returns:
        The scaled features (n, width), the mean (width,), and the divisor (width,); constant columns
        become zero and have an infinite divisor.
    """
    X = np.asarray(features, dtype=np.float64)
    mean, std = X.mean(0), X.std(0)
    varies = std > TINY * np.maximum(1.0, np.abs(mean))
    scale = (
        np.where(varies, np.sqrt(std**2 + SHARED_VARIANCE * np.mean(std[varies] ** 2)), np.inf)
        if varies.any()
        else np.full_like(std, np.inf)
    )
    scaled = (X - mean) / scale / np.sqrt(X.shape[1])
    return scaled, mean, scale * np.sqrt(X.shape[1])


def eigh(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues, not below zero, and eigenvectors of a symmetric matrix."""
    from scipy import linalg

    with one_blas_thread() if len(matrix) <= _SMALL else nullcontext():
        values, vectors = linalg.eigh(matrix, check_finite=True)
    return np.maximum(values, 0.0), vectors
