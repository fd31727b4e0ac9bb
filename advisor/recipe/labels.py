"""Recipes for images that may have several labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from advisor.recipe.schema import Choices

if TYPE_CHECKING:
    from advisor.plugins import Catalog
    from advisor.recipe.schema import Recipe

HEAD = "sigmoid"


def heads_of(recipe: Recipe) -> tuple[str, ...]:
    """Names of the heads that a recipe may try."""
    value = recipe.get("head.name")
    return tuple(str(name) for name in value.choices) if isinstance(value, Choices) else (str(value),)


def for_multilabel(recipe: Recipe, catalog: Catalog) -> Recipe:
    """The same recipe with a head that learns several labels an image; as it is where all of its heads do."""
    if all(catalog.head(name).multilabel for name in heads_of(recipe)):
        return recipe
    others = {key: value for key, value in recipe.values.items() if not key.startswith("head.") or key == "head.init"}
    return replace(recipe, values={**others, "head.name": HEAD})
