"""Where derived data lives between runs: the operating system's cache folder, or `ADVISOR_CACHE`."""

from __future__ import annotations

import errno
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import AdvisorError

if TYPE_CHECKING:
    from collections.abc import Iterator


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


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, that appears whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _errno(error: Exception) -> int:
    """The operating system's error number behind an exception; libraries wrap or only print it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    if "database or disk is full" in text:  # SQLite
        return errno.ENOSPC
    found = re.search(r"os error (\d+)", text)  # safetensors
    return int(found.group(1)) if found else 0
