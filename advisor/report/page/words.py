"""Numbers and names as a report says them."""

from __future__ import annotations

import json
import math

from advisor.strategy import Strategy
from advisor.units import show_size

WAYS = {
    Strategy.LAST_LAYER: "1 · classifier, last layer",
    Strategy.TUNE_SIMILAR: "2 · fine-tune, similar images",
    Strategy.EARLIER_LAYER: "3 · classifier, earlier layer",
    Strategy.TUNE_DIFFERENT: "4 · fine-tune, different images",
    Strategy.LP_FT: "LP-FT · head first, then all",
}

IN_A_SENTENCE = {
    Strategy.LAST_LAYER: "a classifier on the last layer",
    Strategy.TUNE_SIMILAR: "fine-tuning as for similar images",
    Strategy.EARLIER_LAYER: "a classifier on an earlier layer",
    Strategy.TUNE_DIFFERENT: "fine-tuning as for different images",
    Strategy.LP_FT: "the head first and then everything gently",
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


def article(word: str) -> str:
    """A noun with `a` or `an` before it."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def sentence(words: str) -> str:
    """A reason as a sentence of its own."""
    return f"{words[:1].upper()}{words[1:]}" + ("" if words.endswith((".", "!", "?")) else ".")


def plain(value: object) -> str:
    """A value of a recipe."""
    return f"{value:.3g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def memory(size: int) -> str:
    """Further memory that a training takes; `size` in bytes."""
    return show_size(size) if size else "none"


def interval(value: float, low: float, high: float) -> str:
    """A share with its interval."""
    return f"{value:.2f} ({low:.2f} to {high:.2f})"
