"""What a person sees: progress and talk on stderr, pages and JSON on stdout."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from advisor.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

_LOG_EVERY = 10.0  # seconds between log lines where there is no terminal
_DOCUMENTS: list[TextIO] = []  # where JSON goes while everything else keeps off stdout


class Talk:
    """A `Progress` on stderr: bars on a terminal, log lines elsewhere, nothing when quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    @contextmanager
    def task(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show how far a stretch of work is, how fast, and how long it will take."""
        if self.quiet or total == 0:
            yield lambda _count: None
        elif sys.stderr.isatty():
            with _bar(label, total) as advance:
                yield advance
        else:
            with _log(label, total) as advance:
                yield advance

    def say(self, text: str) -> None:
        """One line of talk."""
        if not self.quiet:
            print(*map(printable, text.split("\n")), sep="\n", file=sys.stderr, flush=True)


def page() -> Console:
    """Where pages go; rich drops colour for `NO_COLOR` and without a terminal."""
    from rich.console import Console

    # Without a terminal rich would take 80 columns and fold tables into them.
    width = None if sys.stdout.isatty() else 120
    return Console(highlight=False, soft_wrap=True, width=width)


def escape(text: str) -> str:
    """Text as rich shows it letter by letter, with nothing in it that a terminal obeys: names are other people's."""
    from rich.markup import escape as escape_markup

    return escape_markup(printable(text))


@contextmanager
def only_documents() -> Iterator[None]:
    """Keep stdout for JSON: whatever plugins and libraries print meanwhile goes to stderr."""
    _DOCUMENTS.append(sys.stdout)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = _DOCUMENTS.pop()


def print_json(data: Any) -> None:  # noqa: ANN401
    """One JSON document on stdout; what is not a finite number becomes null."""
    text = json.dumps(_finite(data), indent=2, ensure_ascii=False)
    print(text, file=_DOCUMENTS[-1] if _DOCUMENTS else sys.stdout)


def _finite(data: Any) -> Any:  # noqa: ANN401
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):  # noqa: PLR0124
        return None
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, list | tuple) else data


@contextmanager
def _bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(),
               TextColumn("{task.fields[rate]}"), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total, rate="")
        began, done = time.monotonic(), 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            seconds = time.monotonic() - began
            progress.update(task, advance=count, rate=f"{done / seconds:.0f}/s" if seconds > 1 else "")

        yield advance


@contextmanager
def _log(label: str, total: int) -> Iterator[Callable[[int], None]]:
    began = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= _LOG_EVERY:
            last = now
            left = (now - began) * (total - done) / max(1, done)
            print(f"{label}: {done}/{total}, {left:.0f} s left", file=sys.stderr, flush=True)

    yield advance
    print(f"{label}: {done}/{total} in {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
