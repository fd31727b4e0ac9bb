"""`advisor completion`: print the script that makes a shell complete the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.command import CliCommand, Options
from advisor.cli.completion import SHELLS, script
from advisor.cli.console import print_json
from advisor.errors import ExitCode

if TYPE_CHECKING:
    import argparse


class CompletionOptions(Options):
    """What `advisor completion` is given.

    Attributes:
        parser: of the whole command line, whose words are completed.
    """

    shell: str
    parser: argparse.ArgumentParser


def add_options(parser: argparse.ArgumentParser) -> None:
    """The argument of `CompletionOptions`."""
    parser.add_argument("shell", choices=SHELLS, help="the shell to complete in")


def run(options: CompletionOptions) -> ExitCode:
    """Print the script."""
    from advisor.plugins import load_catalog

    text = script(options.parser, options.shell, load_catalog())
    if options.json:
        print_json({"shell": options.shell, "script": text})
    else:
        print(text)
    return ExitCode.OK


COMMAND = CliCommand(
    "completion",
    "print a script that makes a shell complete commands, options, files and names",
    CompletionOptions,
    run,
    add_options,
)
