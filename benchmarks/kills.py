"""Processes killed at random moments leave nothing that looks finished and is not.

    python benchmarks/kills.py --cache [--kills 10] [--images 96] [--seed 0]

`--cache`: a process fills the activation cache (lite0 on digits, every stage, a clean and a random view) and is killed
with SIGKILL, over and over, each time at another moment; the next one goes on. After every kill each manifest that is
found must describe whole files of finite values, equal bit by bit to a computation that nobody disturbed. Prints one
line a kill; exits with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from advisor.data.dataset import open_dataset
from advisor.data.pixels import store_pixels
from advisor.network.activations import ActivationCache, View
from advisor.network.segments import Segments
from advisor.network.stages import stages_of
from advisor.plugins import load_catalog

VIEWS = (View("crop", 0), View("crop", 1))
_MOST_STARTS = 3  # times the kills asked for; a process killed after its last write does not count


def fill(images: int) -> None:
    """Fill the cache in one order, so that the same shallower cut is always there to start from."""
    torch.set_num_threads(1)  # sums in another order would differ in the last bit
    backbone = load_catalog().backbone("lite0")
    network = backbone.create(True).eval()
    example = torch.zeros(1, 3, backbone.input.size, backbone.input.size)
    stages = stages_of(network, example)
    pixels = store_pixels(open_dataset("digits:"), backbone.input)
    cache = ActivationCache(
        network, stages, Segments(network, stages, example), pixels, backbone.input, device=torch.device("cpu")
    )
    print("ready", flush=True)
    for at in range(1, len(stages)):
        for view in VIEWS:
            cache.get(np.arange(images), at, view).close()


def start(images: int, root: Path) -> subprocess.Popen[str]:
    """A process that fills the cache under a folder; it is past its imports when this returns."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--fill", "--images", str(images)],
        env={**os.environ, "ADVISOR_CACHE": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise SystemExit("the process that fills the cache did not start")
    return process


def check_cache(root: Path, reference: Path) -> tuple[int, list[str]]:
    """Finished folders, and what is wrong with them."""
    wrong: list[str] = []
    folders = [folder for folder in sorted((root / "activations").glob("*")) if not folder.name.startswith(".")]
    for folder in folders:
        manifest = json.loads((folder / "manifest.json").read_text())
        for entry in manifest["tensors"]:
            content = (folder / entry["file"]).read_bytes()
            if len(content) != entry["bytes"]:
                wrong.append(f"{folder.name}: {len(content)} of {entry['bytes']} bytes")
                continue
            values = torch.frombuffer(bytearray(content), dtype=torch.bfloat16)
            if not bool(values.isfinite().all()):
                wrong.append(f"{folder.name}: values that are not finite")
            if content != (reference / "activations" / folder.name / entry["file"]).read_bytes():
                wrong.append(f"{folder.name}: other values than undisturbed")
    return len(folders), wrong


def kill_cache(kills: int, images: int, seed: int) -> bool:
    """Kill and check; whether all was well."""
    draw = random.Random(seed)  # noqa: S311 - moments, not secrets
    good = True
    with tempfile.TemporaryDirectory() as folder:
        reference, root = Path(folder) / "reference", Path(folder) / "killed"
        process = start(images, reference)
        began = time.monotonic()
        if process.wait() != 0:
            raise SystemExit("the undisturbed process failed")
        whole = time.monotonic() - began
        total, _ = check_cache(reference, reference)
        print(f"undisturbed: {total} folders in {whole:.1f} s, {disk(reference):.0f} MB")
        done = 0
        for _ in range(_MOST_STARTS * kills):
            process = start(images, root)
            # Each process finds the work of those before it, so the moments reach deeper and deeper stages.
            moment = draw.uniform(0, whole / 4)
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
            ended = process.wait()
            finished, wrong = check_cache(root, reference)
            if ended == -signal.SIGKILL and finished < total:
                done += 1
                partial = sum(path.is_dir() for path in (root / "activations").glob(".*"))
                print(
                    f"kill {done:>2} after {moment:5.2f} s: {finished:>2} finished folders, {partial} unfinished, "
                    f"{len(wrong)} wrong",
                    flush=True,
                )
            elif ended not in {0, -signal.SIGKILL}:
                wrong.append(f"the process that went on failed with {ended}")
            for line in wrong:
                print(f"  {line}")
            good = good and not wrong
            if done == kills:
                break
            if finished == total:  # everything was there already: begin again, so that every kill hits work
                subprocess.run(
                    [sys.executable, "-m", "advisor", "cache", "--clear", "activations", "--quiet"],
                    env={**os.environ, "ADVISOR_CACHE": str(root)},
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
        process = start(images, root)
        ended = process.wait()
        finished, wrong = check_cache(root, reference)
        left = sum(path.is_dir() for path in (root / "activations").glob(".*"))
        print(f"{done} kills; then left alone: {finished} of {total} folders, {left} unfinished, {len(wrong)} wrong")
        return good and done == kills and ended == 0 and finished == total and not left and not wrong


def disk(root: Path) -> float:
    """Megabytes of activations."""
    return sum(path.stat().st_size for path in (root / "activations").rglob("*.bf16")) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", action="store_true", help="kill processes that fill the activation cache")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--fill", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fill:
        fill(args.images)
        return
    checks = {"cache": lambda: kill_cache(args.kills, args.images, args.seed)}
    chosen = [check for name, check in checks.items() if getattr(args, name)]
    if not chosen:
        parser.error(f"what shall be killed: {', '.join(f'--{name}' for name in checks)}")
    results = [check() for check in chosen]  # all of them, whatever the first says
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
