"""Where a search begins: the plan's own starting point, then those of the scenarios' recipes, cheapest first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import optuna

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.recipe import Recipe
    from advisor.tuning.bench import Workbench
    from advisor.tuning.space import SearchSpace, Values


class Starts:
    """Starting points, each enqueued once.

    Args:
        space: that the points lie in.
        bench: whose images and network say what a point costs.
        own: name of the plan's recipe, whose starting point comes first.
        scenarios: recipes whose starting points come after it.
    """

    def __init__(self, space: SearchSpace, bench: Workbench, own: str, scenarios: Sequence[Recipe]) -> None:
        self._space = space
        self._bench = bench
        self._own = own
        self._scenarios = tuple(scenarios)
        self._too_dear = math.inf  # seconds of a point for which there was no time

    def cost(self, values: Values) -> float:
        """Seconds that a training with these values takes in one fold, about: a step is three forward passes."""
        bench = self._bench
        tap = bench.stages.tap_index(values["features.tap"])
        frozen = bench.stages.frozen_index(values["freeze.depth"], tap)
        if frozen == tap:
            return 0.0
        images = len(bench.rows("train")) * int(values.get("train.epochs") or 1)
        return images * bench.seconds_per_image() * (3 - 2 * frozen / tap)

    def enqueue_next(self, study: optuna.Study) -> None:
        """The next point that nobody has tried, if one is left; one that was cut off is next again."""
        known = [
            trial.system_attrs["fixed_params"]
            for trial in study.get_trials(deepcopy=False)
            if "fixed_params" in trial.system_attrs
            and trial.user_attrs.get("kind") not in ("interrupted", "out of time")
        ]
        scenarios = [(recipe.name, self._space.nearest_params(recipe)) for recipe in self._scenarios]
        scenarios.sort(key=lambda start: self._cost_of_params(start[1]))
        for name, params in [(self._own, self._space.start_params()), *scenarios]:
            if params not in known and self._cost_of_params(params) < self._too_dear:
                study.enqueue_trial(params, user_attrs={"scenario": name})
                return

    def is_too_dear(self, trial: optuna.Trial) -> bool:
        """Whether a trial cut off for want of time was a starting point; only cheaper ones are tried from now on."""
        if "scenario" not in trial.user_attrs or "values" not in trial.user_attrs:
            return False
        self._too_dear = self.cost(trial.user_attrs["values"])
        return True

    def _cost_of_params(self, params: dict[str, Any]) -> float:
        return self.cost(self._space.suggest(optuna.trial.FixedTrial(params)))
