"""Which values are black and white in images deeper than eight bits: one range for a whole set, kept with its plan."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPTHS = ("uint16", "int32", "float32")
_WORDS = {
    "uint16": "16-bit images",
    "int32": "images of 32-bit or signed integers",
    "float32": "images of floating-point values",
}
_KEYS = ("low", "high", "guessed")


@dataclass(frozen=True, slots=True)
class ValueRange:
    """What becomes black and what becomes white.

    Attributes:
        low: this value and those below are black.
        high: this value and those above are white.
        guessed: whether no usual scale fits the values, so that the range is only that of the images looked at.
    """

    low: float
    high: float
    guessed: bool = False

    def __str__(self) -> str:
        """As people write it: `0..4095`."""
        return f"{self.low:.6g}..{self.high:.6g}"


@dataclass(frozen=True, slots=True)
class ValueRanges:
    """The ranges of a set, by what its files hold; None where it has no such images. Eight bits need none.

    Attributes:
        uint16: of unsigned 16-bit files, gray or colour.
        int32: of 32-bit and of signed integers.
        float32: of floating-point files.
    """

    uint16: ValueRange | None = None
    int32: ValueRange | None = None
    float32: ValueRange | None = None

    def __bool__(self) -> bool:
        """Whether any of them is known."""
        return any(self.of(depth) is not None for depth in DEPTHS)

    def of(self, depth: str) -> ValueRange | None:
        """The range of one of `DEPTHS`."""
        value_range: ValueRange | None = getattr(self, depth)
        return value_range

    @property
    def key(self) -> str:
        """A short name for what is decoded with these ranges; empty where there are none."""
        known = [f"{depth}:{own.low!r}:{own.high!r}" for depth in DEPTHS if (own := self.of(depth)) is not None]
        return hashlib.sha256("|".join(known).encode()).hexdigest()[:8] if known else ""

    @property
    def scales(self) -> tuple[str, ...]:
        """A line for people on each range, however it was come by."""
        return tuple(f"{_WORDS[depth]} are scaled by {own}" for depth in DEPTHS if (own := self.of(depth)) is not None)

    @property
    def sentences(self) -> tuple[str, ...]:
        """A line for people on each range, as a profile shows it: how much of 16 bits is used, and what was guessed."""
        return tuple(_sentence(depth, own) for depth in DEPTHS if (own := self.of(depth)) is not None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line on each range that had to be guessed."""
        return tuple(_sentence(depth, own) for depth in DEPTHS if (own := self.of(depth)) is not None and own.guessed)

    def to_dict(self) -> dict[str, dict[str, float | bool]]:
        """Plain data for TOML and JSON; `from_dict` reads it."""
        return {
            depth: {"low": own.low, "high": own.high} | ({"guessed": True} if own.guessed else {})
            for depth in DEPTHS
            if (own := self.of(depth)) is not None
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, object]) -> ValueRanges:
        """Ranges from plain data.

        Raises:
            ValueError: a problem with the table; `problems` lists all.
        """
        if flaws := problems(table):
            path, text = flaws[0]
            raise ValueError(f"range.{path} {text}" if path else f"range {text}")
        return cls(**{
            depth: ValueRange(float(own["low"]), float(own["high"]), own.get("guessed", False))
            for depth, own in table.items()
            if isinstance(own, dict)  # each is one, says `problems`
        })  # fmt: skip


def problems(table: object) -> list[tuple[str, str]]:
    """What is wrong with a table of ranges: where, and what is allowed there."""
    if not isinstance(table, dict):
        return [("", f"found {table}; tables such as [range.uint16] are expected")]
    flaws: list[tuple[str, str]] = []
    for depth, own in table.items():
        if depth not in DEPTHS:
            flaws.append((depth, f"unknown; known: {', '.join(DEPTHS)}"))
            continue
        if not isinstance(own, dict):
            flaws.append((depth, f"found {own}; low and high are expected, such as {{ low = 0, high = 4095 }}"))
            continue
        flaws += [(f"{depth}.{key}", f"unknown; known: {', '.join(_KEYS)}") for key in own if key not in _KEYS]
        sound = True
        for key in ("low", "high"):
            if key not in own:
                flaws.append((f"{depth}.{key}", "is missing; a range needs low and high"))
                sound = False
            elif isinstance(own[key], bool) or not isinstance(own[key], int | float) or not math.isfinite(own[key]):
                flaws.append((f"{depth}.{key}", f"found {own[key]}; a finite number is allowed"))
                sound = False
        if not isinstance(own.get("guessed", False), bool):
            flaws.append((f"{depth}.guessed", f"found {own['guessed']}; true or false is allowed"))
        if sound and own["low"] >= own["high"]:
            flaws.append((depth, f"low {own['low']:g} is not below high {own['high']:g}"))
    return flaws


def _sentence(depth: str, own: ValueRange) -> str:
    what = _WORDS[depth]
    if own.guessed:
        return (
            f"the scale of {what} had to be guessed: black to white is {own}; if that is wrong, write the right one "
            f"under [range.{depth}] in the plan"
        )
    if depth == "uint16" and own.low == 0 and own.high < 65535:
        return f"{what} use 1/{round(65536 / (own.high + 1))} of their range: scaled by {own}"
    return f"{what} are scaled by {own}"


assert tuple(field.name for field in fields(ValueRanges)) == DEPTHS
NO_RANGES = ValueRanges()
