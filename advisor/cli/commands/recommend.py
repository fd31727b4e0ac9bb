"""`advisor recommend`: measure a dataset, recommend how to train on it, and write the plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from advisor.cli.arguments import DataOptions, add_data_options, require_enough_images, require_writable
from advisor.cli.command import CliCommand
from advisor.cli.console import page, print_json
from advisor.cli.libraries import load_libraries
from advisor.cli.talk import Talk
from advisor.errors import ExitCode, UsageError
from advisor.network.stages import CODES
from advisor.units import parse_duration

if TYPE_CHECKING:
    import argparse

    from advisor.advice.recommendation import Recommendation


class RecommendOptions(DataOptions):
    """What `advisor recommend` is given."""

    codes: str
    backbones: str
    pilot: bool
    budget: str
    output: str
    no_report: bool
    md: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of `RecommendOptions`."""
    add_data_options(parser)
    parser.add_argument(
        "--codes",
        choices=CODES,
        default=CODES[0],
        help="what the head reads of each channel of a stage: its mean, the mean of its positive part (relu), or mean "
        "and standard deviation; default %(default)s",
    )
    parser.add_argument(
        "--backbones",
        default="",
        metavar="A,B,…",
        help="compare these networks and use the best, in place of --backbone",
    )
    parser.add_argument(
        "--pilot",
        action="store_true",
        help="fine-tune for some minutes and decide by the measured gain, not by a prior",
    )
    parser.add_argument(
        "--budget",
        default="",
        metavar="TIME",
        help="how long the search that follows may take, such as 10m: recommends what fits, and writes it into the "
        "plan; by default as long as is worth it",
    )
    parser.add_argument(
        "-o", "--output", default="advisor.toml", metavar="FILE", help="the plan to write; default %(default)s"
    )
    parser.add_argument("--no-report", action="store_true", help="write no HTML report beside the plan")
    parser.add_argument("--md", action="store_true", help="write the report as Markdown, too")


def run(options: RecommendOptions) -> ExitCode:
    """Recommend, write the plan and its report, and print the page."""
    plan_file = Path(options.output)
    _require_usable(options, plan_file)
    talk = Talk(quiet=options.quiet)
    load_libraries(talk)
    from advisor.advice.recommend import recommend
    from advisor.cli import pages

    recommendation = recommend(
        options.data,
        backbone=options.backbone,
        backbones=[name.strip() for name in options.backbones.split(",") if name.strip()],
        device=options.device,
        images=options.images,
        codes=options.codes,
        seed=options.seed,
        skip_small_classes=options.skip_small_classes,
        budget=options.budget,
        progress=talk,
    )
    if options.pilot:
        from advisor.outcome.pilot import pilot

        recommendation = pilot(recommendation, device=options.device, progress=talk)
    _write_plan(recommendation, plan_file, talk)
    reports = _write_reports(recommendation, plan_file, options, talk)
    if options.json:
        print_json({**recommendation.to_dict(), "plan": str(plan_file), "reports": reports})
    else:
        pages.recommendation(page(), recommendation, str(plan_file), reports)
    return ExitCode.OK


def _require_usable(options: RecommendOptions, plan_file: Path) -> None:
    """Refuse what could not be written after minutes of work."""
    require_enough_images(options.images)
    if options.budget:
        parse_duration(options.budget)
    require_writable(plan_file, "the plan", "-o advisor.toml")
    if plan_file.suffix.lower() in {".html", ".md"}:
        raise UsageError(f"`{plan_file}` is where a report would go; the plan is TOML.", hint="-o advisor.toml")
    for file in _report_files(plan_file, options):
        if file is not None:
            require_writable(file, "the report", "-o advisor.toml")


def _report_files(plan_file: Path, options: RecommendOptions) -> tuple[Path | None, Path | None]:
    """The HTML and the Markdown file, each None where it is not wanted."""
    return (
        None if options.no_report else plan_file.with_suffix(".html"),
        plan_file.with_suffix(".md") if options.md else None,
    )


def _write_plan(recommendation: Recommendation, plan_file: Path, talk: Talk) -> None:
    """Write the plan with the reasons for it; one that was there and differs is kept under another name."""
    from advisor.data.cache import disk_errors, keep_other, write_whole
    from advisor.recipe import plan_to_toml

    comments = ["Written by `advisor recommend`. Read it, change it, commit it; `advisor tune` runs it.", "",
                *(f"- {reason}" for reason in recommendation.verdict.reasons)]  # fmt: skip
    with disk_errors(plan_file.parent):
        text = plan_to_toml(recommendation.plan, comments)
        if other := keep_other(plan_file, text):
            talk.say(f"{plan_file} held another plan, perhaps one that you have edited; it is kept as {other}")
        write_whole(plan_file, text)


def _write_reports(recommendation: Recommendation, plan_file: Path, options: RecommendOptions, talk: Talk) -> list[str]:
    """Write the report beside the plan; the files that were written."""
    html, markdown = _report_files(plan_file, options)
    written = [str(file) for file in (html, markdown) if file is not None]
    if not written:
        return []
    from advisor.report.recommendation import write_recommendation

    with talk.task("Writing the report", 1) as advance:
        write_recommendation(recommendation, plan=str(plan_file), html=html, markdown=markdown)
        advance(1)
    return written


COMMAND = CliCommand(
    "recommend",
    "measure a dataset, recommend how to train on it, and write the plan advisor.toml",
    RecommendOptions,
    run,
    add_options,
)
