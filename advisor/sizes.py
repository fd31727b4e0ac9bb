"""Amounts of memory, as people write them."""

from __future__ import annotations

import re

from advisor.errors import UsageError

_STEPS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([kmgt]?)(i?)b\s*", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes of a size: `2GB` is 2 · 1000³ and `1.5GiB` is 1.5 · 1024³; capitals and spaces do not matter.

    Raises:
        UsageError: it is no size, has no unit, or is less than a byte.
    """
    found = _PATTERN.fullmatch(text)
    if found is None or (found[3] and not found[2]):
        raise UsageError(
            f"`{text}` is not a size.",
            ways=["a number and a unit: B, kB, MB, GB, TB, or kiB, MiB, GiB, TiB of 1024"],
            hint="2GB",
        )
    size = int(float(found[1]) * (1024 if found[3] else 1000) ** _STEPS[found[2].lower()])
    if size < 1:
        raise UsageError(f"A size of `{text}` is less than a byte.", hint="2GB")
    return size


def show_size(size: int) -> str:
    """Bytes in the largest decimal unit of which there is one, to at most one decimal: `1.5 GB`, `12 MB`, `800 B`."""
    value, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    unit = units.pop(0)
    while units and round(value, 1) >= 1000:
        value, unit = value / 1000, units.pop(0)
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"
