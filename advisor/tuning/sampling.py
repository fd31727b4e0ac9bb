"""Which sampler and which pruner, by how much can be tried (method.md section 6)."""

from __future__ import annotations

import math

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
            independent_sampler=optuna.samplers.RandomSampler(seed=seed),
            warn_independent_sampling=False,  # parameters of one head only are expected to come and go
        )
    # Multivariate over what all trials share, one by one over what comes and goes with a condition.
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP)


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
