"""Activations at a freeze boundary, computed once, kept on disk, and shared by parallel trials and later runs."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import torch
from filelock import Timeout

from advisor.data.cache import (
    MANIFEST,
    cache_dir,
    checksum,
    disk_errors,
    folder_bytes,
    lock_for,
    make_room,
    new_folder,
    remove_folder,
)
from advisor.data.views import augmented_view, clean_view
from advisor.errors import BackboneError
from advisor.network.features import numerics
from advisor.network.kept import HELD, Activations, View, open_kept
from advisor.network.sweep import BATCH
from advisor.progress import Progress, Silent

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from advisor.data.pixels import PixelStore
    from advisor.network.segments import Segments
    from advisor.network.stages import Stages
    from advisor.types import InputSpec

__all__ = ["DEFAULT_LIMIT", "ActivationCache", "Activations", "View"]

DEFAULT_LIMIT = 4 * 10**9  # bytes of all activations together
_FORMAT = 2  # to be raised when the same network would leave other activations or draw other views
_DRAW = 64  # images whose random views are drawn at once; the pictures of a view depend on it
_BYTES = 2  # of a bfloat16


class ActivationCache:
    """Activations of one pretrained network on the images of one pixel store.

    Args:
        network: pretrained, on `device`, in evaluation mode; it is never changed.
        stages: of that network.
        segments: of that network.
        pixels: the images.
        spec: of the network's input.
        device: where they are computed.
        limit: bytes that all activations of all networks may take on disk. What was used least recently gives way;
            what this process still holds does not, so while it holds more than the limit, more is kept.
        progress: told how far a computation is.
    """

    def __init__(
        self,
        network: nn.Module,
        stages: Stages,
        segments: Segments,
        pixels: PixelStore,
        spec: InputSpec,
        *,
        device: torch.device,
        limit: int = DEFAULT_LIMIT,
        progress: Progress | None = None,
    ) -> None:
        self.network, self.stages, self.segments = network, stages, segments
        self.pixels, self.spec, self.device = pixels, spec, device
        self.limit = limit
        self.progress = progress or Silent()
        self._below: dict[int, str] = {}

    def size(self, at: int, rows: int, views: int) -> int:
        """Bytes on disk of so many views of so many images, cut after stage `at`."""
        return _BYTES * sum(math.prod(shape) for shape in self.segments.sizes(at)) * rows * views

    def pays(self, at: int, rows: int, views: int) -> bool:
        """Whether they fit under the limit, and on the disk once all other activations have given way."""
        root = cache_dir("activations")
        root.mkdir(parents=True, exist_ok=True)
        room = shutil.disk_usage(root).free + folder_bytes(root)
        return self.size(at, rows, views) <= min(room, self.limit)

    def has(self, rows: NDArray[np.int64], at: int, view: View) -> bool:
        """Whether they are on disk already."""
        return (self._folder(rows, at, view) / MANIFEST).is_file()

    def get(self, rows: NDArray[np.int64], at: int, view: View) -> Activations:
        """Activations of one view of these rows, cut after stage `at`; computed if absent.

        A process that finds another one computing them waits for it. Random views are drawn in the order of
        `rows`, independently of the stage: the same view at two stages is the same picture.

        Args:
            rows: (n,) places in the pixel store, n ≥ 1; the key holds their order, too.
            at: stages below the cut, 1..len(stages) - 1.
            view: which.

        Raises:
            BackboneError: activations are not finite, or are no floating-point numbers.
            AdvisorError: the disk is full or may not be written.
        """
        assert len(rows), "no rows"
        assert not self.network.training
        target = self._folder(rows, at, view)
        found = open_kept(target)
        if found is None:
            with self._sole_writer(target):  # until it is open: nobody evicts what is locked
                found = open_kept(target)
                if found is None:
                    self._compute(target, rows, at, view)
                    found = Activations(target)
        return found

    @contextmanager
    def _sole_writer(self, target: Path) -> Iterator[None]:
        with disk_errors(target.parent):
            lock = lock_for(target)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                self.progress.say("Waiting for another process that computes the same activations.")
                lock.acquire()
            try:
                yield
            finally:
                lock.release()

    def _folder(self, rows: NDArray[np.int64], at: int, view: View) -> Path:
        import timm

        order = hashlib.sha256(np.ascontiguousarray(rows, "<i8").tobytes()).hexdigest()
        taps = [stage.name for stage in self.stages.stages[:at]]
        # The printed network tells apart architectures that share weights: paddings, activations.
        key = (
            f"{_FORMAT}|{timm.__version__}|{numerics(self.network)}|bfloat16|{self.pixels.folder.name}|{order}|{self.spec}|"
            f"{view}|{at}|{taps}|{self.network}|{self._digest_below(at)}"
        )
        name = f"{self.pixels.folder.name}-stage{at}-{view}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        return cache_dir("activations") / name

    def _digest_below(self, at: int) -> str:
        """Of the parameters and buffers that the forward pass uses below the cut; those above do not matter."""
        if at not in self._below:
            digest = hashlib.sha256()
            for name, tensor in sorted(self.segments.between(self.network, 0, at).state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
            self._below[at] = digest.hexdigest()
        return self._below[at]

    def _compute(self, target: Path, rows: NDArray[np.int64], at: int, view: View) -> None:
        source, start = self._shallower(rows, at, view)
        segment = self.segments.between(self.network, start, at)
        shapes = self.segments.sizes(at)
        if target.is_dir():
            remove_folder(target, locked=True)  # changed from outside; see `Activations`
        with new_folder(target) as partial, ExitStack() as stack:
            files = self._claim(partial, target, shapes, len(rows), stack)
            with self.progress.task("Keeping activations", len(rows)) as advance, torch.inference_mode():
                for inputs in self._inputs(rows, view, source):
                    tensors = segment(*inputs)
                    for file, tensor, shape in zip(files, tensors, shapes, strict=True):
                        file.write(self._checked(tensor, shape, at))
                    advance(len(tensors[0]))
            for file in files:
                file.flush()
                os.fsync(file.fileno())  # after a power failure, a whole folder of zeros would look finished
            self._describe(partial, shapes, rows, at, view, start)
        if source is not None:
            source.close()

    def _shallower(self, rows: NDArray[np.int64], at: int, view: View) -> tuple[Activations | None, int]:
        """The deepest cut below this one that is on disk, and its stage; 0 stands for the images themselves."""
        for start in range(at - 1, 0, -1):
            found = open_kept(self._folder(rows, start, view))
            if found is not None:
                return found, start
        return None, 0

    def _inputs(self, rows: NDArray[np.int64], view: View, source: Activations | None) -> Iterator[tuple[Tensor, ...]]:
        """What the segment reads, batch by batch in the order of `rows`, on the device."""
        batch = BATCH if self.device.type == "cpu" else _DRAW
        if source is not None:
            for first in range(0, len(rows), batch):
                positions = torch.arange(first, min(first + batch, len(rows)))
                yield tuple(tensor.to(self.device).float() for tensor in source.take(positions))
            return
        generator = torch.Generator().manual_seed(view.number)
        for start in range(0, len(rows), _DRAW):
            pixels = torch.from_numpy(self.pixels.batch(rows[start : start + _DRAW])).to(self.device)
            if view.clean:
                images = clean_view(pixels, self.spec)
            else:
                images = augmented_view(pixels, self.spec, view.kind, generator)
            for first in range(0, len(images), batch):
                yield (images[first : first + batch],)

    def _claim(
        self, partial: Path, target: Path, shapes: tuple[tuple[int, ...], ...], rows: int, stack: ExitStack
    ) -> list[io.BufferedWriter]:
        """Make room under the limit and take it before computing, so that parallel writers see each other's."""
        sizes = [_BYTES * rows * math.prod(shape) for shape in shapes]
        with lock_for(target.parent / "room"):
            held = {found.folder for found in HELD}
            make_room(target.parent, sum(sizes), self.limit, held=held, locked=target.name)
            files = [stack.enter_context((partial / f"{number}.bf16").open("wb")) for number in range(len(shapes))]
            for file, size in zip(files, sizes, strict=True):
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    file.truncate(size)
        return files

    def _checked(self, tensor: Tensor, shape: tuple[int, ...], at: int) -> memoryview:
        name = f"`{_architecture(self.network)}` after stage {at} ({self.stages.stages[at - 1].name})"
        if not tensor.is_floating_point():
            raise BackboneError(
                f"What {name} hands on is {tensor.dtype}, which cannot be kept as bfloat16.",
                ways=["train without keeping activations"],
                hint='[features] cache = "fresh"',
            )
        kept = tensor.to(torch.bfloat16)
        if not bool(kept.isfinite().all()):
            raise BackboneError(
                f"{name} gives values that are not finite, so nothing above it can learn.",
                ways=["use another backbone", "train every stage: [freeze] depth = 0"],
                hint="advisor recommend --backbone lite0",
            )
        assert kept.shape[1:] == shape, f"{kept.shape} is not (B, *{shape})"
        return kept.cpu().contiguous().view(torch.int16).numpy().data

    def _describe(
        self,
        partial: Path,
        shapes: tuple[tuple[int, ...], ...],
        rows: NDArray[np.int64],
        at: int,
        view: View,
        start: int,
    ) -> None:
        import timm

        sizes = [_BYTES * len(rows) * math.prod(shape) for shape in shapes]
        tensors = [
            {"file": (name := f"{number}.bf16"), "shape": shape, "bytes": size, "crc32": checksum(partial / name)}
            for number, (shape, size) in enumerate(zip(shapes, sizes, strict=True))
        ]
        stage, backbone = self.stages.stages[at - 1].name, _architecture(self.network)
        manifest = {
            "what": f"{backbone} after stage {at} of {len(self.stages)} ({stage}), {view} view of {len(rows)} images",
            "backbone": backbone,
            "class": type(self.network).__name__,
            "dataset": self.pixels.folder.name,
            "stage": at,
            "tap": stage,
            "view": str(view),
            "rows": len(rows),
            "dtype": "bfloat16",
            "tensors": tensors,
            "bytes": sum(sizes),
            "computed_from_stage": start,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "format": _FORMAT,
            "timm": timm.__version__,
            "torch": torch.__version__,
        }
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1))


def _architecture(network: nn.Module) -> str:
    """The name under which timm knows a network, or its class."""
    known = getattr(network, "pretrained_cfg", None) or {}
    return str(known.get("architecture") or type(network).__name__)
