"""`advisor explain`: why a run's winner won."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.arguments import add_device
from advisor.cli.command import CliCommand, Options
from advisor.cli.console import page, print_json
from advisor.cli.libraries import load_libraries
from advisor.cli.talk import Talk
from advisor.errors import ExitCode

if TYPE_CHECKING:
    import argparse


class ExplainOptions(Options):
    """What `advisor explain` is given."""

    run: str
    budget: str
    storage: str
    device: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of `ExplainOptions`."""
    parser.add_argument("run", help="a run's folder or name, such as runs/data")
    parser.add_argument(
        "--budget",
        default="10m",
        metavar="TIME",
        help="time for the trainings, such as 90s, 10m or 1h30m; default %(default)s",
    )
    parser.add_argument(
        "--storage", default="", metavar="URL", help="the Optuna storage of the run; default the file in its folder"
    )
    add_device(parser)


def run(options: ExplainOptions) -> ExitCode:
    """Train the winner with one value changed at a time, and print what each value is worth."""
    talk = Talk(quiet=options.quiet)
    load_libraries(talk)
    from advisor.cli import pages
    from advisor.outcome.explain import explain
    from advisor.outcome.run import Machine

    explanation = explain(
        options.run, budget=options.budget, machine=Machine(options.device, storage=options.storage), progress=talk
    )
    if options.json:
        print_json(explanation.to_dict())
    else:
        pages.explanation(page(), explanation, options.run)
    return ExitCode.OK


COMMAND = CliCommand(
    "explain",
    "explain why a run's winner won: change one value at a time, and train from random weights",
    ExplainOptions,
    run,
    add_options,
)
