"""`advisor reference`: measure what a plugin's backbone must ship so that distances to it have a scale."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from advisor.cli.arguments import add_device, add_seed, require_writable
from advisor.cli.command import CliCommand, Options
from advisor.cli.console import page, print_json
from advisor.cli.libraries import load_libraries
from advisor.cli.talk import Talk
from advisor.errors import ExitCode

if TYPE_CHECKING:
    import argparse


class ReferenceOptions(Options):
    """What `advisor reference` is given."""

    backbone: str
    data: str
    statistics: str | None
    seed: int
    device: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of `ReferenceOptions`."""
    parser.add_argument("backbone", help="the pretrained network (see `advisor backbones`)")
    parser.add_argument("data", help="images like those it was trained on, one folder per class, such as imagenet/val")
    parser.add_argument(
        "--statistics",
        metavar="FILE",
        help="for a network without BatchNorm: write its stage statistics here, for the plugin to ship",
    )
    add_seed(parser, "seed of the sample; default %(default)s")
    add_device(parser)


def run(options: ReferenceOptions) -> ExitCode:
    """Measure the constants, and print them as the Python that a plugin holds."""
    talk = Talk(quiet=options.quiet)
    load_libraries(talk)
    file = Path(options.statistics) if options.statistics else None
    if file is not None:
        require_writable(file, "a file of statistics", "--statistics stages.npz")
    from advisor.advice.reference import measure_reference
    from advisor.data.cache import disk_errors, write_whole

    reference = measure_reference(
        options.backbone, options.data, device=options.device, seed=options.seed, progress=talk
    )
    if file is not None and reference.statistics is not None:
        with disk_errors(file.parent):
            write_whole(file, reference.statistics)
        talk.say(f"stage statistics: {file}; offer them with Backbone(statistics=...)")
    elif file is not None:
        talk.say(f"{options.backbone} has BatchNorm, which remembers its source data: no statistics are needed")
    elif reference.statistics is not None:
        talk.say(f"{options.backbone} has no BatchNorm; write its stage statistics too: --statistics FILE")
    if options.json:
        print_json(reference.to_dict())
    else:
        page().print(reference.to_python())
    return ExitCode.OK


COMMAND = CliCommand(
    "reference",
    "for plugin authors: measure a backbone's distance constants on ImageNet",
    ReferenceOptions,
    run,
    add_options,
)
