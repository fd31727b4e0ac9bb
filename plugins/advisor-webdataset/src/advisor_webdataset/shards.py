"""Finding shards, and listing the samples in them without unpacking any."""

from __future__ import annotations

import glob
import itertools
import json
import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from advisor.errors import DatasetError, UsageError
from advisor.types import PARTS, Listing

if TYPE_CHECKING:
    from collections.abc import Iterator

_IMAGES = (
    "jpg",
    "jpeg",
    "png",
    "webp",
    "bmp",
    "tif",
    "tiff",
    "gif",
)  # the first of them that a sample has is its image
_LABELS = ("cls", "json", "txt")  # where a label is looked for, in this order
_KEYS = ("label", "class", "category", "cls")  # of a sample's JSON
_MOST_OF_A_LABEL = 1 << 20  # bytes
_MOST_DIGITS = 9  # of a class's number
_GZIP = b"\x1f\x8b"


@dataclass
class Sample:
    """One sample while its shard is read.

    Attributes:
        images: by extension, such as `jpg` or `mask.png`, name, and offset and length of the bytes in the shard.
        parts: small files by extension, such as `cls`.
    """

    images: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    parts: dict[str, bytes] = field(default_factory=dict)

    @property
    def image(self) -> tuple[str, int, int] | None:
        """The one that is classified: a mask or a depth map (`mask.png`) only where there is nothing else."""
        order = sorted(self.images, key=lambda extension: ("." in extension, _IMAGES.index(_last(extension))))
        return self.images[order[0]] if order else None


def recognise(location: str) -> float:
    """How sure we are: tar files in a folder, a tar file, or a pattern of them that fits some."""
    try:
        return 0.95 if find_shards(location.partition("?label=")[0]) else 0.0
    except OSError:
        return 0.0


def find_shards(location: str) -> list[Path]:
    """The tar files of a folder, of a pattern with `{00..15}` and wildcards, or the one named; sorted."""
    path = Path(location)
    if path.is_dir():
        return sorted(entry for entry in path.iterdir() if _is_shard(entry.name) and not entry.name.startswith("."))
    if not _is_shard(location):
        return []
    if path.is_file():
        return [path]
    return sorted({Path(name) for pattern in _braces(location) for name in glob.glob(pattern)})  # noqa: PTH207 - absolute patterns, too


def open_shards(location: str, *, labelled: bool = True) -> Listing:
    """List the samples of some shards; each image is read from its place when it is asked for.

    Args:
        location: a folder, a shard, or a pattern.
        labelled: whether labels are read; to predict, there need be none.

    Raises:
        UsageError: there are no shards, or what stands behind the `?` is not understood.
        DatasetError: a shard is compressed or broken, holds no image, or a sample has no label.
    """
    where, wanted = _parse(location)
    shards = find_shards(where)
    if not shards:
        raise UsageError(
            f"There are no WebDataset shards at `{location}`.",
            ways=["give a folder of .tar files, one of them, or a pattern in single quotes"],
            hint="advisor recommend 'shards/train-{000..015}.tar'",
        )
    names = _class_names(shards[0].parent)
    alike = len({shard.name for shard in shards}) < len(shards)  # as of `*/00000.tar`
    places: dict[str, tuple[Path, int, int]] = {}
    labels: list[str] = []
    splits: list[str] = []
    known: dict[str, str] = {}  # equal labels are one object
    for shard in shards:
        split = _part(shard.name)
        for key, sample in _samples(shard):
            if sample.image is None:
                continue
            label = _named(_label(sample.parts, wanted, f"{shard.name}/{key}"), names) if labelled else ""
            name, offset, length = sample.image
            path = f"{shard if alike else shard.name}/{name}"
            if path in places:
                raise DatasetError(
                    f"`{shard}` holds `{name}` twice.",
                    ways=["write the shard again, each sample once", "leave it out"],
                    hint=f"tar tf {shard} | sort | uniq -d",
                )
            places[path] = (shard, offset, length)
            labels.append(known.setdefault(label, label))
            splits.append(split)
    if not places:
        raise DatasetError(
            f"The shards at `{location}` hold no image.",
            ways=[f"images end in {', '.join(sorted(_IMAGES))}"],
            hint=f"tar tf {shards[0]} | head",
        )

    def read(path: str) -> bytes:
        if path not in places:
            raise FileNotFoundError(f"no image `{path}` in the shards")
        shard, offset, length = places[path]
        with shard.open("rb") as file:
            file.seek(offset)
            data = file.read(length)
        if len(data) != length:
            raise OSError(f"{shard} has become shorter")
        return data

    folder = where if Path(where).is_dir() else str(shards[0].parent)
    return Listing(
        name=Path(folder).resolve().name or "shards",
        paths=list(places),
        labels=labels if labelled else (),
        splits=splits if any(splits) else (),
        read=read,
    )


def _parse(location: str) -> tuple[str, str]:
    """The place, and the extension or JSON key that holds the label; empty for the usual ones."""
    where, mark, more = location.partition("?label=")
    if not mark:
        return location, ""
    wanted = dict(parse_qsl(f"label={more}")).get("label", "")
    extension = wanted.partition(".")[0]
    if not extension:
        raise UsageError(
            f"Behind the `?` of `{location}` no label is named.",
            ways=["?label=cls for an extension", "?label=json.species for a key of the sample's JSON"],
            hint=f"advisor recommend '{where}?label=json.species'",
        )
    return where, wanted


