"""`advisor plugins new`: write a plugin's package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from advisor.cli.command import CliCommand, Options
from advisor.cli.console import print_json
from advisor.errors import ExitCode
from advisor.packaging.new import KINDS, new_plugin

if TYPE_CHECKING:
    import argparse


class NewOptions(Options):
    """What `advisor plugins new` is given."""

    name: str
    kind: str
    licence: str
    into: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of `NewOptions`."""
    parser.add_argument("name", help="name of the plugin and of what it offers: lower-case letters, digits, hyphens")
    parser.add_argument("--kind", choices=KINDS, default="backbone", help="what it offers; default %(default)s")
    parser.add_argument(
        "--licence", default="MIT", metavar="SPDX", help="licence of its code, such as Apache-2.0; default %(default)s"
    )
    parser.add_argument(
        "--into", default=".", metavar="FOLDER", help="make the package's folder in this one; default the current one"
    )


def run(options: NewOptions) -> ExitCode:
    """Write the package, and say how to install and check it."""
    folder = new_plugin(options.name, Path(options.into), kind=options.kind, licence=options.licence)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    name = folder.name.removeprefix("advisor-")
    if options.json:
        print_json({"name": name, "folder": str(folder), "files": files})
        return ExitCode.OK
    print(f"{folder}/ is a complete plugin:\n")
    print("\n".join(f"  {file}" for file in files))
    print(
        f"\nInstall it and check it:\n\n  pip install -e {folder}\n  advisor plugins check {name}\n"
        f"\nIts README.md says what to fill in."
    )
    return ExitCode.OK


COMMAND = CliCommand("new", "write a complete plugin package that passes its own tests", NewOptions, run, add_options)
