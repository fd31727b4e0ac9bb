"""TOML out: what is written reads back equal, with the evidence as comments for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import InlineTable

from advisor.recipe.schema import KEYS, RANGE_TABLE, SCHEMA, Choices, Plan, Range, Recipe, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tomlkit.items import Table

    from advisor.types import Scalar


def recipe_to_toml(recipe: Recipe) -> str:
    """A recipe as TOML text; reading it gives an equal recipe."""
    document = tomlkit.document()
    _write_recipe(document, recipe)
    return tomlkit.dumps(document)


def plan_to_toml(plan: Plan, comments: Sequence[str] = (), provenance: Mapping[str, object] | None = None) -> str:
    """A plan as TOML text; reading it gives an equal plan.

    Args:
        plan: what to write.
        comments: lines for the top of the file.
        provenance: plain data on where it came from, written last.
    """
    document = tomlkit.document()
    for line in comments:
        document.add(tomlkit.comment(line) if line else tomlkit.nl())
    if comments:
        document.add(tomlkit.nl())
    _write_recipe(document, plan.recipe, before={
        "data": {
            "location": plan.location,
            "digest": plan.digest,
            "seed": plan.seed,
            "skip_small_classes": plan.skip_small_classes,
        },
        "backbone": {"name": _value(Choices(plan.backbones, plan.backbone)) if plan.backbones else plan.backbone},
        **({RANGE_TABLE: plan.ranges.to_dict()} if plan.ranges else {}),
    })  # fmt: skip
    for name, table in (("evidence", plan.evidence), ("provenance", provenance or {})):
        if table:
            document.add(name, _plain(table))
    return tomlkit.dumps(document)


def _write_recipe(
    document: TOMLDocument, recipe: Recipe, before: Mapping[str, Mapping[str, object]] | None = None
) -> None:
    document.add("schema", tomlkit.item(SCHEMA))
    document.add("name", tomlkit.item(recipe.name))
    if recipe.summary:
        document.add("summary", tomlkit.item(recipe.summary))
    if recipe.scenario is not None:
        document.add("scenario", tomlkit.item(recipe.scenario))
    for name, table in (before or {}).items():
        document.add(name, _plain(table))
    if recipe.when:
        document.add("when", _plain(dict(recipe.when)))
    sections: dict[str, Table] = {}
    ordered = sorted(recipe.values, key=lambda path: (path.count("."), path))
    for path in ordered:
        *parents, key = path.split(".")
        where = sections.setdefault(parents[0], tomlkit.table())
        for parent in parents[1:]:
            if parent not in where:
                where.add(parent, tomlkit.table())
            where = where[parent]
        item = tomlkit.item(_value(recipe.values[path]))
        if path in KEYS:
            item.comment(KEYS[path].help)
        where.add(key, item)
    for name, section in sections.items():
        document.add(name, section)


def _value(value: Value) -> Scalar | InlineTable:
    if isinstance(value, Range):
        found: dict[str, object] = {"low": value.low, "high": value.high}
        if value.log:
            found["log"] = True
        if value.start is not None:
            found["start"] = value.start
        return _inline(found)
    if isinstance(value, Choices):
        found = {"choices": list(value.choices)}
        if value.start is not None:
            found["start"] = value.start
        return _inline(found)
    return value


def _inline(found: dict[str, object]) -> InlineTable:
    table = tomlkit.inline_table()
    table.update(found)
    return table


def _plain(table: Mapping[str, object]) -> Table:
    """A table of plain data; TOML has no null, so what is None is left out."""
    out = tomlkit.table()
    for key, value in table.items():
        if value is None:
            continue
        inline = isinstance(value, InlineTable)
        out.add(key, _plain(value) if isinstance(value, dict) and not inline else tomlkit.item(value))
    return out
