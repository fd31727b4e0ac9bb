"""An argument parser that speaks as every other error does, and takes no option for another."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from advisor.errors import UsageError, closest

if TYPE_CHECKING:
    from collections.abc import Iterable

    _Given = Any  # as argparse declares it


class Parser(argparse.ArgumentParser):
    """Options are written out, so that a script stays valid when another option begins alike; mistyped ones are named.

    Args:
        values: those of `argparse.ArgumentParser`.
    """

    def __init__(self, **values: _Given) -> None:
        super().__init__(allow_abbrev=False, **values)

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: _Given = None) -> _Given:
        """As argparse does, after a look at the options; each subcommand is called with its own words."""
        self._refuse_unknown(args or ())
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found as a `UsageError`."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", hint=f"{self.prog} --help")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """As argparse does, with a close match among the choices."""
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            raise UsageError(
                f"There is no `{value}`.",
                ways=[f"known: {', '.join(known)}"],
                hint=closest(str(value), known) or f"{self.prog} --help",
            )

    def _refuse_unknown(self, words: Iterable[str]) -> None:
        """Before argparse, which takes the value of an option it does not know for an argument."""
        known = [name for name in self._option_string_actions if name.startswith("--")]
        for word in words:
            if word == "--" or (self._subparsers is not None and not word.startswith("-")):
                return  # what follows are no options, or those of a subcommand
            name = word.partition("=")[0]
            if name.startswith("--") and name not in known:
                raise UsageError(
                    f"`{self.prog}` has no option `{name}`.",
                    ways=[f"its options: {', '.join(known)}"],
                    hint=closest(name, known) or f"{self.prog} --help",
                )
