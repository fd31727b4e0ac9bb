"""`advisor datasets`: list the dataset formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.command import CliCommand, Options
from advisor.cli.listing import print_rows

if TYPE_CHECKING:
    from advisor.errors import ExitCode


def run(options: Options) -> ExitCode:
    """List the formats, each with an example of a location."""
    from advisor.plugins import load_catalog

    rows = [
        {"name": name, "example": offer.item.example, "summary": offer.item.summary, "from": offer.plugin.origin}
        for name, offer in sorted(load_catalog().datasets.items())
    ]
    return print_rows(rows, "datasets", json=options.json)


COMMAND = CliCommand("datasets", "list the dataset formats", Options, run)
