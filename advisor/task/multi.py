"""Images that may have several labels each, or none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from advisor.task.base import SEPARATOR, ClassScore, Labels, Task
from advisor.task.interval import family_count, score_interval
from advisor.task.precision import average_precisions, precision_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from advisor.types import Head

_SAID = 0.5  # probability from which on a label is said unless another is asked for


@dataclass(frozen=True)
class MultiLabel(Task):
    """Any number of labels an image, each a question of its own, judged by mean average precision."""

    exclusive: ClassVar[bool] = False
    column: ClassVar[str] = "labels"
    noun: ClassVar[tuple[str, str]] = ("label", "labels")
    test_metric: ClassVar[str] = "mean_average_precision"
    class_metric: ClassVar[str] = "average_precision"
    class_metric_name: ClassVar[str] = "average precision"
    own_probability_name: ClassVar[str] = "probability of the truth"
    activation: ClassVar[str] = ".sigmoid()"
    probabilities_words: ClassVar[str] = (
        "Probabilities (images, labels), each by itself, since an image may have several; calibrated on validation "
        "images."
    )
    limit: ClassVar[str] = "It knows the labels above and no others."
    caution: ClassVar[str] = (
        "the forecasts were fitted to sets with one label per image, so for mean average precision they are a guess; "
        "--pilot measures it"
    )

    @classmethod
    def numbered(cls, classes: int) -> MultiLabel:
        """So many labels, called 0, 1, 2, …."""
        return cls(tuple(map(str, range(classes))))

    @property
    def metric(self) -> str:
        """Always `map`, mean average precision."""
        return "map"

    @property
    def metric_name(self) -> str:
        """The metric for people."""
        return "mean average precision"

    def headline(self, score: float) -> str:
        """Mean average precision."""
        return f"Mean average precision {score:.3f} on images it had never seen"

    def class_figure(self, value: float) -> str:
        """Average precision, 0..1."""
        return f"{value:.3f}"

    def class_words(self, value: float) -> str:
        """Average precision, 0..1."""
        return f"average precision {value:.2f}"

    def class_meaning(self, model: str) -> str:
        """What average precision is."""
        return f"Average precision tells how high {model} ranks the images that have the label."

    def with_metric(self, metric: str) -> MultiLabel:
        """Itself: mean average precision counts labels alike, however many images have them."""
        del metric
        return self

    def encode(self, values: Sequence[int | Sequence[int]]) -> Labels:
        """(n, classes) from tuples of class indices."""
        truth = np.zeros((len(values), len(self.classes)), bool)
        for place, own in enumerate(values):
            truth[place, np.asarray(own, np.int64)] = True
        return truth

    def truth(self, labels: Labels) -> NDArray[np.bool_]:
        """The labels themselves."""
        return labels

    def strata(self, labels: Labels) -> NDArray[np.int64]:
        """(n,) the rarest label of each image, -1 where it has none."""
        if not labels.shape[1]:
            return np.full(len(labels), -1, np.int64)
        counts = np.where(labels, labels.sum(0), len(labels) + 1)
        return np.where(labels.any(1), counts.argmin(1), -1).astype(np.int64)

    def restricted(self, labels: Labels) -> tuple[MultiLabel, Labels, NDArray[np.int64]]:
        """Only the labels that some images have and others have not; these may be none."""
        kept = np.flatnonzero(labels.any(0) & ~labels.all(0))
        return replace(self, classes=tuple(self.classes[i] for i in kept)), labels[:, kept], kept

    def family_counts(self, labels: Labels, family: NDArray[np.str_]) -> NDArray[np.int64]:
        """(classes,) families that have a label or families that do not, whichever are fewer."""
        return np.array([min(len(set(family[has])), len(set(family[~has]))) for has in labels.T], np.int64)

    def too_few(self, images: str) -> str:
        """After the number of labels."""
        return f"labels are on, or missing from, {images}"

    def notes(self, labels: Labels) -> tuple[str, ...]:
        """How many images have several labels, and how many none."""
        return (f"{int((labels.sum(1) > 1).sum())} images have several labels, {int((~labels.any(1)).sum())} none",)

    def tensor(self, labels: Labels) -> Tensor:
        """(n, classes) float32 of 0 and 1."""
        import torch

        return torch.from_numpy(labels.astype(np.float32))

    def array(self, labels: Tensor) -> Labels:
        """(n, classes) bool."""
        return labels.bool().numpy()

    def one_hot(self, labels: Tensor) -> Tensor:
        """The labels themselves."""
        return labels

    def image_scores(
        self, scores: NDArray[np.floating], labels: Labels, families: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Jackknife influences, whose mean is the mean average precision; see `precision_scores`.

        Raises:
            ValueError: no image has any label.
        """
        return precision_scores(scores, labels, families)

    def interval(
        self, image_scores: NDArray[np.float64], families: NDArray[np.int64] | None = None
    ) -> tuple[float, float]:
        """Wilson's, for as many images as have the jackknife error."""
        return score_interval(image_scores, families)

    def chance(self, labels: Labels) -> float:
        """Mean share of the images that have a label.

        Raises:
            ValueError: a label is on all images or on none, so that nothing tells it; see `restricted`.
        """
        share = labels.mean(0)
        idle = np.flatnonzero((share == 0) | (share == 1))
        if len(idle):
            raise ValueError(f"labels {idle.tolist()} are on all images or on none")
        return float(share.mean())

    def per_class(
        self, scores: NDArray[np.floating], labels: Labels, families: NDArray[np.int64] | None = None
    ) -> tuple[ClassScore, ...]:
        """Average precision of every label that some image has."""
        precision = average_precisions(scores, labels)
        rows = []
        for label in np.flatnonzero(labels.any(0)).tolist():
            own, images = labels[:, label], int(labels[:, label].sum())
            effective = family_count(None if families is None else families[own], images)
            rows.append(ClassScore(self.classes[label], images, float(precision[label]), effective))
        return tuple(rows)

    def class_interval(self, score: ClassScore) -> tuple[float, float] | None:
        """None: an average precision is no share of images."""
        del score
        return None

    def class_weights(self, labels: Labels) -> NDArray[np.float64]:
        """(n,) with mean 1: an image belongs to each of its labels in equal parts, and one without any weighs 1."""
        belongs = labels.astype(np.float64)
        own = belongs.sum(1)
        belongs /= np.maximum(own, 1)[:, None]
        counts = belongs.sum(0)
        per_class = np.count_nonzero(own) / np.maximum(np.count_nonzero(counts) * counts, 1e-9)
        return np.where(own > 0, belongs @ per_class, 1.0)

    def loss(self, logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Binary cross-entropy (n,), mean over the labels."""
        import torch.nn.functional as F  # noqa: N812 - torch's own convention

        target = labels.float() * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(1)

    def accepts(self, head: Head) -> bool:
        """Whether it says that it learns several labels."""
        return head.multilabel

    def negative_log_likelihood(self, logits: NDArray[np.floating], labels: Labels) -> float:
        """Of σ, mean over images and labels."""
        return float(np.mean(np.logaddexp(0, np.where(labels, -logits, logits))))

    def probabilities(self, logits: Tensor, temperature: float = 1.0) -> Tensor:
        """(B, classes), each by itself."""
        return (temperature * logits).sigmoid()

    def own_probability(self, probabilities: NDArray[np.floating], labels: Labels) -> NDArray[np.float64]:
        """(n,) mean over the labels of each being told right."""
        return np.asarray(np.where(labels, probabilities, 1 - probabilities).mean(1), np.float64)

    def said(self, probabilities: NDArray[np.floating], least: float = 0.0) -> str:
        """All labels that are `least` likely, or as likely as not where 0 is asked for; the likeliest first."""
        order = np.argsort(-probabilities, kind="stable")
        return SEPARATOR.join(self.classes[i] for i in order if probabilities[i] >= (least or _SAID))
