"""Importing torch and its kind in a process of their own: a broken installation may end the process that tries it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TypedDict

LIBRARIES = ("optuna", "torch", "torchvision", "timm")  # those that work without torch first
WEIGHTS = "weights"
_PATIENCE = 180  # seconds; the first import from a slow disk may take a minute


class Facts(TypedDict, total=False):
    """What the process said of a library, or of the default backbone, last."""

    part: str
    under_way: bool
    error: str
    cuda: bool
    gpus: list[str]
    built_for: str
    backbone: str
    source: str


def look() -> dict[str, Facts]:
    """What came of importing each library, and of opening the default backbone with its weights.

    Returns:
        By library, and for `WEIGHTS`: `error`, a line, where it failed; else what it says of itself (`cuda`, `gpus` and
        `built_for` of torch, `backbone` of the weights). What was not come to, is not there.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    # -P: a file of the current folder that is called as a library must not be taken for it.
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", "from advisor.doctor.libraries import tell; tell()"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    try:
        out, err = child.communicate(timeout=_PATIENCE)
        ending = _ending(child.returncode, err)
    except subprocess.TimeoutExpired:
        child.kill()
        out, _ = child.communicate()
        ending = f"it took more than {_PATIENCE} s"
    found: dict[str, Facts] = {part["part"]: part for part in map(json.loads, out.splitlines())}
    for part in found.values():
        if part.get("under_way"):  # begun, and never ended
            part["error"] = ending
    return found


def tell() -> None:
    """What the process does: a JSON line on stdout for each step, before it and after it."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is not for the reader

    def line(part: str, **facts: object) -> None:
        out.write(json.dumps({"part": part, **facts}) + "\n")
        out.flush()

    for part, step in (*((name, _import) for name in LIBRARIES), (WEIGHTS, _open_default)):
        line(part, under_way=True)
        try:
            line(part, **step(part))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is told
            said = (str(error) or "no reason given").strip().splitlines()[0]
            line(part, error=f"{type(error).__name__}: {said}")
            if part == "torch":
                return  # nothing of the rest works without


def _import(name: str) -> dict[str, object]:
    import importlib

    module = importlib.import_module(name)
    if name != "torch":
        return {}
    gpus = [module.cuda.get_device_name(index) for index in range(module.cuda.device_count())]
    return {"cuda": module.cuda.is_available(), "gpus": gpus, "built_for": module.version.cuda or ""}


def _open_default(_part: str) -> dict[str, object]:
    from advisor.plugins import DEFAULT_BACKBONE, load_catalog

    backbone = load_catalog(on_warning=lambda _line: None).backbone(DEFAULT_BACKBONE)
    backbone.create(True)  # it is hashed while it is read
    return {"backbone": DEFAULT_BACKBONE, "source": backbone.weights.source}


def _ending(code: int, err: str) -> str:
    if code < 0:
        return f"the process was ended by signal {-code} ({signal.strsignal(-code)})"
    last = err.strip().splitlines()[-1:]
    return f"the process ended with code {code}{': ' + last[0] if last else ''}"
