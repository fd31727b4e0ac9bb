"""Pooled features of every stage, computed once per image and kept between runs."""

from __future__ import annotations

import hashlib
import os
import uuid
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.data.cache import cache_dir, disk_errors
from advisor.data.views import clean_view
from advisor.errors import BackboneError
from advisor.network.kept import CLEAN, View
from advisor.network.sweep import batch_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from advisor.data.pixels import PixelStore
    from advisor.network.stages import Stages
    from advisor.network.sweep import Sweeper
    from advisor.progress import Progress
    from advisor.types import InputSpec

_FORMAT = 2  # to be raised when the same network would give other features
_WORTH_FOLDING = 64  # images; folding costs about as much as a few
_CHUNK = 512  # images per file; an interrupted pass loses at most this many


@dataclass
class FeatureStore:
    """A growing collection of per-image vectors, one file per finished chunk.

    Files appear whole or not at all, and two processes that compute the same rows only waste time.

    Attributes:
        folder: holds `<name>.npz` files with `rows` (n,) and `stage0`, `stage1`, … (n, width) float32.
    """

    folder: Path
    _rows: list[int] = field(default_factory=list)
    _whole: set[str] = field(default_factory=set)  # names of files whose checksums were found right
    _chunk: list[NDArray[np.float32]] = field(default_factory=list)

    @classmethod
    def open(
        cls, pixels: PixelStore, network: nn.Module, stages: Stages, spec: InputSpec, view: View = CLEAN
    ) -> FeatureStore:
        """The store of a view of these pixels under this network, its weights, its stages and its input."""
        import timm

        # The printed network tells apart architectures that share weights: paddings, activations.
        taps = [(stage.tap, stage.channels_last) for stage in stages.stages]
        key = (
            f"{_FORMAT}|{timm.__version__}|{numerics(network)}|{spec}|{taps}|{stages.codes}|{network}|"
            f"{weights_digest(network)}"
        )
        if not view.clean:
            key = f"{key}|{view}"
        name = f"{pixels.folder.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        return cls(cache_dir("features") / name)

    def known(self) -> set[int]:
        """Rows that are there."""
        rows: set[int] = set()
        for file in self._files():
            with np.load(file) as chunk:
                rows.update(chunk["rows"].tolist())
        return rows

    def add(self, rows: NDArray[np.int64], stages: list[NDArray[np.float32]]) -> None:
        """Keep a batch: rows (B,) and for each stage (B, width). Written out in chunks; see `flush`.

        Raises:
            BackboneError: a value is not a finite number.
        """
        for number, stage in enumerate(stages, 1):
            if not np.isfinite(stage).all():
                raise BackboneError(
                    f"After stage {number} of {len(stages)} the network gives values that are not finite numbers.",
                    ways=["check its weights", "use another backbone"],
                    hint="advisor recommend --backbone lite0",
                )
        if len(self._rows) + len(rows) > _CHUNK:
            self.flush()
        if not self._chunk:
            # Claimed once: many small arrays between large, short-lived ones would leave holes in memory.
            self._chunk = [np.empty((max(_CHUNK, len(rows)), stage.shape[1]), np.float32) for stage in stages]
        for chunk, stage in zip(self._chunk, stages, strict=True):
            chunk[len(self._rows) : len(self._rows) + len(rows)] = stage
        self._rows += rows.tolist()

    def flush(self) -> None:
        """Write what is pending to disk."""
        if not self._rows:
            return
        rows = np.array(self._rows, dtype=np.int64)
        stages = {f"stage{i}": chunk[: len(rows)] for i, chunk in enumerate(self._chunk)}
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = self.folder / f".{os.getpid()}.partial"
            try:
                with partial.open("wb") as file:
                    np.savez(file, allow_pickle=False, rows=rows, **stages)
                partial.rename(self.folder / f"{uuid.uuid4().hex}.npz")
            finally:
                partial.unlink(missing_ok=True)
        self._rows.clear()
        self._chunk.clear()

    def get(self, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """For each stage the vectors (len(rows), width) of these rows, in this order.

        Raises:
            KeyError: a row has not been computed.
        """
        place = {int(row): i for i, row in enumerate(rows)}
        out: list[NDArray[np.float32]] = []
        found = np.zeros(len(rows), dtype=bool)
        for file in self._files():
            with np.load(file) as chunk:
                pairs = [(i, place[row]) for i, row in enumerate(chunk["rows"].tolist()) if row in place]
                if not pairs:
                    continue
                source, target = np.array(pairs).T
                names = sorted((n for n in chunk.files if n != "rows"), key=lambda n: int(n[5:]))
                out = out or [np.empty((len(rows), chunk[n].shape[1]), np.float32) for n in names]
                for array, name in zip(out, names, strict=True):
                    array[target] = chunk[name][source]
                found[target] = True
        if not found.all():
            raise KeyError(f"{int((~found).sum())} rows have no features")
        return out

    def _files(self) -> list[Path]:
        """The files that are as they were written; damaged ones are removed, and made anew if needed."""
        files = []
        for file in sorted(self.folder.glob("*.npz")):
            if file.name in self._whole or _is_whole(file):
                self._whole.add(file.name)
                files.append(file)
            else:
                file.unlink(missing_ok=True)
        return files


def _is_whole(file: Path) -> bool:
    """Whether every array has the checksum that it was written with."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except (FileNotFoundError, zipfile.BadZipFile, zlib.error, EOFError):
        return False


def numerics(network: nn.Module) -> str:
    """What moves the last digits of a network's answers: the version of torch, the device, and its precision."""
    device = next(network.parameters()).device
    if device.type != "cuda":
        return f"{torch.__version__}|{device.type}|float32"
    fast = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    return f"{torch.__version__}|{torch.cuda.get_device_name(device)}|float32, tf32 {fast}"


def weights_digest(network: nn.Module) -> str:
    """SHA-256 over every parameter and buffer of a network."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def compute_features(
    sweeper: Sweeper,
    pixels: PixelStore,
    rows: NDArray[np.int64],
    spec: InputSpec,
    *,
    store: FeatureStore,
    device: torch.device,
    progress: Progress,
    view: View = CLEAN,
) -> list[NDArray[np.float32]]:
    """Pooled features of every stage for a view of these rows; only what is missing is computed.

    Returns:
        For each stage (len(rows), width) float32, in the order of `rows`.
    """
    known = store.known()
    missing = np.array([row for row in rows.tolist() if row not in known], dtype=np.int64)
    if len(missing):
        if len(missing) >= _WORTH_FOLDING:
            first = clean_view(torch.from_numpy(pixels.batch(missing[:1])).to(device), spec)
            sweeper = sweeper.folded(first)
        try:
            with progress.task("Reading features", len(missing)) as advance:
                for batch, pooled in _swept(sweeper, pixels, missing, spec, device, view):
                    store.add(batch, pooled)
                    advance(len(batch))
        finally:
            store.flush()
    return store.get(rows)


def draw_features(
    sweeper: Sweeper,
    pixels: PixelStore,
    rows: NDArray[np.int64],
    spec: InputSpec,
    *,
    device: torch.device,
    progress: Progress,
    view: View,
) -> list[NDArray[np.float32]]:
    """The same for a view that nobody will ask for again: nothing is kept on disk."""
    with progress.task("Reading features", len(rows)) as advance:
        parts = []
        for batch, pooled in _swept(sweeper, pixels, rows, spec, device, view):
            parts.append(pooled)
            advance(len(batch))
    return [np.concatenate(stage) for stage in zip(*parts, strict=True)]


def _swept(
    sweeper: Sweeper, pixels: PixelStore, rows: NDArray[np.int64], spec: InputSpec, device: torch.device, view: View
) -> Iterator[tuple[NDArray[np.int64], list[NDArray[np.float32]]]]:
    """Batches of rows with their pooled features at every stage."""
    size = batch_for(device)
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        images = view.of(torch.from_numpy(pixels.batch(batch)).to(device), batch.tolist(), spec)
        yield batch, [value.cpu().numpy() for value in sweeper(images).pooled]
