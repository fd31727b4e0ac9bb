"""Numbers and names as a report says them."""

from __future__ import annotations

import math

WAYS = {
    "1": "1 · classifier, last layer",
    "2": "2 · fine-tune, similar images",
    "3": "3 · classifier, earlier layer",
    "4": "4 · fine-tune, different images",
    "lp-ft": "LP-FT · head first, then all",
}

TOLD = {
    "1": "a classifier on the last layer",
    "2": "fine-tuning as for similar images",
    "3": "a classifier on an earlier layer",
    "4": "fine-tuning as for different images",
    "lp-ft": "the head first and then everything gently",
}


def number(value: float | None, digits: int = 2) -> str:
    """A number to so many digits after the point; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def points(value: float, *, sign: bool = True) -> str:
    """A difference of two shares in hundredths."""
    return f"{100 * value:{'+' if sign else ''}.1f}"


def share(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.0f} %"


def whole(count: int) -> str:
    """A whole number; long ones with marks between the thousands."""
    return f"{count:,}" if count >= 10_000 else str(count)


def counted(count: int, one: str, plural: str = "") -> str:
    """So many of something."""
    return f"{whole(count)} {one if count == 1 else plural or one + 's'}"


def interval(value: float, low: float, high: float) -> str:
    """A share with its interval."""
    return f"{value:.2f} ({low:.2f} to {high:.2f})"
