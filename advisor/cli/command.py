"""What a command is: a name, one line about it, its options, and what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from advisor.errors import ExitCode


class Options:
    """What every command is given. A command adds its own by annotating them in a subclass.

    A plain class and no dataclass: making twenty of those would take a quarter of the time of `advisor --help`.

    Args:
        parsed: the command line as argparse read it; its attributes become those of this object.
    """

    json: bool
    quiet: bool
    verbose: bool

    def __init__(self, parsed: argparse.Namespace) -> None:
        vars(self).update(vars(parsed))


_Options = TypeVar("_Options", bound=Options)


def no_options(_parser: argparse.ArgumentParser) -> None:
    """For a command that has only the options of every command."""


@dataclass(frozen=True)
class CliCommand(Generic[_Options]):
    """A command of the core's own, such as `advisor tune`.

    Attributes:
        name: what a person types.
        summary: one line, without a full stop.
        options: the class of its options.
        run: does it, and prints what came out; raises `AdvisorError`. What is heavy is imported in here.
        add_options: adds its arguments and options to its parser.
        actions: commands below it, such as `new` of `advisor plugins`; without one of them, `run` is called.
        trains: whether it trains for long, and is better started with `advisor.allocator`'s settings.
    """

    name: str
    summary: str
    options: type[_Options]
    run: Callable[[_Options], ExitCode]
    add_options: Callable[[argparse.ArgumentParser], None] = no_options
    actions: tuple[AnyCommand, ...] = ()
    trains: bool = False

    def __call__(self, parsed: argparse.Namespace) -> ExitCode:
        """Run the command with the options that were parsed."""
        return self.run(self.options(parsed))


AnyCommand = CliCommand[Any]  # where commands with options of different classes stand side by side
