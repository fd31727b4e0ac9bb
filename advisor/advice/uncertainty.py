"""How sure a distance is where a network has no constants of its own, or another one judges in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from advisor.advice.distance import Distance

_Z95 = 1.96


def widened(vote: float, interval: tuple[float, float], *, calibrated: bool) -> tuple[float, float]:
    """The 95 % interval of a vote, where the middle of its curve is as uncertain as the curve is wide.

    Args:
        vote: probability, 0..1.
        interval: of the sample alone.
        calibrated: whether the middle was measured for this network; then the interval stays as it is.
    """
    if calibrated:
        return interval
    odds = np.log(max(vote, 1e-9) / max(1 - vote, 1e-9))
    low, high = (1 / (1 + np.exp(-(odds + move))) for move in (-_Z95, _Z95))
    return (
        max(0.0, vote - float(np.hypot(vote - low, vote - interval[0]))),
        min(1.0, vote + float(np.hypot(high - vote, interval[1] - vote))),
    )


def from_elsewhere(distance: Distance, lender: str) -> Distance:
    """A distance that another network measured in this one's place: what it says of this one is less certain.

    Args:
        distance: by the lender's statistics and constants.
        lender: its name.
    """
    return replace(
        distance,
        borrowed=lender,
        calibrated=False,
        vote_intervals={
            name: widened(vote, distance.vote_intervals[name], calibrated=not distance.calibrated)
            for name, vote in distance.votes.items()
        },
        interval=widened(distance.different, distance.interval, calibrated=not distance.calibrated),
    )
