"""`advisor predict`: predict images with a tuned model."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.cli.arguments import add_device, require_at_least, require_writable
from advisor.cli.command import CliCommand, Options
from advisor.cli.console import page, print_json
from advisor.cli.libraries import load_libraries
from advisor.cli.talk import Talk
from advisor.errors import ExitCode, UsageError
from advisor.outcome.writing import TEXTS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from advisor.outcome.predict import Predicted, PredictionRow


class PredictOptions(Options):
    """What `advisor predict` is given."""

    model: str
    inputs: list[str]
    top: int
    least: float
    output: str
    format: str | None
    limit: int | None
    device: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of `PredictOptions`."""
    parser.add_argument("model", help="a run's folder or name, or the `best` folder of a run")
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="image",
        help="image files; folders, searched at every depth; patterns such as '*.jpg'; tables such as photos.csv, of "
        "which only the paths are looked at, one prediction for each row; locations such as digits:; or - to read "
        "paths from stdin. A file that cannot be read has a row that says why",
    )
    parser.add_argument(
        "--top", type=int, default=3, metavar="K", help="show this many classes for each image; default %(default)s"
    )
    parser.add_argument(
        "--least", type=float, default=0.0, metavar="P", help="give no label that is less probable than this; default 0"
    )
    parser.add_argument(
        "-o",
        "--output",
        default="",
        metavar="FILE",
        help="write the predictions to a .csv, .tsv, .jsonl or .parquet file",
    )
    parser.add_argument("--format", choices=TEXTS, help="print the predictions to stdout in this format")
    parser.add_argument("--limit", type=int, metavar="N", help="predict at most this many images")
    add_device(parser)


def run(options: PredictOptions) -> ExitCode:
    """Predict, and write or print what comes out as it comes."""
    _require_sensible(options)
    talk = Talk(quiet=options.quiet)
    load_libraries(talk)
    from advisor.cli import pages
    from advisor.data.cache import disk_errors
    from advisor.outcome.bundle import load
    from advisor.outcome.predict import predict_each
    from advisor.outcome.writing import format_of, text_writer, writing
    from advisor.plugins import load_catalog

    output = Path(options.output) if options.output else None
    if output is not None:
        require_writable(output, "the predictions", "-o predictions.csv")
        format_of(output)
    catalog = load_catalog()
    model = load(options.model, device=options.device, catalog=catalog)
    predictions = predict_each(
        model, _paths(options.inputs), limit=options.limit, least=options.least, catalog=catalog, progress=talk
    )
    rows: list[PredictionRow] = []
    count = unreadable = 0
    with disk_errors(output or Path("the output")), ExitStack() as stack:
        write: Callable[[Predicted], object] = lambda one: rows.append(one.to_dict(model.classes, options.top))  # noqa: E731
        if output is not None:
            write = stack.enter_context(writing(output, model.classes, options.top))
        elif options.format:
            write = text_writer(sys.stdout, options.format, model.classes, options.top)
        for prediction in predictions:
            count += 1
            unreadable += bool(prediction.error)
            write(prediction)
        sys.stdout.flush()
    if options.json:
        print_json({"written": str(output), "images": count, "unreadable": unreadable} if output else rows)
    elif output is not None:
        print(f"Written to {output}: {count} {'image' if count == 1 else 'images'}.")
    else:
        pages.predictions(page(), rows)
    if unreadable:
        talk.say(f"{unreadable} of {count} files could not be read.")
    return ExitCode.COULD_NOT if unreadable == count else ExitCode.OK


def _require_sensible(options: PredictOptions) -> None:
    """Refuse numbers that mean nothing, and two ways out at once."""
    require_at_least("--top", options.top, 1, 3)
    require_at_least("--limit", options.limit, 1, 3)
    if not 0 <= options.least <= 1:
        raise UsageError("--least is a probability, from 0 to 1.", hint="--least 0.6")
    if options.format and (options.json or options.output):
        raise UsageError(
            "--format prints to stdout, and so does --json; --output writes to a file instead. Use one of the three.",
            hint="--format jsonl, or -o predictions.jsonl",
        )


def _paths(inputs: Sequence[str]) -> list[str]:
    """The inputs, with those that stdin names in the place of `-`: one a line, or ended by zero bytes."""
    paths = []
    for name in inputs:
        if name == "-":
            text = sys.stdin.read()
            lines = text.split("\0") if "\0" in text else [line.removesuffix("\r") for line in text.split("\n")]
            paths += [path for path in lines if path]
        else:
            paths.append(name)
    if not paths:
        raise UsageError(
            "There is nothing to predict: stdin named no images.",
            hint="find . -name '*.jpg' | advisor predict runs/x/best -",
        )
    return paths


COMMAND = CliCommand("predict", "predict images with a tuned model", PredictOptions, run, add_options)
