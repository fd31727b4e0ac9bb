"""Which sampler, by how much can be tried (method.md section 6)."""

from __future__ import annotations

import warnings

import optuna

_FEW = 15
_STARTUP = 5


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
