"""Running checks on something that a plugin offers, and saying in words what fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advisor.errors import AdvisorError, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Check = Callable[[Any], None]  # of a backbone, a head, a format, …


class Flaw(AssertionError):  # noqa: N818 - what is found, not what went wrong
    """What a check found; the text says what was asked for and what there was instead."""


@dataclass(frozen=True)
class Finding:
    """What one check said.

    Attributes:
        about: what was checked, such as `backbone my-resnet`.
        check: what the check asks for, one line.
        flaw: what it found instead; empty where it holds.
    """

    about: str
    check: str
    flaw: str = ""


def ask(holds: object, flaw: str) -> None:
    """Raise a `Flaw` with these words unless something holds."""
    if not holds:
        raise Flaw(flaw)


def title(check: Check) -> str:
    """What a check asks for: the first line of its docstring."""
    return (check.__doc__ or check.__name__).strip().splitlines()[0].rstrip(".")


def run_checks(about: str, item: object, checks: Sequence[Check]) -> Iterable[Finding]:
    """Run checks on an item; whatever a stranger's code raises is a finding, and the next check runs."""
    for check in checks:
        try:
            check(item)
        except Flaw as flaw:
            yield Finding(about, title(check), str(flaw))
        except AdvisorError as error:
            yield Finding(about, title(check), error.message)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a stranger's code may raise anything
            yield Finding(about, title(check), f"it raised {words_of(error)}")
        else:
            yield Finding(about, title(check))
