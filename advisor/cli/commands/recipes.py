"""`advisor recipes`: list the recipes, or the keys of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.command import CliCommand, Options
from advisor.cli.listing import print_rows

if TYPE_CHECKING:
    import argparse

    from advisor.errors import ExitCode
    from advisor.plugins import Catalog


class RecipesOptions(Options):
    """What `advisor recipes` is given."""

    keys: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """The option of `RecipesOptions`."""
    parser.add_argument("--keys", action="store_true", help="list every key that a recipe may set")


def run(options: RecipesOptions) -> ExitCode:
    """List the recipes, or the keys with their defaults."""
    from advisor.plugins import load_catalog

    catalog = load_catalog()
    if options.keys:
        return print_rows(_keys(catalog), "keys", json=options.json)
    return print_rows(_recipes(catalog), "recipes", json=options.json)


def _recipes(catalog: Catalog) -> list[dict[str, object]]:
    from advisor.recipe import load_recipe

    loaded = {name: load_recipe(name, catalog) for name in sorted(catalog.recipes)}
    return [
        {
            "name": name,
            "scenario": recipe.scenario,
            "summary": recipe.summary,
            "from": catalog.recipes[name].plugin.origin,
        }
        for name, recipe in loaded.items()
    ]


def _keys(catalog: Catalog) -> list[dict[str, object]]:
    """The keys of every recipe, and those of the installed heads."""
    from advisor.recipe import KEYS

    rows: list[dict[str, object]] = [
        {"key": path, "default": key.default, "help": key.help} for path, key in KEYS.items()
    ]
    rows += [
        {"key": f"head.{name}.{param.name}", "default": param.default, "help": param.help}
        for name, offer in sorted(catalog.heads.items())
        for param in offer.item.params
    ]
    return rows


COMMAND = CliCommand("recipes", "list the recipes", RecipesOptions, run, add_options)
