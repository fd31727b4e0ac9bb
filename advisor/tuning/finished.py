"""What comes out of running one trial."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from advisor.network.transfer import TransferNetwork
    from advisor.records.trial import CurvePoint


@dataclass(frozen=True)
class Finished:
    """A trial with a score.

    Attributes:
        rows: validation images, ascending rows of the pixel store.
        image_scores: (n,) what each of them adds to the score: 1 or 0 for right or wrong, or its `precision_scores`
            where images may have several labels.
        sample_weight: (n,) what each of them counts in the metric.
        loss: cross-entropy there, nats; binary where images may have several labels.
        temperature: factor that turns logits into calibrated ones, fitted there.
        tap: stages kept.
        frozen: stages frozen; equal to `tap` when only the head was fitted.
        frozen_share: share of the kept parameters that were frozen.
        steps: optimiser steps; 0 for a closed form.
        planned_steps: what the recipe asked for.
        audit: SHA-256 of everything frozen, the same before and after.
        network: builds the scored model.
        curve: after each epoch.
        notes: what a person should know.
        train_accuracy: share of the training images that were right when last seen; None where nothing took steps.
        also: earlier stages that the head reads, too, ascending.
    """

    rows: NDArray[np.int64]
    image_scores: NDArray[np.float64]
    sample_weight: NDArray[np.float64]
    loss: float
    temperature: float
    tap: int
    frozen: int
    frozen_share: float
    steps: int
    planned_steps: int
    audit: str
    network: Callable[[], TransferNetwork]
    curve: tuple[CurvePoint, ...] = ()
    notes: tuple[str, ...] = ()
    train_accuracy: float | None = None
    also: tuple[int, ...] = ()

    @property
    def accuracy(self) -> float:
        """On the validation images, 0..1; as the metric is: accuracy, balanced or not, or mean average precision."""
        return float(self.sample_weight @ self.image_scores / max(1e-12, self.sample_weight.sum()))


def joined(folds: Sequence[Finished], sample_weight: Callable[[NDArray[np.int64]], NDArray[np.float64]]) -> Finished:
    """The same trial on several folds as one, scored on all their validation images together.

    Args:
        folds: at least one, each with other validation images.
        sample_weight: from rows (n,) to what each image counts in the metric.
    """
    rows = np.concatenate([part.rows for part in folds])
    order = np.argsort(rows)
    first = folds[0]
    return Finished(
        rows=rows[order],
        image_scores=np.concatenate([part.image_scores for part in folds])[order],
        sample_weight=sample_weight(rows[order]),
        loss=sum(part.loss * len(part.rows) for part in folds) / len(rows),
        temperature=math.exp(sum(math.log(part.temperature) * len(part.rows) for part in folds) / len(rows)),
        tap=first.tap,
        frozen=first.frozen,
        frozen_share=first.frozen_share,
        steps=sum(part.steps for part in folds),
        planned_steps=sum(part.planned_steps for part in folds),
        audit=first.audit,
        network=first.network,
        curve=first.curve,
        notes=tuple(dict.fromkeys(note for part in folds for note in part.notes)),
        train_accuracy=_mean([part.train_accuracy for part in folds]),
        also=first.also,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
