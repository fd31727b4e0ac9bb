"""Which stages a linear classifier reads best together [Evci 2022, Head2Toe].

Columns of several stages stand beside each other, each stage standardised by itself and with the same share of the
whole: an early stage has few columns, and among those of a late one they would hardly count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from advisor.network.ridge import fit_ridge, standardise
from advisor.task import task_of_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from advisor.task import Labels

MOST_STAGES = 3
_MOST_ROWS = 600  # images by which stages are chosen; a dozen classifiers are fitted to them


def joined(features: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """Features of several stages (n, width) each as the columns of one matrix (n, sum of the widths)."""
    columns = np.concatenate([standardise(stage)[0] for stage in features], axis=1)
    columns /= np.sqrt(len(features))
    return columns


def best_together(
    features: Sequence[NDArray[np.floating]],
    labels: Labels,
    classes: int,
    first: int,
    weights: NDArray[np.float64] | None = None,
    families: NDArray[np.int64] | None = None,
) -> tuple[int, ...]:
    """Stages that a ridge classifier reads together with the least leave-one-out squared error.

    Stages are added to the first one by one, always the one that lowers the error most, as long as one does.

    Args:
        features: for each stage (n, width).
        labels: of the n images, as heads take them.
        classes: number of classes.
        first: number of the stage that is among them, from 1.
        weights: (n,) what each image counts.
        families: (n,) equal for images that are left out together.

    Returns:
        Their numbers, ascending; `first` alone where none helps.
    """
    rows = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), _MOST_ROWS)).astype(np.int64))
    labels = labels[rows]
    weights = None if weights is None else weights[rows]
    if families is not None:
        families = families[rows] if len(np.unique(families[rows])) > 1 else None  # one alone leaves none to fit to
    blocks = [joined([stage[rows]]) for stage in features]
    target = np.where(task_of_labels(labels, classes).truth(labels), 1.0, -1.0)

    def error(stages: Sequence[int]) -> float:
        columns = np.concatenate([blocks[stage - 1] for stage in stages], axis=1) / np.sqrt(len(stages))
        loo = fit_ridge(columns, labels, classes, weights=weights, families=families, scaled=True).loo
        return float(np.average(((loo - target) ** 2).mean(1), weights=weights))

    chosen: tuple[int, ...] = (first,)
    least = error(chosen)
    while len(chosen) < MOST_STAGES:
        others = [stage for stage in range(1, len(features) + 1) if stage not in chosen]
        errors = {stage: error((*chosen, stage)) for stage in others}
        stage = min(errors, key=lambda one: errors[one])
        if errors[stage] >= least:
            break
        chosen, least = (*chosen, stage), errors[stage]
    return tuple(sorted(chosen))
