"""What a file of weights is at first sight, before anything that could read it is imported."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

from advisor.errors import BackboneError

if TYPE_CHECKING:
    from pathlib import Path

_DAMAGED = "it is damaged, cut, or of another format"
_HEAD = 512  # bytes that tell what a file is
_LENGTH = 8  # bytes in which a safetensors file says how long its header is


def require_weights(path: Path) -> None:
    """Refuse a file that cannot hold weights, in milliseconds; one that is let through may still be damaged.

    Raises:
        BackboneError: it cannot be read, is empty, a page, a pointer of Git LFS, or cut.
    """
    try:
        reason = flaw_at_sight(path) or _flaw_of_safetensors(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if reason:
        raise refusal(path, reason)


def refusal(path: Path, reason: str) -> BackboneError:
    """That a file of weights is refused, and the ways out."""
    return BackboneError(
        f"The weight file {path} is refused: {reason}.",
        ways=["ask for a safetensors file", "save the tensors alone: torch.save(network.state_dict(), FILE)"],
        hint="safetensors files cannot hold code",
    )


def flaw_at_sight(path: Path) -> str:
    """Why a file cannot hold weights, whatever its format, from its first bytes; empty where nothing speaks against it.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    text = head.lstrip()
    if not text:
        return "it is empty"
    if text.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the weights; fetch them: git lfs pull"
    if text.startswith((b"<", b"{")):
        return "it is a page or a text, such as one to sign in, not weights"
    return _DAMAGED if head.startswith(b"PK") and not zipfile.is_zipfile(path) else ""


def is_safetensors(path: Path) -> bool:
    """Whether a file says that it is one of safetensors, by its ending or by how it begins.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return path.suffix.lower() == ".safetensors" or file.read(_LENGTH + 1)[_LENGTH:] == b"{"


def _flaw_of_safetensors(path: Path) -> str:
    """Whether the header of a safetensors file says something else than the file's length; empty for other files."""
    if not is_safetensors(path):
        return ""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if length > size - _LENGTH:
            return _DAMAGED
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            whole = _LENGTH + length + max(ends, default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return _DAMAGED
    return "" if size == whole else _DAMAGED
