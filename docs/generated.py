"""What the reference takes from the code; `fill` puts it where a page has a marker: `<!-- generated: commands -->`.

A hook of mkdocs (see `mkdocs.yml`). Pages hold the markers, not the text, so nothing is to be kept up to date by hand.
"""

from __future__ import annotations

import argparse
import re
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MARKER = re.compile(r"<!-- generated: ([\w-]+) -->")
_EXITS = {
    "OK": "success",
    "COULD_NOT": "failure: a problem with the images, a network, a plugin or the disk; `predict` could read no image; "
    "every trial of `tune` failed; `doctor` or `plugins check` found a problem",
    "USAGE": "wrong usage: a mistake in a command, an option, a recipe or a plan",
    "INTERRUPTED": "interrupted by Ctrl-C; finished work is kept",
}


def on_page_markdown(markdown: str, **_about: object) -> str:
    """Called by mkdocs for every page."""
    return fill(markdown)


def fill(markdown: str) -> str:
    """A page with its markers filled.

    Raises:
        KeyError: a marker names nothing that is known.
    """
    return MARKER.sub(lambda found: KINDS[found[1]](), markdown)


def commands() -> str:
    """Every command with its arguments and options, from the argument parser."""
    from advisor.cli.main import build_parser

    parser = build_parser()
    common = _options(_subcommands(parser)["heads"])  # a command without options of its own
    parts = ["## Options of every command", _table(("option", "what"), common)]
    for name, sub in _subcommands(parser).items():
        parts += _command(f"advisor {name}", sub, known={row[0] for row in common}, level=2)
    return "\n\n".join(parts)


def _command(title: str, parser: argparse.ArgumentParser, known: set[str], level: int) -> list[str]:
    parser.formatter_class = partial(argparse.HelpFormatter, width=80)  # type: ignore[assignment]
    summary = parser.description or ""
    parts = [f"{'#' * level} {title}", f"{summary[:1].upper()}{summary[1:]}.", f"```text\n{parser.format_usage()}```"]
    places = [
        (f"`{_name(action)}`", _help(action))
        for action in parser._get_positional_actions()  # noqa: SLF001 - argparse has no public way to ask
        if not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    ]
    options = [row for row in _options(parser) if row[0] not in known]
    parts += [_table(("argument", "what"), places)] if places else []
    parts += [_table(("option", "what"), options)] if options else []
    for name, sub in _subcommands(parser).items():
        parts += _command(f"{title} {name}", sub, known, level + 1)
    return parts


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._get_positional_actions():  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _options(parser: argparse.ArgumentParser) -> list[tuple[str, str]]:
    found = []
    for action in parser._get_optional_actions():  # noqa: SLF001
        if not isinstance(action, argparse._HelpAction):  # noqa: SLF001
            value = "" if action.nargs == 0 else f" {_name(action)}"
            value = f" [{value.strip()}]" if action.nargs == "?" else value
            found.append((", ".join(f"`{name}{value}`" for name in action.option_strings), _help(action)))
    return found


def _name(action: argparse.Action) -> str:
    if action.metavar is None and action.choices is not None:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest)


def _help(action: argparse.Action) -> str:
    words = (action.help or "") % vars(action) if "%(" in (action.help or "") else (action.help or "")
    return f"{words} (required)" if action.required and action.option_strings else words


def recipe_keys() -> str:
    """Every key of a recipe with its default and what it says; those of heads by the installed plugins."""
    from advisor.plugins import load_catalog
    from advisor.recipe import KEYS

    parts: list[str] = []
    for table in dict.fromkeys(path.partition(".")[0] for path in KEYS):
        rows = [
            (f"`{path}`", f"`{key.default}`", key.help) for path, key in KEYS.items() if path.startswith(f"{table}.")
        ]
        parts += [f"## {table}", _table(("key", "default", "what"), rows)]
        if table == "head":
            heads = sorted(load_catalog().heads.items())
            own = [
                (f"`head.{name}.{param.name}`", f"`{param.default}`", param.help, offer.plugin.distribution)
                for name, offer in heads
                for param in offer.item.params
            ]
            parts.append(_table(("key of one head", "default", "what", "from"), own))
    return "\n\n".join(parts)


def exit_codes() -> str:
    """What a command returns to the shell."""
    from advisor.errors import ExitCode

    return _table(("exit code", "meaning"), [(f"`{int(code)}`", _EXITS[code.name]) for code in ExitCode])


def errors() -> str:
    """Every error that a person can meet, with the exit code that it ends a command with."""
    import advisor.errors

    found = [kind for kind in vars(advisor.errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    rows = [
        (
            f"`{kind.__name__}`",
            f"`{kind.__base__.__name__}`",
            f"`{int(kind.exit_code)}`",
            (kind.__doc__ or "").split("\n")[0],
        )
        for kind in found
    ]
    return _table(("error", "is a", "exit code", "when"), rows)


def python_names() -> str:
    """A directive of mkdocstrings for every public name."""
    import advisor

    names = sorted(
        (name for name in advisor.__all__ if not name.startswith("__")), key=lambda name: (name[0].isupper(), name)
    )
    return "\n\n".join(f"::: advisor.{name}" for name in names)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


KINDS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "recipe-keys": recipe_keys,
    "exit-codes": exit_codes,
    "errors": errors,
    "python": python_names,
}
