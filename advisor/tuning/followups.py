"""What the best training so far calls for, before anything else is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.records.trial import Member, TrialKind, Way
from advisor.tuning.confirm import leaders

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from advisor.recipe.values import TrialValues
    from advisor.records.trial import TrialRecord
    from advisor.tuning.confirm import ScoredTrial
    from advisor.tuning.ledger import Ledger
    from advisor.tuning.runner import TrialRunner
    from advisor.tuning.space import SearchSpace
    from advisor.tuning.starts import Starts

_LEARNT = 0.95  # of the training images that a training which was long enough has right in its last pass
_LONGER = 2.0  # times the steps


class FollowUps:
    """Proposals that come before the starts of other recipes and before what the sampler draws.

    The best training so far that has not learnt its own images is run again with twice the steps: neither other rates
    nor other depths say anything about a network that is still underway. Where the longer one leads, it is followed up
    in turn; where it does not, nothing of that line is proposed again. One that has learnt its images goes on at the
    next larger input from where it stands, where its weights are kept and fit (progressive resizing).

    Args:
        space: that proposals lie in.
        starts: says what a training costs.
        runner: has the weights.
    """

    def __init__(self, space: SearchSpace, starts: Starts, runner: TrialRunner) -> None:
        self._space = space
        self._starts = starts
        self._runner = runner

    def enqueue(
        self, ledger: Ledger, scored_trials: Sequence[ScoredTrial], sample_weight: NDArray[np.float64], seconds: float
    ) -> bool:
        """Enqueue what the best training calls for.

        Args:
            ledger: of the study that tries it.
            scored_trials: every trial that has finished.
            sample_weight: (n,) what each validation image counts.
            seconds: that are left for a training in each fold.

        Returns:
            Whether there was anything.
        """
        trainings = [one for one in scored_trials if one.record.kind is TrialKind.TRIAL and one.record.way is Way.TUNED]
        for leader in leaders(trainings, sample_weight, 1):
            if (longer := self._longer(leader.record)) and self._fits(ledger, longer, seconds):
                ledger.enqueue(self._space.params(longer), f"longer than trial {leader.number}")
                return True
            if grown := self._grown(ledger, leader, seconds):
                size = leader.values.features.input_size
                ledger.enqueue(self._space.params(grown), f"trial {leader.number}, larger than {size}", leader.number)
                return True
        return False

    def _grown(self, ledger: Ledger, leader: ScoredTrial, seconds: float) -> TrialValues | None:
        """The leader gone on with at a larger input, where that can be done, is new, and fits."""
        record = leader.record
        grown = self._space.grown(leader.values, record.steps or 0)
        kept = Member(leader.number, 0) in self._runner.members()
        if grown is None or not kept or (record.trained or 0) < 1 or leader.number in ledger.grown():
            return None
        fits = self._starts.cost(grown) - self._starts.cost(leader.values) <= seconds
        return grown if fits and self._runner.can_grow(leader.values, grown.features.input_size) else None

    def _longer(self, record: TrialRecord) -> TrialValues | None:
        """The same with twice the steps; None where it has learnt its images, or the time cut it short already."""
        learnt, values = record.train_accuracy, record.values
        if values is None or values.before or learnt is None or learnt >= _LEARNT or (record.trained or 0) < 1:
            return None
        return self._space.longer(values, _LONGER)

    def _fits(self, ledger: Ledger, values: TrialValues, seconds: float) -> bool:
        params = self._space.params(values)
        tried = (record for record in ledger.ended() if record.kind is not TrialKind.INTERRUPTED)
        known = params in ledger.tried_starts() or any(record.values == values for record in tried)
        return not known and self._starts.cost(values) <= seconds
