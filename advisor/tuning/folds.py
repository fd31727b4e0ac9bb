"""Who is judged on what: the folds of a cross-validation, in which copies of an image stay on one side."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from advisor.tuning.context import TrialContext


def folds_of(context: TrialContext, count: int, seed: int) -> list[TrialContext]:
    """Contexts in which every trainable image is judged exactly once; copies of an image stay on one side.

    Args:
        context: whose training and validation images are divided.
        count: folds; 1 gives the context as it is.
        seed: of the draw.
    """
    if count == 1:
        return [context]
    from sklearn.model_selection import StratifiedGroupKFold

    rows = np.sort(np.concatenate([context.rows("train"), context.rows("val")]))
    frame = context.prepared.dataset.frame.set_index("row").loc[rows]
    family = frame["family"]
    folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Of several labels the rarest of each image is divided; what is rarest may be so in a few images only.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return [
            context.divided(rows[train], rows[val])
            for train, val in folds.split(rows, frame["label"].to_numpy(), family.to_numpy())
        ]


def most_folds(context: TrialContext) -> int:
    """Folds in which every class has images of its own to be judged by; copies count once."""
    rows = np.concatenate([context.rows("train"), context.rows("val")])
    dataset = context.prepared.dataset
    family = dataset.frame.set_index("row")["family"].loc[rows].to_numpy()
    return max(1, int(context.task.family_counts(dataset.targets(rows), family).min()))


def rows_of(fold_contexts: Sequence[TrialContext]) -> NDArray[np.int64]:
    """All validation rows of some contexts, in ascending order."""
    return np.sort(np.concatenate([context.rows("val") for context in fold_contexts]))
