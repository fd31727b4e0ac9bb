"""One factor that makes logits mean what they say [Guo 2017]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def fit_temperature(loss: Callable[[float], float], images: int, *, doubt: float = 0.0) -> float:
    """The factor of least loss, from 0.1 to 100.

    Args:
        loss: from a factor of the logits to the mean negative log-likelihood.
        images: over which that mean goes.
        doubt: weight of a standard normal prior on the factor's logarithm, in images.
    """
    from scipy.optimize import minimize_scalar

    def doubted(log_factor: float) -> float:
        return doubt * log_factor**2 / (2 * max(1, images)) + loss(float(np.exp(log_factor)))

    return float(np.exp(minimize_scalar(doubted, bounds=(np.log(0.1), np.log(100)), method="bounded").x))
