"""Where derived data lives between runs: the operating system's cache folder, or `ADVISOR_CACHE`; what is in it."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
import zlib
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import AdvisorError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from filelock import FileLock

KINDS = ("pixels", "features", "activations", "charts")
MANIFEST = "manifest.json"
_PARTIAL = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)")  # as `new_folder` names what it has not finished
_READ = 1 << 24  # bytes at a time
_ABANDONED = 24 * 3600.0  # seconds without a change, where a process id cannot be asked for


@dataclass(frozen=True)
class CacheEntry:
    """One folder of derived data.

    Attributes:
        kind: one of `KINDS`.
        name: of the folder; hidden names are unfinished.
        bytes: on disk.
        used: when it was last read or written, seconds since the epoch, as exactly as the file system keeps it.
        what: in words.
    """

    kind: str
    name: str
    bytes: int
    used: float
    what: str


def cache_dir(kind: str) -> Path:
    """The folder for one kind of derived data; everything in it can be made again."""
    import platformdirs

    root = os.environ.get("ADVISOR_CACHE") or platformdirs.user_cache_dir("transfer-advisor")
    return Path(root) / kind


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder that appears under its name only when it is complete.

    If another process finishes the same folder first, ours is dropped and theirs is kept.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with disk_errors(target.parent):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            try:
                partial.rename(target)
            except OSError:
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full or unwritable disk into a message with the ways out."""
    try:
        yield
    except Exception as error:
        number = _errno(error)
        if number in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise AdvisorError(
                f"The disk is full: {folder} could not be written.",
                ways=["free some space; everything finished is kept", "put the cache on another disk"],
                hint="ADVISOR_CACHE=/another/disk advisor ...",
            ) from error
        if number in {errno.EACCES, errno.EROFS, errno.EPERM}:
            raise AdvisorError(
                f"{folder} may not be written: {os.strerror(number)}.",
                ways=["run as a user who may write it", "put the cache elsewhere"],
                hint="ADVISOR_CACHE=/tmp/advisor-cache advisor ...",
            ) from error
        raise


def lock_for(target: Path) -> FileLock:
    """What the single writer of a cache folder holds; the operating system lets go of it when the process dies."""
    from filelock import FileLock

    target.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(target.with_name(f".{target.name}.lock"))


def cache_entries() -> list[CacheEntry]:
    """Everything in the cache, unfinished folders included, the most recently used first."""
    found = [_entry(kind, folder) for kind in KINDS for folder in _folders(cache_dir(kind))]
    return sorted((entry for entry in found if entry), key=lambda entry: -entry.used)


def clear_cache(kind: str = "", older_than: float | None = None) -> int:
    """Remove what can be made again; what a running process is writing stays.

    Args:
        kind: one of `KINDS`; all by default.
        older_than: seconds; only what was last used longer ago.

    Returns:
        Bytes freed.

    Raises:
        AdvisorError: a folder may not be removed.
    """
    assert not kind or kind in KINDS, kind
    freed = 0
    for entry in cache_entries():
        if kind in {"", entry.kind} and (older_than is None or time.time() - entry.used > older_than):
            folder = cache_dir(entry.kind) / entry.name
            if not _is_partial(folder) or _is_stale(folder):
                freed += remove_folder(folder)
    return freed


def remove_folder(folder: Path, *, locked: bool = False) -> int:
    """Remove a folder of the cache in one step, unless a running process is writing it.

    A process killed half-way leaves a hidden folder, never one that looks whole.

    Args:
        folder: finished or unfinished.
        locked: the caller already holds the lock.

    Returns:
        Bytes freed; 0 if it is being written or is gone.
    """
    from filelock import Timeout

    match = _PARTIAL.fullmatch(folder.name)
    target = folder.with_name(match["name"]) if match else folder
    lock = lock_for(target)
    with disk_errors(folder):
        try:
            with nullcontext() if locked else lock.acquire(timeout=0):
                size = folder_bytes(folder)
                hidden = folder if match else target.with_name(f".{target.name}.{os.getpid()}")
                try:
                    if not match:
                        folder.rename(hidden)
                    shutil.rmtree(hidden)
                except FileNotFoundError:  # another process was faster
                    return 0
                if not locked:
                    Path(lock.lock_file).unlink(missing_ok=True)
                return size
        except Timeout:
            return 0


