"""`advisor report`: write a run's report again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from advisor.cli.arguments import add_runs, require_writable
from advisor.cli.command import CliCommand, Options
from advisor.cli.console import print_json
from advisor.cli.talk import Talk
from advisor.errors import ExitCode, UsageError, printable

if TYPE_CHECKING:
    import argparse


class ReportOptions(Options):
    """What `advisor report` is given."""

    run: str
    runs: str
    output: str
    md: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of `ReportOptions`."""
    parser.add_argument("run", help="a run's folder or name")
    add_runs(parser)
    parser.add_argument(
        "-o",
        "--output",
        default="",
        metavar="FILE",
        help="the HTML file to write; default report.html in the run's folder",
    )
    parser.add_argument("--md", action="store_true", help="write the report as Markdown beside it, too")


def run(options: ReportOptions) -> ExitCode:
    """Write a run's report from its folder alone, and say where it is.

    Raises:
        RunError: there is no such run, it has handed nothing over, or its figures are damaged.
        UsageError: the report cannot be written there.
    """
    from advisor.records.folder import find_run
    from advisor.report.run import write_run_report

    folder = find_run(options.run, options.runs)
    html = Path(options.output) if options.output else folder / "report.html"
    if html.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(
            f"`{html}` should end with .html; --md writes Markdown beside it.", hint=f"-o {html.with_suffix('.html')}"
        )
    markdown = html.with_suffix(".md") if options.md else None
    written = [file for file in (html, markdown) if file is not None]
    for file in written:
        require_writable(file, "the report", "-o report.html")
    with Talk(quiet=options.quiet).task("Writing the report", 1) as advance:
        write_run_report(folder, html=html, markdown=markdown)
        advance(1)
    if options.json:
        print_json({"run": str(folder), "reports": [str(file) for file in written]})
    else:
        for file in written:
            print(f"Written to {printable(str(file))}.")
    return ExitCode.OK


COMMAND = CliCommand("report", "write a run's report again from its folder", ReportOptions, run, add_options)
