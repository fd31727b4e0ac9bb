"""Where a search begins: the plan's own starting point, then those of the scenarios' recipes, cheapest first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import optuna

from advisor.network.stages import TOKENS
from advisor.tuning.loop import LEAST_SHARE, OutOfTimeError
from advisor.tuning.source import kept_views, missing_images
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.recipe import Recipe
    from advisor.tuning.context import TrialContext
    from advisor.tuning.space import SearchSpace, Values


class Starts:
    """Starting points, each enqueued once.

    Args:
        space: that the points lie in.
        context: whose images and network say what a point costs.
        own: name of the plan's recipe, whose starting point comes first.
        scenarios: recipes whose starting points come after it.
    """

    def __init__(self, space: SearchSpace, context: TrialContext, own: str, scenarios: Sequence[Recipe]) -> None:
        self._space = space
        self._context = context
        self._own = own
        self._scenarios = tuple(scenarios)
        self._too_dear = math.inf  # seconds of a training for which there was no time
        self._pace = 1.0  # of a real training over what forward passes foretell

    def cost(self, values: Values) -> float:
        """Seconds that a training with these values takes in one fold, about: a step is three forward passes."""
        context = self._context
        tap = context.stages.tap_index(values["features.tap"])
        frozen = context.stages.frozen_index(values["freeze.depth"], tap)
        if frozen == tap:
            return 0.0
        images, epochs, share = len(context.rows("train")), int(values.get("train.epochs") or 1), frozen / tap
        codes = TOKENS if context.catalog.head(values["head.name"]).tokens else "mean"
        views = kept_views(context, values, tap=tap, frozen=frozen, codes=codes) if frozen else 0
        passes = images * epochs * (3 - 2 * share)
        if views and context.activations is not None:
            missing = missing_images(context, context.activations, values, views, min(frozen, tap - 1))
            passes = missing * share + images * epochs * 3 * (1 - share)
        return passes * context.seconds_per_image() * self._pace

    def require_time(self, values: Values, seconds: float) -> None:
        """Refuse a training that would not fit, before it has cost anything.

        Args:
            values: of the trial.
            seconds: that are left for it in each fold.

        Raises:
            OutOfTimeError: less than the least share of its steps would fit, by what an earlier one took.
        """
        cost = self.cost(values)
        if self._too_dear < math.inf and seconds < LEAST_SHARE * cost:
            raise OutOfTimeError(f"it would take about {show_duration(cost)}")

    def enqueue_next(self, study: optuna.Study, seconds: float) -> float | None:
        """The next point that nobody has tried, if one is left; one that was cut off is next again.

        Where a whole training from it takes longer than there is time, more stages are frozen.

        Args:
            study: to try it.
            seconds: that are left for a training in each fold.

        Returns:
            Seconds that it would have taken as it was, where more stages were frozen.
        """
        known = [
            trial.system_attrs["fixed_params"]
            for trial in study.get_trials(deepcopy=False)
            if "fixed_params" in trial.system_attrs
            and trial.user_attrs.get("kind") not in ("interrupted", "out of time")
        ]
        scenarios = [(recipe.name, self._space.nearest_params(recipe)) for recipe in self._scenarios]
        scenarios.sort(key=lambda start: self.cost(self._values(start[1])))
        for name, params in [(self._own, self._space.start_params()), *scenarios]:
            values = self._values(params)
            cost, cheaper = self.cost(values), None
            if cost > seconds and (cheaper := self._deeper(values, seconds)):
                params = self._space.params(cheaper)  # noqa: PLW2901
            if params not in known and (cheaper or cost < self._too_dear):
                study.enqueue_trial(params, user_attrs={"scenario": name})
                return cost if cheaper else None
        return None

    def enqueue_deeper(self, study: optuna.Study, trial: optuna.Trial, error: OutOfTimeError, seconds: float) -> bool:
        """After a training that did not fit: the same with more stages frozen.

        Args:
            study: of the trial.
            trial: that was cut off.
            error: why.
            seconds: that are left for a training in each fold.

        Returns:
            Whether there is such a training.
        """
        values: Values | None = trial.user_attrs.get("values")
        if values is None or (cost := self.cost(values)) == 0:
            return False
        if error.seconds:
            self._pace *= error.seconds / cost
        self._too_dear = min(self._too_dear, self.cost(values))
        deeper = self._deeper(values, seconds)
        if deeper is None:
            return False
        told = {key: value for key, value in trial.user_attrs.items() if key == "scenario"}
        study.enqueue_trial(self._space.params(deeper), user_attrs=told)
        return True

    def _deeper(self, values: Values, seconds: float) -> Values | None:
        """The same with as few more stages frozen as leave time for others; None where more than a head never fits."""
        depths = [depth for depth in self._space.depths() if depth > values["freeze.depth"]]
        found = [self._space.completed({**values, "freeze.depth": depth}) for depth in depths]
        costs = [(cost, again) for again in found if 0 < (cost := self.cost(again)) < self._too_dear]
        for cost, again in costs:
            if cost <= seconds / 2:
                return again
        # Where only the last stage fits, a training of it that is cut short is better than none.
        return costs[-1][1] if costs and LEAST_SHARE * costs[-1][0] < seconds / 2 else None

    def _values(self, params: dict[str, Any]) -> Values:
        return self._space.suggest(optuna.trial.FixedTrial(params))


def is_start(trial: optuna.Trial) -> bool:
    """Whether a trial is a starting point, not drawn by the sampler."""
    return "scenario" in trial.user_attrs