def make_room(root: Path, needed: int, limit: int, *, held: Collection[Path], locked: str) -> None:
    """Remove what was used least recently until `needed` more bytes fit under a limit, as far as that goes.

    What processes that are gone have left unfinished goes first.

    Args:
        root: the folder of one kind, whose entries have manifests.
        needed: bytes about to be written.
        limit: bytes of everything under `root`.
        held: folders that stay.
        locked: name of the folder that the caller is writing, whose lock it holds.
    """
    finished = []
    for folder in _folders(root):
        match = _PARTIAL.fullmatch(folder.name)
        if match is None:
            finished.append((_last_used(folder), folder))
        elif _is_stale(folder):
            remove_folder(folder, locked=match["name"] == locked)
    taken = folder_bytes(root)
    for _, folder in sorted(finished):
        if taken + needed <= limit:
            break
        if folder not in held:
            taken -= remove_folder(folder)


def _last_used(folder: Path) -> int:
    """When a manifest was last touched, nanoseconds; 0 for what has none or is gone."""
    try:
        return (folder / MANIFEST).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def folder_bytes(folder: Path) -> int:
    """Bytes of all files under a folder; files that vanish meanwhile do not count."""
    return sum(stat.st_size for _, stat in _files(folder))


def checksum(path: Path) -> str:
    """CRC-32 of a file, by which damage is noticed; no protection against intent."""
    crc = 0
    with path.open("rb") as file:
        while part := file.read(_READ):
            crc = zlib.crc32(part, crc)
    return f"{crc:08x}"


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, that appears whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def keep_other(path: Path, text: str) -> Path | None:
    """Where the present content of a file that is about to be written was put aside; None if there is no other."""
    if not path.is_file() or path.read_bytes() == text.encode():
        return None
    numbers = ("", *(str(number) for number in range(2, 1000)))
    kept = next(place for place in (path.with_name(f"{path.name}.bak{n}") for n in numbers) if not place.exists())
    path.replace(kept)
    return kept


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _files(folder: Path) -> list[tuple[str, os.stat_result]]:
    """Name and state of every file under a folder."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found.append((name, (Path(place) / name).stat()))
            except FileNotFoundError:
                continue
    return found


def _entry(kind: str, folder: Path) -> CacheEntry | None:
    files = _files(folder)
    try:
        used = folder.stat().st_mtime
        what = _what(kind, folder)
        manifest = folder / MANIFEST
        if manifest.is_file():
            used = manifest.stat().st_mtime  # touched whenever it is opened
        else:
            # Reading leaves its mark on most file systems, about once a day; descriptions are read here, too.
            data = [stat for name, stat in files if not name.endswith(".json")]
            used = max([used, *(max(stat.st_mtime, stat.st_atime) for stat in data)])
    except FileNotFoundError:  # cleared meanwhile
        return None
    return CacheEntry(kind, folder.name, sum(stat.st_size for _, stat in files), used, what)


def _what(kind: str, folder: Path) -> str:
    if _is_partial(folder):
        return "unfinished, left by a process that is gone" if _is_stale(folder) else "being written"
    if kind == "pixels":
        meta = json.loads((folder / "store.json").read_text())
        return f"{meta['count']} decoded images, {meta['side']} pixels a side"
    if kind == "features":
        return f"pooled features of every stage, in {len(list(folder.glob('*.npz')))} files"
    return str(json.loads((folder / MANIFEST).read_text())["what"])


def _is_partial(folder: Path) -> bool:
    return _PARTIAL.fullmatch(folder.name) is not None


def _is_stale(folder: Path) -> bool:
    """Whether the process that was writing a partial folder is gone."""
    match = _PARTIAL.fullmatch(folder.name)
    if match is None:
        return False
    if os.name == "nt":  # there, signal 0 would be sent
        return folder.is_dir() and time.time() - folder.stat().st_mtime > _ABANDONED
    try:
        os.kill(int(match["pid"]), 0)
    except PermissionError:  # alive, and another user's
        return False
    except (ProcessLookupError, OverflowError):
        return True
    return False


def _errno(error: Exception) -> int:
    """The operating system's error number behind an exception; libraries wrap or only print it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    if "database or disk is full" in text:  # SQLite
        return errno.ENOSPC
    found = re.search(r"os error (\d+)", text)  # safetensors
    return int(found.group(1)) if found else 0
