"""Finding plugins, and the catalog of everything they offer.

A plugin that cannot be imported, or whose hook raises, costs one warning line and never another
command. A name that two plugins claim is an error, naming both, for whoever uses it.

Environment:
    ADVISOR_PLUGINS=a,b   load only these third-party plugins (empty: none)
    ADVISOR_DISABLE=a,b   load all but these
    ADVISOR_TRACE=1       print every hook call
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from advisor import hookspecs
from advisor.errors import BackboneError, PluginError, UsageError, closest
from advisor.types import (
    Backbone,
    BackboneFamily,
    DatasetFormat,
    Head,
    Offer,
    Plugin,
    RecipeFile,
)
from advisor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pluggy

DEFAULT_BACKBONE = "lite0"
GROUP = "advisor"
BUILTINS = ("backbones", "heads", "datasets", "recipes")
_PROMISED: dict[str, tuple[type, ...]] = {
    "advisor_backbones": (Backbone, BackboneFamily),
    "advisor_heads": (Head,),
    "advisor_datasets": (DatasetFormat,),
    "advisor_recipes": (RecipeFile,),
}


@dataclass(frozen=True)
class Catalog:
    """Everything the active plugins offer, by name, with provenance.

    Attributes:
        plugins: every plugin met, active or not.
        backbones: by name; families by their prefix.
        heads: by name.
        datasets: by name.
        recipes: by name.
        conflicts: by (kind, name), the error that using a doubly claimed name raises.
    """

    plugins: tuple[Plugin, ...] = ()
    backbones: Mapping[str, Offer] = field(default_factory=dict)
    heads: Mapping[str, Offer] = field(default_factory=dict)
    datasets: Mapping[str, Offer] = field(default_factory=dict)
    recipes: Mapping[str, Offer] = field(default_factory=dict)
    conflicts: Mapping[tuple[str, str], PluginError] = field(default_factory=dict)

    def backbone(self, name: str) -> Backbone:
        """The backbone of this name, resolving families.

        Raises:
            BackboneError: nobody offers it; the message lists what is there.
        """
        self._refuse_conflict("backbone", name)
        offer = self.backbones.get(name)
        if offer is not None and isinstance(offer.item, Backbone):
            return offer.item
        for prefix, family in self.backbones.items():
            if isinstance(family.item, BackboneFamily) and name.startswith(prefix) and name != prefix:
                self._refuse_conflict("backbone", prefix)
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
        return self._get(self.heads, name, "head")  # type: ignore[no-any-return]

    def recipe(self, name: str) -> RecipeFile:
        """The recipe of this name; `UsageError` if nobody offers it."""
        return self._get(self.recipes, name, "recipe")  # type: ignore[no-any-return]

    def dataset_for(self, location: str) -> DatasetFormat:
        """The format that recognises a location best.

        Raises:
            UsageError: no format does.
        """
        scored = [(offer.item.recognise(location), name) for name, offer in self.datasets.items()]
        score, name = max(scored, default=(0.0, ""))
        if score <= 0:
            examples = ", ".join(f"{o.item.example} ({n})" for n, o in sorted(self.datasets.items()))
            raise UsageError(
                f"Nothing here can read `{location}` as a set of labelled images.",
                ways=[f"readable: {examples}", "check the spelling: a folder must exist"],
                hint="advisor datasets",
            )
        self._refuse_conflict("dataset", name)
        return self.datasets[name].item  # type: ignore[no-any-return]

    def _refuse_conflict(self, kind: str, name: str) -> None:
        if (kind, name) in self.conflicts:
            raise self.conflicts[kind, name]

    def _get(self, offers: Mapping[str, Offer], name: str, kind: str) -> Any:  # noqa: ANN401
        self._refuse_conflict(kind, name)
        if name not in offers:
            raise UsageError(
                f"There is no {kind} `{name}`.",
                ways=[f"installed: {', '.join(sorted(offers)) or 'none'}"],
                hint=closest(name, offers) or f"advisor {kind}s",
            )
        return offers[name].item


def warn(text: str) -> None:
    """One line on stderr about a plugin."""
    print(f"warning: {text}", file=sys.stderr)  # noqa: T201


def load_catalog(*, on_warning: Callable[[str], None] = warn) -> Catalog:
    """Load the built-ins and every installed plugin.

    Args:
        on_warning: told in one sentence about each broken plugin, misspelled hook or doubly claimed name.
    """
    import pluggy

    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    if os.environ.get("ADVISOR_TRACE") == "1":
        manager.trace.root.setwriter(sys.stderr.write)
        manager.enable_tracing()
    plugins = [_load_builtin(manager, name) for name in BUILTINS]
    plugins += _load_entry_points(manager, on_warning)
    offers: dict[str, dict[str, Offer]] = {hook: {} for hook in _PROMISED}
    conflicts: dict[tuple[str, str], PluginError] = {}
    for index, plugin in enumerate(plugins):
        if plugin.status != "active":
            continue
        try:
            found = {hook: list(_collect(manager, plugin, hook)) for hook in plugin.hooks}
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's hook may raise anything
            reason = f"{type(error).__name__}: {error}"
            plugins[index] = replace(plugin, status="broken", reason=reason)
            on_warning(f"plugin {plugin.name} ({plugin.origin}) is skipped: {reason}")
            continue
        for hook, items in found.items():
            for item in items:
                _add(offers[hook], conflicts, Offer(item, plugin), _kind(hook))
    for conflict in conflicts.values():
        on_warning(f"{conflict.message} Neither is used.")
    return Catalog(
        plugins=tuple(plugins),
        backbones=offers["advisor_backbones"],
        heads=offers["advisor_heads"],
        datasets=offers["advisor_datasets"],
        recipes=offers["advisor_recipes"],
        conflicts=conflicts,
    )


def _kind(hook: str) -> str:
    return hook.removeprefix("advisor_").removesuffix("s")


def _load_builtin(manager: pluggy.PluginManager, name: str) -> Plugin:
    module = importlib.import_module(f"advisor.builtin.{name}")
    plugin = Plugin(name, "transfer-advisor", __version__)
    manager.register(module, name=plugin.key)
    return replace(plugin, hooks=_hooks_of(manager, module))


def _load_entry_points(manager: pluggy.PluginManager, on_warning: Callable[[str], None]) -> list[Plugin]:
    """Iterate the entry points ourselves: pluggy's loader lets one broken plugin stop the program."""
    from importlib.metadata import entry_points

    only = os.environ.get("ADVISOR_PLUGINS")
    wanted = None if only is None else {part.strip() for part in only.split(",")}
    disabled = {part.strip() for part in os.environ.get("ADVISOR_DISABLE", "").split(",")}
    plugins = []
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        distribution = entry.dist.name if entry.dist else entry.value
        plugin = Plugin(entry.name, distribution, entry.dist.version if entry.dist else "unknown")
        if entry.name in disabled or (wanted is not None and entry.name not in wanted):
            plugins.append(replace(plugin, status="disabled"))
            continue
        try:
            module = entry.load()
            manager.register(module, name=plugin.key)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - importing a stranger's module may raise anything
            reason = f"{type(error).__name__}: {error}"
            plugins.append(replace(plugin, status="broken", reason=reason))
            on_warning(f"plugin {entry.name} ({plugin.origin}) is skipped: {reason}")
            continue
        for hook in _misspelled(module):
            on_warning(
                f"plugin {entry.name} ({plugin.origin}) implements an unknown hook `{hook}`; "
                f"{closest(hook, _PROMISED) or 'known: ' + ', '.join(_PROMISED)}"
            )
        plugins.append(replace(plugin, hooks=_hooks_of(manager, module)))
    return plugins