def _samples(shard: Path) -> Iterator[tuple[str, Sample]]:
    """The samples of a shard, in order; only labels are read."""
    try:
        with shard.open("rb") as file:
            if file.read(2) == _GZIP:
                raise DatasetError(
                    f"`{shard}` is compressed, so its images cannot be read in place.",
                    ways=["unpack the compression, not the archive"],
                    hint=f"gunzip -k -S .tar {shard}",
                )
        with tarfile.open(shard, "r:") as archive:
            members = (
                (_split_name(member.name), member) for member in archive if member.isfile() and _counts(member.name)
            )
            for key, group in itertools.groupby(members, key=lambda pair: pair[0][0]):
                sample = Sample()
                for (_, extension), member in group:
                    if _last(extension) in _IMAGES:
                        sample.images[extension] = (member.name, member.offset_data, member.size)
                    elif member.size <= _MOST_OF_A_LABEL:
                        content = archive.extractfile(member)
                        sample.parts[extension] = content.read() if content else b""
                # It remembers every member; a million of them are gigabytes.
                archive.members = []  # type: ignore[attr-defined]
                yield from _told_apart(key, sample)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DatasetError(
            f"`{shard}` is no tar file that can be read to its end: {error}.",
            ways=["fetch it again", "leave it out"],
            hint=f"tar tf {shard}",
        ) from error


def _counts(name: str) -> bool:
    """Whether a member is a part of a sample: not macOS's `._0001.jpg` and `__MACOSX/`, nor another hidden file."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" not in parts and not parts[-1].startswith(".")


def _told_apart(key: str, sample: Sample) -> Iterator[tuple[str, Sample]]:
    """The samples in a group of one key: several where names have dots, as `photo.0001.jpg` and `photo.0001.cls` do.

    A key ends at the first dot, and `mask.png` beside `png` and `cls` is a part of its sample. Where every label stands
    behind another dot, what is between the dots is a part of the key.
    """
    labels = [extension for extension in sample.parts if _last(extension) in _LABELS]
    if not labels or not all("." in extension for extension in labels):
        yield key, sample
        return
    middles = sorted({extension.rpartition(".")[0] for extension in labels}, key=len, reverse=True)
    samples: dict[str, Sample] = {}

    def placed(extension: str) -> tuple[Sample, str]:
        middle = next((one for one in middles if extension.startswith(f"{one}.")), "")
        return samples.setdefault(middle, Sample()), extension.removeprefix(f"{middle}.")

    for extension, place in sample.images.items():
        own, rest = placed(extension)
        own.images[rest] = place
    for extension, content in sample.parts.items():
        own, rest = placed(extension)
        own.parts[rest] = content
    for middle, own in samples.items():
        yield f"{key}.{middle}" if middle else key, own


def _part(shard: str) -> str:
    """The part that a shard's name names, wherever in it: `train-000.tar`, `birds.v1.train.000.tar`; else nothing."""
    parts = {PARTS[word] for word in re.findall(r"[a-z]+", shard.lower()) if word in PARTS}
    return parts.pop() if len(parts) == 1 else ""


def _split_name(name: str) -> tuple[str, str]:
    """Key and lower-case extension of a member: everything before and after the first dot of its last part."""
    path = PurePosixPath(name)
    stem, _, extension = path.name.partition(".")
    return str(path.parent / stem), extension.lower()


def _last(extension: str) -> str:
    return extension.rpartition(".")[2]


def _label(parts: dict[str, bytes], wanted: str, what: str) -> str:
    extension, _, key = wanted.partition(".")
    order = [extension] if extension else list(_LABELS)
    for name in order:
        if name not in parts:
            continue
        try:
            text = parts[name].decode("utf-8-sig").strip()
        except UnicodeDecodeError as error:
            # Put right letter by letter, two classes might become one.
            raise DatasetError(
                f"The label `.{name}` of the sample `{what}` is not in UTF-8.", hint="write the shards again in UTF-8"
            ) from error
        if name == "json":
            found = _from_json(text, [key] if key else list(_KEYS))
            if found is not None:
                return found
        elif text and "\n" not in text:
            return text
    there = ", ".join(f".{name}" for name in sorted(parts)) or "nothing"
    raise DatasetError(
        f"The sample `{what}` has no label: beside its image there is {there}.",
        ways=["labels are read from .cls, a label, class or category in .json, or .txt of one line",
              "name another place: ?label=json.species"],
        hint="every sample needs a label",
    )  # fmt: skip


def _from_json(text: str, keys: list[str]) -> str | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    for key in keys:
        value = found.get(key) if isinstance(found, dict) else None
        if isinstance(value, str | int) and str(value):
            return str(value)
    return None


def _class_names(folder: Path) -> list[str]:
    """Names of numbered classes, one a line."""
    file = folder / "classes.txt"
    try:
        return file.read_text("utf-8-sig").splitlines() if file.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"`{file}`, the names of the classes, cannot be read: {error}.") from error


def _named(label: str, names: list[str]) -> str:
    """The name of a numbered class; the label itself where there is none."""
    if label.isdecimal() and len(label) <= _MOST_DIGITS and int(label) < len(names):
        return names[int(label)].strip() or label
    return label


def _is_shard(name: str) -> bool:
    return name.lower().endswith((".tar", ".tar.gz", ".tgz"))


def _braces(pattern: str) -> Iterator[str]:
    """`{000..015}` and `{a,b}` written out, as a shell does."""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None:
        yield pattern
        return
    numbers = re.fullmatch(r"(\d+)\.\.(\d+)", match[1])
    if numbers:
        low, high = int(numbers[1]), int(numbers[2])
        words = [str(number).zfill(len(numbers[1])) for number in range(low, high + 1)]
    else:
        words = match[1].split(",")
    for word in words:
        yield from _braces(pattern[: match.start()] + word + pattern[match.end() :])
