"""The ways of transferring a network, and the four scenarios that they are known by (method.md sections 3 and 5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal


class Strategy(Enum):
    """A way of transferring a pretrained network.

    Its value is how it is written in plans, in JSON and in `advice/fitted.json`.
    """

    LAST_LAYER = "1"
    TUNE_SIMILAR = "2"
    EARLIER_LAYER = "3"
    TUNE_DIFFERENT = "4"
    LP_FT = "lp-ft"

    @property
    def label(self) -> str:
        """What is done, in plain words."""
        return _LABELS[self]

    @property
    def scenario(self) -> int | None:
        """The scenario that this is the usual way of; None for LP-FT, which belongs to none."""
        return int(self.value) if self.value.isdigit() else None

    @property
    def fine_tunes(self) -> bool:
        """Whether layers of the network are trained; else only a classifier on its frozen features is."""
        return self not in {Strategy.LAST_LAYER, Strategy.EARLIER_LAYER}


@dataclass(frozen=True)
class Scenario:
    """One of the four combinations of size and distance.

    Attributes:
        number: 1 to 4.
        size: of the dataset.
        distance: of its images from those that the network was trained on.
    """

    number: int
    size: Literal["small", "large"]
    distance: Literal["similar", "different"]

    @property
    def words(self) -> str:
        """Both sides, as in `small and similar`."""
        return f"{self.size} and {self.distance}"

    @property
    def strategy(self) -> Strategy:
        """Its usual way."""
        return Strategy(str(self.number))


_LABELS = {
    Strategy.LAST_LAYER: "a linear classifier on the frozen network",
    Strategy.TUNE_SIMILAR: "fine-tune the whole network",
    Strategy.EARLIER_LAYER: "a linear classifier on activations from earlier in the network",
    Strategy.TUNE_DIFFERENT: "fine-tune the whole network from the pretrained weights",
    Strategy.LP_FT: "head first, then the whole network gently",
}
SCENARIOS = {
    scenario.number: scenario
    for scenario in (
        Scenario(1, "small", "similar"),
        Scenario(2, "large", "similar"),
        Scenario(3, "small", "different"),
        Scenario(4, "large", "different"),
    )
}


def scenario_for(*, large: bool, different: bool) -> Scenario:
    """The scenario on these two sides."""
    return SCENARIOS[1 + large + 2 * different]
