"""Recipes and plans in TOML."""

from advisor.recipe.labels import for_task, heads_of
from advisor.recipe.reading import load_plan, load_recipe, parse_plan, parse_recipe
from advisor.recipe.schema import KEYS, Choices, Key, Plan, Range, Recipe, Value, key_of
from advisor.recipe.writing import plan_to_toml, recipe_to_toml

__all__ = [
    "KEYS",
    "Choices",
    "Key",
    "Plan",
    "Range",
    "Recipe",
    "Value",
    "for_task",
    "heads_of",
    "key_of",
    "load_plan",
    "load_recipe",
    "parse_plan",
    "parse_recipe",
    "plan_to_toml",
    "recipe_to_toml",
]
