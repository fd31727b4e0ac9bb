"""Where `recommend`, `tune` and `report` write their reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from advisor.cli.console import print_json
from advisor.errors import AdvisorError, UsageError, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from advisor.advice.recommend import Recommendation
    from advisor.cli.talk import Talk

REPORT_SECONDS = 3.0  # of a run's budget: drawing charts wants libraries of its own


def beside_plan(args: argparse.Namespace, found: Recommendation, plan: Path, talk: Talk) -> list[str]:
    """Write the page of a recommendation beside its plan; where it is."""
    from advisor.report.recommendation import write_recommendation

    html = None if args.no_report else plan.with_suffix(".html")
    markdown = plan.with_suffix(".md") if args.md else None
    with talk.task("Writing the report", 1) as advance:
        write_recommendation(found, plan=str(plan), html=html, markdown=markdown)
        advance(1)
    return [str(path) for path in (html, markdown) if path is not None]


def in_run(args: argparse.Namespace, folder: Path, talk: Talk) -> list[str]:
    """Write a run's page into its folder; where it is. What was handed over stands without it."""
    from advisor.report.run import write_run_report

    html = None if args.no_report else folder / "report.html"
    markdown = folder / "report.md" if args.md else None
    try:
        with talk.task("Writing the report", 1) as advance:
            write_run_report(folder, html=html, markdown=markdown)
            advance(1)
    except AdvisorError as error:
        talk.say(f"The report could not be written: {error}")
        return []
    return [str(path) for path in (html, markdown) if path is not None]


def again(args: argparse.Namespace, talk: Talk, require_writable: Callable[[Path, str, str], None]) -> None:
    """`advisor report`: write a run's page from its folder alone, and say where it is.

    Raises:
        RunError: there is no such run, it has handed nothing over, or its figures are damaged.
        UsageError: the page cannot be written there.
    """
    from advisor.report.run import write_run_report
    from advisor.report.run_reading import find_run

    folder = find_run(args.run, args.runs)
    html = Path(args.output) if args.output else folder / "report.html"
    if html.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(
            f"`{html}` should end with .html; --md writes Markdown beside it.", hint=f"-o {html.with_suffix('.html')}"
        )
    markdown = html.with_suffix(".md") if args.md else None
    written = [path for path in (html, markdown) if path is not None]
    for path in written:
        require_writable(path, "the report", "-o report.html")
    with talk.task("Writing the report", 1) as advance:
        write_run_report(folder, html=html, markdown=markdown)
        advance(1)
    if args.json:
        print_json({"run": str(folder), "reports": [str(path) for path in written]})
    else:
        for path in written:
            print(f"Written to {printable(str(path))}.")
