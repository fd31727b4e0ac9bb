"""Where a search begins: the plan's own point, on each of its backbones, then those of the scenarios' recipes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from advisor.tuning.failures import LEAST_SHARE, OutOfTimeError
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.recipe import Recipe
    from advisor.recipe.values import TrialValues
    from advisor.tuning.ledger import Ledger
    from advisor.tuning.runner import TrialRunner
    from advisor.tuning.space import SearchSpace
    from advisor.types import Scalar


_WORTH_BEGINNING = 0.5  # of a training that must fit, by the forecast, for it to be begun


class Starts:
    """Starting points, each enqueued once.

    Args:
        space: that the points lie in.
        runner: says what a point costs.
        own: name of the plan's recipe, whose starting point comes first.
        scenarios: recipes whose starting points come after it.
    """

    def __init__(self, space: SearchSpace, runner: TrialRunner, own: str, scenarios: Sequence[Recipe]) -> None:
        self._space = space
        self._runner = runner
        self._own = own
        self._scenarios = tuple(scenarios)
        self._too_dear = math.inf  # seconds of a training for which there was no time
        self._pace = 1.0  # of a real training over what forward passes foretell

    def cost(self, values: TrialValues) -> float:
        """Seconds that a training with these values takes in one fold, about, as earlier ones went."""
        return self._runner.seconds(values) * self._pace

    def first_training(self) -> float:
        """Seconds of the first training that will be run, in one fold, about; 0 where only heads are fitted.

        That is the plan's own starting point; where it trains nothing the cheapest of the scenarios'; and where those
        train nothing either, the cheapest that may be drawn.
        """
        own = self._space.start()
        scenarios = [self._space.at(self._space.nearest_params(recipe)) for recipe in self._scenarios]
        drawn = [self._space.at_depth(own, depth) for depth in self._space.depths()]
        for points in ([own], scenarios, drawn):
            if costs := [cost for point in points if (cost := self.cost(point))]:
                return min(costs)
        return 0.0

    def require_time(self, values: TrialValues, seconds: float) -> None:
        """Refuse a training that would not fit, before it has cost anything.

        Args:
            values: of the trial.
            seconds: that are left for it in each fold.

        Raises:
            OutOfTimeError: less than half of its steps would fit.
        """
        cost = self.cost(values)
        if seconds < _WORTH_BEGINNING * cost:
            raise OutOfTimeError(f"it would take about {show_duration(cost)}")

    def enqueue_next(self, ledger: Ledger, seconds: float) -> float | None:
        """The next point that nobody has tried, if one is left; one that was cut off is next again.

        Where a whole training from it takes longer than there is time, more stages are frozen.

        Args:
            ledger: of the study that tries it.
            seconds: that are left for a training in each fold.

        Returns:
            Seconds that it would have taken as it was, where more stages were frozen.
        """
        known = ledger.tried_starts()
        scenarios = [(recipe.name, self._space.nearest_params(recipe)) for recipe in self._scenarios]
        scenarios.sort(key=lambda start: self.cost(self._space.at(start[1])))
        for name, params in [(self._own, self._space.start_params()), *self._other_backbones(), *scenarios]:
            values = self._space.at(params)
            cost = self.cost(values)
            cheaper = self._deeper(values, seconds) if cost > seconds else None
            point = self._space.params(cheaper) if cheaper else params
            if point not in known and (cheaper or cost < self._too_dear):
                ledger.enqueue(point, name)
                return cost if cheaper else None
        return None

    def _other_backbones(self) -> list[tuple[str, dict[str, Scalar]]]:
        """The plan's own starting point on every other backbone of the search, each of which is tried once at least."""
        start = self._space.start()
        others = [replace(start, backbone=name) for name in self._space.backbones if name != start.backbone]
        return [(self._own, self._space.params(values)) for values in others]

    def enqueue_deeper(
        self, ledger: Ledger, values: TrialValues | None, start: str, error: OutOfTimeError, seconds: float
    ) -> bool:
        """After a training that did not fit: the same with more stages frozen.

        Args:
            ledger: of the study.
            values: of the trial that was cut off; None where it had none yet.
            start: the recipe whose starting point it was, if it was one.
            error: why it was cut off.
            seconds: that are left for a training in each fold.

        Returns:
            Whether there is such a training.
        """
        if values is None or (cost := self.cost(values)) == 0:
            return False
        if error.seconds:
            self._pace *= error.seconds / cost
        self._too_dear = min(self._too_dear, self.cost(values))
        deeper = self._deeper(values, seconds)
        if deeper is None:
            return False
        ledger.enqueue(self._space.params(deeper), start)
        return True

    def _deeper(self, values: TrialValues, seconds: float) -> TrialValues | None:
        """The same made cheaper so that it fits; None where more than a head never does.

        A smaller input comes before fewer trained stages: the steps of a training are worth more than its pixels.
        """
        sizes = [size for size in self._space.sizes() if size < values.features.input_size] or [0]
        smaller = [values.at_size(size) if size else values for size in reversed(sizes)]
        for again in smaller if sizes != [0] else ():
            if 0 < self.cost(again) <= min(seconds, self._too_dear):
                return again
        last = smaller[-1]
        deeper = [self._space.at_depth(last, depth) for depth in self._space.depths() if depth > values.freeze.depth]
        costs = [(cost, again) for again in deeper if 0 < (cost := self.cost(again)) < self._too_dear]
        for cost, again in costs:
            if cost <= seconds:
                return again
        # Where only the last stage fits, a training of it that is cut short is better than none.
        return costs[-1][1] if costs and LEAST_SHARE * costs[-1][0] < seconds else None
