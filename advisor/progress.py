"""How long work tells that it is under way, without knowing who listens."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class Progress(Protocol):
    """What a front end offers to the rooms behind it."""

    def task(self, label: str, total: int, *, seconds: float = ...) -> AbstractContextManager[Callable[[int], None]]:
        """A stretch of work of `total` units; the yielded function advances it. It ends after `seconds` in any case."""

    def say(self, text: str) -> None:
        """One line of talk."""


class Silent:
    """A `Progress` that nobody watches."""

    @contextlib.contextmanager
    def task(self, label: str, total: int, *, seconds: float = math.inf) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        """Do the work without a word."""
        yield lambda _count: None

    def say(self, text: str) -> None:
        """Say nothing."""
