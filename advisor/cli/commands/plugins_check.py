"""`advisor plugins check`: run the conformance checks on plugins."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from advisor.cli.command import CliCommand, Options
from advisor.cli.console import print_json
from advisor.errors import ExitCode

if TYPE_CHECKING:
    import argparse


class CheckOptions(Options):
    """What `advisor plugins check` is given."""

    target: str
    location: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of `CheckOptions`."""
    parser.add_argument(
        "target",
        nargs="?",
        default="",
        help="the name of an installed plugin, or the folder of a plugin's source; default all "
        "installed third-party plugins",
    )
    parser.add_argument("--location", default="", metavar="PLACE", help="images to test its dataset formats with")


def run(options: CheckOptions) -> ExitCode:
    """Check each plugin, print each finding as it comes, and count the failures."""
    from advisor.testing.packages import examine

    findings = []
    for target in [options.target] if options.target else _third_party():
        for finding in examine(target, options.location):
            findings.append(finding)
            if not options.json and not options.quiet:
                state = "FAILS" if finding.flaw else "holds"
                reason = f"\n        {finding.flaw}" if finding.flaw else ""
                print(f"{state}   {finding.about}: {finding.check}{reason}", flush=True)
    failed = sum(bool(finding.flaw) for finding in findings)
    if options.json:
        print_json([asdict(finding) for finding in findings])
    elif failed:
        print(f"\n{failed} of {len(findings)} checks fail.")
    else:
        print(f"\nAll {len(findings)} checks hold.")
    return ExitCode.COULD_NOT if failed else ExitCode.OK


def _third_party() -> list[str]:
    """Names of the installed plugins that are not the core's own."""
    from advisor.discovery import CORE
    from advisor.plugins import load_catalog

    # What is wrong with them is a finding of the checks, so that a warning would say it twice.
    plugins = load_catalog(on_warning=lambda _line: None).plugins
    return [plugin.name for plugin in plugins if plugin.distribution != CORE]


COMMAND = CliCommand(
    "check", "run the conformance checks on plugins and say what fails", CheckOptions, run, add_options
)
