"""Linear heads. All three are one linear layer, so that timm's own classifier can hold what they learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.hookspecs import hookimpl
from advisor.types import Head, Param

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn


@hookimpl
def advisor_heads() -> Iterator[Head]:
    """Ridge (the probe), multinomial logistic regression, and a linear support vector machine."""
    yield Head(
        name="ridge",
        create=create_linear,
        fit=fit_ridge_head,
        linear=True,
        summary="closed-form ridge regression, penalty by exact leave-one-out; the probe itself",
    )
    yield Head(
        name="linear",
        create=create_linear,
        fit=fit_logistic_head,
        params=(Param("l2", default=3e-4, low=1e-6, high=1e-1, log=True, help="penalty per image on the weights"),),
        linear=True,
        summary="softmax regression by L-BFGS",
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


def create_linear(width: int, classes: int, **_values: object) -> nn.Module:
    """One linear layer from (B, width) to (B, classes)."""
    from torch import nn

    return nn.Linear(width, classes)


def fit_ridge_head(module: nn.Module, features: Tensor, labels: Tensor) -> None:
    """Set a linear layer to the calibrated closed-form probe."""
    from advisor.network.ridge import fit_ridge

    ridge = fit_ridge(features.numpy(), labels.numpy(), _classes(module))
    _set(module, ridge.weight * ridge.temperature, ridge.bias * ridge.temperature)


def fit_logistic_head(module: nn.Module, features: Tensor, labels: Tensor, *, l2: float) -> None:
    """Set a linear layer by multinomial logistic regression on standardised features."""
    from sklearn.linear_model import LogisticRegression

    from advisor.network.ridge import standardise

    X, mean, scale = standardise(features.numpy())
    model = LogisticRegression(C=1.0 / (l2 * len(X)), tol=1e-3, max_iter=500)
    model.fit(X, labels.numpy())
    _set_fitted(module, model.coef_, model.intercept_, model.classes_, mean, scale)


def fit_svm_head(module: nn.Module, features: Tensor, labels: Tensor, *, l2: float) -> None:
    """Set a linear layer by one-against-rest linear SVMs with squared hinge loss."""
    from sklearn.svm import LinearSVC

    from advisor.network.ridge import standardise

    X, mean, scale = standardise(features.numpy())
    model = LinearSVC(C=1.0 / (l2 * len(X)), tol=1e-3, max_iter=5000, dual=len(X) < X.shape[1], random_state=0)
    model.fit(X, labels.numpy())
    _set_fitted(module, model.coef_, model.intercept_, model.classes_, mean, scale)


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
