"""`advisor export`: write a tuned model in another form."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from advisor.cli.command import CliCommand, Options
from advisor.cli.console import print_json
from advisor.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse

    from advisor.outcome.export import Exported


class ExportOptions(Options):
    """What `advisor export` is given.

    Attributes:
        form: what `--as` or `--to` asks for.
    """

    run: str
    form: str
    name: str
    licence: str
    into: str
    images: int


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of `ExportOptions`."""
    parser.add_argument("run", help="a run's folder or name, or the `best` folder of a run")
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--as", dest="form", choices=("plugin",), help="a package that offers it as a backbone")
    form.add_argument(
        "--to",
        dest="form",
        choices=("onnx", "timm-folder", "hub-folder", "program"),
        help="an ONNX file with the preprocessing inside, a folder that timm alone loads, one with a model card for "
        "the hub, or a torch.export program",
    )
    parser.add_argument(
        "--name", default="", metavar="NAME", help="the name of the plugin, or of the folder or file to write"
    )
    parser.add_argument(
        "--licence",
        default="",
        metavar="SPDX",
        help="licence of the package's code (default MIT), or in the card (default that of the weights)",
    )
    parser.add_argument("--into", default=".", metavar="FOLDER", help="the folder to write to; default the current one")
    parser.add_argument(
        "--images",
        type=int,
        default=64,
        metavar="N",
        help="compare it with the model on this many of the run's images; default %(default)s",
    )


def run(options: ExportOptions) -> ExitCode:
    """Write it, and say how well it agrees with the model and what to do next."""
    if not options.name:
        raise UsageError("The export needs a name.", hint=f"advisor export {options.run} --as plugin --name my-birds")
    if options.images < 1:
        raise UsageError(f"--images {options.images} leaves nothing to compare on.", hint="--images 64")
    exported = _export(options)
    if options.json:
        print_json({"written": str(exported.path), "form": options.form, "agreement": exported.agreement.to_dict()})
    else:
        print(f"Written to {exported.path}.\n{exported.agreement}\nNext:\n  {_next_step(options.form, exported.path)}")
    return ExitCode.OK


def _export(options: ExportOptions) -> Exported:
    from advisor.outcome import export

    into, images = Path(options.into), options.images
    if options.form == "plugin":
        return export.export_plugin(
            options.run, into, name=options.name, licence=options.licence or "MIT", images=images
        )
    if options.form == "hub-folder":
        return export.export_hub_folder(options.run, into / options.name, licence=options.licence, images=images)
    if options.form == "timm-folder":
        return export.export_timm_folder(options.run, into / options.name, images=images)
    if options.form == "onnx":
        return export.export_onnx(options.run, _with_ending(into / options.name, ".onnx"), images=images)
    return export.export_program(options.run, _with_ending(into / options.name, ".pt2"), images=images)


def _with_ending(path: Path, suffix: str) -> Path:
    return path if path.name.endswith(suffix) else path.with_name(path.name + suffix)


def _next_step(form: str, written: Path) -> str:
    """The line that uses what was written."""
    path = quote(str(written))
    here = path if "/" in path else f"./{path}"  # pip takes a bare name for one of the index
    return {
        "plugin": f"pip install {here}\n  advisor recommend ./other-data --backbone "
        f"{written.name.removeprefix('advisor-')}",
        "hub-folder": f"hf upload {quote(f'OWNER/{written.name}')} {path}",
        "timm-folder": f"timm.create_model({f'local-dir:{written}'!r}, pretrained=True)",
        "onnx": f"onnxruntime.InferenceSession({str(written)!r}).run(None, {{'images': uint8_images}})",
        "program": f"torch.export.load({str(written)!r}).module()(images)",
    }[form]


COMMAND = CliCommand(
    "export",
    "write a tuned model as ONNX, a plugin package, a folder, or a torch.export program",
    ExportOptions,
    run,
    add_options,
)
