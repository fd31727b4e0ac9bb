"""Whether this installation can do its work, line by line, and what to do where it cannot; it works without torch."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from advisor.allocator import LEFT_ALONE, SWITCH, why_not
from advisor.discovery import CORE
from advisor.doctor.libraries import LIBRARIES, WEIGHTS, Facts, look
from advisor.plugins import DEFAULT_BACKBONE, load_catalog
from advisor.units import show_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OK: Literal["ok"] = "ok"
NOTE: Literal["note"] = "note"  # works, and might work better
PROBLEM: Literal["problem"] = "problem"
_LITTLE_DISK = 5 * 10**9  # bytes; `tune --cache-limit` is 4 GB by default
_LITTLE_MEMORY = 2 * 10**9  # bytes; torch and the fine-tuning of a small network
_REINSTALL = "install it again; torch and torchvision from one index: pip install --force-reinstall torch torchvision"
_AS_TESTED = "install again with the set that was tested: pip install -c constraints.txt ."
_ELSEWHERE = "cd elsewhere, or recommend -o FILE, tune --runs FOLDER"


@dataclass(frozen=True)
class Diagnosis:
    """One line.

    Attributes:
        about: what was looked at.
        state: `ok`, `note` or `problem`.
        words: what was found.
        advice: what to do, or the empty string.
    """

    about: str
    state: Literal["ok", "note", "problem"]
    words: str
    advice: str = ""


def examine() -> Iterator[Diagnosis]:
    """Look at everything, one after the other; the whole takes some seconds, most of it the import of torch."""
    yield Diagnosis("python", OK, f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield from _guarded("versions", _versions)
    yield from _guarded("libraries", _libraries)
    yield from _guarded("processor", _processor)
    yield from _guarded("allocator", _allocator)
    yield from _guarded("plugins", _plugins)
    yield from _guarded("cache", _cache)
    yield from _guarded("this folder", _here)
    yield from _guarded("hub", _hub)


def _guarded(about: str, check: Callable[[], Iterator[Diagnosis]]) -> Iterator[Diagnosis]:
    """A check that fails itself is a finding, and the others go on."""
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 - it is told
        yield Diagnosis(about, PROBLEM, f"could not be looked at: {type(error).__name__}: {error}", _AS_TESTED)


def _versions() -> Iterator[Diagnosis]:
    """What each distribution asks of the others, against what is installed."""
    from packaging.requirements import Requirement

    try:
        own = metadata.requires(CORE) or []
    except metadata.PackageNotFoundError:
        yield Diagnosis("versions", NOTE, f"{CORE} runs from its source and is not installed", "pip install -e .")
        own = []
    flaws, count = [], 0
    for asking, asked in ((CORE, own), *((name, _requires(name)) for name in LIBRARIES)):
        for text in asked:
            wanted = Requirement(text)
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                continue
            count += 1
            there = _version(wanted.name)
            if not there:
                flaws.append(f"{wanted.name} is missing, which {asking} needs")
            elif not wanted.specifier.contains(there, prereleases=True):
                flaws.append(f"{asking} needs {wanted.name}{wanted.specifier}, and {there} is installed")
    for flaw in flaws:
        yield Diagnosis("versions", PROBLEM, flaw, _AS_TESTED)
    if not flaws:
        said = ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)
        yield Diagnosis("versions", OK, f"{said}; {count} requirements hold")


def _libraries() -> Iterator[Diagnosis]:
    found = look()
    for name in LIBRARIES:
        part = found.get(name)
        if part is None:
            yield Diagnosis(name, NOTE, "not looked at: it needs torch")
        elif "error" in part:
            yield Diagnosis(name, PROBLEM, f"cannot be imported: {part['error']}", _REINSTALL)
        else:
            yield Diagnosis(name, OK, f"{_version(name)} can be imported")
            if name == "torch":
                yield _gpu(part)
    weights = found.get(WEIGHTS)
    if weights is None:
        yield Diagnosis("weights", NOTE, f"those of {DEFAULT_BACKBONE} were not looked at: that needs torch")
    elif "error" in weights:
        again = "pip install --force-reinstall advisor-efficientnet-lite, or name another with --backbone"
        yield Diagnosis("weights", PROBLEM, f"{DEFAULT_BACKBONE} cannot be opened: {weights['error']}", again)
    else:
        yield Diagnosis("weights", OK, f"{DEFAULT_BACKBONE} opens, {weights['source'].rpartition('/')[2]}")


def _gpu(torch: Facts) -> Diagnosis:
    driver = bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia/version").exists()
    if torch["cuda"]:
        return Diagnosis("gpu", OK, f"{', '.join(torch['gpus'])} (CUDA {torch['built_for']})")
    if not driver:
        return Diagnosis("gpu", OK, "no NVIDIA driver; everything runs on the processor")
    if not torch["built_for"]:
        return Diagnosis("gpu", NOTE, "an NVIDIA driver is there, and this torch is built for processors only",
                       "install torch and torchvision for CUDA: https://pytorch.org/get-started/locally")  # fmt: skip
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return Diagnosis("gpu", NOTE, f"torch sees no GPU; CUDA_VISIBLE_DEVICES is `{hidden}`", "unset it")
    return Diagnosis("gpu", NOTE, f"an NVIDIA driver is there, and torch (CUDA {torch['built_for']}) sees no GPU",
                   "compare the driver's CUDA version (nvidia-smi) with torch's")  # fmt: skip


def _processor() -> Iterator[Diagnosis]:
    from advisor.tuning.memory import free_main_memory

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS")
    yield Diagnosis("processor", OK, f"{cores} cores{f'; OMP_NUM_THREADS is {limit}' if limit else ''}")
    free = free_main_memory()
    if free < _LITTLE_MEMORY:
        yield Diagnosis("memory", NOTE, f"{show_size(free)} free", "close something, or keep to it: tune --memory 1GB")
    else:
        yield Diagnosis("memory", OK, f"{show_size(free)} free")


def _allocator() -> Iterator[Diagnosis]:
    reason = why_not(os.environ)
    words = f"`advisor tune` leaves glibc's settings as they are: {reason}"
    tuned = f"`advisor tune` starts with large pages and keeps what it frees ({SWITCH}={LEFT_ALONE} to leave it)"
    yield Diagnosis("allocator", OK, words if reason else tuned)


def _plugins() -> Iterator[Diagnosis]:
    said: list[str] = []
    plugins = [plugin for plugin in load_catalog(on_warning=said.append).plugins if plugin.distribution != CORE]
    active = [plugin.name for plugin in plugins if plugin.status == "active"]
    yield Diagnosis("plugins", OK, f"{len(active)} active{': ' + ', '.join(active) if active else ''}")
    for plugin in plugins:
        if plugin.status == "broken":
            yield Diagnosis("plugins", PROBLEM, f"{plugin.name} ({plugin.origin}) is broken: {plugin.reason}",
                          f"pip install --upgrade {plugin.distribution}, or ADVISOR_DISABLE={plugin.name}")  # fmt: skip
        elif plugin.status == "disabled":
            yield Diagnosis("plugins", NOTE, f"{plugin.name} ({plugin.origin}) is left out by the environment")
    for line in said:
        if not line.endswith(tuple(plugin.reason for plugin in plugins if plugin.reason)):
            yield Diagnosis("plugins", NOTE, line)


def _cache() -> Iterator[Diagnosis]:
    from advisor.data.cache import cache_dir, folder_bytes

    folder = cache_dir("").resolve()
    flaw = _unwritable(folder)
    if flaw:
        yield Diagnosis("cache", PROBLEM, f"{folder}: {flaw}", "ADVISOR_CACHE=/a/folder/of/yours")
        return
    free = shutil.disk_usage(_existing(folder)).free
    words = f"{folder}, {show_size(folder_bytes(folder))} used, {show_size(free)} free"
    if free < _LITTLE_DISK:
        yield Diagnosis("cache", NOTE, words, "advisor cache --clear, or ADVISOR_CACHE=/another/disk")
    else:
        yield Diagnosis("cache", OK, words)


def _here() -> Iterator[Diagnosis]:
    here = Path.cwd()
    flaw = _unwritable(here)
    if flaw:
        yield Diagnosis("this folder", PROBLEM, f"{here}: {flaw}", _ELSEWHERE)
    else:
        yield Diagnosis("this folder", OK, f"{here} may be written, {show_size(shutil.disk_usage(here).free)} free")


def _hub() -> Iterator[Diagnosis]:
    from huggingface_hub import constants

    from advisor.network.hub import reachable

    without = "only networks of packages, folders and its cache can be used"
    if constants.HF_HUB_OFFLINE:
        yield Diagnosis("hub", NOTE, f"HF_HUB_OFFLINE is set; {without}", "unset HF_HUB_OFFLINE")
    elif reachable(constants.ENDPOINT):
        yield Diagnosis("hub", OK, f"{constants.ENDPOINT} can be reached")
    else:
        yield Diagnosis("hub", NOTE, f"{constants.ENDPOINT} cannot be reached; {without}")


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def _version(name: str) -> str:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return ""


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _unwritable(folder: Path) -> str:
    """Why nothing can be written to a folder, or to where it would be made; the empty string if it can."""
    place = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            return ""
    except OSError as error:
        return f"may not be written ({error.strerror or error})"
