"""`advisor heads`: list the classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.command import CliCommand, Options
from advisor.cli.listing import print_rows

if TYPE_CHECKING:
    from advisor.errors import ExitCode


def run(options: Options) -> ExitCode:
    """List the heads with the recipe keys of their parameters."""
    from advisor.plugins import load_catalog

    rows = [
        {
            "name": name,
            "summary": offer.item.summary,
            "parameters": [f"head.{name}.{param.name}" for param in offer.item.params],
            "from": offer.plugin.origin,
        }
        for name, offer in sorted(load_catalog().heads.items())
    ]
    return print_rows(rows, "heads", json=options.json)


COMMAND = CliCommand("heads", "list the classifiers that can be put on a network", Options, run)
