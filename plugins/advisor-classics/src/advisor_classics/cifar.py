"""Folders of CIFAR-10 or CIFAR-100 in their binary form."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import DatasetError, UsageError
from advisor.types import DatasetFormat, Listing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SIDE, _PIXELS = 32, 3 * 32 * 32


@dataclass(frozen=True)
class _Kind:
    """One of the two sets.

    Attributes:
        files: by name, the part that they belong to.
        labels: by kind of label, its place in a record and the file with the names.
    """

    files: dict[str, str]
    labels: dict[str, tuple[int, str]]


_KINDS = (
    _Kind(
        {**{f"data_batch_{number}.bin": "train" for number in range(1, 6)}, "test_batch.bin": "test"},
        {"fine": (0, "batches.meta.txt")},
    ),
    _Kind(
        {"train.bin": "train", "test.bin": "test"},
        {"fine": (1, "fine_label_names.txt"), "coarse": (0, "coarse_label_names.txt")},
    ),
)


def open_cifar(location: str) -> Listing:
    """List the images of a folder of CIFAR's binary files; each is encoded as PNG when it is read.

    Raises:
        UsageError: the kind of label behind the `?` is not one.
        DatasetError: a file is cut short, or the names of its classes are missing.
    """
    import numpy as np
    from PIL import Image

    where, _, wanted = location.partition("?label=")
    folder = Path(where)
    kind = _kind_of(folder)
    if kind is None:
        raise UsageError(
            f"`{where}` holds no binary files of CIFAR.",
            ways=["CIFAR-10: data_batch_1.bin to 5 and test_batch.bin", "CIFAR-100: train.bin and test.bin"],
            hint="the archives are called cifar-10-binary.tar.gz and cifar-100-binary.tar.gz",
        )
    if (wanted or "fine") not in kind.labels:
        raise UsageError(
            f"`{where}` has no `{wanted}` labels.",
            ways=[f"known: {', '.join(kind.labels)}"],
            hint=f"{where}?label=fine",
        )
    place, names_file = kind.labels[wanted or "fine"]
    names = _names(folder / names_file)
    width = len(kind.labels) + _PIXELS
    arrays: dict[str, NDArray[np.uint8]] = {}
    paths, labels, splits = [], [], []
    for name, part in kind.files.items():
        if not (folder / name).is_file():
            continue
        data = np.fromfile(folder / name, np.uint8)
        if not len(data) or len(data) % width or int(data[place::width].max()) >= len(names):
            raise DatasetError(
                f"`{folder / name}` is not a file of CIFAR's records, or it is cut short.",
                hint="fetch the archive again",
            )
        arrays[name] = data.reshape(-1, width)
        paths += [f"{name}/{number:05d}.png" for number in range(len(arrays[name]))]
        labels += [names[number] for number in arrays[name][:, place].tolist()]
        splits += [part] * len(arrays[name])

    known = set(paths)

    def read(path: str) -> bytes:
        name, _, number = path.partition("/")
        if path not in known:
            raise FileNotFoundError(path)
        pixels = arrays[name][int(number[:-4]), -_PIXELS:].reshape(3, _SIDE, _SIDE).transpose(1, 2, 0)
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    return Listing(name=folder.resolve().name, paths=paths, labels=labels, splits=splits, read=read)


def recognise(location: str) -> float:
    """How sure we are: a folder with the files of one of the two sets."""
    try:
        return 0.95 if _kind_of(Path(location.partition("?label=")[0])) else 0.0
    except OSError:
        return 0.0


def _kind_of(folder: Path) -> _Kind | None:
    for kind in _KINDS:
        first, names = next(iter(kind.files)), next(iter(kind.labels.values()))[1]
        if (folder / first).is_file() and (folder / names).is_file():
            return kind
    return None


def _names(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"`{file}`, the names of the classes, cannot be read: {error}.") from error


CIFAR = DatasetFormat(
    name="cifar",
    recognise=recognise,
    open=open_cifar,
    example="./cifar-10-batches-bin",
    summary="a folder of CIFAR-10 or CIFAR-100 in binary form; ?label=coarse for the twenty groups of CIFAR-100",
)
