"""The `advisor` command: parse, call one function, print. Heavy imports happen inside the commands."""

from __future__ import annotations

import argparse
import io
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from advisor.cli.completion import SHELLS
from advisor.cli.parsing import Parser
from advisor.data.cache import KINDS
from advisor.errors import AdvisorError, ExitCode
from advisor.network.stages import CODES
from advisor.outcome.writing import TEXTS
from advisor.packaging.new import KINDS as KINDS_OF_PLUGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

DESCRIPTION = """\
Tells you how to transfer a pretrained network to your images, says why, and does it.

  advisor recommend ./data                       measure, decide, write advisor.toml
  advisor tune                                   search the plan, hand over the best model
  advisor predict runs/<name>/best photo.jpg     use it
"""
EPILOG = """\
Plugins may bring further commands; `advisor plugins` lists them.
Exit codes: 0 done, 1 could not, 2 wrong usage, 130 interrupted (finished work is kept)."""

_UNITS = {"m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}  # seconds


def build_parser() -> argparse.ArgumentParser:  # noqa: PLR0915 - a list of options
    """The whole command line."""
    common: argparse.ArgumentParser = Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="one JSON document on stdout")
    common.add_argument("-q", "--quiet", action="store_true", help="no progress and no talk")
    common.add_argument("-v", "--verbose", action="store_true", help="tracebacks for errors")
    parser: argparse.ArgumentParser = Parser(
        prog="advisor",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, summary: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=summary, description=summary, parents=[common])

    def add_data_options(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("data", help="folder with one subfolder per class, or a location such as digits:")
        sub.add_argument("--backbone", default="lite0", metavar="NAME", help="see `advisor backbones`; default lite0")
        sub.add_argument("--seed", type=_seed, default=0, metavar="N", help="of splits and samples; default 0")
        sub.add_argument("--skip-small-classes", action="store_true", help="leave out classes too small to split")

    def add_images(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--images", type=int, default=2000, metavar="N",
                         help="pass at most this many through the network; default 2000")  # fmt: skip

    sub = command("recommend", "measure a dataset, recommend a scenario with reasons, and write advisor.toml")
    add_data_options(sub)
    _add_device(sub)
    add_images(sub)
    sub.add_argument(
        "--codes",
        choices=CODES,
        default=CODES[0],
        help="how the head reads a stage: the mean of each channel (default), of its positive part, or mean and spread",
    )
    sub.add_argument("--backbones", default="", metavar="A,B,…", help="probe several and take the best of them")
    sub.add_argument("--pilot", action="store_true", help="fine-tune for minutes and let that decide, not a prior")
    sub.add_argument(
        "-o", "--output", default="advisor.toml", metavar="FILE", help="plan to write; default advisor.toml"
    )
    sub.add_argument("--no-report", action="store_true", help="leave out the page that is written beside the plan")
    sub.add_argument("--md", action="store_true", help="write the page as Markdown, too")

    sub = command("tune", "search a plan's recipe and hand over the best model; run it again to go on")
    sub.add_argument("plan", nargs="?", default="", help="default advisor.toml")
    sub.add_argument("--recipe", default="", metavar="NAME",
                     help="another recipe for the plan's images and backbone; see `advisor recipes`")  # fmt: skip
    sub.add_argument("--resume", default="", metavar="RUN", help="go on with a run and its own plan")
    sub.add_argument("--trials", type=int, metavar="N", help="at most this many; default from the plan")
    sub.add_argument("--budget", default="", metavar="TIME", help="for the whole call, such as 90s, 10m, 1h30m")
    sub.add_argument("--name", default="", help="of the run's folder; default the dataset's name")
    sub.add_argument("--runs", default="runs", metavar="FOLDER", help="where run folders are; default runs")
    sub.add_argument("--workers", type=int, default=1, metavar="N", help="processes that search together; default 1")
    sub.add_argument(
        "--storage", default="", metavar="URL", help="an Optuna storage; default a file in the run's folder"
    )
    sub.add_argument(
        "--memory",
        default="",
        metavar="SIZE",
        help="the program's memory at most, such as 4GB; default what it holds and half of what is free",
    )
    sub.add_argument("--cache-limit", default="4GB", metavar="SIZE", help="disk for kept activations; default 4GB")
    sub.add_argument(
        "--no-report", action="store_true", help="leave out the page that is written into the run's folder"
    )
    sub.add_argument("--md", action="store_true", help="write the page as Markdown, too")
    _add_device(sub)

    sub = command("report", "write a run's report again, from its folder alone")
    sub.add_argument("run", help="a run's folder, or its name")
    sub.add_argument("--runs", default="runs", metavar="FOLDER", help="where run folders are; default runs")
    sub.add_argument("-o", "--output", default="", metavar="FILE", help="page to write; default report.html in the run")
    sub.add_argument("--md", action="store_true", help="write the page as Markdown beside it, too")

    sub = command("explain", "say why a run's winner won: change one value at a time, and compare with random weights")
    sub.add_argument("run", help="a run's folder, such as runs/data")
    sub.add_argument("--budget", default="10m", metavar="TIME", help="for the trainings; default 10m")
    sub.add_argument("--storage", default="", metavar="URL", help="where the run's study is, if not in its folder")
    _add_device(sub)

    sub = command("predict", "predict images with a tuned model")
    sub.add_argument("model", help="the `best` folder of a run")
    sub.add_argument("inputs", nargs="+", metavar="image", help="image files, folders, patterns, tables, locations "
                     "such as digits:, or - for paths on stdin")  # fmt: skip
    sub.add_argument("--top", type=int, default=3, metavar="K", help="classes to show for each image; default 3")
    sub.add_argument("--least", type=float, default=0.0, metavar="P",
                     help="give no label that is less probable than this; default 0")  # fmt: skip
    sub.add_argument("-o", "--output", default="", metavar="FILE", help="write a .csv, .tsv, .jsonl or .parquet")
    sub.add_argument("--format", choices=TEXTS, help="write lines of this kind to stdout")
    sub.add_argument("--limit", type=int, metavar="N", help="at most this many images")
    _add_device(sub)

    sub = command("profile", "check a dataset: copies, leaks, doubtful labels, tell-tale files")
    add_data_options(sub)
    _add_device(sub)
    add_images(sub)
    sub.add_argument("--without-network", action="store_true", help="only seconds, but labels go unchecked")

    sub = command("reference", "for plugin authors: measure a backbone's distance constants on ImageNet")
    sub.add_argument("backbone", help="see `advisor backbones`")
    sub.add_argument("data", help="images like those it was trained on, one folder per class: imagenet/val")
    sub.add_argument(
        "--statistics",
        metavar="FILE",
        help="of a network without BatchNorm: where its stage statistics go, for the plugin to ship",
    )
    sub.add_argument("--seed", type=_seed, default=0, metavar="N", help="of the sample; default 0")
    _add_device(sub)

    _add_export(command("export", "write a tuned model as ONNX, a plugin package, a folder, or a program"))
    sub = command("eject", "write a run's winner as one plain PyTorch script")
    sub.add_argument("run", help="a run's folder, such as runs/data")
    sub.add_argument("-o", "--output", default="train.py", metavar="FILE", help="script to write; default train.py")
    _add_device(sub)
    sub = command("cache", "show what is kept between runs, or clear it; all of it can be made again")
    sub.add_argument(
        "--clear",
        nargs="?",
        const="all",
        choices=("all", *KINDS),
        metavar="KIND",
        help=f"remove it: {', '.join(KINDS)}, or all (default)",
    )
    sub.add_argument(
        "--older-than", type=_age, metavar="AGE", help="only what was last used longer ago, such as 12h, 30d or 8w"
    )

    _add_plugins(command("plugins", "list the installed plugins, begin a new one, or check one"), common)
    sub = command("backbones", "list the pretrained networks")
    sub.add_argument("pattern", nargs="?", default="", help="shell pattern over all names, such as 'timm/resnet*'")
    command("heads", "list the classifiers")
    command("datasets", "list the dataset formats")
    sub = command("recipes", "list the recipes")
    sub.add_argument("--keys", action="store_true", help="list every key a recipe may hold")
    command("doctor", "check the installation, and say what to do where something is wrong")
    sub = command("completion", "print what makes a shell complete commands, options, files and names")
    sub.add_argument("shell", choices=SHELLS, help="the shell that it is for")
    parser.set_defaults(known=tuple(commands.choices))
    return parser


def _add_export(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("best", metavar="run", help="a run's folder, or the best folder in it")
    form = sub.add_mutually_exclusive_group(required=True)
    form.add_argument("--as", dest="form", choices=("plugin",), help="a package that offers it as a backbone")
    form.add_argument(
        "--to",
        dest="form",
        choices=("onnx", "timm-folder", "hub-folder", "program"),
        help="ONNX with the preprocessing inside, a folder that timm alone loads or one with a model card, or a "
        "torch.export program",
    )
    sub.add_argument("--name", default="", metavar="NAME", help="of the plugin, or of the folder or file to write")
    sub.add_argument("--licence", default="", metavar="SPDX",
                     help="of the package's code, or of the card; default MIT, and that of the weights")  # fmt: skip
    sub.add_argument("--into", default=".", metavar="FOLDER", help="where it is written; default here")
    sub.add_argument("--images", type=int, default=64, metavar="N",
                     help="of the run's images on which it is compared with the model; default 64")  # fmt: skip


def _add_plugins(sub: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    actions = sub.add_subparsers(dest="action", metavar="ACTION", help="new or check; none lists them")

    def action(name: str, summary: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=summary, description=summary, parents=[common])

    new = action("new", "write a complete plugin package that passes its own tests")
    new.add_argument("name", help="of the plugin and of what it offers: lower-case letters, digits and hyphens")
    new.add_argument("--kind", choices=KINDS_OF_PLUGIN, default="backbone", help="what it offers; default backbone")
    new.add_argument("--licence", default="MIT", metavar="SPDX", help="of its code, such as Apache-2.0; default MIT")
    new.add_argument("--into", default=".", metavar="FOLDER", help="where the package's folder is made; default here")
    check = action("check", "run the conformance checks on a plugin and say in words what fails")
    check.add_argument("target", nargs="?", default="", help="an installed plugin's name, or the folder of a source; "
                       "default every installed one that is not the core's")  # fmt: skip
    check.add_argument("--location", default="", metavar="PLACE", help="images for its dataset formats")


def main(argv: Sequence[str] | None = None) -> int:  # noqa: C901, PLR0911 - one way out per kind of ending
    """Run the command line.

    Args:
        argv: arguments; those of the process by default.

    Returns:
        An `ExitCode`.
    """
    verbose = "-v" in (sys.argv[1:] if argv is None else argv) or "--verbose" in (
        sys.argv[1:] if argv is None else argv
    )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know fewer letters than a file name
    began = time.monotonic()
    try:
        parser = build_parser()
        words = list(sys.argv[1:] if argv is None else argv)
        if words and not words[0].startswith("-") and words[0] not in parser.get_default("known"):
            from advisor.plugins import load_catalog

            return int(load_catalog().command(words[0], beside=parser.get_default("known")).run(words[1:]))
        args = parser.parse_args(words)
        args.began = began  # loading torch is a part of what a person waits for
        if args.version:
            from advisor.version import __version__

            print(f"transfer-advisor {__version__}")
            return ExitCode.OK
        if args.command is None:
            build_parser().print_help()
            return ExitCode.USAGE
        from advisor.cli import commands
        from advisor.cli.console import only_documents

        _quiet_libraries()
        with only_documents() if args.json else nullcontext():
            return int(getattr(commands, args.command)(args))
    except AdvisorError as error:
        if verbose:
            import traceback

            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has closed it; say nothing, as other tools do.
        sys.stderr.close()
        return ExitCode.COULD_NOT
    except Exception as error:
        if verbose:
            raise
        print(f"error: advisor failed in a way it should not: {type(error).__name__}: {error}", file=sys.stderr)
        print("hint: run the same command with -v for the whole story, and please report it", file=sys.stderr)
        return ExitCode.COULD_NOT


def _seed(text: str) -> int:
    """A seed that every library takes."""
    from advisor.recipe.schema import MAX_SEED

    try:
        value = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number") from error
    if not 0 <= value <= MAX_SEED:
        raise argparse.ArgumentTypeError(f"{value} is not in 0 to {MAX_SEED}")
    return value


def _age(text: str) -> float:
    """An age in seconds."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdigit():
        raise argparse.ArgumentTypeError(f"`{text}` is not an age; write 12h, 30d or 8w")
    return int(number) * float(_UNITS[unit])


def _add_device(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu or cuda; default auto")


def _quiet_libraries() -> None:
    """Warnings that a person at the command line can do nothing about."""
    import warnings

    warnings.filterwarnings("ignore", message="Image size .* exceeds limit", category=Warning)
    warnings.filterwarnings("ignore", module=r"(PIL|timm|torch|sklearn|optuna)\b.*")


if __name__ == "__main__":
    sys.exit(main())
