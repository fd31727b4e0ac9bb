"""The `advisor` command: parse, run one of `COMMANDS`, turn errors into exit codes."""

from __future__ import annotations

import argparse
import io
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from advisor.cli.arguments import add_common_options
from advisor.cli.commands import COMMANDS
from advisor.cli.parsing import Parser
from advisor.errors import AdvisorError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.cli.command import AnyCommand

DESCRIPTION = """\
Tells you how to transfer a pretrained network to your images, says why, and does it.

  advisor recommend ./data                       measure the images, decide, write advisor.toml
  advisor tune                                   search the plan, save the best model
  advisor predict runs/<name>/best photo.jpg     use it
"""
EPILOG = """\
Plugins can add commands; `advisor plugins` lists them.
Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted (finished work is kept)."""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. What it parses has the command to run in `command`, or None there."""
    parser = Parser(
        prog="advisor",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.set_defaults(command=None, parser=parser)
    _add_commands(parser, COMMANDS, metavar="COMMAND")
    return parser


def _add_commands(
    parser: argparse.ArgumentParser, commands: Sequence[AnyCommand], *, metavar: str, help_text: str | None = None
) -> None:
    subparsers = parser.add_subparsers(metavar=metavar, help=help_text)
    for command in commands:
        subparser = subparsers.add_parser(command.name, help=command.summary, description=command.summary)
        add_common_options(subparser)
        command.add_options(subparser)
        subparser.set_defaults(command=command)
        if command.actions:
            names = " or ".join(action.name for action in command.actions)
            _add_commands(subparser, command.actions, metavar="ACTION", help_text=f"{names}; may be left out")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments; those of the process by default.

    Returns:
        An `ExitCode`, or what a plugin's command returns.
    """
    began = time.monotonic()  # loading torch is a part of what a person waits for
    words = list(sys.argv[1:] if argv is None else argv)
    verbose = "-v" in words or "--verbose" in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know fewer letters than a file name
    try:
        return _run(words, began, own_process=argv is None)
    except AdvisorError as error:
        if verbose:
            import traceback

            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has closed it; say nothing, as other tools do.
        sys.stderr.close()
        return ExitCode.COULD_NOT
    except Exception as error:
        if verbose:
            raise
        print(f"error: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        print("hint: run the same command with -v to see the traceback, and please report it", file=sys.stderr)
        return ExitCode.COULD_NOT


def _run(words: Sequence[str], began: float, *, own_process: bool) -> int:
    names = [command.name for command in COMMANDS]
    if words and not words[0].startswith("-") and words[0] not in names:
        from advisor.plugins import load_catalog

        return int(load_catalog().command(words[0], beside=names).run(words[1:]))
    parser = build_parser()
    parsed = parser.parse_args(words, argparse.Namespace(began=began))
    if parsed.version:
        from advisor.version import __version__

        print(f"transfer-advisor {__version__}")
        return ExitCode.OK
    if parsed.command is None:
        parser.print_help()
        return ExitCode.USAGE
    if own_process and parsed.command.trains:
        from advisor import allocator

        allocator.restart()
    from advisor.cli.console import only_documents
    from advisor.cli.libraries import quiet_libraries

    quiet_libraries()
    with only_documents() if parsed.json else nullcontext():
        return int(parsed.command(parsed))


if __name__ == "__main__":
    sys.exit(main())
