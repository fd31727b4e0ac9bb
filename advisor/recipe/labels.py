"""Recipes for the task at hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from advisor.recipe.schema import Choices

if TYPE_CHECKING:
    from advisor.plugins import Catalog
    from advisor.recipe.schema import Recipe
    from advisor.task import Task

HEAD = "sigmoid"  # learns every task


def heads_of(recipe: Recipe) -> tuple[str, ...]:
    """Names of the heads that a recipe may try."""
    value = recipe.get("head.name")
    return tuple(str(name) for name in value.choices) if isinstance(value, Choices) else (str(value),)


def for_task(recipe: Recipe, task: Task, catalog: Catalog) -> Recipe:
    """The same recipe with a head that can learn the task; as it is where all of its heads can."""
    if all(task.accepts(catalog.head(name)) for name in heads_of(recipe)):
        return recipe
    others = {key: value for key, value in recipe.values.items() if not key.startswith("head.") or key == "head.init"}
    return replace(recipe, values={**others, "head.name": HEAD})
