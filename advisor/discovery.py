"""From installed distributions to what they offer: importing, calling the hooks, checking what they yield.

A plugin that cannot be imported, whose hook raises, or that yields something else than its hook promises costs one
warning line and offers nothing; it never stops another command.

Environment:
    ADVISOR_PLUGINS=a,b   load only these third-party plugins (empty: none)
    ADVISOR_DISABLE=a,b   load all but these
    ADVISOR_TRACE=1       print every hook call
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import warnings
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from advisor import hookspecs
from advisor.errors import UNSEEN, AdvisorError, PluginError, closest, words_of
from advisor.stability import HookWarning
from advisor.types import (
    Backbone,
    BackboneFamily,
    Command,
    DatasetFormat,
    Head,
    InputSpec,
    Listing,
    Offer,
    Param,
    Plugin,
    RecipeFile,
    Weights,
)
from advisor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from importlib.metadata import EntryPoint

T = TypeVar("T")
GROUP = "advisor"
CORE = "transfer-advisor"
Offered = Backbone | BackboneFamily | Head | DatasetFormat | RecipeFile | Command
PROMISED: dict[str, tuple[type[Offered], ...]] = {
    "advisor_backbones": (Backbone, BackboneFamily),
    "advisor_heads": (Head,),
    "advisor_datasets": (DatasetFormat,),
    "advisor_recipes": (RecipeFile,),
    "advisor_commands": (Command,),
}
_BUILTINS = ("backbones", "heads", "datasets", "recipes")
_CALLABLE = {
    Backbone: ("create",),
    BackboneFamily: ("resolve", "names"),
    Head: ("create",),
    DatasetFormat: ("recognise", "open"),
    RecipeFile: ("read",),
    Command: ("run",),
}
_COLUMNS = ("paths", "labels", "splits", "groups", "ignored", "reading")  # of a Listing
# By the annotation of a field: what may stand in it.
_PLAIN: dict[object, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


@dataclass
class Found:
    """What some plugins offer.

    Attributes:
        plugins: every plugin met, active or not.
        offers: by hook, then by name; families by their prefix.
        conflicts: by (kind, name), the error that using a doubly claimed name raises.
    """

    plugins: list[Plugin] = field(default_factory=list)
    offers: dict[str, dict[str, Offer[Offered]]] = field(default_factory=lambda: {hook: {} for hook in PROMISED})
    conflicts: dict[tuple[str, str], PluginError] = field(default_factory=dict)


class Discovery:
    """Loads plugins into one `pluggy` manager.

    Args:
        on_warning: told in one sentence about each plugin that is skipped, each misspelled hook and each name that
            cannot be used.
        only: names of the plugins that may be loaded; by default all but those that the environment leaves out.
    """

    def __init__(self, on_warning: Callable[[str], None], only: Collection[str] | None = None) -> None:
        import pluggy

        self._warn = on_warning
        self._only = only
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        if os.environ.get("ADVISOR_TRACE") == "1":
            self._manager.trace.root.setwriter(sys.stderr.write)
            self._manager.enable_tracing()

    def builtins(self) -> Found:
        """What the core offers; no other distribution is imported."""
        found = Found()
        for name in _BUILTINS:
            module = importlib.import_module(f"advisor.builtin.{name}")
            plugin = Plugin(name, CORE, __version__)
            self._manager.register(module, name=plugin.key)
            self._collect(replace(plugin, hooks=self._hooks_of(module)), found)
        return found

    def installed(self, builtins: Found) -> Found:
        """What the built-ins and every installed plugin offer."""
        found = Found(
            list(builtins.plugins), {hook: dict(known) for hook, known in builtins.offers.items()}, {}
        )  # fmt: skip
        for plugin in self._load_entry_points():
            if plugin.status == "active":
                self._collect(plugin, found)
            else:
                found.plugins.append(plugin)
        for conflict in found.conflicts.values():
            self._warn(f"{conflict.message} Neither is used.")
        return found

    def _load_entry_points(self) -> Iterable[Plugin]:
        """Iterate the entry points ourselves: pluggy's loader lets one broken plugin stop the program."""
        from importlib.metadata import entry_points

        named = os.environ.get("ADVISOR_PLUGINS")
        wanted = None if named is None else {part.strip() for part in named.split(",")}
        wanted = wanted if self._only is None else set(self._only)
        disabled = {part.strip() for part in os.environ.get("ADVISOR_DISABLE", "").split(",")}
        for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
            plugin = Plugin(entry.name, *distribution_of(entry))
            if entry.name in disabled or (wanted is not None and entry.name not in wanted):
                yield replace(plugin, status="disabled")
                continue
            try:
                with warnings.catch_warnings(record=True) as said:
                    warnings.simplefilter("ignore")
                    warnings.filterwarnings("always", category=HookWarning)
                    module = entry.load()
                    self._manager.register(module, name=plugin.key)
                    misspelled = _misspelled(module)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - importing a stranger's module may raise anything
                yield self._broken(plugin, error)
                continue
            for warning in said:
                self._warn(f"plugin {entry.name} ({plugin.origin}): {warning.message}")
            for hook in misspelled:
                self._warn(
                    f"plugin {entry.name} ({plugin.origin}) implements an unknown hook `{hook}`; "
                    f"{closest(hook, PROMISED) or 'known: ' + ', '.join(PROMISED)}"
                )
            yield replace(plugin, hooks=self._hooks_of(module))

    def _collect(self, plugin: Plugin, found: Found) -> None:
        """File what a plugin yields; all of it or, where one hook fails, nothing."""
        others = [other for name, other in self._manager.list_name_plugin() if name != plugin.key]
        try:
            yielded = [
                (hook, item if plugin.distribution == CORE else guarded(item, plugin, self._warn))
                for hook in plugin.hooks
                for item in _checked(hook, self._manager.subset_hook_caller(hook, others)())
            ]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a stranger's hook may raise anything
            found.plugins.append(self._broken(plugin, error))
            return
        found.plugins.append(plugin)
        for hook, item in yielded:
            self._add(found, hook, Offer(item, plugin))

    def _add(self, found: Found, hook: str, offer: Offer[Offered]) -> None:
        """File an offer under its name; one that two plugins claim belongs to neither, the core's own to the core."""
        item, plugin = offer.item, offer.plugin
        name = item.prefix if isinstance(item, BackboneFamily) else item.name
        kind = hook.removeprefix("advisor_").removesuffix("s")
        if name not in found.offers[hook]:
            found.offers[hook][name] = offer
            return
        other = found.offers[hook][name].plugin
        if other.distribution == CORE:
            self._warn(
                f"plugin {plugin.name} ({plugin.origin}) offers the {kind} `{name}`, which is {other.origin}'s own; "
                "the plugin's is not used."
            )
            return
        found.conflicts[kind, name] = PluginError(
            f"Two plugins offer the {kind} `{name}`: {other.origin} ({other.name}) and {plugin.origin} "
            f"({plugin.name}).",
            ways=["uninstall one of them", "disable one of them for this command"],
            hint=f"ADVISOR_DISABLE={plugin.name}",
        )

    def _broken(self, plugin: Plugin, error: BaseException) -> Plugin:
        reason = words_of(error)
        self._warn(f"plugin {plugin.name} ({plugin.origin}) is skipped: {reason}")
        return replace(plugin, status="broken", reason=reason)

    def _hooks_of(self, module: object) -> tuple[str, ...]:
        callers = self._manager.get_hookcallers(module) or []
        return tuple(sorted(caller.name for caller in callers if caller.name in PROMISED))


