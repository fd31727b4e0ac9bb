"""Folders of IDX files, the format of MNIST and its successors, plain or gzipped."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import DatasetError, UsageError
from advisor.types import DatasetFormat, Listing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SPLITS = {"train": "train", "t10k": "test", "test": "test"}
_IMAGES, _LABELS = "-images-idx3-ubyte", "-labels-idx1-ubyte"


def open_idx(location: str) -> Listing:
    """List the images of a folder of IDX files; each is encoded as PNG when it is read.

    Raises:
        DatasetError: a file is not what its name says.
    """
    from PIL import Image

    arrays: dict[str, NDArray[np.uint8]] = {}
    paths, labels, splits = [], [], []
    pairs = _pairs(Path(location))
    if not pairs:
        raise UsageError(
            f"`{location}` holds no IDX files.",
            ways=["two files for each part: train-images-idx3-ubyte and train-labels-idx1-ubyte, plain or gzipped"],
            hint="apt-get install dataset-fashion-mnist brings a set",
        )
    for part, (images, names) in pairs.items():
        arrays[part] = _read(images, 3)
        found = _read(names, 1)
        if len(found) != len(arrays[part]):
            raise DatasetError(
                f"`{images}` holds {len(arrays[part])} images and `{names.name}` {len(found)} labels.",
                hint="fetch both files again",
            )
        paths += [f"{part}/{number:05d}.png" for number in range(len(found))]
        labels += [str(label) for label in found.tolist()]
        splits += [_SPLITS.get(part, "train")] * len(found)

    if not paths:
        raise DatasetError(f"The IDX files of `{location}` hold no image.", hint="fetch the files again")
    known = set(paths)

    def read(path: str) -> bytes:
        part, _, name = path.partition("/")
        if path not in known:
            raise FileNotFoundError(path)
        buffer = io.BytesIO()
        Image.fromarray(arrays[part][int(name[:-4])]).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    return Listing(name=Path(location).resolve().name, paths=paths, labels=labels, splits=splits, read=read)


def _pairs(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Image and label file of each part (`train`, `t10k`) in a folder."""
    found = {}
    try:
        files = {file.name.removesuffix(".gz"): file for file in folder.iterdir()}
    except (OSError, ValueError):  # a zero byte in the name is a ValueError
        return {}
    for name, file in sorted(files.items()):
        part = name.removesuffix(_IMAGES)
        if part != name and part + _LABELS in files:
            found[part] = (file, files[part + _LABELS])
    return found


def _read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Unsigned bytes of an IDX file with this many dimensions."""
    import numpy as np

    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"`{path}` cannot be read: {error}.", hint="fetch the file again") from error
    start = 4 + 4 * dimensions
    shape = struct.unpack(f">{dimensions}I", data[4:start]) if len(data) >= start else ()
    # math.prod, since a header that lies overflows numpy's.
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) != start + math.prod(shape) or 0 in shape[1:]:
        raise DatasetError(
            f"`{path}` is not an IDX file of unsigned bytes with {dimensions} dimensions, or it is cut short.",
            hint="fetch the file again",
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


IDX = DatasetFormat(
    name="idx",
    recognise=lambda location: 0.95 if _pairs(Path(location)) else 0.0,
    open=open_idx,
    example="/usr/share/datasets/fashion-mnist",
    summary="a folder of IDX files as MNIST has them, train- and t10k-, plain or gzipped",
)
