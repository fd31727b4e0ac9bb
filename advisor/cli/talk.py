"""How far work is, on stderr: bars on a terminal, lines in a log, nothing when quiet."""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from advisor.errors import printable
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

_LOG_EVERY = 10.0  # seconds between log lines where there is no terminal
_SLOW = 2.0  # seconds after which work within other work gets lines in a log
_LABEL, _FACTS, _LEAST_BAR, _MOST_BAR = 22, 42, 6, 40  # columns of a line of progress


class Talk:
    """A `Progress` on stderr; work within other work stands below it, and goes when it is done."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.note = ""  # what the outermost work has come to so far
        self._live: Progress | None = None
        self._depth = 0
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}

    @contextmanager
    def task(self, label: str, total: int, *, seconds: float = math.inf) -> Iterator[Callable[[int], None]]:
        """Show how far a stretch of work is, how fast, and how long it will take; see `advisor.progress.Progress`."""
        if self.quiet or total == 0:
            yield lambda _count: None
            return
        work = _Work(label, total, seconds, self._outermost_note if self._depth == 0 else lambda: "")
        self._depth += 1
        try:
            with self._bar(work) if self._terminal else _log(work, nested=self._depth > 1) as advance:
                yield advance
        finally:
            self._depth -= 1
            if self._depth == 0:
                self.note = ""

    def say(self, text: str) -> None:
        """One line of talk."""
        if self.quiet:
            return
        if not self._terminal:
            print(*map(printable, text.split("\n")), sep="\n", file=sys.stderr, flush=True)
            return
        from advisor.cli.console import escape
        from advisor.report.page.console import Terminal

        console = self._live.console if self._live else Terminal(wraps=True, stderr=True, highlight=False)
        console.print("\n".join(map(escape, text.split("\n"))))

    def _outermost_note(self) -> str:
        return self.note

    @contextmanager
    def _bar(self, work: _Work) -> Iterator[Callable[[int], None]]:
        outermost = self._live is None
        if self._live is None:
            self._live = _live_display()
            self._live.start()
        live = self._live
        # One step of unknown length has nothing to fill a bar with.
        task = live.add_task(work.label, total=work.total if work.total > 1 else None, work=work)

        def advance(count: int) -> None:
            work.done += count
            live.update(task, completed=work.done)

        try:
            yield advance
            work.end()
            live.update(task, total=work.total, completed=work.done)
        finally:
            if outermost:
                live.stop()
                self._live = None
            else:
                live.remove_task(task)


class _Work:
    """A stretch of work, and what can be said about it."""

    def __init__(self, label: str, total: int, seconds: float, note: Callable[[], str]) -> None:
        self.label, self.total, self._note = label, total, note
        self.done = 0
        self._began = time.monotonic()
        self._latest = self._began + seconds
        self._took = math.nan

    @property
    def seconds(self) -> float:
        """So far, or until it ended."""
        return time.monotonic() - self._began if math.isnan(self._took) else self._took

    def end(self) -> None:
        """Nothing more will be done."""
        self._took = self.seconds

    def facts(self) -> str:
        """Counts, rate and time left; of one step how long it has taken."""
        counts = f"{self.done}/{self.total}"
        if not math.isnan(self._took):
            parts = ["done" if self.total == 1 else counts, self._note()]
            return f"{', '.join(filter(None, parts))} in {self._took:.1f} s"
        if self.total == 1:
            return show_duration(self.seconds)
        return ", ".join(filter(None, (counts, self._note() or self._rate(), self._left())))

    def _rate(self) -> str:
        if not self.done or self.seconds < 1:
            return ""
        rate = self.done / self.seconds
        if rate < 1:
            return f"{1 / rate:.1f} s each"
        return f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s"

    def _left(self) -> str:
        until = self._latest - time.monotonic()
        if self.done and self.seconds >= 1:
            at_this_rate = self.seconds * (self.total - self.done) / self.done
            if at_this_rate <= until:
                return f"{show_duration(at_this_rate)} left"
        return f"at most {show_duration(max(0.0, until))} left" if math.isfinite(until) else ""


def _live_display() -> Progress:
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
    from rich.progress import Progress as Live
    from rich.text import Text

    from advisor.report.page.console import Terminal

    class Facts(ProgressColumn):
        """Drawn anew with every refresh, so that the clock goes on during a long step."""

        def render(self, task: Task) -> Text:
            return Text(task.fields["work"].facts(), no_wrap=True)

    console = Terminal(wraps=True, stderr=True, highlight=False)
    room = console.width - _LABEL - _FACTS - 2
    bar = [BarColumn(min(room, _MOST_BAR))] if room >= _LEAST_BAR else []
    return Live(
        TextColumn("{task.description:<" + str(_LABEL) + "}"), *bar, Facts(), console=console, redirect_stdout=False
    )


@contextmanager
def _log(work: _Work, *, nested: bool) -> Iterator[Callable[[int], None]]:
    """Lines: when work begins, every ten seconds, and when it ends; of work within other work only where it is slow."""
    began = latest = time.monotonic()
    lines = 0

    def line(words: str) -> None:
        nonlocal lines
        lines += 1
        print(f"{work.label}{words}", file=sys.stderr, flush=True)

    if not nested:
        line(" …" if work.total == 1 else f": {work.facts()}")

    def advance(count: int) -> None:
        nonlocal latest
        work.done += count
        now = time.monotonic()
        if work.done < work.total and now - latest >= (_LOG_EVERY if lines else _SLOW):
            latest = now
            line(f": {work.facts()}")

    yield advance
    work.end()
    if lines or time.monotonic() - began >= _SLOW:
        line(f": {work.facts()}")
