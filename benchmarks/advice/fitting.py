"""Models of expected accuracy, fitted to the panel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from advisor.advice.forecast import USUAL, Z80, Model, level, logit, regressors
from advisor.strategy import Strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from measured import MeasuredCell, Option
    from numpy.typing import NDArray

_RIDGE = 3.0
_LEAST_SPREAD = 0.05  # on the logit scale: no panel is large enough to show that image sets do not differ
_TUNING = (Strategy.TUNE_SIMILAR, Strategy.TUNE_DIFFERENT, Strategy.LP_FT)
# What coefficients are drawn to, by their place: an earlier stage keeps the lead of its probe, fine-tuning half of it.
# Five times the steps brought a quarter of a unit by hand, the rate for the other kind of images lost a fifth; all
# else means nothing where nothing speaks for it.
_PRIOR = {Strategy.EARLIER_LAYER: {1: 1.0}, Strategy.TUNE_SIMILAR: {1: 0.5, 3: 0.15, 7: -0.2}}


def left_out(cells: Sequence[MeasuredCell]) -> dict[str, list[MeasuredCell]]:
    """For each set, the cells of all others."""
    return {base: [cell for cell in cells if cell.base != base] for base in sorted({cell.base for cell in cells})}


def most_per_class(cells: Sequence[MeasuredCell]) -> float:
    """Images per class beyond which the panel knows nothing."""
    return max(cell.facts.per_class for cell in cells)


def fit(cells: Sequence[MeasuredCell]) -> dict[Strategy, Model]:
    """A model for every way; spreads are those of sets left out in turn."""
    most = most_per_class(cells)
    without = {base: _solve(rest, most) for base, rest in left_out(cells).items()}
    everything = _solve(cells, most)
    errors: dict[Strategy, list[tuple[float, float]]] = {way: [] for way in Strategy}
    for cell in cells:
        for option in cell.options:
            training = option.training or USUAL
            missed = _reached(option) - level(option.strategy, cell.facts, without[cell.base], most, training)
            errors[option.strategy].append((missed, _noise(option, cell)))
    tuned = [error for way in _TUNING for error in errors[way]]
    errors |= dict.fromkeys(_TUNING, tuned)
    sets = len(without)
    return {way: Model(tuple(everything[way].round(4).tolist()), *_spread(errors[way], sets)) for way in Strategy}


def _spread(errors: list[tuple[float, float]], sets: int) -> tuple[float, float]:
    """Standard deviation beyond binomial noise, and how many of it hold 80 % of the errors, beside that noise."""
    missed, noise = (np.array(values) for values in zip(*errors, strict=True))
    spread = math.sqrt(max(_LEAST_SPREAD**2, float(np.mean(missed**2 - noise))))
    # A little more than four fifths, since there are few sets.
    beyond = np.sqrt(np.maximum(0.0, missed**2 - Z80**2 * noise)) / spread
    reach = float(np.quantile(beyond, min(1.0, 0.8 * (1 + 0.5 / sets))))
    return round(spread, 4), round(reach, 4)


def _solve(cells: Sequence[MeasuredCell], most: float) -> dict[Strategy, NDArray[np.float64]]:
    """Coefficients of every way: of the first over its probe, of the others over the first.

    All fine-tunings share coefficients; their learning rate is one of the regressors.
    """
    coefficients = {}
    for ways in ((Strategy.LAST_LAYER,), (Strategy.EARLIER_LAYER,), _TUNING):
        rows = [(cell, option) for cell in cells for option in cell.options if option.strategy in ways]
        X = np.array([regressors(option.strategy, cell.facts, most, option.training or USUAL) for cell, option in rows])
        start = [
            logit(cell.facts.last, cell.facts.images)
            if option.strategy is Strategy.LAST_LAYER
            else _reached(next(one for one in cell.options if one.strategy is Strategy.LAST_LAYER))
            for cell, option in rows
        ]
        y = np.array([_reached(option) for _, option in rows]) - start
        usual = np.zeros(X.shape[1])
        for place, value in _PRIOR.get(ways[0], {}).items():
            usual[place] = value
        # Noisy rows count less, and so do those of a cell with many; the constant is not penalised.
        counts = {id(cell): sum(1 for other, _ in rows if other is cell) for cell, _ in rows}
        w = np.array([1 / (counts[id(cell)] * (0.1 + _noise(option, cell))) for cell, option in rows])
        penalty = _RIDGE * w.mean() * np.diag([0.0] + [1.0] * (X.shape[1] - 1))
        change = np.linalg.solve(X.T @ (w[:, None] * X) + penalty, X.T @ (w * (y - X @ usual)))
        coefficients |= dict.fromkeys(ways, usual + change)
    return coefficients


def _reached(option: Option) -> float:
    return logit(option.accuracy, len(option.right))


def _noise(option: Option, cell: MeasuredCell) -> float:
    """Binomial variance of probe and test accuracy on the logit scale."""
    total = 0.0
    for p, n in ((cell.facts.last, cell.facts.images), (option.accuracy, len(option.right))):
        q = min(max(p, 0.5 / n), 1 - 0.5 / n)
        total += 1 / (n * q * (1 - q))
    return total
