"""What a model's answers are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.task import task_of_labels
from advisor.tuning.failures import TrialFailedError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Judgement:
    """What a model says of the validation images.

    Attributes:
        image_scores: (n,) as in `Finished`.
        loss: mean of the task's own, nats.
        logits: (n, classes).
        labels: as losses take them.
    """

    image_scores: NDArray[np.float64]
    loss: float
    logits: Tensor
    labels: Tensor

    @property
    def temperature(self) -> float:
        """Factor that turns the logits into calibrated ones; 1 without images."""
        if not len(self.labels):
            return 1.0  # logits of no images have no number of classes either
        task = task_of_labels(self.labels, self.logits.shape[1])
        return task.temperature(self.logits.double().numpy(), task.array(self.labels), doubt=1.0)


def score(logits: Tensor, labels: Tensor) -> Judgement:
    """Judge what a model says.

    Args:
        logits: (n, classes).
        labels: of the same images, as losses take them; their shape says the task.

    Raises:
        TrialFailedError: a logit is not a finite number, or the task cannot be scored on these images.
    """
    if not len(labels):
        return Judgement(np.zeros(0), 0.0, logits, labels)
    logits = logits.float()
    if not torch.isfinite(logits).all():
        raise TrialFailedError("the model answers with numbers that are not finite")
    task = task_of_labels(labels, logits.shape[1])
    try:
        image_scores = task.image_scores(logits.numpy(), task.array(labels))
    except ValueError as error:
        raise TrialFailedError(f"the validation images cannot be scored: {error}") from error
    return Judgement(image_scores, float(task.loss(logits, labels).mean()), logits, labels)
