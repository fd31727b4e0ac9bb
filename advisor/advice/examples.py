"""Which images show a class as it is, and which stand out: by the features that its probe read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from advisor.network.ridge import standardise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

EACH = 4  # images of a kind and class


@dataclass(frozen=True)
class Examples:
    """Images of one class, for a person to look at.

    Attributes:
        name: of the class.
        typical: identifiers of those closest to the class's mean direction, the closest first.
        odd: identifiers of those farthest from it, the farthest first; none of them is typical.
    """

    name: str
    typical: tuple[str, ...]
    odd: tuple[str, ...]


def find_examples(
    features: NDArray[np.float32],
    truth: NDArray[np.bool_],
    paths: Sequence[str],
    classes: Sequence[str],
    *,
    each: int = EACH,
) -> tuple[Examples, ...]:
    """Typical and odd images of every class.

    Closeness is the cosine of an image's standardised features and the mean of those of its class, all of unit
    length, so that an image is odd for what it shows and not for how strongly the network answers to it.

    Args:
        features: (n, width) of one stage.
        truth: (n, classes), whether an image has a class.
        paths: (n,) identifiers.
        classes: names.
        each: at most so many of either kind; a class of fewer than two times that many is shared between them.
    """
    X = standardise(features)[0].astype(np.float32)
    X /= np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)
    examples = []
    for label, name in enumerate(classes):
        mine = np.flatnonzero(truth[:, label])
        closeness = X[mine] @ X[mine].mean(0) if len(mine) else np.empty(0)
        order = mine[np.argsort(-closeness, kind="stable")]
        first = min(each, (len(order) + 1) // 2)
        last = min(each, len(order) - first)
        odd = order[len(order) - last :][::-1]
        examples.append(Examples(name, tuple(str(paths[i]) for i in order[:first]), tuple(str(paths[i]) for i in odd)))
    return tuple(examples)
