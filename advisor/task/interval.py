"""95 % intervals of a score."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def wilson(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson score interval of a proportion (95 % by default); (0, 1) for no observations."""
    if total == 0:
        return 0.0, 1.0
    p = right / total
    centre = p + z * z / (2 * total)
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def normal(image_scores: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of a mean of per-image values (n,), within 0 to 1; all of that without any."""
    if not len(image_scores):
        return 0.0, 1.0
    half = 1.96 * float(image_scores.std()) / len(image_scores) ** 0.5
    return max(0.0, float(image_scores.mean()) - half), min(1.0, float(image_scores.mean()) + half)
