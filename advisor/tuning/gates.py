"""When a training is stopped before its end, because it cannot come to anything.

Trainings of different length and rate are compared at their ends only: a learning rate that has not come down yet says
little, and comparing half-way prefers low rates. So nothing but a training itself says whether it goes on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from advisor.task.interval import paired
from advisor.tuning.failures import HopelessError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advisor.recipe.values import TrialValues
    from advisor.tuning.context import TrialContext
    from advisor.tuning.loop import Moment

_DIVERGED_FROM = 0.1  # share of the steps after which the loss must be below that of guessing
_BEHIND_FROM = 0.5  # share of the steps after which validation must be level with the start
_LEAST_STEPS = 50  # of a training that says anything before its end
_ERRORS = 2.0  # paired standard errors below the start


class Gate:
    """Stops a training that began with a fitted head and is worse than that.

    Args:
        context: whose classes and validation images.
        values: of the trial.
        start: (n,) scores of the validation images before the first step.
    """

    def __init__(self, context: TrialContext, values: TrialValues, start: NDArray[np.float64]) -> None:
        # Mixed or smoothed labels keep a loss of their own.
        plain = values.train is not None and not values.train.mixup and not values.train.label_smoothing
        labels = context.labels("val")
        guessed = context.task.loss(torch.zeros(len(labels), context.classes), labels)
        self._guessing = float(guessed.mean()) if plain else math.inf
        self._weight = context.sample_weight(context.rows("val"))
        self._families = context.prepared.dataset.families(context.rows("val"))
        self._start = start

    def check(self, now: Moment, image_scores: NDArray[np.float64]) -> None:
        """Look at a training that has just been judged.

        Args:
            now: where it is.
            image_scores: (n,) of the validation images.

        Raises:
            HopelessError: its loss is above that of guessing, or validation is clearly below where it began.
        """
        if now.steps < _LEAST_STEPS:
            return
        share = now.step / now.steps
        if _DIVERGED_FROM <= share < 1 and now.loss > self._guessing:
            raise HopelessError(
                f"after {now.step} of {now.steps} steps the loss is {now.loss:.2f}, above the {self._guessing:.2f} of "
                "guessing: the learning rate is too high"
            )
        if _BEHIND_FROM <= share < 1:
            gap, error = paired(self._start - image_scores, self._weight, self._families)
            if gap > _ERRORS * error:
                raise HopelessError(
                    f"after {now.step} of {now.steps} steps validation is {100 * gap:.1f} ± {100 * error:.1f} points "
                    "below the head it began with"
                )
