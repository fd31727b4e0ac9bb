"""What both kinds of task can do, and the words in which people read of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NotRequired, Self, TypedDict

import numpy as np

from advisor.task.calibration import fit_temperature
from advisor.task.interval import family_count, standard_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from advisor.types import Head

SEPARATOR = "|"  # of several labels, as `advisor-manifest` reads them
Labels = np.ndarray[Any, np.dtype[Any]]  # (n,) class indices, or (n, classes) True and False, as the task counts them


class TaskConfig(TypedDict):
    """A task in a model's `config.json`."""

    classes: list[str]
    multilabel: NotRequired[bool]
    several: NotRequired[bool]  # what `multilabel` was called before 0.1


@dataclass(frozen=True)
class ClassScore:
    """How well one class is told.

    Attributes:
        name: of the class.
        images: that have it.
        value: 0..1, the task's `class_metric`.
        effective: independent images that would tell it as well; fewer than `images` where these come in families,
            and None where that was not asked.
    """

    name: str
    images: int
    value: float
    effective: float | None = None

    @property
    def worth(self) -> float:
        """Independent images that would tell it as well, or all of them where that was not asked."""
        return self.images if self.effective is None else self.effective


@dataclass(frozen=True)
class Task(ABC):
    """What there is to learn of an image, and how an answer is judged.

    Labels come in two forms. An array, as `encode` gives it, is for measuring: (n,) int64 class indices, or
    (n, classes) bool. A tensor, as `tensor` gives it, is for heads and losses: the same, but float32 of 0 and 1 in
    place of bool.

    Attributes:
        classes: their names, in the order of the logits.
    """

    classes: tuple[str, ...]

    exclusive: ClassVar[bool]  # whether an image has exactly one class, so that one can be taken for another
    column: ClassVar[str]  # of a dataset's table, where the labels stand
    noun: ClassVar[tuple[str, str]]  # what a class is called, one and many
    test_metric: ClassVar[str]  # of the score on the test images, the Hugging Face hub's name for it
    class_metric: ClassVar[str]  # of one class, as a key
    class_metric_name: ClassVar[str]  # the same, for people, at the head of a column; `class_figure` fills it
    own_probability_name: ClassVar[str]  # what `own_probability` is, for people
    activation: ClassVar[str]  # from logits to probabilities, as torch writes it
    probabilities_words: ClassVar[str]  # what comes out of a model
    limit: ClassVar[str]  # what a person should know of every answer
    caution: ClassVar[str]  # what a person should know of a forecast; empty for nothing

    @property
    @abstractmethod
    def metric(self) -> str:
        """What trials are judged by, as recipes and reports name it: `accuracy`, `balanced` or `map`."""

    @property
    @abstractmethod
    def metric_name(self) -> str:
        """The same for people."""

    @property
    def test_metric_name(self) -> str:
        """What the score on the test images is, for people."""
        return self.test_metric.replace("_", " ")

    @abstractmethod
    def headline(self, score: float) -> str:
        """The score on the test images (0..1) as a title."""

    @abstractmethod
    def class_figure(self, value: float) -> str:
        """A class's figure (0..1) in the unit that `class_metric_name` says."""

    @abstractmethod
    def class_words(self, value: float) -> str:
        """A class's figure (0..1) with what it is."""

    @abstractmethod
    def class_meaning(self, model: str) -> str:
        """What a class's figure is, as a sentence on `model`, such as `the model`."""

    @abstractmethod
    def with_metric(self, metric: str) -> Self:
        """The same task judged by another metric; itself where only one suits it."""

    # Labels

    @abstractmethod
    def encode(self, values: Sequence[int | Sequence[int]]) -> Labels:
        """Labels from the cells of a dataset's `column`: an index each, or a tuple of indices each."""

    @abstractmethod
    def truth(self, labels: Labels) -> NDArray[np.bool_]:
        """(n, classes), whether an image has a class."""

    @abstractmethod
    def strata(self, labels: Labels) -> NDArray[np.int64]:
        """(n,) one class of each image, in whose proportion to sample and to draw; -1 for none."""

    @abstractmethod
    def restricted(self, labels: Labels) -> tuple[Self, Labels, NDArray[np.int64]]:
        """Only the classes that these labels can teach: the task, the labels and the old places of the classes."""

    @abstractmethod
    def family_counts(self, labels: Labels, family: NDArray[np.str_]) -> NDArray[np.int64]:
        """(classes,) families of copies that teach a class.

        Args:
            labels: of n images.
            family: (n,) equal for what must stay on one side.
        """

    @abstractmethod
    def too_few(self, images: str) -> str:
        """After the number of classes: that they have too few images; `images` says how few."""

    def notes(self, labels: Labels) -> tuple[str, ...]:
        """What a person should know of these labels."""
        del labels
        return ()

    def names(self, labels: Labels) -> list[str]:
        """The given label of each image as text, several as `said` joins them."""
        return [SEPARATOR.join(self.classes[i] for i in np.flatnonzero(own)) for own in self.truth(labels)]

    @abstractmethod
    def tensor(self, labels: Labels) -> Tensor:
        """Labels as heads and losses take them, on the CPU."""

    @abstractmethod
    def array(self, labels: Tensor) -> Labels:
        """The inverse of `tensor`."""

    @abstractmethod
    def one_hot(self, labels: Tensor) -> Tensor:
        """(n, classes) of 0 and 1 from labels as heads and losses take them."""

    # Scores

    @abstractmethod
    def image_scores(
        self, scores: NDArray[np.floating], labels: Labels, families: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """What each image adds to the score, (n,).

        Args:
            scores: (n, classes) logits, votes or probabilities; higher where a class is more likely.
            labels: of the same images.
            families: (n,) equal for images that go together; by default each is by itself.

        Raises:
            ValueError: no image has any label.
        """

    def sample_weight(self, labels: Labels) -> NDArray[np.float64]:
        """What each image counts in the metric: (n,) with mean 1."""
        return np.ones(len(labels))

    def score(self, image_scores: NDArray[np.float64], labels: Labels) -> float:
        """The metric, 0..1: the weighted mean of what images (n,) add to it; 0 without images."""
        return float(np.mean(self.sample_weight(labels) * image_scores)) if len(labels) else 0.0

    def estimate(
        self, values: NDArray[np.float64], labels: Labels, families: NDArray[np.int64] | None = None
    ) -> tuple[float, float]:
        """The same weighted mean of any per-image values (n,), at least one, and its standard error.

        Where all values agree, one more family that does not is taken into account (the rule of succession), so that
        no error is zero.

        Args:
            values: of the images.
            labels: of the same images.
            families: (n,) equal for images that go together; by default each is by itself.
        """
        return self.score(values, labels), standard_error(values, families=families)

    def compare(
        self,
        image_scores: NDArray[np.float64],
        others: NDArray[np.float64],
        labels: Labels,
        families: NDArray[np.int64] | None = None,
    ) -> tuple[float, float]:
        """By how much one score is above another on the same images, and the paired standard error of that."""
        return self.estimate(image_scores - others, labels, families)

    @abstractmethod
    def interval(
        self, image_scores: NDArray[np.float64], families: NDArray[np.int64] | None = None
    ) -> tuple[float, float]:
        """95 % interval of the unweighted score of test images (n,) in `families` (n,); (0, 1) without any."""

    @abstractmethod
    def chance(self, labels: Labels) -> float:
        """Score of an answer that does not look at the image."""

    def effective(self, labels: Labels, families: NDArray[np.int64] | None = None) -> int:
        """How many independent images of one class would give errors as large; a family (n,) counts as one."""
        return family_count(families, len(labels))

    def worth(self, values: NDArray[np.float64], labels: Labels, families: NDArray[np.int64] | None = None) -> int:
        """The same for these values (n,): as many as there are families, or more where the images of one differ."""
        alone, together = (self.estimate(values, labels, each)[1] for each in (None, families))
        return max(self.effective(labels, families), round(self.effective(labels) * (alone / together) ** 2))

    def imbalance(self, labels: Labels) -> float:
        """Images of the largest class over those of the smallest that occurs."""
        counts = self.truth(labels).sum(0)
        return float(counts.max() / counts[counts > 0].min())

    @abstractmethod
    def per_class(
        self, scores: NDArray[np.floating], labels: Labels, families: NDArray[np.int64] | None = None
    ) -> tuple[ClassScore, ...]:
        """Of every class that has images: how many, in `families` (n,), and how well it is told (`class_metric`)."""

    @abstractmethod
    def class_interval(self, score: ClassScore) -> tuple[float, float] | None:
        """95 % interval of a class's figure; None where it has none."""

    # Training

    @abstractmethod
    def class_weights(self, labels: Labels) -> NDArray[np.float64]:
        """Weights (n,) with mean 1 under which every class that occurs counts the same (method.md section 4)."""

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """What training minimises unless a head brings a loss of its own: (n,), nats.

        Args:
            logits: (n, classes).
            labels: as heads and losses take them.
            smoothing: of the labels, 0..1.
        """

    @abstractmethod
    def accepts(self, head: Head) -> bool:
        """Whether a head can learn it."""

    # Calibration and answers

    def temperature(self, logits: NDArray[np.floating], labels: Labels, *, doubt: float = 0.0) -> float:
        """Factor that makes probabilities most likely to give these labels [Guo 2017]; 1 without images.

        Args:
            logits: (n, classes), of images that had no part in fitting them.
            labels: of the same images.
            doubt: weight of a standard normal prior on its logarithm, in images: a few images that are all right would
                ask for certainty.

        Returns:
            0.1 to 100.
        """
        if not len(labels):
            return 1.0
        return fit_temperature(lambda t: self.negative_log_likelihood(t * logits, labels), len(labels), doubt=doubt)

    @abstractmethod
    def negative_log_likelihood(self, logits: NDArray[np.floating], labels: Labels) -> float:
        """Mean over images, or over images and classes where each is a question of its own; nats."""

    @abstractmethod
    def probabilities(self, logits: Tensor, temperature: float = 1.0) -> Tensor:
        """From logits (B, classes) to calibrated probabilities 0..1 of each class."""

    @abstractmethod
    def own_probability(self, probabilities: NDArray[np.floating], labels: Labels) -> NDArray[np.float64]:
        """How likely each image's given label is, (n,) from probabilities (n, classes)."""

    @abstractmethod
    def said(self, probabilities: NDArray[np.floating], least: float = 0.0) -> str:
        """What an answer says as text; empty for nothing.

        Args:
            probabilities: (classes,).
            least: below which a class is not said.
        """

    def to_config(self) -> TaskConfig:
        """Plain data for a model's `config.json`; `task_from_config` reads it."""
        return {"classes": list(self.classes), "multilabel": not self.exclusive}
