"""Every image decoded once into one memory-mapped array, so that nothing after it decodes again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from advisor.data.cache import cache_dir, disk_errors, new_folder
from advisor.data.decode import UnreadableImageError, decode_square
from advisor.errors import DatasetError, PluginError
from advisor.progress import Progress, Silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from advisor.data.dataset import ImageDataset
    from advisor.types import InputSpec


_FORMAT = 2  # to be raised when the same file would decode to other pixels


@dataclass(frozen=True)
class PixelStore:
    """Decoded images of one dataset at one size.

    Attributes:
        folder: holds `pixels.u8`, an (n, side, side, 3) uint8 array without header, and `store.json`.
        count: n, images.
        side: pixels.
        broken: rows that could not be decoded, with the reason; their pixels are zero and never used.
    """

    folder: Path
    count: int
    side: int
    broken: tuple[tuple[int, str], ...]

    def batch(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """A copy of the images in these rows, (len(rows), side, side, 3) uint8.

        The file is mapped for this call only, so that its pages never add up to this process's memory.
        """
        return np.asarray(self._map()[rows])

    def thumbnails(self, rows: NDArray[np.int64], side: int) -> NDArray[np.float32]:
        """Area-averaged squares of these rows, (len(rows), side, side, 3) in 0..255."""
        import torch
        import torch.nn.functional as F  # noqa: N812 - torch's own convention

        stride = max(1, self.side // (2 * side))  # of large images a grid of pixels is enough
        pixels = self._map()[:, ::stride, ::stride]
        out = np.empty((len(rows), side, side, 3), np.float32)
        for start in range(0, len(rows), 64):
            batch = torch.from_numpy(np.asarray(pixels[rows[start : start + 64]])).permute(0, 3, 1, 2).float()
            out[start : start + 64] = F.interpolate(batch, size=(side, side), mode="area").permute(0, 2, 3, 1).numpy()
        return out

    def _map(self) -> NDArray[np.uint8]:
        shape = (self.count, self.side, self.side, 3)
        return np.memmap(self.folder / "pixels.u8", dtype=np.uint8, mode="r", shape=shape)


def store_pixels(dataset: ImageDataset, spec: InputSpec, *, progress: Progress | None = None) -> PixelStore:
    """Decode a dataset, or find it decoded.

    Images are kept as squares of the size to which the backbone resizes them, or of the largest side in the dataset
    that becomes one where that is less (28-pixel digits are kept at 28 and enlarged on the device).

    Raises:
        AdvisorError: the disk is full or may not be written.
    """
    side = _side(dataset, spec)
    folder = cache_dir("pixels") / f"{dataset.digest}-{side}-{_way(spec)}-{_FORMAT}{_variant(dataset)}"
    if folder.is_dir() and json.loads((folder / "store.json").read_text())["retry"]:
        shutil.rmtree(folder)  # some files could not be read then; perhaps they can now
    if not folder.is_dir():
        _decode_all(dataset, folder, side, spec, progress or Silent())
    meta = json.loads((folder / "store.json").read_text())
    return PixelStore(folder, meta["count"], meta["side"], tuple((r, why) for r, why in meta["broken"]))


def decode_rows(dataset: ImageDataset, rows: NDArray[np.int64], spec: InputSpec) -> NDArray[np.uint8]:
    """Some readable images decoded for an input and kept nowhere: (len(rows), side, side, 3) uint8.

    Raises:
        DatasetError: one of them can no longer be read.
    """
    frame = dataset.frame.set_index("row", drop=False).loc[rows]
    squares = []
    for path, outcome in zip(frame["path"], _decoded(replace(dataset, frame=frame), spec.resize, spec), strict=True):
        if isinstance(outcome, str | OSError):
            why = outcome if isinstance(outcome, str) else _words(outcome)
            raise DatasetError(f"`{path}` can no longer be read: {why}.", hint="run the same command again")
        squares.append(outcome)
    return np.stack(squares)


def _side(dataset: ImageDataset, spec: InputSpec) -> int:
    """Of the squares that are kept, pixels.

    Padded pictures are kept as large as the network reads them: enlarged later, the edges of their borders would be
    soft, and a little elsewhere than where `predict` puts them.
    """
    if spec.fit == "pad":
        return spec.resize
    sides = dataset.frame[["width", "height"]]
    shown = sides.min(axis=1) if spec.fit == "crop" else sides.max(axis=1)
    return int(min(spec.resize, shown.max() if len(shown) else 1))


def _way(spec: InputSpec) -> str:
    """How images become squares, as a part of a folder's name."""
    fit = {"crop": "", "squash": "-squash", "pad": f"-pad{bytes(spec.fill).hex()}"}[spec.fit]
    return f"{spec.interpolation}{fit}"


def _variant(dataset: ImageDataset) -> str:
    """What tells apart decodings of the same files: the ranges of deep images, and which files could not be opened."""
    unopened = "".join(sorted(path for path, _ in dataset.broken))
    own = hashlib.sha256(unopened.encode()).hexdigest()[:8] if unopened else ""
    return "".join(f"-{part}" for part in (dataset.ranges.key, own) if part)


def _decode_all(dataset: ImageDataset, folder: Path, side: int, spec: InputSpec, progress: Progress) -> None:
    size = side * side * 3
    count = len(dataset.frame)
    broken: list[tuple[int, str]] = []
    retry = False
    with new_folder(folder) as partial, disk_errors(folder.parent):
        with (partial / "pixels.u8").open("wb") as file:
            if count and hasattr(os, "posix_fallocate"):
                # Claim the space now: a full disk is an error here and a crash under a sparse map.
                os.posix_fallocate(file.fileno(), 0, count * size)
            with progress.task("Decoding images", count) as advance:
                for row, outcome in enumerate(_decoded(dataset, side, spec)):
                    if isinstance(outcome, str | OSError):
                        retry = retry or isinstance(outcome, OSError)
                        broken.append((row, outcome if isinstance(outcome, str) else _words(outcome)))
                        file.write(bytes(size))
                    else:
                        file.write(outcome.data)
                    advance(1)
        meta = {"count": count, "side": side, "broken": broken, "retry": retry}
        (partial / "store.json").write_text(json.dumps(meta))


def _decoded(dataset: ImageDataset, side: int, spec: InputSpec) -> Iterator[NDArray[np.uint8] | str | OSError]:
    """Decoded squares in table order, or the reason why not; a bounded number is in flight at a time."""

    def one(path: str) -> NDArray[np.uint8] | str | OSError:
        try:
            data, way = dataset.read(path), spec.interpolation
            square = decode_square(data, side, way, dataset.ranges, fit=spec.fit, fill=spec.fill)
            return np.ascontiguousarray(square)
        except UnreadableImageError as error:
            return str(error)
        except PluginError as error:
            return error.message
        except OSError as error:
            return error

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[object] = deque()
        for path in dataset.frame["path"]:
            waiting.append(pool.submit(one, path))
            if len(waiting) > 4 * workers:
                yield waiting.popleft().result()  # type: ignore[attr-defined]
        while waiting:
            yield waiting.popleft().result()  # type: ignore[attr-defined]


def _words(error: OSError) -> str:
    return error.strerror or str(error)
