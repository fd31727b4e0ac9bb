"""`advisor backbones`: list the pretrained networks."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from advisor.cli.command import CliCommand, Options
from advisor.cli.listing import print_rows
from advisor.errors import BackboneError, ExitCode, closest

if TYPE_CHECKING:
    import argparse


class BackbonesOptions(Options):
    """What `advisor backbones` is given."""

    pattern: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """The argument of `BackbonesOptions`."""
    parser.add_argument("pattern", nargs="?", default="", help="a shell pattern for names, such as 'timm/resnet*'")


def run(options: BackbonesOptions) -> ExitCode:
    """List the networks by name; those of a family, such as timm's, only where the pattern asks for them."""
    from advisor.plugins import load_catalog
    from advisor.types import BackboneFamily

    catalog = load_catalog()
    rows: list[dict[str, object]] = []
    known = list(catalog.backbones)
    for name, offer in sorted(catalog.backbones.items()):
        item, origin = offer.item, offer.plugin.origin
        if isinstance(item, BackboneFamily):
            # Asking a family for its names may import a whole library.
            if not options.pattern:
                rows.append(_row(f"{name}<name>", summary=item.summary, origin=origin))
            elif options.pattern.startswith((name, "*")):
                names = item.names()
                known += names
                rows += [_row(full, weights="hub", origin=origin) for full in names if _matches(full, options.pattern)]
        elif _matches(name, options.pattern or "*"):
            weights = f"{item.weights.trained_on}, {item.weights.licence}"
            rows.append(_row(name, size=item.input.size, weights=weights, summary=item.summary, origin=origin))
    if not rows:
        raise BackboneError(
            f"No backbone is named like `{options.pattern}`.",
            ways=["patterns match whole names: timm/*resnet*"],
            hint=closest(options.pattern, known) or "advisor backbones 'timm/*resnet18*'",
        )
    return print_rows(rows, "backbones", json=options.json)


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatch(name, pattern)


def _row(name: str, *, size: int | str = "", weights: str = "", summary: str = "", origin: str) -> dict[str, object]:
    return {"name": name, "input": size, "weights": weights, "summary": summary, "from": origin}


COMMAND = CliCommand("backbones", "list the pretrained networks", BackbonesOptions, run, add_options)
