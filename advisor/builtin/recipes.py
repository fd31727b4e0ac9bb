"""The recipes of the top-level `recipes/` folder, shipped in the wheel as `advisor.recipes`."""

from __future__ import annotations

from functools import partial
from importlib import resources
from typing import TYPE_CHECKING

from advisor.hookspecs import hookimpl
from advisor.types import RecipeFile

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def advisor_recipes() -> Iterator[RecipeFile]:
    """One recipe per TOML file, named like the file."""
    folder = resources.files("advisor.recipes")
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            yield RecipeFile(name=file.name.removesuffix(".toml"), read=partial(file.read_text, encoding="utf-8"))
