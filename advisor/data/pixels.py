"""Every image decoded once into one memory-mapped array, so that nothing after it decodes again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from advisor.data.cache import cache_dir, disk_errors, new_folder
from advisor.data.decode import UnreadableImageError, decode_square
from advisor.errors import PluginError
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

    Images are kept at the size to which the backbone resizes the shorter side, or at the largest shorter
    side in the dataset where that is less (28-pixel digits are kept at 28 and enlarged on the device).

    Raises:
        AdvisorError: the disk is full or may not be written.
    """
    shorter = dataset.frame[["width", "height"]].min(axis=1)
    side = int(min(spec.resize, shorter.max() if len(shorter) else 1))
    folder = cache_dir("pixels") / f"{dataset.digest}-{side}-{spec.interpolation}-{_FORMAT}{_variant(dataset)}"
    if folder.is_dir() and json.loads((folder / "store.json").read_text())["retry"]:
        shutil.rmtree(folder)  # some files could not be read then; perhaps they can now
    if not folder.is_dir():
        _decode_all(dataset, folder, side, spec.interpolation, progress or Silent())
    meta = json.loads((folder / "store.json").read_text())
    return PixelStore(folder, meta["count"], meta["side"], tuple((r, why) for r, why in meta["broken"]))


def _variant(dataset: ImageDataset) -> str:
    """What tells apart decodings of the same files: the ranges of deep images, and which files could not be opened."""
    unopened = "".join(sorted(path for path, _ in dataset.broken))
    own = hashlib.sha256(unopened.encode()).hexdigest()[:8] if unopened else ""
    return "".join(f"-{part}" for part in (dataset.ranges.key, own) if part)


def _decode_all(dataset: ImageDataset, folder: Path, side: int, interpolation: str, progress: Progress) -> None:
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
                for row, outcome in enumerate(_decoded(dataset, side, interpolation)):
                    if isinstance(outcome, str | OSError):
                        retry = retry or isinstance(outcome, OSError)
                        broken.append((row, outcome if isinstance(outcome, str) else _words(outcome)))
                        file.write(bytes(size))
                    else:
                        file.write(outcome.data)
                    advance(1)
        meta = {"count": count, "side": side, "broken": broken, "retry": retry}
        (partial / "store.json").write_text(json.dumps(meta))


def _decoded(dataset: ImageDataset, side: int, interpolation: str) -> Iterator[NDArray[np.uint8] | str | OSError]:
    """Decoded squares in table order, or the reason why not; a bounded number is in flight at a time."""

    def one(path: str) -> NDArray[np.uint8] | str | OSError:
        try:
            return np.ascontiguousarray(decode_square(dataset.read(path), side, interpolation, dataset.ranges))
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
