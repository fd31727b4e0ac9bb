"""The greedy average of the weights of the best fine-tunings from one start: a model soup [arXiv:2203.05482].

Fine-tunings that begin with the same pretrained weights and the same head often end in one valley, and what lies
between them is better than each. It costs no training and nothing at prediction. A uniform average of all is often
worse than its best member; so members are taken in one by one, the best first, and stay only where the average gains.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from advisor.records.trial import Member, TrialKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from advisor.tuning.confirm import ScoredTrial
    from advisor.tuning.ledger import Ledger
    from advisor.tuning.runner import TrialRunner

MOST_MEMBERS = 6  # candidates of an average, and so judgings of it


def candidates_of(
    scored_trials: Sequence[ScoredTrial],
    sample_weight: NDArray[np.float64],
    kept: Collection[Member],
    further_seeds: Callable[[int], Sequence[int]],
) -> tuple[Member, ...]:
    """Trainings that share the start of the best of them and whose weights are kept, the best first.

    Args:
        scored_trials: every trial that has finished.
        sample_weight: (n,) what each validation image counts.
        kept: trainings whose weights are at hand.
        further_seeds: of a trial's number, the seeds beyond the first in the order of its scores.
    """
    listed: list[tuple[float, Member, object]] = []
    for one in scored_trials:
        if one.record.kind is not TrialKind.TRIAL or one.head_only:
            continue
        for row, seed in enumerate((0, *further_seeds(one.number))):
            if (member := Member(one.number, seed)) in kept:
                accuracy = float(sample_weight @ one.image_scores[row] / sample_weight.sum())
                listed.append((accuracy, member, _start_of(one)))
    listed.sort(key=lambda entry: (-round(entry[0], 9), entry[1]))
    return tuple(member for _, member, start in listed if start == listed[0][2])[:MOST_MEMBERS]


def look_for_average(
    ledger: Ledger,
    runner: TrialRunner,
    candidates: Sequence[Member],
    *,
    deadline: float,
    clock: Callable[[], float],
    say: Callable[[str], None],
) -> None:
    """Average the weights of trainings greedily, judge each average, and remember the best in the study.

    Args:
        ledger: that remembers it; one average at a time.
        runner: that has the weights.
        candidates: trainings from one start, the best first, at least one.
        deadline: on the clock; no average is judged after it.
        clock: seconds that only grow.
        say: told what came of it.
    """
    began = clock()
    values = ledger.record(candidates[0].trial).values
    assert values is not None
    best = runner.judge_average(values, candidates[:1])
    members, tried = [candidates[0]], []
    for candidate in candidates[1:]:
        if best is None or clock() >= deadline:
            break
        average = runner.judge_average(values, [*members, candidate])
        if average is None:  # other shapes, or weights that have gone
            continue
        tried.append(average.image_scores)
        if (average.accuracy, -average.loss) >= (best.accuracy, -best.loss):
            members, best = [*members, candidate], average
    if best is None or len(members) == 1:
        ledger.settle_average(candidates, tried)
        if tried:
            say(f"No average of the weights of the best {len(candidates)} trainings is better than the first of them.")
        return
    ledger.add_average(values, best, clock() - began, members, candidates, tried)
    names = " and ".join(member.name for member in members)
    say(f"The average of the weights of {names} has {best.accuracy:.3f} on the validation images.")


def _start_of(one: ScoredTrial) -> object:
    """What must be alike in two trainings for their weights to lie in one valley, and their shapes to agree."""
    values = one.values
    features = replace(values.features, cache=None, views=None)
    adapted = values.freeze.batchnorm == "adabn"
    grown = values.train.grow_from if values.train else None  # its features are scaled as at its first input
    return values.backbone, features, one.tap, values.head.name, adapted, grown
