"""Properties of the files that give the class away: a model may learn the scanner instead of the thing.

Where all cats came from one camera and all dogs from another, a network scores well for the wrong reason, and
fails on the next camera. What is in the file's header cannot be what a person wants learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST_GAIN = 0.10  # of balanced accuracy over chance
_LEAST_ERRORS = 3.0  # standard errors of that gain
_FOLDS = 5
_LEAST_IMAGES = 20


@dataclass(frozen=True)
class Shortcut:
    """A property of the files that tells classes apart.

    Attributes:
        property: `image size`, `colour mode` or `file format`.
        accuracy: balanced accuracy of guessing the class from it alone, cross-validated, 0..1.
        chance: one over the number of classes.
        classes: those it gives away best, at most five.
    """

    property: str
    accuracy: float
    chance: float
    classes: tuple[int, ...]


def find_shortcuts(frame: pd.DataFrame) -> tuple[Shortcut, ...]:
    """Look for shortcuts among the images that may be trained on.

    Args:
        frame: of a split dataset, with `label`, `split`, `family`, `width`, `height`, `mode` and `format`.
    """
    frame = frame.loc[frame["split"] != "test"]
    labels, family = frame["label"].to_numpy(), pd.factorize(frame["family"])[0].astype(np.int64)
    # Copies of a picture have its size, too, and say nothing new.
    counts = frame.groupby("label")["family"].nunique().to_numpy().astype(np.int64)
    if len(set(family)) < _LEAST_IMAGES or counts.min() < 2:
        return ()
    size = frame[["width", "height"]].to_numpy(np.float64)
    properties = {
        "image size": np.column_stack([size, size.prod(1), size[:, 0] / size[:, 1]]),
        "colour mode": pd.get_dummies(frame["mode"]).to_numpy(np.float64),
        "file format": pd.get_dummies(frame["format"]).to_numpy(np.float64),
    }
    found = [
        _judge(name, values, labels, family, counts)
        for name, values in properties.items()
        if len(np.unique(values, axis=0)) > 1
    ]
    return tuple(shortcut for shortcut in found if shortcut is not None)


def _judge(
    name: str,
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    family: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> Shortcut | None:
    """What a property tells, judged on families that it was not fitted to; `counts` are those of each class."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    kinds = np.unique(labels)
    tree = DecisionTreeClassifier(max_depth=6, min_samples_leaf=3, class_weight="balanced", random_state=0)
    count, shared = min(_FOLDS, int(counts.min())), len(np.unique(family)) < len(family)
    folds = (StratifiedGroupKFold if shared else StratifiedKFold)(count, shuffle=True, random_state=0)
    right = cross_val_predict(tree, values, labels, groups=family if shared else None, cv=folds) == labels
    recall = np.array([right[labels == kind].mean() for kind in kinds])
    accuracy, chance = float(recall.mean()), 1 / len(kinds)
    error = float(np.sqrt(np.sum(chance * (1 - chance) / counts))) / len(kinds)
    if accuracy - chance < max(_LEAST_GAIN, _LEAST_ERRORS * error):
        return None
    return Shortcut(name, accuracy, chance, tuple(int(kind) for kind in kinds[np.argsort(-recall)][:5]))
