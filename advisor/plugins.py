"""The catalog of everything that can be named: the core's own, and what installed plugins offer.

Plugins are imported when a name is asked for that the core does not have, or when everything is listed; a command that
uses the core's own names alone imports nobody's code.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from advisor.discovery import Discovery
from advisor.errors import BackboneError, UsageError, closest, closest_path
from advisor.types import Backbone, BackboneFamily, Command, DatasetFormat, Head, Offer, RecipeFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from advisor.discovery import Found
    from advisor.types import Plugin

T = TypeVar("T")
DEFAULT_BACKBONE = "lite0"
_SURE = 1.0  # of a location: no other format need be asked


class Catalog:
    """Backbones, heads, datasets and recipes by name, with their provenance.

    Args:
        discovery: loads the core's own at once, and everybody else's when they are needed.
    """

    def __init__(self, discovery: Discovery) -> None:
        self._discovery = discovery
        self._core = discovery.builtins()

    @cached_property
    def _all(self) -> Found:
        return self._discovery.installed(self._core)

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """Every plugin met, active or not."""
        return tuple(self._all.plugins)

    @property
    def backbones(self) -> Mapping[str, Offer[Backbone | BackboneFamily]]:
        """All of them; families by their prefix."""
        return _offers(self._all, "advisor_backbones", Backbone, BackboneFamily)

    @property
    def heads(self) -> Mapping[str, Offer[Head]]:
        """All of them."""
        return _offers(self._all, "advisor_heads", Head)

    @property
    def datasets(self) -> Mapping[str, Offer[DatasetFormat]]:
        """All formats."""
        return _offers(self._all, "advisor_datasets", DatasetFormat)

    @property
    def commands(self) -> Mapping[str, Offer[Command]]:
        """Commands that plugins bring; the core's own are not among them."""
        return _offers(self._all, "advisor_commands", Command)

    def command(self, name: str, *, beside: Sequence[str] = ()) -> Command:
        """The command of this name that a plugin brings; `UsageError` if none does.

        Args:
            name: what was typed.
            beside: the core's own commands, which are none of these.
        """
        _refuse_conflict(self._all, "command", name)
        if name not in self.commands:
            known = [*beside, *sorted(self.commands)]
            raise UsageError(
                f"There is no `{name}`.",
                ways=[f"known: {', '.join(known)}"],
                hint=closest(name, known) or "advisor --help",
            )
        return self.commands[name].item

    @property
    def recipes(self) -> Mapping[str, Offer[RecipeFile]]:
        """All of them."""
        return _offers(self._all, "advisor_recipes", RecipeFile)

    def backbone(self, name: str) -> Backbone:
        """The backbone of this name, resolving families.

        Raises:
            BackboneError: nobody offers it; the message lists what is there.
        """
        for found in self._places("backbone", name):
            backbones = _offers(found, "advisor_backbones", Backbone)
            if name in backbones:
                return backbones[name].item
            for prefix, family in _offers(found, "advisor_backbones", BackboneFamily).items():
                if name.startswith(prefix) and name != prefix:
                    _refuse_conflict(found, "backbone", prefix)
                    return family.item.resolve(name)
        if name == DEFAULT_BACKBONE:
            raise BackboneError(
                f"The default backbone `{name}` is not installed.",
                ways=["install the plugin that brings it", "name another one with --backbone"],
                hint="pip install advisor-efficientnet-lite",
            )
        named = [key for key, known in self.backbones.items() if isinstance(known.item, Backbone)]
        raise BackboneError(
            f"There is no backbone `{name}`.",
            ways=[f"installed: {', '.join(sorted(named)) or 'none'}", "any timm network: timm/<name>"],
            hint=closest(name, named) or "advisor backbones",
        )

    def head(self, name: str) -> Head:
        """The head of this name; `UsageError` if nobody offers it."""
        return self._get("head", name, Head)

    def head_names(self, asked: Sequence[object]) -> tuple[str, ...]:
        """Names of heads, sorted: the core's own where they hold all that is asked for, else everybody's."""
        core = self._core.offers["advisor_heads"]
        return tuple(sorted(core if all(name in core for name in asked) else self.heads))

    @property
    def met(self) -> tuple[Plugin, ...]:
        """The plugins that were needed so far; asking does not import any."""
        found = self.__dict__.get("_all", self._core)
        return tuple(found.plugins)

    @property
    def core_recipes(self) -> tuple[str, ...]:
        """Names of the core's own recipes, sorted."""
        return tuple(sorted(self._core.offers["advisor_recipes"]))

    def recipe(self, name: str) -> RecipeFile:
        """The recipe of this name; `UsageError` if nobody offers it."""
        return self._get("recipe", name, RecipeFile)

    def dataset_for(self, location: str) -> DatasetFormat:
        """The format that recognises a location best; the core's own where it is sure.

        Raises:
            UsageError: no format does.
        """
        core = _offers(self._core, "advisor_datasets", DatasetFormat)
        for offer in core.values():
            if offer.item.recognise(location) >= _SURE:
                return offer.item
        scored = [(offer.item.recognise(location), name) for name, offer in self.datasets.items()]
        score, name = max(scored, default=(0.0, ""))
        if score <= 0:
            examples = ", ".join(f"{o.item.example} ({n})" for n, o in sorted(self.datasets.items()))
            raise UsageError(
                f"Nothing here can read `{location}` as a set of labelled images.",
                ways=[f"readable: {examples}", "check the spelling: a folder must exist"],
                hint=closest_path(location)
                or closest(location, [o.item.example for o in self.datasets.values()])
                or "advisor datasets",
            )
        _refuse_conflict(self._all, "dataset", name)
        return self.datasets[name].item

    def _places(self, kind: str, name: str) -> Iterator[Found]:
        """Where to look for a name: the core first, and everybody else only if it is not there."""
        yield self._core
        _refuse_conflict(self._all, kind, name)
        yield self._all

    def _get(self, kind: str, name: str, item_type: type[T]) -> T:
        hook = f"advisor_{kind}s"
        for found in self._places(kind, name):
            offers = _offers(found, hook, item_type)
            if name in offers:
                return offers[name].item
        everyone = self._all.offers[hook]
        raise UsageError(
            f"There is no {kind} `{name}`.",
            ways=[f"installed: {', '.join(sorted(everyone)) or 'none'}"],
            hint=closest(name, everyone) or f"advisor {kind}s",
        )


def _offers(found: Found, hook: str, *item_types: type[T]) -> dict[str, Offer[T]]:
    """What is offered under a hook, by name, with its type; discovery has let no other types in."""
    return {
        name: Offer(offer.item, offer.plugin)
        for name, offer in found.offers[hook].items()
        if isinstance(offer.item, item_types)
    }


def _refuse_conflict(found: Found, kind: str, name: str) -> None:
    if (kind, name) in found.conflicts:
        raise found.conflicts[kind, name]


def warn(text: str) -> None:
    """One line on stderr about a plugin."""
    print(f"warning: {text}", file=sys.stderr)  # noqa: T201


def load_catalog(*, on_warning: Callable[[str], None] = warn, only: Collection[str] | None = None) -> Catalog:
    """The core's own names at once, and those of installed plugins when they are needed.

    Args:
        on_warning: told in one sentence about each broken plugin, misspelled hook or doubly claimed name.
        only: names of the plugins that may be loaded; by default all but those that the environment leaves out.
    """
    return Catalog(Discovery(on_warning, only))
