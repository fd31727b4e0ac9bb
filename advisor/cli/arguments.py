"""Arguments that several commands share, and checks that refuse a bad one before minutes of work."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from advisor.cli.command import Options
from advisor.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_LEAST_IMAGES = 16  # fewer measure nothing


class DataOptions(Options):
    """Which images are measured, and how."""

    data: str
    backbone: str
    seed: int
    skip_small_classes: bool
    device: str
    images: int


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command."""
    parser.add_argument("--json", action="store_true", help="print one JSON document to stdout")
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress and no messages")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the traceback of an error")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Those of `DataOptions`."""
    parser.add_argument(
        "data",
        help="a folder with one subfolder per class, also within train/, val/ and test/; a table such as photos.csv; "
        "or another location such as digits: (see `advisor datasets`). Where a folder or table can be read in two "
        "ways, nothing is read, and the message says what to add, such as './data?layout=classes' or "
        "'photos.csv?label=kind'",
    )
    parser.add_argument(
        "--backbone",
        default="lite0",
        metavar="NAME",
        help="the pretrained network (see `advisor backbones`); default %(default)s",
    )
    add_seed(parser, "seed of splits and samples; default %(default)s")
    parser.add_argument("--skip-small-classes", action="store_true", help="leave out classes too small to split")
    add_device(parser)
    parser.add_argument(
        "--images",
        type=int,
        default=2000,
        metavar="N",
        help="pass at most this many images through the network; default %(default)s",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`."""
    parser.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto, cpu, cuda, or one of several GPUs such as cuda:1; default %(default)s",
    )


def add_seed(parser: argparse.ArgumentParser, text: str) -> None:
    """`--seed`, with its help."""
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help=text)


def add_runs(parser: argparse.ArgumentParser) -> None:
    """`--runs`."""
    parser.add_argument(
        "--runs", default="runs", metavar="FOLDER", help="the folder that holds all runs; default %(default)s"
    )


def seed(text: str) -> int:
    """A seed that every library takes."""
    from advisor.recipe.schema import MAX_SEED

    try:
        value = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number") from error
    if not 0 <= value <= MAX_SEED:
        raise argparse.ArgumentTypeError(f"{value} is not in 0 to {MAX_SEED}")
    return value


def require_at_least(option: str, value: int | None, least: int, example: int) -> None:
    """Refuse a number that is too small; `example` is one that is not."""
    if value is not None and value < least:
        raise UsageError(f"{option} must be at least {least}.", hint=f"{option} {example}")


def require_enough_images(images: int) -> None:
    """Refuse a sample that is too small to measure anything."""
    if images < _LEAST_IMAGES:
        raise UsageError(f"--images must be at least {_LEAST_IMAGES}; fewer measure nothing.", hint="--images 2000")


def require_writable(path: Path, what: str, example: str) -> None:
    """Find out before the work, not after it, that a file cannot be written.

    Args:
        path: of the file.
        what: it holds, such as `the plan`.
        example: an option that would do, such as `-o advisor.toml`.
    """
    if path.is_dir():
        raise UsageError(f"`{path}` is a folder; {what} is a file.", hint=example.replace(" ", f" {path}/"))
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"There is no folder `{folder}` to write {what} to.", hint=f"mkdir -p {folder}")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UsageError(f"`{path}` may not be written.", hint=example.replace(" ", " /a/folder/of/yours/"))
