"""One factor that makes logits mean what they say [Guo 2017]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

# Of the factor times the spread of the logits. Where they are all alike but for noise, no factor helps; at the other
# end probabilities are 0 and 1 in double precision whatever the number of classes.
_LEAST, _MOST = 1e-3, 1e4


def fit_temperature(loss: Callable[[float], float], spread: float) -> float:
    """The factor of least loss.

    It is looked for in units of the logits' own spread: with 500 classes the predictions of a ridge classifier differ
    by hundredths, and no fixed range serves them and the logits of a trained network alike.

    Args:
        loss: from a factor of the logits to the mean negative log-likelihood.
        spread: root mean square of the logits.
    """
    from scipy.optimize import minimize_scalar

    if spread == 0:
        return 1.0
    bounds = (np.log(_LEAST / spread), np.log(_MOST / spread))
    return float(np.exp(minimize_scalar(lambda x: loss(float(np.exp(x))), bounds=bounds, method="bounded").x))