def _hooks_of(manager: pluggy.PluginManager, module: object) -> tuple[str, ...]:
    callers = manager.get_hookcallers(module) or []
    return tuple(sorted(caller.name for caller in callers if caller.name in _PROMISED))


def _misspelled(module: object) -> list[str]:
    """Functions marked as hooks whose names are no hook's, whatever they begin with."""
    return [name for name in dir(module) if name not in _PROMISED and hasattr(getattr(module, name), "advisor_impl")]


def _collect(manager: pluggy.PluginManager, plugin: Plugin, hook: str) -> Iterable[object]:
    others = [other for name, other in manager.list_name_plugin() if name != plugin.key]
    for items in manager.subset_hook_caller(hook, others)():
        for item in items:
            if not isinstance(item, _PROMISED[hook]):
                promised = " or ".join(kind.__name__ for kind in _PROMISED[hook])
                raise TypeError(f"{hook} yielded {type(item).__name__}, not {promised}")
            yield item


def _add(
    offers: dict[str, Offer],
    conflicts: dict[tuple[str, str], PluginError],
    offer: Offer,
    kind: str,
) -> None:
    """File an offer under its name; a name that two plugins claim belongs to neither."""
    item, plugin = offer.item, offer.plugin
    name = item.prefix if isinstance(item, BackboneFamily) else item.name
    if name not in offers:
        offers[name] = offer
        return
    other = offers[name].plugin
    conflicts[kind, name] = PluginError(
        f"Two plugins offer the {kind} `{name}`: {other.origin} ({other.name}) and {plugin.origin} ({plugin.name}).",
        ways=["uninstall one of them", "disable one of them for this command"],
        hint=f"ADVISOR_DISABLE={plugin.name}",
    )
