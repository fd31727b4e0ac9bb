"""`advisor tune`: search a plan's recipe and hand over the best model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.arguments import add_device, add_runs, require_at_least
from advisor.cli.command import CliCommand, Options
from advisor.cli.console import page, print_json
from advisor.cli.libraries import load_libraries
from advisor.cli.talk import Talk
from advisor.errors import AdvisorError, ExitCode
from advisor.units import parse_size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from advisor.records.trial import TrialRecord

_REPORT_SECONDS = 3.0  # of a run's budget: drawing charts wants libraries of its own


class TuneOptions(Options):
    """What `advisor tune` is given.

    Attributes:
        began: when the command began, on `time.monotonic`; the budget counts from there.
    """

    plan: str
    recipe: str
    resume: str
    trials: int | None
    budget: str
    prefer: str
    name: str
    runs: str
    workers: int
    storage: str
    memory: str
    cache_limit: str
    no_report: bool
    md: bool
    device: str
    began: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of `TuneOptions`."""
    parser.add_argument("plan", nargs="?", default="", help="the plan to run; default advisor.toml")
    parser.add_argument(
        "--recipe",
        default="",
        metavar="NAME",
        help="use another recipe for the plan's images and backbone (see `advisor recipes`)",
    )
    parser.add_argument("--resume", default="", metavar="RUN", help="continue this run with its own plan")
    parser.add_argument("--trials", type=int, metavar="N", help="run at most this many trials; default from the plan")
    parser.add_argument(
        "--budget",
        default="",
        metavar="TIME",
        help="time for the whole command, such as 90s, 10m or 1h30m; default from the plan",
    )
    parser.add_argument(
        "--prefer",
        default="",
        choices=("accurate", "fast", "small"),
        help="of models that cannot be told from the best, hand over the best, the fastest or the smallest; default "
        "from the plan. The same run can be asked again, and no trial is run twice",
    )
    parser.add_argument("--name", default="", help="the name of the run's folder; default the dataset's name")
    add_runs(parser)
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes that search together; default %(default)s"
    )
    parser.add_argument(
        "--storage", default="", metavar="URL", help="an Optuna storage; default a file in the run's folder"
    )
    parser.add_argument(
        "--memory",
        default="",
        metavar="SIZE",
        help="memory that the program may use, such as 4GB; default what it holds now plus half of what is free",
    )
    parser.add_argument(
        "--cache-limit", default="4GB", metavar="SIZE", help="disk space for cached activations; default %(default)s"
    )
    parser.add_argument("--no-report", action="store_true", help="write no HTML report into the run's folder")
    parser.add_argument("--md", action="store_true", help="write the report as Markdown, too")
    add_device(parser)


def run(options: TuneOptions) -> ExitCode:
    """Search, say how each trial went, and print the page of the result."""
    require_at_least("--trials", options.trials, 1, 20)
    require_at_least("--workers", options.workers, 1, 2)
    memory = parse_size(options.memory) if options.memory else None
    cache_limit = parse_size(options.cache_limit)
    talk = Talk(quiet=options.quiet)
    load_libraries(talk)
    from advisor.cli import pages
    from advisor.outcome.plans import chosen_plan
    from advisor.outcome.run import Machine, tune

    plan, name, runs = chosen_plan(
        options.plan, resume=options.resume, recipe=options.recipe, name=options.name, runs=options.runs
    )
    wants_report = options.md or not options.no_report
    result = tune(
        plan,
        name=name,
        runs=runs,
        trials=options.trials,
        budget=options.budget,
        prefer=options.prefer,
        machine=Machine(options.device, options.workers, memory, cache_limit, options.storage),
        progress=talk,
        on_trial=_teller(talk),
        began=options.began,
        reserve=_REPORT_SECONDS if wants_report else 0.0,
    )
    reports = _write_reports(result.folder, options, talk) if wants_report else []
    if options.json:
        print_json({**result.to_dict(), "reports": reports})
    else:
        pages.result(page(), result, reports)
    if result.ended == "interrupted":
        return ExitCode.INTERRUPTED
    return ExitCode.COULD_NOT if result.all_failed else ExitCode.OK


def _teller(talk: Talk) -> Callable[[TrialRecord], None]:
    """What prints a line for each trial, and keeps the best one beside the progress."""
    from advisor.cli import pages

    best = [-1.0]

    def on_trial(trial: TrialRecord) -> None:
        before = best[0]
        talk.say(pages.trial_line(trial, best))
        if best[0] > before:
            talk.note = f"best {best[0]:.3f} ({pages.trial_name(trial)})"

    return on_trial


def _write_reports(folder: Path, options: TuneOptions, talk: Talk) -> list[str]:
    """Write the run's report into its folder; the files that were written. What was handed over stands without it."""
    from advisor.report.run import write_run_report

    html = None if options.no_report else folder / "report.html"
    markdown = folder / "report.md" if options.md else None
    try:
        with talk.task("Writing the report", 1) as advance:
            write_run_report(folder, html=html, markdown=markdown)
            advance(1)
    except AdvisorError as error:
        talk.say(f"The report could not be written: {error}")
        return []
    return [str(file) for file in (html, markdown) if file is not None]


COMMAND = CliCommand(
    "tune",
    "search a plan's recipe and save the best model; run it again to continue",
    TuneOptions,
    run,
    add_options,
    trains=True,
)
