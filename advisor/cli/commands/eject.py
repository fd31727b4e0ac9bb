"""`advisor eject`: write a run's winner as a script that needs no advisor."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from advisor.cli.arguments import add_device
from advisor.cli.command import CliCommand, Options
from advisor.cli.console import print_json
from advisor.cli.libraries import load_libraries
from advisor.cli.talk import Talk
from advisor.errors import ExitCode

if TYPE_CHECKING:
    import argparse


class EjectOptions(Options):
    """What `advisor eject` is given."""

    run: str
    output: str
    device: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of `EjectOptions`."""
    parser.add_argument("run", help="a run's folder or name, such as runs/data")
    parser.add_argument(
        "-o", "--output", default="train.py", metavar="FILE", help="the script to write; default %(default)s"
    )
    add_device(parser)


def run(options: EjectOptions) -> ExitCode:
    """Write the script, and say what lies beside it and how to run it."""
    talk = Talk(quiet=options.quiet)
    load_libraries(talk)
    from advisor.outcome.eject import eject

    ejected = eject(options.run, options.output, device=options.device, progress=talk)
    if options.json:
        print_json({"script": str(ejected.script), "beside": [str(file) for file in ejected.beside],
                    "test_accuracy": ejected.test, "notes": list(ejected.notes)})  # fmt: skip
        return ExitCode.OK
    print(f"Written to {ejected.script}, and beside it {', '.join(str(file) for file in ejected.beside)}.")
    print("\n".join(ejected.notes))
    print(f"The run's own model had {ejected.test:.3f} of the test images right. Next:")
    print(f"  python {quote(str(ejected.script))}")
    return ExitCode.OK


COMMAND = CliCommand("eject", "write a run's winner as one plain PyTorch script", EjectOptions, run, add_options)
