"""What a recipe has to be."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.testing.checking import ask

if TYPE_CHECKING:
    from advisor.plugins import Catalog
    from advisor.types import RecipeFile


@dataclass(frozen=True)
class Cookbook:
    """A recipe's file, and the catalog that its names are looked up in."""

    file: RecipeFile
    catalog: Catalog


def is_valid_and_named_alike(book: Cookbook) -> None:
    """It validates, every name in it is installed, and its name is the one that it is offered under."""
    from advisor.recipe import parse_recipe

    recipe = parse_recipe(book.file.read(), book.file.name, book.catalog)
    ask(recipe.name == book.file.name, f"inside it is called `{recipe.name}`")
    ask(recipe.summary, "it has no summary")


def survives_writing(book: Cookbook) -> None:
    """Written and read again it is the same recipe."""
    from advisor.recipe import Plan, parse_plan, parse_recipe, plan_to_toml

    recipe = parse_recipe(book.file.read(), book.file.name, book.catalog)
    plan = Plan(recipe, "./data", "lite0")
    ask(parse_plan(plan_to_toml(plan), book.file.name, book.catalog) == plan, "read again it differs")


def runs_one_trial(book: Cookbook) -> None:
    """One trial of it on a few small images with a very small network finishes."""
    from advisor.outcome.run import Machine, tune
    from advisor.recipe import Plan, parse_recipe
    from advisor.testing.samples import own_cache, tiny_images, tiny_network

    recipe = parse_recipe(book.file.read(), book.file.name, book.catalog)
    once = recipe.with_values(
        {"train.epochs": 1, "train.batch_size": 8, "search.folds": 1, "search.seeds": 1, "search.budget": "10m"}
    )
    with tempfile.TemporaryDirectory() as folder, own_cache(Path(folder)):
        images = tiny_images(Path(folder) / "images")
        network = tiny_network(Path(folder) / "network", attention=recipe.get("train.parts") == "lora")
        result = tune(
            Plan(once, str(images), network), runs=Path(folder) / "runs", trials=1, machine=Machine("cpu"),
            catalog=book.catalog,
        )  # fmt: skip
        failed = result.trials[result.trials["state"] == "FAIL"]
        ask(failed.empty, f"its trial failed: {failed['reason'].iloc[0] if len(failed) else ''}")


CHECKS = (is_valid_and_named_alike, survives_writing, runs_one_trial)
