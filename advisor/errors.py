"""Every error a person can meet.

AdvisorError          could not do it (exit code 1)
├── UsageError        the command, its arguments or a file a person wrote is wrong (exit code 2)
│   └── RecipeError   a recipe or plan does not validate; lists every problem at once
├── DatasetError      the images cannot be used as they are
├── BackboneError     a network or its weights cannot be had, or cannot do what was asked
├── PluginError       two plugins claim one name, or one yields something else than its hook promises
├── BundleError       what was handed over cannot be loaded
├── MissingExtraError packages are needed that are installed only where they are asked for
└── RunError          a run folder cannot be continued, or no trial in it succeeded
"""

from __future__ import annotations

import contextlib
import difflib
import enum
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# Terminals obey the first, the others turn lines around or end them.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]|[\u202a-\u202e\u2066-\u2069]|[\u2028\u2029]")
_MOST = 300  # letters of what an error says


class ExitCode(enum.IntEnum):
    """What the `advisor` command returns to the shell."""

    OK = 0
    COULD_NOT = 1
    USAGE = 2
    INTERRUPTED = 130


class AdvisorError(Exception):
    """One sentence on what is wrong, the ways out, and a hint.

    Args:
        message: one sentence.
        ways: what a person can do about it, one line each.
        hint: the single most likely next step, often a command.
    """

    exit_code = ExitCode.COULD_NOT

    def __init__(self, message: str, *, ways: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.ways = tuple(ways)
        self.hint = hint

    def __str__(self) -> str:
        lines = [*self._what(), *(f"  - {way}" for way in self.ways)]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(map(printable, lines))

    def _what(self) -> list[str]:
        """What is wrong, in lines for a terminal."""
        return [self.message]


class UsageError(AdvisorError):
    """The command or one of its arguments is wrong."""

    exit_code = ExitCode.USAGE


class RecipeError(UsageError):
    """A recipe or plan does not validate.

    Args:
        message: one sentence; without its full stop where problems follow.
        problems: all of them. A terminal has a line for each, and `message` has them in one.
        ways: what a person can do about it, one line each.
        hint: the single most likely next step.
    """

    def __init__(self, message: str, *, problems: Sequence[str] = (), ways: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(f"{message}: {'; '.join(problems)}" if problems else message, ways=ways, hint=hint)
        self.problems = tuple(problems)
        self._title = message

    def _what(self) -> list[str]:
        return [f"{self._title}:", *(f"  {problem}" for problem in self.problems)] if self.problems else [self.message]


class DatasetError(AdvisorError):
    """The images cannot be used as they are."""


class BackboneError(AdvisorError):
    """A network or its weights cannot be had, or cannot do what was asked."""


class PluginError(AdvisorError):
    """A plugin breaks the contract of its hook."""


class BundleError(AdvisorError):
    """A handed-over model cannot be loaded."""


class MissingExtraError(AdvisorError):
    """Packages are needed that are installed only where they are asked for.

    Args:
        what: needs them, as the beginning of a sentence.
        missing: their names.
        extra: of this distribution, which brings them.
    """

    def __init__(self, what: str, missing: Sequence[str], extra: str) -> None:
        super().__init__(
            f"{what} needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed.",
            ways=[f"install the extra `{extra}`, which brings {'it' if len(missing) == 1 else 'them'}"],
            hint=f"pip install 'transfer-advisor[{extra}]'",
        )


class RunError(AdvisorError):
    """A run folder cannot be continued, or no trial in it succeeded."""


def closest(word: str, known: Iterable[str]) -> str:
    """A `did you mean` fragment for a mistyped word, or the empty string."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean `{matches[0]}`?" if matches else ""


def printable(text: str) -> str:
    """Text in which what a terminal would obey, such as an escape sequence in a file's name, is written out."""
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def words_of(error: BaseException) -> str:
    """The kind of a stranger's error and the first line of what it says; short, and never an error itself."""
    try:
        lines = [line for line in str(error).splitlines() if line.strip()]
    except Exception:  # noqa: BLE001 - its `__str__` is a stranger's, too
        lines = []
    said = lines[0] if lines else "no reason given"
    if said.endswith(":") and len(lines) > 1:
        said = f"{said} {lines[1].strip()}"  # torch announces a list first, and the reason is in it
    return printable(f"{type(error).__name__}: {said if len(said) <= _MOST else said[:_MOST] + '…'}")


def closest_path(path: str | Path) -> str:
    """A `did you mean` fragment for a path with one mistyped part, or the empty string."""
    path = Path(path)
    for there, name in zip(path.parents, [path, *path.parents][:-1], strict=True):
        if there.is_dir():
            with contextlib.suppress(OSError):  # a folder that may not be read has no names to tell
                for match in difflib.get_close_matches(name.name, [one.name for one in there.iterdir()], n=3):
                    meant = there / match / path.relative_to(name)
                    if meant.exists() and meant != path:
                        return f"did you mean `{meant}`?"
            break
    return ""
