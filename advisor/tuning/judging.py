"""What a model's answers are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

from advisor.network.precision import precision_scores
from advisor.network.ridge import fit_temperature
from advisor.tuning.failures import TrialFailedError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Judgement:
    """What a model says of the validation images.

    Attributes:
        image_scores: (n,) as in `Finished`.
        loss: mean cross-entropy, nats.
        logits: (n, classes).
        labels: (n,), or (n, classes) of 0 and 1.
    """

    image_scores: NDArray[np.float64]
    loss: float
    logits: Tensor
    labels: Tensor

    @property
    def temperature(self) -> float:
        """Factor that turns the logits into calibrated ones; 1 without images."""
        if not len(self.labels):
            return 1.0
        truth = self.labels.numpy() if self.labels.ndim == 1 else self.labels.bool().numpy()
        return fit_temperature(self.logits.double().numpy(), truth, doubt=1.0)


def score(logits: Tensor, labels: Tensor) -> Judgement:
    """Judge what a model says.

    Args:
        logits: (n, classes).
        labels: (n,) int64; or (n, classes) of 0 and 1, which are scored by mean average precision.

    Raises:
        TrialFailedError: a logit is not a finite number, or no image has any of several labels.
    """
    if not len(labels):
        return Judgement(np.zeros(0), 0.0, logits, labels)
    logits = logits.float()
    if not torch.isfinite(logits).all():
        raise TrialFailedError("the model answers with numbers that are not finite")
    if labels.ndim == 1:
        right = (logits.argmax(1) == labels).numpy().astype(np.float64)
        return Judgement(right, float(F.cross_entropy(logits, labels)), logits, labels)
    if not labels.any():
        raise TrialFailedError("none of the validation images has a label, so there is no precision")
    image_scores = precision_scores(logits.numpy(), labels.bool().numpy())
    return Judgement(image_scores, float(F.binary_cross_entropy_with_logits(logits, labels)), logits, labels)
