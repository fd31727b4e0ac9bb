"""What a person sees: progress and talk on stderr, pages and JSON on stdout."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from advisor.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.report.page.console import Terminal

_DOCUMENTS: list[TextIO] = []  # where JSON goes while everything else keeps off stdout
_UNFOLDED = 120  # columns of tables without a terminal, where nobody says how many there are


def page() -> Terminal:
    """Where pages go: as wide as the terminal or `COLUMNS`; colour only on a terminal, and not with `NO_COLOR`."""
    from advisor.report.page.console import Terminal

    given = os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty()
    return Terminal(wraps=given, highlight=False, soft_wrap=True, width=None if given else _UNFOLDED)


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


def print_json(data: object) -> None:
    """One JSON document on stdout; what is not a finite number becomes null."""
    text = json.dumps(_finite(data), indent=2, ensure_ascii=False)
    print(text, file=_DOCUMENTS[-1] if _DOCUMENTS else sys.stdout)


def _finite(data: object) -> object:
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):  # noqa: PLR0124
        return None
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, list | tuple) else data
