"""Which searched values made the difference between trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LEAST = 4  # trials; among fewer nothing can be told apart


def importances(trials: Sequence[optuna.trial.FrozenTrial]) -> dict[str, float]:
    """Share of the variance between trials that each searched value explains, by functional ANOVA [Hutter 2014].

    Values that only some trials have (a head's own penalty, a learning rate where nothing but a closed form was
    fitted) are weighed among the trials that have them, and then by how many those are.

    Args:
        trials: completed ones, each set of values once.

    Returns:
        By key path, largest first, adding up to 1; empty where fewer than four trials can be compared.
    """
    done = [trial for trial in trials if trial.params]
    found: dict[str, float] = {}
    for names in {frozenset(trial.params) for trial in done}:
        alike = [trial for trial in done if frozenset(trial.params) == names]
        varied = sorted(name for name in names if len({trial.params[name] for trial in alike}) > 1)
        if len(alike) < _LEAST or not varied or len({trial.values[0] for trial in alike}) < 2:
            continue
        for name, share in _fanova(alike, varied).items():
            found[name] = found.get(name, 0.0) + share * len(alike)
    whole = sum(found.values())
    return {name: share / whole for name, share in sorted(found.items(), key=lambda pair: -pair[1])} if whole else {}


def _fanova(trials: list[optuna.trial.FrozenTrial], names: list[str]) -> Mapping[str, float]:
    sample = optuna.create_study(direction="maximize")
    sample.add_trials(trials)
    return optuna.importance.get_param_importances(
        sample, params=names, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
    )
