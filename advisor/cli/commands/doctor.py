"""`advisor doctor`: check the installation."""

from __future__ import annotations

from dataclasses import asdict

from advisor.cli.command import CliCommand, Options
from advisor.cli.console import page, print_json
from advisor.cli.talk import Talk
from advisor.errors import ExitCode


def run(options: Options) -> ExitCode:
    """Check one thing after the other, print each finding as it comes, and end with what to do."""
    from advisor.cli import pages
    from advisor.doctor.examination import PROBLEM, examine

    Talk(quiet=options.quiet).say("Checking the installation; importing torch takes a few seconds.")
    findings, out = [], page()
    for finding in examine():
        findings.append(finding)
        if not options.json:
            pages.finding(out, finding)
    if options.json:
        print_json([asdict(finding) for finding in findings])
    else:
        pages.diagnosis(out, findings)
    return ExitCode.COULD_NOT if any(finding.state == PROBLEM for finding in findings) else ExitCode.OK


COMMAND = CliCommand("doctor", "check the installation and say how to fix what is wrong", Options, run)
