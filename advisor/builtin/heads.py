"""Heads: four that are one linear layer, so that timm's own classifier can hold what they learn, and two others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.hookspecs import hookimpl
from advisor.types import Head, Param

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

# Per squared distance; set by hand on two image sets.
_COSINE_PULL = 0.1


@hookimpl
def advisor_heads() -> Iterator[Head]:
    """Linear ones: ridge (the probe), softmax, support vectors, sigmoids; and a perceptron and cosines."""
    yield Head(
        name="ridge",
        create=create_linear,
        fit=fit_ridge_head,
        multilabel=True,
        linear=True,
        summary="closed-form ridge regression, penalty by exact leave-one-out; the probe itself",
    )
    yield Head(
        name="linear",
        create=create_linear,
        fit=fit_logistic_head,
        params=(Param("l2", default=3e-4, low=1e-6, high=1e-1, log=True, help="penalty per image on the weights"),),
        linear=True,
        summary="softmax; logistic regression by L-BFGS where only the head trains, gradient steps otherwise",
    )
    yield Head(
        name="svm",
        create=create_linear,
        fit=fit_svm_head,
        loss=multiclass_squared_hinge,
        params=(Param("l2", default=3e-4, low=1e-6, high=1e-1, log=True, help="penalty per image on the weights"),),
        linear=True,
        summary="linear support vector machine, squared hinge, one class against the rest",
    )
    yield Head(
        name="sigmoid",
        create=create_linear,
        fit=fit_sigmoid_head,
        loss=binary_cross_entropy,
        multilabel=True,
        linear=True,
        summary="a probability for each class, where an image may have several or none; by ridge where only it trains",
    )
    yield Head(
        name="mlp",
        create=create_mlp,
        params=(
            Param("hidden", default=256, low=32, high=1024, log=True, help="hidden units"),
            Param("dropout", default=0.2, low=0.0, high=0.7, help="share of hidden units left out of a training step"),
        ),
        multilabel=True,
        summary="one hidden layer with dropout, by gradient steps",
    )
    yield Head(
        name="cosine",
        create=create_cosine,
        fit=fit_cosine_head,
        params=(
            Param("scale", default=16.0, low=1.0, high=64.0, log=True, help="factor of the cosines before training"),
        ),
        summary="scaled cosine similarity to one vector a class; by L-BFGS from the class means where only it trains",
    )


def create_linear(width: int, classes: int, **_values: object) -> nn.Module:
    """One linear layer from (B, width) to (B, classes)."""
    from torch import nn

    return nn.Linear(width, classes)


def create_mlp(width: int, classes: int, *, hidden: int, dropout: float) -> nn.Module:
    """One hidden layer from (B, width) to (B, classes)."""
    from advisor.network.classifiers import Perceptron

    return Perceptron(width, classes, int(hidden), dropout)


def create_cosine(width: int, classes: int, *, scale: float) -> nn.Module:
    """Scaled cosines from (B, width) to (B, classes)."""
    from advisor.network.classifiers import Cosine

    return Cosine(width, classes, scale)


def fit_ridge_head(
    module: nn.Module,
    features: Tensor,
    labels: Tensor,
    *,
    weights: Tensor | None = None,
    families: Tensor | None = None,
    scaled: bool = False,
) -> None:
    """Set a linear layer to the calibrated closed-form probe; labels (n,) int64, or (n, classes) of 0 and 1."""
    from advisor.network.ridge_by_parts import fit_ridge_by_parts
    from advisor.task import task_of_labels

    sample_weight, classes = None if weights is None else weights.numpy(), _classes(module)
    known = task_of_labels(labels, classes).array(labels)
    together = None if families is None else families.numpy()
    ridge = fit_ridge_by_parts(
        features.numpy(), known, classes, weights=sample_weight, families=together, scaled=scaled
    )
    _set(module, ridge.weight * ridge.temperature, ridge.bias * ridge.temperature)


def fit_logistic_head(
    module: nn.Module,
    features: Tensor,
    labels: Tensor,
    *,
    l2: float,
    weights: Tensor | None = None,
    scaled: bool = False,
) -> None:
    """Set a linear layer by multinomial logistic regression on standardised features."""
    from sklearn.linear_model import LogisticRegression

    from advisor.network.ridge import centred, standardise

    X, mean, scale = (centred if scaled else standardise)(features.numpy())
    model = LogisticRegression(C=1.0 / (l2 * len(X)), tol=1e-3, max_iter=500)
    model.fit(X, labels.numpy(), sample_weight=None if weights is None else weights.numpy())
    _set_fitted(module, model.coef_, model.intercept_, model.classes_, mean, scale)


def fit_svm_head(
    module: nn.Module,
    features: Tensor,
    labels: Tensor,
    *,
    l2: float,
    weights: Tensor | None = None,
    scaled: bool = False,
) -> None:
    """Set a linear layer by one-against-rest linear SVMs with squared hinge loss."""
    from sklearn.svm import LinearSVC

    from advisor.network.ridge import centred, standardise

    X, mean, scale = (centred if scaled else standardise)(features.numpy())
    model = LinearSVC(C=1.0 / (l2 * len(X)), tol=1e-3, max_iter=5000, dual=len(X) < X.shape[1], random_state=0)
    model.fit(X, labels.numpy(), sample_weight=None if weights is None else weights.numpy())
    _set_fitted(module, model.coef_, model.intercept_, model.classes_, mean, scale)


def fit_sigmoid_head(
    module: nn.Module, features: Tensor, labels: Tensor, *, families: Tensor | None = None, scaled: bool = False
) -> None:
    """Set a linear layer to ridge regression of each class, calibrated as probabilities of its own.

    Args:
        module: one `torch.nn.Linear`.
        features: (n, width).
        labels: (n, classes) of 0 and 1, or (n,) int64.
        families: (n,) equal for rows that are left out together where the penalty is chosen.
        scaled: the columns have the scale that they shall have.
    """
    from advisor.network.ridge_by_parts import fit_ridge_by_parts
    from advisor.task import task_of_labels

    classes = _classes(module)
    each = task_of_labels(labels, classes).one_hot(labels).bool().numpy()  # one problem a class in any case
    together = None if families is None else families.numpy()
    ridge = fit_ridge_by_parts(features.numpy(), each, classes, families=together, scaled=scaled)
    _set(module, ridge.weight * ridge.temperature, ridge.bias * ridge.temperature)


def fit_cosine_head(module: nn.Module, features: Tensor, labels: Tensor, *, scale: float) -> None:
    """Set class vectors and scale by L-BFGS on cross-entropy, from the means of the normalised features.

    Vectors are held near the means and the scale near its start by a small penalty; without it the scale of classes
    that can be told apart would grow for ever.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812 - torch's own convention

    X = F.normalize(features.double())
    members = F.one_hot(labels, module.weight.shape[0]).double()  # type: ignore[arg-type,index]
    means = F.normalize(members.T @ X)
    weight, log_scale = means.clone().requires_grad_(), torch.tensor(scale).double().log().requires_grad_()
    start = log_scale.detach().clone()
    optimizer = torch.optim.LBFGS([weight, log_scale], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = log_scale.exp() * X @ F.normalize(weight).T
        penalty = _COSINE_PULL * ((weight - means).square().sum() + (log_scale - start).square())
        value = F.cross_entropy(logits, labels) + penalty
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        module.weight.copy_(weight)  # type: ignore[operator]
        module.log_scale.copy_(log_scale)  # type: ignore[operator]


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over images and classes; labels (B, classes) of 0 and 1, or (B,) int64."""
    import torch.nn.functional as F  # noqa: N812 - torch's own convention

    from advisor.task import task_of_labels

    target = task_of_labels(labels, logits.shape[1]).one_hot(labels)
    return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))


def multiclass_squared_hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over images of the summed squared hinge of each class against the rest."""
    import torch

    sign = torch.full_like(logits, -1.0).scatter_(1, labels.unsqueeze(1), 1.0)
    return (1 - sign * logits).clamp(min=0).square().sum(1).mean()


def _classes(module: nn.Module) -> int:
    return int(module.out_features)  # type: ignore[arg-type]


def _set_fitted(
    module: nn.Module,
    coef: NDArray[np.float64],
    intercept: NDArray[np.float64],
    seen: NDArray[np.int64],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> None:
    """Fold standardisation into the layer; two classes come as one row, absent classes as none."""
    import numpy as np

    if len(coef) == 1:
        coef, intercept = np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    weight = np.zeros((_classes(module), coef.shape[1]))
    bias = np.full(_classes(module), float(intercept.min()) - 10.0)
    weight[seen] = coef / scale
    bias[seen] = intercept - weight[seen] @ mean
    _set(module, weight, bias)


def _set(module: nn.Module, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
    import torch

    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight))  # type: ignore[operator]
        module.bias.copy_(torch.from_numpy(bias))  # type: ignore[operator]
