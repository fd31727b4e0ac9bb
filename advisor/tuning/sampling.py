"""Which sampler and which pruner, by how much can be tried (method.md section 6)."""

from __future__ import annotations

import math
import warnings

import optuna

_FEW, _MANY = 15, 40
_STARTUP = 5
_LEAST_EPOCHS, _FACTOR = 3, 3


def pick_sampler(seed: int, expected: float, dimensions: int) -> optuna.samplers.BaseSampler:
    """A Gaussian process for few trials, the tree-structured Parzen estimator for more.

    Args:
        seed: of the draws.
        expected: trials that fit into the budget.
        dimensions: values that vary; a Gaussian process is only asked about few.
    """
    if expected <= _FEW and 0 < dimensions <= 6:
        return optuna.samplers.GPSampler(
            seed=seed,
            n_startup_trials=_STARTUP,
            independent_sampler=_parzen(seed),  # for what only some trials have: a learning rate, one head's penalty
            warn_independent_sampling=False,
        )
    return _parzen(seed)


def _parzen(seed: int) -> optuna.samplers.TPESampler:
    """Multivariate over each group of values that come and go together."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of groups, for years now
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, multivariate=True, group=True)


def pick_pruner(trials: int, seconds_per_epoch: float) -> optuna.pruners.BasePruner:
    """Successive halving in seconds, from three epochs of a full fine-tuning on; Hyperband where there are many.

    Args:
        trials: that may be run.
        seconds_per_epoch: of the costliest training.
    """
    least = max(1, math.ceil(_LEAST_EPOCHS * seconds_per_epoch))
    if trials >= _MANY:
        return optuna.pruners.HyperbandPruner(min_resource=least, reduction_factor=_FACTOR)
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=least, reduction_factor=_FACTOR)
