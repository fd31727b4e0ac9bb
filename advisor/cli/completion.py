"""What a shell completes: commands, options, files and the names of backbones and recipes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.plugins import Catalog

    # argparse keeps the class to itself.
    _SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")
_FILES = {"FILE", "data", "plan", "run", "model", "image", "target"}  # metavars and names of arguments
_FOLDERS = {"FOLDER"}


def script(parser: argparse.ArgumentParser, shell: str, catalog: Catalog) -> str:
    """The completion script of a shell.

    Args:
        parser: of the whole command; it is changed.
        shell: one of `SHELLS`.
        catalog: whose names and commands are completed; a script knows those that were there when it was written.
    """
    import shtab

    commands = _commands_of(parser)
    for name, offer in catalog.commands.items():
        commands.add_parser(name, help=offer.item.summary)
    names = {
        "backbone": [name for name, offer in catalog.backbones.items() if hasattr(offer.item, "create")],
        "recipe": list(catalog.recipes),
    }
    for action in _actions(parser):
        labels = {action.dest, action.metavar}
        if labels & _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined] # shtab reads it
        elif labels & _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.dest in names:
            action.choices = sorted(names[action.dest])
    return str(shtab.complete(parser, shell=shell))


def _commands_of(parser: argparse.ArgumentParser) -> _SubParsers:
    return next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument and option, those of subcommands included."""
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for sub in action.choices.values():
                yield from _actions(sub)
        else:
            yield action
