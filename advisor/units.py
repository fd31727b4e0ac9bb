"""Amounts of memory, lengths of time and numbers of images, as people write them."""

from __future__ import annotations

import re

from advisor.errors import UsageError

_STEPS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([kmgt]?)(i?)b\s*", re.IGNORECASE)
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def parse_size(text: str) -> int:
    """Bytes of a size: `2GB` is 2 · 1000³ and `1.5GiB` is 1.5 · 1024³; capitals and spaces do not matter.

    Raises:
        UsageError: it is no size, has no unit, or is less than a byte.
    """
    found = _SIZE.fullmatch(text)
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


def show_images(images: int, independent: int | None = None, one: str = "image") -> str:
    """So many images, and how many of them are independent where some go together: `72 images, 24 independent`."""
    words = f"{images:,}" if images >= 10_000 else str(images)
    words += f" {one}" if images == 1 else f" {one}s"
    return words if independent is None or independent == images else f"{words}, {independent} independent"


def parse_duration(text: str) -> float:
    """Seconds in `90s`, `20m`, `1h30m`.

    Raises:
        UsageError: anything else, or no time at all.
    """
    match = _DURATION.fullmatch(text.strip())
    hours, minutes, seconds = (float(part or 0) for part in match.groups()) if match else (0.0, 0.0, 0.0)
    total = hours * 3600 + minutes * 60 + seconds
    if total <= 0:
        raise UsageError(f"`{text}` is not a length of time.", ways=["write 90s, 20m or 1h30m"], hint="--budget 10m")
    return total


def show_duration(seconds: float) -> str:
    """A length of time for people, to about two digits."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
