"""Memory for long training: large pages, and nothing given back to the system between two steps.

A training step frees its buffers and gets as many again. glibc gives large ones back to the system each time, which
hands them out anew page by page: up to a quarter of a step's time (`benchmarks/allocator.py`). glibc reads its settings
before a process starts, so `advisor tune` starts itself once more with them. Only where the system offers large pages;
a notebook or a call from Python is never restarted.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SWITCH = "ADVISOR_ALLOCATOR"
LEFT_ALONE, TUNED = "system", "tuned"  # what the switch may say; the second is ours
_TUNABLE, _LARGE_PAGES = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"
_SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),  # bytes; above it memory is given back as soon as it is freed
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),  # bytes free at the end of the heap, from which on they are given back
    "MALLOC_TOP_PAD_": str(256 << 20),  # bytes that the heap grows by at least
    "THP_MEM_ALLOC_ENABLE": "1",  # large pages for torch's own buffers
}
_LEAST_GLIBC = (2, 35)  # knows the tunable
_ROOT = Path("/")


def why_not(environment: Mapping[str, str], root: Path = _ROOT) -> str:
    """Why a process with this environment is not started with the settings; the empty string where it is.

    Args:
        environment: of the process.
        root: of the file system that tells whether there are large pages.
    """
    if environment.get(SWITCH) == LEFT_ALONE:
        return f"{SWITCH} is `{LEFT_ALONE}`"
    if environment.get("LD_PRELOAD"):
        return "LD_PRELOAD is set and may bring another allocator"
    if _glibc() < _LEAST_GLIBC:
        return "it takes Linux with glibc 2.35 or newer"
    try:
        choice = (root / "sys/kernel/mm/transparent_hugepage/enabled").read_text()
    except OSError:
        return "the system has no transparent large pages"
    return "" if "[madvise]" in choice or "[always]" in choice else "transparent large pages are switched off"


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to an environment; what a person has set stands."""
    new = {name: value for name, value in _SETTINGS.items() if name not in environment}
    tunables = environment.get(_TUNABLE, "")
    if _LARGE_PAGES not in tunables:
        new[_TUNABLE] = ":".join(part for part in (tunables, f"{_LARGE_PAGES}=1") if part)
    return {**new, SWITCH: TUNED}


def is_tuned() -> bool:
    """Whether this process was started with the settings."""
    return os.environ.get(SWITCH) == TUNED


def restart() -> None:
    """Start this very command anew with the settings, in the same process; once, and only where that is possible."""
    if is_tuned() or why_not(os.environ):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **settings(os.environ)})  # noqa: S606


@contextmanager
def lent_to_children() -> Iterator[None]:
    """Processes that are started inside have the settings."""
    before = dict(os.environ)
    if not why_not(before):
        os.environ.update(settings(before))
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def give_back() -> None:
    """Give memory that is free back to the system, so that what the process holds is what it uses."""
    if is_tuned():
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)


def _glibc() -> tuple[int, ...]:
    """Version of glibc; empty where there is another library or system."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, ValueError, OSError):  # another system, or another library
        return ()
    return tuple(int(part) for part in version.split(".")) if name == "glibc" else ()
