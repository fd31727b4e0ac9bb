"""`advisor profile`: check a dataset before anything is trained on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.arguments import DataOptions, add_data_options, require_enough_images
from advisor.cli.command import CliCommand
from advisor.cli.console import page, print_json
from advisor.cli.libraries import load_libraries
from advisor.cli.talk import Talk
from advisor.errors import ExitCode

if TYPE_CHECKING:
    import argparse


class ProfileOptions(DataOptions):
    """What `advisor profile` is given."""

    without_network: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of `ProfileOptions`."""
    add_data_options(parser)
    parser.add_argument(
        "--without-network",
        action="store_true",
        help="do not check the labels, which needs a network; takes only seconds",
    )


def run(options: ProfileOptions) -> ExitCode:
    """Read the images, look at the labels with a network, and print what is doubtful."""
    require_enough_images(options.images)
    talk = Talk(quiet=options.quiet)
    if not options.without_network:
        load_libraries(talk)
    from advisor.cli import pages
    from advisor.data.prepare import prepare
    from advisor.plugins import load_catalog

    catalog = load_catalog()
    backbone = catalog.backbone(options.backbone)
    prepared = prepare(
        options.data,
        backbone.input,
        catalog=catalog,
        seed=options.seed,
        skip_small_classes=options.skip_small_classes,
        progress=talk,
    )
    inspection = None
    if not options.without_network:
        from advisor.advice.inspection import inspect
        from advisor.network.opening import open_network
        from advisor.network.transfer import pick_device

        network = open_network(backbone, pick_device(options.device))
        inspection = inspect(
            prepared, backbone, network, catalog=catalog, images=options.images, seed=options.seed, progress=talk
        )
    if options.json:
        print_json({**prepared.profile.to_dict(), **(inspection.to_dict() if inspection else {})})
    else:
        pages.profile(page(), prepared.profile, inspection)
    return ExitCode.OK


COMMAND = CliCommand(
    "profile",
    "check a dataset: copies, leaks, doubtful labels, files that give their class away",
    ProfileOptions,
    run,
    add_options,
)
