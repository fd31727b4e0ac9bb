"""A network's forward pass as a graph, traced on two batches of different size at once.

Whatever has the same value in both batches is a plain Python value to the traced code, so that branches, loops and
arithmetic on sizes run as they are; tensors and the batch size stay symbols. Modules are opened only where a stage
ends inside them and are single nodes otherwise (torch.fx calls those leaves).
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import torch
from torch import fx, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from torch import Tensor

    _Value = Any  # what a network's code handles: tensors, numbers, containers of these, or symbols for them

_Plain = TypeVar("_Plain")

BATCHES = (2, 3)  # not 1: a size of one broadcasts and squeezes


class _Symbol(fx.Proxy):
    """A tensor, or a number that follows the batch size; knows its value in both batches."""

    tracer: BatchTracer

    def __getattr__(self, name: str) -> _Value:
        if callable(getattr(self.tracer.value(self.node, 0), name)):
            return functools.partial(self._call, name)
        return self.tracer.create_proxy("call_function", getattr, (self, name), {})

    def _call(self, name: str, *args: _Value, **kwargs: _Value) -> _Value:
        result = self.tracer.create_proxy("call_method", name, (self, *args), kwargs)
        if name.endswith("_") and not name.endswith("__"):
            self.node = result.node  # what comes later must depend on the change, or it would be left out as unused
        return result

    def __setitem__(self, index: object, value: object) -> None:
        self.node = self.tracer.create_proxy("call_function", _assign, (self, index, value), {}).node

    def __len__(self) -> int:
        return self._settled(len)

    def __iter__(self) -> Iterator[_Value]:
        return iter([self[index] for index in range(len(self))])  # type: ignore[index]

    def __bool__(self) -> bool:
        return self._settled(bool)

    def __index__(self) -> int:
        return self._settled(operator.index)

    def __int__(self) -> int:
        return self._settled(int)

    def __float__(self) -> float:
        return self._settled(float)

    def _settled(self, kind: Callable[[_Value], _Plain]) -> _Plain:
        """The value as a plain one, where it is the same in both batches."""
        first, second = (kind(self.tracer.value(self.node, run)) for run in range(len(BATCHES)))
        return first if first == second else _refuse(f"code in it depends on the batch size ({self.node.name})")


class BatchTracer(fx.Tracer):
    """Traces an evaluation pass and keeps every node's value for both batches.

    Args:
        images: two batches, of the sizes `BATCHES`.
        opened: paths of the modules whose own code is traced; all others become one node a call.
    """

    def __init__(self, images: tuple[Tensor, Tensor], opened: frozenset[str]) -> None:
        super().__init__()
        self.opened = opened
        self.images = images
        self.values: dict[fx.Node, tuple[_Value, _Value]] = {}
        self._running = False

    def value(self, node: fx.Node, run: int) -> _Value:
        """Value of a node in one of the two batches."""
        if node not in self.values:  # a constant that create_arg found
            assert node.op == "get_attr"
            constant = attribute(self.root, str(node.target))
            self.values[node] = (constant, constant)
        return self.values[node][run]

    def create_args_for_root(
        self,
        root_fn: object,
        is_module: bool,  # noqa: ARG002, FBT001 - the signature of torch.fx
        concrete_args: object = None,  # noqa: ARG002
    ) -> tuple[object, list[object]]:
        """The images are the only argument; others keep their defaults."""
        return root_fn, [self.root, self.create_proxy("placeholder", "images", (), {})]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002
        """Whether a module is one node."""
        return module_qualified_name not in self.opened

    def call_module(
        self, m: nn.Module, forward: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> _Value:
        """While a node's value is computed, modules simply run."""
        return forward(*args, **kwargs) if self._running else super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: _Value, parameter_proxy_cache: dict[str, _Value]) -> _Value:  # noqa: ARG002
        """Parameters and buffers of opened modules are nodes."""
        if self._running or not isinstance(attr_val, torch.Tensor):
            return attr_val
        for path, tensor in (*self.root.named_parameters(), *self.root.named_buffers()):
            if tensor is attr_val:
                if path not in parameter_proxy_cache:
                    parameter_proxy_cache[path] = self.create_proxy("get_attr", path, (), {})
                return parameter_proxy_cache[path]
        return attr_val

    def proxy(self, node: fx.Node) -> _Symbol:
        """A node as the traced code sees it."""
        return _Symbol(node, self)

    def create_proxy(
        self, kind: str, target: _Value, args: _Value, kwargs: _Value, *rest: _Value, **more: _Value
    ) -> _Value:
        """Record a node, compute its value for both batches, and hand on symbols only where they differ."""
        node = super().create_proxy(kind, target, args, kwargs, *rest, **more).node
        self._running = True
        try:
            self.values[node] = (self._compute(node, 0), self._compute(node, 1))
        finally:
            self._running = False
        return self._seen(node)

    def _compute(self, node: fx.Node, run: int) -> _Value:
        if node.op == "placeholder":
            return self.images[run]
        if node.op == "get_attr":
            return attribute(self.root, str(node.target))
        args = _plain(fx.map_arg(node.args, lambda used: self.value(used, run)))
        kwargs = _plain(fx.map_arg(node.kwargs, lambda used: self.value(used, run)))
        if node.op == "call_module":
            return self.root.get_submodule(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)

    def _seen(self, node: fx.Node) -> _Value:
        """Containers as they are, with symbols inside; settled values as themselves."""
        first, second = self.values[node]
        if isinstance(first, torch.Tensor):
            return self.proxy(node)
        if isinstance(first, tuple | list | dict) and type(first) is type(second) and len(first) == len(second):
            keys = list(first) if isinstance(first, dict) else range(len(first))
            items = [
                first[key]
                if _same(first[key], second[key])
                else self.create_proxy("call_function", operator.getitem, (self.proxy(node), key), {})
                for key in keys
            ]
            if isinstance(first, dict):
                return dict(zip(keys, items, strict=True))
            if isinstance(first, list):
                return items
            return type(first)(*items) if hasattr(first, "_fields") else tuple(items)
        if _same(first, second):
            return first
        return self.proxy(node) if isinstance(first, int) else _refuse(f"it hands on a {type(first).__name__}")


