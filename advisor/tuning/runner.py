"""What a search needs of whatever runs its trials; `NetworkRunner` trains real networks, tests replay curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from advisor.recipe.values import TrialValues
    from advisor.records.trial import CurvePoint, Member
    from advisor.tuning.finished import Finished


REFIT = 1.4  # times a training in one fold: a quarter more images to see, and the machine's moods


@dataclass(frozen=True)
class Footprint:
    """What predicting with a model costs.

    Attributes:
        seconds: of an image through the network, of its input size and on the run's device.
        size: of the weights, bytes.
    """

    seconds: float
    size: int


class TrialRunner(Protocol):
    """Runs one trial, says what one would cost, and keeps the models of those that may be handed over."""

    @property
    def images(self) -> int:
        """Images that may be trained on, validation images included."""

    @property
    def most_folds(self) -> int:
        """Folds in which every class has images of its own to be judged by."""

    @property
    def given_validation(self) -> bool:
        """Whether the dataset came with a validation part of its own, which is then what judges."""

    def sample_weight(self, folds: int) -> NDArray[np.float64]:
        """(n,) what each validation image counts, in the order of `Finished.rows`."""

    def families(self, folds: int) -> NDArray[np.int64]:
        """(n,) equal for validation images that go together, such as near copies; in the same order."""

    def seconds(self, values: TrialValues) -> float:
        """Seconds that a trial takes in one fold, about; of a head in closed form only what its views take to read."""

    def probes(self) -> Mapping[int, TrialValues]:
        """The closed-form probe at every stage by its number, which is negative, the last stage first."""

    def footprint(self, values: TrialValues) -> Footprint:
        """What predicting with a trial's model costs, measured."""

    def probe_of_several(self, tap: int) -> tuple[int, TrialValues] | None:
        """The closed-form probe that reads the best stages together, with its number; None where one alone is best.

        Args:
            tap: number of the stage that is among them.
        """

    def variants(self, probe: TrialValues, kind: str) -> Mapping[int, TrialValues]:
        """A probe on random views of the images, too, and one that reads mirror images, too; each with its number.

        Args:
            probe: the closed-form probe that they are variants of.
            kind: of the random views, as `train.augment` names them.
        """

    def run(
        self,
        values: TrialValues,
        *,
        folds: int,
        seed: int,
        deadline: float,
        draw: int = 0,
        report: Callable[[CurvePoint], None] = ...,
        grows: int | None = None,
    ) -> Finished:
        """Run a trial.

        Args:
            values: of the trial.
            folds: of the cross-validation; 1 is a single validation part.
            seed: of the training.
            deadline: on `time.monotonic`.
            draw: which division into folds; 0 is the study's own.
            report: told after each epoch; may raise to stop the trial.
            grows: number of the trial with whose kept weights a training goes on, so that what came before is not
                trained again.

        Raises:
            TrialFailedError: there is no score.
            OutOfTimeError: the deadline leaves no room.
            BackboneError: the network cannot do this.
        """

    def is_linear(self, head: str) -> bool:
        """Whether a head is one linear layer."""

    def can_hand_over(self, tap: int) -> bool:
        """Whether the network can be cut at a stage; some cannot be traced, and none needs it at the last."""

    def keep(self, number: int, finished: Finished, seed: int = 0) -> None:
        """Keep the model of a trial that may be handed over, or that of one of its further seeds."""

    def drop_all_but(self, numbers: Collection[int]) -> None:
        """Delete the models that were beaten."""

    def members(self) -> Collection[Member]:
        """Trainings whose models are kept."""

    def can_grow(self, values: TrialValues, side: int) -> bool:
        """Whether what is trained with some values can go on at another input size: every weight must fit there."""

    def judge_average(self, values: TrialValues, members: Sequence[Member]) -> Finished | None:
        """The average of the weights of kept trainings, judged on the one validation part.

        Args:
            values: of the first.
            members: the trainings.

        Returns:
            None where weights are missing, or have other shapes.
        """

    def judging_seconds(self, values: TrialValues) -> float:
        """Seconds that it takes to judge a trained model, about."""
