"""Plain data as JSON and TOML hold it, read with a type at each step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from advisor.types import Scalar


class Plain:
    """A table whose entries are checked as they are read.

    Args:
        data: what was parsed.

    Raises:
        TypeError: it is no table. Every method raises `KeyError` for what is missing, and `TypeError` or `ValueError`
            for what is of another kind.
    """

    def __init__(self, data: object) -> None:
        if not isinstance(data, dict):
            raise TypeError(f"{data!r} is no table")
        self._data: Mapping[str, object] = data

    def __contains__(self, key: str) -> bool:
        return self._data.get(key) is not None

    def items(self) -> Iterator[tuple[str, object]]:
        """Keys and what stands there."""
        return ((str(key), value) for key, value in self._data.items())

    def text(self, key: str, default: str | None = None) -> str:
        """A text; numbers become one."""
        value = self._data[key] if default is None else self._data.get(key, default)
        return default if value is None and default is not None else str(value)

    def number(self, key: str) -> float:
        """A finite number."""
        number = finite(self._data[key])
        if number is None:
            raise ValueError(f"{key} is no number")
        return number

    def maybe(self, key: str) -> float | None:
        """A finite number; None where there is none, or nothing at all."""
        return finite(self._data.get(key))

    def whole(self, key: str) -> int:
        """A whole number."""
        return int(self.number(key))

    def maybe_whole(self, key: str) -> int | None:
        """A whole number; None where there is none."""
        number = self.maybe(key)
        return None if number is None else int(number)

    def scalar(self, key: str) -> Scalar:
        """A text, a number, or true or false."""
        value = self._data[key]
        if not isinstance(value, bool | int | float | str):
            raise TypeError(f"{key} is {value!r}")
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self._data.get(key, default)
        if not isinstance(value, bool):
            raise TypeError(f"{key} is {value!r}, neither true nor false")
        return value

    def table(self, key: str) -> Plain:
        """A table inside."""
        return Plain(self._data[key])

    def tables(self, key: str) -> list[Plain]:
        """A list of tables."""
        return [Plain(one) for one in listed(self._data[key])]

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty where it is missing."""
        return tuple(str(one) for one in listed(self._data.get(key, ())))

    def list_of(self, key: str) -> list[object]:
        """A list of anything."""
        return listed(self._data[key])

    def rows(self, key: str) -> list[list[object]]:
        """A list of lists."""
        return [listed(one) for one in listed(self._data[key])]

    def shares(self, key: str) -> dict[str, float]:
        """A table of numbers."""
        table = self.table(key)
        return {name: table.number(name) for name, _ in table.items()}

    def counts(self, key: str) -> dict[str, int]:
        """A table of whole numbers."""
        return {name: int(value) for name, value in self.shares(key).items()}

    def words(self, key: str) -> dict[str, str]:
        """A table of texts."""
        return {name: str(value) for name, value in self.table(key).items()}

    def scalars(self, key: str) -> dict[str, Scalar]:
        """A table of texts, numbers, and true or false."""
        table = self.table(key)
        return {name: table.scalar(name) for name, _ in table.items()}


def finite(value: object) -> float | None:
    """A finite number; None where there is none.

    Raises:
        TypeError: it is neither a number nor a text.
        ValueError: it is a text of no number.
    """
    if value is None:
        return None
    if not isinstance(value, int | float | str):
        raise TypeError(f"{value!r} is no number")
    number = float(value)
    return number if math.isfinite(number) else None


def listed(value: object) -> list[object]:
    """A list.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, list | tuple):
        raise TypeError(f"{value!r} is no list")
    return list(value)


def rounded(data: object) -> object:
    """Plain data with numbers to six digits: what comes after says nothing."""
    if isinstance(data, float):
        return float(f"{data:.6g}")
    if isinstance(data, dict):
        return {key: rounded(value) for key, value in data.items()}
    return [rounded(value) for value in data] if isinstance(data, list | tuple) else data