def attribute(root: nn.Module, path: str) -> _Value:
    """What a dotted path leads to; AttributeError where it leads nowhere."""
    found: _Value = root
    for name in path.split("."):
        found = getattr(found, name)
    return found


def ancestors(ends: Iterable[fx.Node]) -> set[fx.Node]:
    """Some nodes and all they depend on."""
    found: set[fx.Node] = set()
    waiting = list(ends)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.all_input_nodes
    return found


def has_tensors(value: object) -> bool:
    """Whether a node's value is a tensor or holds some."""
    if isinstance(value, dict):
        value = tuple(value.values())
    return any(map(has_tensors, value)) if isinstance(value, tuple | list) else isinstance(value, torch.Tensor)


def dress(
    root: nn.Module, original: nn.Module, paths: Mapping[nn.Module, str], dressed: list[tuple[nn.Module, nn.Module]]
) -> nn.Module:
    """A root's module; where tracing left only its parts, the original's code around these parts.

    Args:
        root: a network like the one that was traced, or what tracing left of one.
        original: the module in the network that was traced.
        paths: of that network's modules; of a shared one the first.
        dressed: gets each new module with the root's module whose mode it shall follow.
    """
    found: nn.Module | None = root
    leader = root
    for name in paths[original].split("."):
        found = getattr(found, name, None)
        leader = leader if found is None else found
    if found is not None and type(found).forward is not nn.Module.forward:
        return found
    module = type(original).__new__(type(original))
    module.__dict__ |= original.__dict__
    for kind in ("_parameters", "_buffers"):
        # What the root lacks, its graph did not use; None, because it must not be used by mistake.
        module.__dict__[kind] = {name: getattr(found, name, None) for name in getattr(original, kind)}
    module.__dict__["_modules"] = {
        name: part if part is None else dress(root, part, paths, dressed)
        for name, part in original._modules.items()  # noqa: SLF001
    }
    dressed.append((module, leader))
    return module


def _plain(value: _Value) -> _Value:
    """Ordinary lists and dicts for those of a graph, which refuse to be changed; HRNet changes its arguments."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return tuple(map(_plain, value)) if type(value) is tuple else value


def _assign(tensor: Tensor, index: _Value, value: _Value) -> Tensor:
    tensor[index] = value
    return tensor


def _same(first: object, second: object) -> bool:
    """Whether a value is plain and does not depend on the batch."""
    if isinstance(first, tuple | list):
        return type(first) is type(second) and len(first) == len(second) and all(map(_same, first, second))
    return not isinstance(first, torch.Tensor | dict) and (first is second or first == second)


def _refuse(reason: str) -> NoReturn:
    raise TypeError(reason)
