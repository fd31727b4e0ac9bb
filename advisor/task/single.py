"""Images that have exactly one class each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from advisor.task.base import ClassScore, Labels, Task
from advisor.task.interval import (
    effective_size,
    family_count,
    score_interval,
    standard_error,
    variance_of_mean,
    wilson,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from advisor.types import Head

_METRICS = {"accuracy": "accuracy", "balanced": "balanced accuracy"}


@dataclass(frozen=True)
class SingleLabel(Task):
    """One class an image, judged by accuracy.

    Attributes:
        metric: `accuracy`, or `balanced`: the mean over the classes of their recall.
    """

    metric: str = "accuracy"

    exclusive: ClassVar[bool] = True
    column: ClassVar[str] = "label"
    noun: ClassVar[tuple[str, str]] = ("class", "classes")
    test_metric: ClassVar[str] = "accuracy"
    class_metric: ClassVar[str] = "recall"
    class_metric_name: ClassVar[str] = "recognised, %"
    own_probability_name: ClassVar[str] = "probability of the label"
    activation: ClassVar[str] = ".softmax(1)"
    probabilities_words: ClassVar[str] = (
        "Probabilities (images, classes) that sum to one, calibrated on validation images."
    )
    limit: ClassVar[str] = (
        "It names one of its classes whatever it is shown. `advisor predict --least` leaves out answers that it is not "
        "sure of."
    )
    caution: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Refuse a metric that is none of a single label."""
        if self.metric not in _METRICS:
            raise ValueError(f"`{self.metric}` is no metric of one class an image, but {' or '.join(_METRICS)}")

    @classmethod
    def numbered(cls, classes: int) -> SingleLabel:
        """So many classes, called 0, 1, 2, …."""
        return cls(tuple(map(str, range(classes))))

    @property
    def metric_name(self) -> str:
        """The metric for people."""
        return _METRICS[self.metric]

    def headline(self, score: float) -> str:
        """Right on so many of a hundred images."""
        return f"Right on {100 * score:.1f}\u00a0% of images it had never seen"

    def class_figure(self, value: float) -> str:
        """Recall in hundredths."""
        return f"{100 * value:.1f}"

    def class_words(self, value: float) -> str:
        """Recall as a percentage."""
        return f"{100 * value:.0f} % recognised"

    def class_meaning(self, model: str) -> str:
        """What recall is."""
        return f"Recognised is the share of a class's images that {model} names right."

    def with_metric(self, metric: str) -> SingleLabel:
        """The same task judged by `accuracy` or `balanced`."""
        return replace(self, metric=metric)

    def encode(self, values: Sequence[int | Sequence[int]]) -> Labels:
        """(n,) from class indices."""
        return np.asarray(values, np.int64)

    def truth(self, labels: Labels) -> NDArray[np.bool_]:
        """(n, classes), whether an image has a class."""
        return np.asarray(labels[:, None] == np.arange(len(self.classes)))

    def strata(self, labels: Labels) -> NDArray[np.int64]:
        """The classes themselves."""
        return labels

    def restricted(self, labels: Labels) -> tuple[SingleLabel, Labels, NDArray[np.int64]]:
        """Only the classes that occur."""
        kept, numbered = np.unique(labels, return_inverse=True)
        return replace(self, classes=tuple(self.classes[i] for i in kept)), numbered, kept

    def family_counts(self, labels: Labels, family: NDArray[np.str_]) -> NDArray[np.int64]:
        """(classes,) families of a class."""
        return np.array([len(set(family[labels == label])) for label in range(len(self.classes))], np.int64)

    def too_few(self, images: str) -> str:
        """After the number of classes."""
        return f"classes have {images}"

    def tensor(self, labels: Labels) -> Tensor:
        """(n,) int64."""
        import torch

        return torch.tensor(labels, dtype=torch.int64)

    def array(self, labels: Tensor) -> Labels:
        """(n,) int64."""
        return labels.numpy()

    def one_hot(self, labels: Tensor) -> Tensor:
        """(n, classes) int64 of 0 and 1."""
        import torch.nn.functional as F  # noqa: N812 - torch's own convention

        return F.one_hot(labels, len(self.classes))

    def image_scores(
        self, scores: NDArray[np.floating], labels: Labels, families: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """1 where the highest score is that of the image's class, else 0, whatever its family."""
        del families
        return np.asarray(scores.argmax(1) == labels, np.float64)

    def sample_weight(self, labels: Labels) -> NDArray[np.float64]:
        """(n,) with mean 1: as in `class_weights` if the metric is `balanced`, else all 1."""
        return self.class_weights(labels) if self.metric == "balanced" and len(labels) else np.ones(len(labels))

    def estimate(
        self, values: NDArray[np.float64], labels: Labels, families: NDArray[np.int64] | None = None
    ) -> tuple[float, float]:
        """Weighted mean of per-image values (n,) and its standard error.

        The error of a balanced mean is that of a stratified one: a class of four images is as uncertain as four images
        are, however many others there are.
        """
        if self.metric != "balanced":
            return super().estimate(values, labels, families)
        kinds, kind, counts = np.unique(labels, return_inverse=True, return_counts=True)
        share = 1 / (len(kinds) * counts[kind])
        spread = values - (np.bincount(kind, values) / counts)[kind]
        variance = variance_of_mean(share * spread, share, families, means=len(kinds))
        # A class whose values all agree would seem certain.
        for place in np.flatnonzero(np.bincount(kind, spread**2) == 0):
            own = kind == place
            variance += (standard_error(values[own], None, families if families is None else families[own])
                         / len(kinds)) ** 2  # fmt: skip
        return self.score(values, labels), float(np.sqrt(variance))

    def interval(
        self, image_scores: NDArray[np.float64], families: NDArray[np.int64] | None = None
    ) -> tuple[float, float]:
        """Wilson's, for as many independent images as these are worth."""
        return score_interval(image_scores, families)

    def chance(self, labels: Labels) -> float:
        """Accuracy of always saying the largest class; one over the classes if balanced."""
        counts = np.bincount(labels)
        return float(1 / np.count_nonzero(counts) if self.metric == "balanced" else counts.max() / len(labels))

    def effective(self, labels: Labels, families: NDArray[np.int64] | None = None) -> int:
        """Fewer than there are where small classes weigh as much as large ones; a family counts as one."""
        if self.metric != "balanced":
            return super().effective(labels, families)
        counts = np.array([family_count(None if families is None else families[labels == kind], int(count))
                           for kind, count in zip(*np.unique(labels, return_counts=True), strict=True)])  # fmt: skip
        return round(len(counts) ** 2 / np.sum(1 / counts))

    def per_class(
        self, scores: NDArray[np.floating], labels: Labels, families: NDArray[np.int64] | None = None
    ) -> tuple[ClassScore, ...]:
        """Recall of every class that has images."""
        right = self.image_scores(scores, labels)
        rows = []
        for label in np.unique(labels).tolist():
            own = labels == label
            effective = effective_size(right[own], None if families is None else families[own])
            rows.append(ClassScore(self.classes[label], int(own.sum()), float(right[own].mean()), effective))
        return tuple(rows)

    def class_interval(self, score: ClassScore) -> tuple[float, float] | None:
        """Wilson's, of a recall."""
        return wilson(score.value * score.worth, score.worth)

    def class_weights(self, labels: Labels) -> NDArray[np.float64]:
        """(n,) with mean 1: the smaller its class, the more an image counts."""
        counts = np.bincount(labels, minlength=len(self.classes))
        weights: NDArray[np.float64] = len(labels) / (np.count_nonzero(counts) * counts[labels])
        return weights

    def loss(self, logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Cross-entropy (n,)."""
        import torch.nn.functional as F  # noqa: N812 - torch's own convention

        return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")

    def accepts(self, head: Head) -> bool:
        """Every head learns one class an image."""
        del head
        return True

    def negative_log_likelihood(self, logits: NDArray[np.floating], labels: Labels) -> float:
        """Of softmax, mean over images."""
        from scipy.special import logsumexp

        return float(np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]))

    def probabilities(self, logits: Tensor, temperature: float = 1.0) -> Tensor:
        """(B, classes) that sum to one."""
        return (temperature * logits).softmax(1)

    def own_probability(self, probabilities: NDArray[np.floating], labels: Labels) -> NDArray[np.float64]:
        """(n,) of the given class."""
        return np.asarray(probabilities[np.arange(len(labels)), labels], np.float64)

    def said(self, probabilities: NDArray[np.floating], least: float = 0.0) -> str:
        """The likeliest class, if it is `least` likely."""
        return self.classes[int(probabilities.argmax())] if probabilities.max() >= least else ""
