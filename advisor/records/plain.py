"""Plain data as JSON and TOML hold it, read with a type at each step."""

from __future__ import annotations

import csv
import math
import reprlib
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from advisor.types import Scalar

_E = TypeVar("_E", bound=StrEnum)
# What reading a file of plain data may raise: the disk, JSON or CSV that is damaged, and `Plain`.
UNREADABLE = (OSError, ValueError, KeyError, TypeError, RecursionError, csv.Error)


def reason(error: BaseException) -> str:
    """Why a file cannot be read, in words that go on a sentence; `error` is one of `UNREADABLE`."""
    if isinstance(error, KeyError):
        return f"there is no {error} in it"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return _cut(" ".join(str(error).split()).rstrip(".") or type(error).__name__, 200)


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
            raise TypeError(f"{short(data)} is no table")
        self._data: Mapping[str, object] = data

    def __contains__(self, key: str) -> bool:
        return self._data.get(key) is not None

    def items(self) -> Iterator[tuple[str, object]]:
        """Keys and what stands there."""
        return ((str(key), value) for key, value in self._data.items())

    def text(self, key: str, default: str | None = None) -> str:
        """A text; numbers become one."""
        value = self._data[key] if default is None else self._data.get(key)
        return default if value is None and default is not None else _text(key, value)

    def number(self, key: str) -> float:
        """A finite number."""
        number = finite(self._data[key])
        if number is None:
            raise ValueError(f"{key} is {short(self._data[key])}, no number")
        return number

    def maybe(self, key: str) -> float | None:
        """A finite number; None where there is none, or nothing at all."""
        return finite(self._data.get(key))

    def whole(self, key: str) -> int:
        """A whole number."""
        return _whole(key, self.number(key))

    def maybe_whole(self, key: str) -> int | None:
        """A whole number; None where there is none."""
        number = self.maybe(key)
        return None if number is None else _whole(key, number)

    def scalar(self, key: str) -> Scalar:
        """A text, a number, or true or false."""
        value = self._data[key]
        if not isinstance(value, bool | int | float | str):
            raise TypeError(f"{key} is {short(value)}, neither a text nor a number")
        if not isinstance(value, bool | str):
            finite(value)  # refuses a whole number that no float can hold
        return value

    def choice(self, key: str, kind: type[_E]) -> _E:
        """One of the members of an enumeration of texts."""
        value = self.text(key)
        try:
            return kind(value)
        except ValueError as error:
            members = ", ".join(kind)
            raise ValueError(f"{key} is {short(value)}, none of {members}") from error

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self._data.get(key, default)
        if not isinstance(value, bool):
            raise TypeError(f"{key} is {short(value)}, neither true nor false")
        return value

    def table(self, key: str) -> Plain:
        """A table inside."""
        return Plain(self._data[key])

    def tables(self, key: str) -> list[Plain]:
        """A list of tables."""
        return [Plain(one) for one in listed(self._data[key])]

    def texts(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of texts."""
        value = self._data[key] if default is None else self._data.get(key, default)
        return tuple(_text(key, one) for one in listed(value))

    def wholes(self, key: str, default: Sequence[int]) -> tuple[int, ...]:
        """A list of whole numbers."""
        numbers = [finite(one) for one in listed(self._data.get(key, default))]
        if any(number is None for number in numbers):
            raise ValueError(f"{key} holds something that is no number")
        return tuple(_whole(key, number) for number in numbers if number is not None)

    def list_of(self, key: str) -> list[object]:
        """A list of anything."""
        return listed(self._data[key])

    def rows(self, key: str) -> list[list[object]]:
        """A list of lists."""
        return [listed(one) for one in listed(self._data[key])]

    def pair(self, key: str) -> tuple[float, float]:
        """A list of two finite numbers."""
        numbers = [finite(one) for one in self.list_of(key)]
        if len(numbers) != 2 or (first := numbers[0]) is None or (second := numbers[1]) is None:
            raise ValueError(f"{key} is no pair of numbers")
        return first, second

    def maybe_pair(self, key: str) -> tuple[float, float] | None:
        """Two numbers; None where there are none."""
        return self.pair(key) if self._data.get(key) is not None else None

    def shares(self, key: str) -> dict[str, float]:
        """A table of numbers."""
        table = self.table(key)
        return {name: table.number(name) for name, _ in table.items()}

    def counts(self, key: str) -> dict[str, int]:
        """A table of whole numbers."""
        return {name: _whole(name, value) for name, value in self.shares(key).items()}

    def words(self, key: str) -> dict[str, str]:
        """A table of texts."""
        return {name: _text(name, value) for name, value in self.table(key).items()}

    def scalars(self, key: str) -> dict[str, Scalar]:
        """A table of texts, numbers, and true or false."""
        table = self.table(key)
        return {name: table.scalar(name) for name, _ in table.items()}


def finite(value: object) -> float | None:
    """A finite number; None where there is none.

    Raises:
        TypeError: it is neither a number nor a text.
        ValueError: it is a text of no number, or a number beyond all bounds.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{short(value)} is no number")
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{short(value)} is no number") from error
    return number if math.isfinite(number) else None


def listed(value: object) -> list[object]:
    """A list.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, list | tuple):
        raise TypeError(f"{short(value)} is no list")
    return list(value)


def rounded(data: object) -> object:
    """Plain data with numbers to six digits: what comes after says nothing."""
    if isinstance(data, float):
        return float(f"{data:.6g}")
    if isinstance(data, dict):
        return {key: rounded(value) for key, value in data.items()}
    return [rounded(value) for value in data] if isinstance(data, list | tuple) else data


def _text(key: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{key} is {short(value)}, no text")
    return str(value)


def _whole(key: str, number: float) -> int:
    if number != int(number):
        raise ValueError(f"{key} is {number:g}, no whole number")
    return int(number)


def short(value: object) -> str:
    """A value in an error, on one line however long it is."""
    return "nothing" if value is None else _cut(reprlib.repr(value), 60)


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"
