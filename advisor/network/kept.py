"""Activations that are on disk, open for reading."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import weakref
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.data.cache import MANIFEST, checksum
from advisor.data.views import AUGMENTATIONS, augmented_view, clean_view

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from advisor.types import InputSpec


MIRROR = "mirror"  # the clean view, left and right exchanged


@dataclass(frozen=True)
class View:
    """Which view of the images.

    Attributes:
        kind: one of `advisor.data.views.AUGMENTATIONS`, or `mirror`, which is drawn at no random; ignored for number 0.
        number: 0 is the clean view, 1 and up are random ones of the kind.
        draw: views of another draw have other pictures; 0 is the one that all trials share.
    """

    kind: str
    number: int
    draw: int = 0

    def __post_init__(self) -> None:
        if self.kind not in (*AUGMENTATIONS, MIRROR) or self.number < 0:
            raise ValueError(f"no such view: {self}")

    @property
    def clean(self) -> bool:
        """Whether this is what the network sees in evaluation."""
        return self.number == 0 or self.kind == "none"

    def of(self, pixels: Tensor, rows: Sequence[int], spec: InputSpec) -> Tensor:
        """This view of some images, (B, 3, size, size); what is drawn for an image depends on its row only.

        Args:
            pixels: (B, side, side, 3) uint8 from the pixel store, on any device.
            rows: (B,) their places in the store.
            spec: of the backbone.
        """
        if self.clean:
            return clean_view(pixels, spec)
        if self.kind == MIRROR:
            return clean_view(pixels, spec).flip(-1)
        generator = torch.Generator()
        return torch.cat([
            augmented_view(image[None], spec, self.kind, generator.manual_seed(self._seed(row)))
            for image, row in zip(pixels, rows, strict=True)
        ])  # fmt: skip

    def _seed(self, row: int) -> int:
        digest = hashlib.sha256(f"{self.draw}|{self.number}|{row}".encode()).digest()
        return int.from_bytes(digest[:7], "big")

    def __str__(self) -> str:
        return "clean" if self.clean else f"{self.kind}-{self.number}"


CLEAN, MIRRORED = View("none", 0), View(MIRROR, 1)


class Activations:
    """What crosses the cut after one stage, for one view of some images.

    The files stay open, so another process may remove them from the cache without harm; they are mapped only while
    they are read, so their pages never add up to this process's memory.

    Args:
        folder: finished, with its manifest.

    Raises:
        FileNotFoundError: there is none, or it is not what its manifest says.
    """

    def __init__(self, folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        self.folder = folder
        self.rows: int = manifest["rows"]
        self.shapes: tuple[tuple[int, ...], ...] = tuple(tuple(entry["shape"]) for entry in manifest["tensors"])
        with ExitStack() as stack:
            self._files = [_open_for_reading(folder / entry["file"], stack) for entry in manifest["tensors"]]
            sizes = [os.fstat(file).st_size for file in self._files]
            if sizes != [entry["bytes"] for entry in manifest["tensors"]]:
                raise FileNotFoundError(f"{folder} has been changed")
            for entry in manifest["tensors"]:
                _require_whole(folder / entry["file"], entry["crc32"])
            self._closer = weakref.finalize(self, stack.pop_all().close)
        HELD.add(self)

    def take(self, positions: Tensor) -> tuple[Tensor, ...]:
        """Of these positions (B,) in the rows that they were made for, in this order.

        Returns:
            The per-image tensors that cross the cut, each (B, …) bfloat16 on the CPU.
        """
        index = positions.cpu().numpy()
        return tuple(
            torch.from_numpy(_read(file, (self.rows, *shape), index)).view(torch.bfloat16)
            for file, shape in zip(self._files, self.shapes, strict=True)
        )

    def close(self) -> None:
        """Let go of the files; what is garbage-collected does so by itself."""
        self._closer()
        HELD.discard(self)


HELD: weakref.WeakSet[Activations] = weakref.WeakSet()  # what this process reads and does not evict


def open_kept(folder: Path) -> Activations | None:
    """What is in a folder, marked as used; None if there is nothing, or nothing whole."""
    try:
        found = Activations(folder)
    except FileNotFoundError:
        return None
    with suppress(OSError):  # gone meanwhile, which does no harm, or a cache that may only be read
        os.utime(folder / MANIFEST)
    return found


_WHOLE: set[tuple[str, int, int]] = set()  # files whose checksums this process has found right


def _require_whole(path: Path, crc: str) -> None:
    """Compare a file with its checksum, once in a process as long as nobody writes to it."""
    stat = path.stat()
    key = str(path), stat.st_ino, stat.st_mtime_ns
    if key in _WHOLE:
        return
    if checksum(path) != crc:
        raise FileNotFoundError(f"{path} has been damaged")
    _WHOLE.add(key)


def _open_for_reading(path: Path, stack: ExitStack) -> int:
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    stack.callback(os.close, file)
    return file


def _read(file: int, shape: tuple[int, ...], index: NDArray[np.int64]) -> NDArray[np.int16]:
    """A copy of these rows; the mapping goes when this returns."""
    whole = np.frombuffer(mmap.mmap(file, 0, access=mmap.ACCESS_READ), np.int16).reshape(shape)
    return np.asarray(whole[index])