def distribution_of(entry: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that brought an entry point, as far as its metadata can be read."""
    try:
        if entry.dist is not None:
            known = entry.dist.metadata
            return str(known["Name"] or entry.value), str(known["Version"] or "unknown")
    except Exception:  # noqa: BLE001, S110 - a damaged file of a stranger's, in any way; what is left is said below
        pass
    return entry.value, "unknown"


def flaw_of(item: object) -> str:
    """What is wrong with the fields of something yielded, or the empty string; nothing of it is called."""
    kind = next((known for known in _CALLABLE if isinstance(item, known)), type(item))
    name = getattr(item, "prefix" if kind is BackboneFamily else "name", None)
    if not isinstance(name, str) or not name or re.search(r"\s", name) or not name.isprintable():
        return f"a {kind.__name__} whose name is {name!r}; a name is text without blanks and unseen letters"
    for attribute in _CALLABLE.get(kind, ()):
        if not callable(getattr(item, attribute)):
            return f"the {kind.__name__} `{name}`, whose `{attribute}` cannot be called"
    if isinstance(item, DatasetFormat) and not (item.images is None or callable(item.images)):
        return f"the DatasetFormat `{name}`, whose `images` cannot be called"
    if flaw := _flaw_of_values(item):
        return f"the {kind.__name__} `{name}`, whose {flaw}"
    if isinstance(item, Head):
        return _flaw_of_head(item)
    return _flaw_of_backbone(item) if isinstance(item, Backbone) else ""


def _flaw_of_values(item: object) -> str:
    """What is wrong with those of its fields that hold plain values, in words that go behind `whose`."""
    for part in fields(item):  # type: ignore[arg-type]
        value = getattr(item, part.name)
        if part.type in _PLAIN and not isinstance(value, _PLAIN[part.type]):
            return f"`{part.name}` is {value!r:.40}, not {part.type}"
        if part.type == "str" and UNSEEN.search(value):
            return f"`{part.name}` is no single line of text"
    return ""


def _flaw_of_head(item: Head) -> str:
    given: object = item.params
    if not (isinstance(given, tuple | list) and all(isinstance(param, Param) for param in given)):
        return f"the Head `{item.name}`, whose `params` are no Params"
    if "." in item.name:  # a recipe says `[head.NAME]`
        return f"a Head whose name is {item.name!r}; a head's name has no dot"
    for param in item.params:
        if not str(param.name).isidentifier():
            return f"the Head `{item.name}`, whose parameter {param.name!r} cannot be a keyword argument"
        plain = (param.default, *param.choices, *(end for end in (param.low, param.high) if end is not None))
        if not all(isinstance(value, bool | int | float | str) for value in plain) or _flaw_of_values(param):
            return f"the Head `{item.name}`, whose parameter `{param.name}` holds what is no plain value"
    if item.tokens and (item.fit is not None or item.linear):
        return f"the Head `{item.name}`, which reads tokens and is linear or has a `fit`; it can only learn by steps"
    return ""


def _flaw_of_backbone(item: Backbone) -> str:
    given: tuple[object, object] = (item.input, item.weights)  # whatever a stranger put there
    if not (isinstance(given[0], InputSpec) and isinstance(given[1], Weights)):
        return f"the Backbone `{item.name}`, whose `input` is no InputSpec or whose `weights` are no Weights"
    for card in (item.input, item.weights):
        if flaw := _flaw_of_values(card):
            return f"the Backbone `{item.name}`, whose {type(card).__name__}'s {flaw}"
    if item.input.fit != "crop":
        return f"the Backbone `{item.name}`, whose InputSpec's fit is {item.input.fit!r}; only recipes say it"
    if item.weights.sha256 and not re.fullmatch("[0-9a-fA-F]{64}", item.weights.sha256):
        return f"the Backbone `{item.name}`, whose SHA-256 is not 64 hexadecimal digits"
    return ""


def guarded(item: T, plugin: Plugin, warn: Callable[[str], None]) -> T:
    """The same item, whose functions fail with the plugin's name.

    Left alone are `loss`, which runs in every step and whose lack of memory the loop handles, and `fit`, for the same
    reason; a format that fails to recognise a location does not recognise it.
    """
    changes: dict[str, object] = {}
    for part in fields(item):  # type: ignore[arg-type]
        call = getattr(item, part.name)
        if callable(call) and part.name not in {"loss", "fit"}:
            what = f"`{part.name}` of `{getattr(item, 'name', None) or getattr(item, 'prefix', '')}`"
            quiet = warn if part.name == "recognise" else None
            changes[part.name] = _Guarded(call, plugin, what, quiet, leaves=isinstance(item, Command))
    return replace(item, **changes)  # type: ignore[type-var]


class _Guarded:
    """A stranger's function; what it raises names the plugin.

    Args:
        call: the function.
        plugin: whose it is.
        what: what it is, for the message.
        quiet: where given, a failure is told there and the answer is 0.
        expected: errors that are part of the contract.
        leaves: it may end by `SystemExit` with an exit code, as argparse does after `--help`.
    """

    def __init__(
        self,
        call: Callable[..., object],
        plugin: Plugin,
        what: str,
        quiet: Callable[[str], None] | None = None,
        expected: tuple[type[Exception], ...] = (AdvisorError, MemoryError),
        *,
        leaves: bool = False,
    ) -> None:
        self.__wrapped__ = call  # inspect.signature follows it
        self._plugin, self._what, self._quiet, self._expected, self._leaves = plugin, what, quiet, expected, leaves

    def __call__(self, *args: object, **values: object) -> object:
        try:
            answer = self.__wrapped__(*args, **values)
        except self._expected:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if self._leaves and isinstance(error, SystemExit) and isinstance(error.code, int | None):
                return error.code or 0
            message = f"{self._what} of plugin {self._plugin.name} ({self._plugin.origin}) failed: {words_of(error)}"
            if self._quiet is not None:
                self._quiet(message)
                return 0.0
            raise PluginError(
                message,
                ways=["tell its author", "do without it"],
                hint=f"ADVISOR_DISABLE={self._plugin.name}",
            ) from error
        return self._sound(answer)

    def _sound(self, answer: object) -> object:
        """What it answered, guarded in turn.

        Raises:
            PluginError: it is not what its hook promises.
        """
        whose = f"{self._what} of plugin {self._plugin.name} ({self._plugin.origin})"
        if self._quiet is not None and not (isinstance(answer, int | float) and 0 <= answer <= 1):
            self._quiet(f"{whose} gave {answer!r:.40}, which is not 0 to 1")
            return 0.0
        if isinstance(answer, Backbone):  # a family has resolved a name
            if flaw := flaw_of(answer):
                raise PluginError(f"{whose} gave {flaw}.")
            return guarded(answer, self._plugin, lambda _text: None)
        if isinstance(answer, Listing):
            changes: dict[str, Any] = {
                "read": _Guarded(answer.read, self._plugin, "`read` of an image", expected=(AdvisorError, OSError))
            }
            # Columns of tables count otherwise than lists, and generators are gone when they have been counted.
            try:
                changes |= {name: list(getattr(answer, name)) for name in _COLUMNS}
            except TypeError as error:
                raise PluginError(f"{whose} gave a Listing whose columns are no sequences: {error}.") from error
            return replace(answer, **changes)
        return answer


def _checked(hook: str, answers: list[Iterable[object]]) -> Iterable[Offered]:
    """The items of the one answer that a plugin's hook gave."""
    if not answers:  # pluggy leaves None out
        raise TypeError(f"{hook} returned None; was `yield` forgotten?")
    for item in answers[0]:
        if not isinstance(item, PROMISED[hook]):
            promised = " or ".join(kind.__name__ for kind in PROMISED[hook])
            raise TypeError(f"{hook} yielded {type(item).__name__}, not {promised}")
        if flaw := flaw_of(item):
            raise TypeError(f"{hook} yielded {flaw}")
        yield item


def _misspelled(module: object) -> list[str]:
    """Functions marked as hooks whose names are no hook's, whatever they begin with."""
    # As pluggy does, functions alone are asked: other objects may answer to every name, or raise.
    known = ((name, getattr(module, name)) for name in dir(module) if name not in PROMISED)
    return [name for name, value in known if inspect.isroutine(value) and hasattr(value, "advisor_impl")]
