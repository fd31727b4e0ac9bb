"""TOML in: recipes and plans validated strictly, every problem reported at once."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.data.range import ValueRanges, problems
from advisor.errors import RecipeError, UsageError, closest, closest_path
from advisor.recipe.schema import (
    FREE_TABLES,
    KEYS,
    MAX_SEED,
    PLAN_TABLES,
    RANGE_TABLE,
    SCHEMA,
    WHEN,
    Choices,
    Key,
    Plan,
    Range,
    Recipe,
    Value,
    key_of,
)
from advisor.recipe.values import fractions_of, growth_of
from advisor.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.plugins import Catalog
    from advisor.types import Param

    _Table = dict[str, Any]  # as tomllib read it: checked here, and typed from here on


def load_recipe(name_or_path: str, catalog: Catalog) -> Recipe:
    """A recipe by its installed name, or from a TOML file.

    Raises:
        RecipeError: the file does not validate.
        UsageError: there is no such recipe.
    """
    if name_or_path.endswith(".toml"):
        text = _read(Path(name_or_path))
        return parse_recipe(text, name_or_path, catalog)
    file = catalog.recipe(name_or_path)
    try:
        text = file.read()
    except Exception as error:
        raise RecipeError(
            f"The recipe `{name_or_path}` cannot be read: {type(error).__name__}: {error}", hint="advisor plugins"
        ) from error
    return parse_recipe(text, f"{name_or_path}.toml", catalog)


def load_plan(path: str | Path, catalog: Catalog) -> Plan:
    """A plan from a TOML file.

    Raises:
        RecipeError: the file does not validate; every problem is in the message.
        UsageError: there is no such file.
    """
    return parse_plan(_read(Path(path)), str(path), catalog)


def parse_recipe(text: str, source: str, catalog: Catalog) -> Recipe:
    """A recipe from TOML text; `source` names it in messages."""
    checker = _Checker(source, catalog)
    table = checker.parse(text)
    recipe = checker.recipe(table, extra=())
    checker.finish()
    return recipe


def parse_plan(text: str, source: str, catalog: Catalog) -> Plan:
    """A plan from TOML text; `source` names it in messages."""
    checker = _Checker(source, catalog)
    table = checker.parse(text)
    recipe = checker.recipe(table, extra=(*PLAN_TABLES, RANGE_TABLE, *FREE_TABLES))
    backbones = checker.searched_backbones(table)
    found = {name: checker.plain_table(table, name, keys) for name, keys in PLAN_TABLES.items()}
    for section, key in (("data", "location"), ("backbone", "name")):
        inside = table.get(section, {})
        if isinstance(inside, dict) and key not in inside:
            checker.problem(f"{section}.{key}", "is missing; a plan needs it")
    for name in FREE_TABLES:
        if not isinstance(table.get(name, {}), dict):
            checker.problem(name, f"found {_show(table[name])}; a table [{name}] is expected")
    for path, flaw in problems(table.get(RANGE_TABLE, {})):
        checker.problem(f"{RANGE_TABLE}.{path}" if path else RANGE_TABLE, flaw)
    seed = found["data"].get("seed", 0)
    if not 0 <= seed <= MAX_SEED:
        checker.problem("data.seed", f"found {seed}; 0 to {MAX_SEED} is allowed")
    checker.finish()
    data = found["data"]
    return Plan(
        recipe=recipe,
        location=data["location"],
        backbone=found["backbone"]["name"],
        digest=data.get("digest", ""),
        seed=data.get("seed", 0),
        skip_small_classes=data.get("skip_small_classes", False),
        evidence=table.get("evidence", {}),
        backbones=backbones,
        ranges=ValueRanges.from_dict(table.get(RANGE_TABLE, {})),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(
            f"There is no file `{path}`.",
            ways=["let `advisor recommend` write one", "give the path of an existing plan"],
            hint=closest_path(path) or "advisor recommend ./data",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`{path}` cannot be read: {error}.", hint="a plan is a UTF-8 text file") from error


class _Checker:
    """Validates one file and collects every problem before it speaks."""

    def __init__(self, source: str, catalog: Catalog) -> None:
        self.source = source
        self.catalog = catalog
        self.problems: list[str] = []

    def problem(self, path: str, text: str) -> None:
        self.problems.append(f"{path}: {text}")

    def finish(self) -> None:
        if self.problems:
            count = len(self.problems)
            raise RecipeError(
                f"{count} {'problem' if count == 1 else 'problems'} in {self.source}",
                problems=self.problems,
                hint="advisor recipes --keys lists every key with its default",
            )

    def parse(self, text: str) -> _Table:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(
                f"{self.source} is not valid TOML: {error}.", hint='text needs quotes: name = "linear"'
            ) from error

    def recipe(  # noqa: C901 - one check after the other
        self, table: _Table, extra: tuple[str, ...]
    ) -> Recipe:
        sections = sorted({key.split(".")[0] for key in KEYS})
        top = ("schema", "name", "summary", "scenario", "when", *sections, *extra)
        for name in table:
            if name not in top:
                self.problem(name, f"unknown; {closest(name, top) or 'known: ' + ', '.join(top)}")
        if table.get("schema") != SCHEMA:
            self.problem("schema", f"found {_show(table.get('schema'))}; {SCHEMA} is what this version reads")
        name = self._text(table, "name", "")
        summary = self._text(table, "summary", "")
        if not name:
            self.problem("name", "is missing; a recipe needs one")
        scenario = table.get("scenario")
        if scenario is not None and (isinstance(scenario, bool) or scenario not in (1, 2, 3, 4)):
            self.problem("scenario", f"found {_show(scenario)}; 1, 2, 3 or 4 is allowed")
            scenario = None
        when = self.plain_table(table, "when", dict.fromkeys(WHEN, str))
        for key, word in when.items():
            if word not in WHEN[key]:
                self.problem(f"when.{key}", f"found {_show(word)}; {' or '.join(WHEN[key])} is allowed")
        values: dict[str, Value] = {}
        for section in sections:
            inside = table.get(section, {})
            if not isinstance(inside, dict):
                self.problem(section, f"found {_show(inside)}; a table [{section}] is expected")
                continue
            for key, value in inside.items():
                self._value(f"{section}.{key}", value, values)
        also, tap = values.get("features.also"), values.get("features.tap", 1.0)
        if isinstance(also, str) and isinstance(tap, int | float) and any(one >= tap for one in _fractions(also)):
            self.problem("features.also", f"found {_show(also)}; stages below the tap are allowed, which is {tap:g}")
        return Recipe(name, summary, scenario, when, values)

    def plain_table(self, table: _Table, name: str, keys: Mapping[str, type]) -> _Table:
        """A table of scalars of known types."""
        inside = table.get(name, {})
        if not isinstance(inside, dict):
            self.problem(name, f"found {_show(inside)}; a table [{name}] is expected")
            return {}
        good = {}
        for key, value in inside.items():
            path = f"{name}.{key}"
            if key not in keys:
                self.problem(path, f"unknown; {closest(key, keys) or 'known: ' + ', '.join(keys)}")
            elif not isinstance(value, keys[key]) or (keys[key] is int and isinstance(value, bool)):
                self.problem(path, f"found {_show(value)}; {_KINDS[keys[key]]} is allowed")
            else:
                good[key] = value
        return good

    def searched_backbones(self, table: _Table) -> tuple[str, ...]:
        """Names in `[backbone] name = { choices = [...], start = ... }`; the table then holds the first to try."""
        inside = table.get("backbone")
        name = inside.get("name") if isinstance(inside, dict) else None
        if not isinstance(name, dict) or "choices" not in name:
            return ()
        found = self._choices("backbone.name", name, Key(str, "", ""))
        if found is None:
            table["backbone"] = {}
            return ()
        table["backbone"] = {**table["backbone"], "name": str(found.first)}
        return tuple(str(choice) for choice in found.choices)

    def _text(self, table: _Table, key: str, default: str) -> str:
        value = table.get(key, default)
        if not isinstance(value, str):
            self.problem(key, f"found {_show(value)}; text is allowed")
            return default
        return value

    def _value(self, path: str, value: object, into: dict[str, Value]) -> None:
        key = KEYS.get(path)
        if path == "head.name":
            asked = value.get("choices") if isinstance(value, dict) else [value]
            names = self.catalog.head_names(asked if isinstance(asked, list) else [])
            key = Key(str, "linear", "", choices=names)
        if key is None:
            if path.startswith("head.") and isinstance(value, dict):
                self._head_table(path, value, into)
                return
            section, _, word = path.partition(".")
            known = [name for name in (*KEYS, *(f"head.{name}" for name in self.catalog.heads))
                     if name.startswith(f"{section}.")]  # fmt: skip
            # Within the section: the part that all keys share would make any two of them look alike.
            near = closest(word, [name.removeprefix(f"{section}.") for name in known])
            self.problem(path, f"unknown; {near.replace('`', f'`{section}.', 1) or 'known: ' + ', '.join(known)}")
            return
        checked = self._checked(path, value, key)
        if checked is not None:
            into[path] = checked
            self._meaning(path, checked)

    def _meaning(self, path: str, value: Value) -> None:
        """Refuse text that is none of what its key is written in."""
        texts = value.choices if isinstance(value, Choices) else (value,)
        for text in texts:
            if path == "train.grow_from" and isinstance(text, str):
                try:
                    growth_of(text)
                except ValueError as error:
                    self.problem(path, str(error))
            if path == "features.also" and text and not _fractions(text):
                allowed = 'one or two fractions of the stages such as "0.5" or "0.4 0.7", or ""'
                self.problem(path, f"found {_show(text)}; {allowed} is allowed")
            if path == "search.budget" and isinstance(text, str):
                try:
                    parse_duration(text)
                except UsageError:
                    self.problem(path, f"found {_show(text)}; a length of time such as 90s, 20m or 1h30m is allowed")

    def _head_table(self, path: str, table: _Table, into: dict[str, Value]) -> None:
        name = path.removeprefix("head.")
        try:
            head = self.catalog.head(name)
        except UsageError:
            heads = sorted(self.catalog.heads)
            self.problem(path, f"unknown head; {closest(name, heads) or 'installed: ' + ', '.join(heads)}")
            return
        params: dict[str, Param] = {param.name: param for param in head.params}
        for key, value in table.items():
            inner = f"{path}.{key}"
            if key not in params:
                self.problem(inner, f"unknown; {closest(key, params) or 'known: ' + (', '.join(params) or 'none')}")
                continue
            checked = self._checked(inner, value, key_of(params[key]))
            if checked is not None:
                into[inner] = checked

    def _checked(self, path: str, value: object, key: Key) -> Value | None:
        if not isinstance(value, dict):
            allowed = self._scalar(path, value, key)
            return value if allowed and isinstance(value, bool | int | float | str) else None
        if not key.searchable:
            self.problem(path, f"found {_show(value)}; this value is fixed, not searched")
            return None
        if "choices" in value:
            return self._choices(path, value, key)
        if key.kind in (str, bool):
            self.problem(path, f"found {_show(value)}; {_KINDS[key.kind]} or {{ choices = [...] }} is allowed")
            return None
        return self._range(path, value, key)

    def _choices(self, path: str, value: _Table, key: Key) -> Choices | None:
        good = self._known_words(path, value, ("choices", "start"))
        options = value["choices"]
        if not isinstance(options, list) or not options:
            self.problem(f"{path}.choices", f"found {_show(options)}; a list with at least one value is allowed")
            return None
        for option in options:
            good &= self._scalar(f"{path}.choices", option, key)
        if "start" in value and value["start"] not in options:
            self.problem(f"{path}.start", f"found {_show(value['start'])}; one of the choices is allowed")
            good = False
        return Choices(tuple(options), value.get("start")) if good else None

    def _range(self, path: str, value: _Table, key: Key) -> Range | None:
        good = self._known_words(path, value, ("low", "high", "log", "start"))
        for word in ("low", "high"):
            if word not in value:
                self.problem(f"{path}.{word}", "is missing; a range needs low and high")
                good = False
        for word in ("low", "high", "start"):
            if word in value:
                good &= self._scalar(f"{path}.{word}", value[word], key)
        if not isinstance(value.get("log", False), bool):
            self.problem(f"{path}.log", f"found {_show(value['log'])}; true or false is allowed")
            good = False
        if not good:
            return None
        found = Range(value["low"], value["high"], value.get("log", False), value.get("start"))
        if found.low >= found.high:
            self.problem(path, f"low {found.low:g} is not below high {found.high:g}")
        elif found.log and found.low <= 0:
            self.problem(f"{path}.low", f"found {found.low:g}; a logarithmic range starts above 0")
        elif not found.low <= found.first <= found.high:
            self.problem(f"{path}.start", f"found {found.first:g}; {found.low:g} to {found.high:g} is allowed")
        else:
            return found
        return None

    def _known_words(self, path: str, value: _Table, words: tuple[str, ...]) -> bool:
        unknown = [word for word in value if word not in words]
        for word in unknown:
            self.problem(f"{path}.{word}", f"unknown; {closest(word, words) or 'known: ' + ', '.join(words)}")
        return not unknown

    def _scalar(self, path: str, value: object, key: Key) -> bool:
        if key.choices and not any(value == known and type(value) is type(known) for known in key.choices):
            known = [str(choice) for choice in key.choices]
            hint = closest(str(value), known)
            allowed = ", ".join(known) or "none is installed"
            self.problem(path, f"found {_show(value)}; allowed: {allowed}{'; ' + hint if hint else ''}")
        elif key.kind is str and not isinstance(value, str):
            self.problem(path, f"found {_show(value)}; text is allowed")
        elif key.kind is bool and not isinstance(value, bool):
            self.problem(path, f"found {_show(value)}; true or false is allowed")
        elif key.kind is int and (isinstance(value, bool) or not isinstance(value, int)):
            self.problem(path, f"found {_show(value)}; a whole number is allowed")
        elif key.kind is float and (isinstance(value, bool) or not isinstance(value, int | float)):
            self.problem(path, f"found {_show(value)}; a number is allowed")
        elif isinstance(value, int | float) and key.kind in (int, float) and not key.low <= value <= key.high:
            self.problem(path, f"found {_show(value)}; {key.low:g} to {key.high:g} is allowed")
        else:
            return True
        return False


def _fractions(text: object) -> tuple[float, ...]:
    """What `features.also` says; nothing where it cannot be understood."""
    try:
        return fractions_of(str(text))
    except ValueError:
        return ()


_KINDS = {str: "text", int: "a whole number", bool: "true or false", float: "a number"}


def _show(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}" (text)' if isinstance(value, str) else str(value)
