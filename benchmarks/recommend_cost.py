"""`recommend` against one plain forward pass of the same backbone over the images it uses, in one run.

    python benchmarks/recommend_cost.py [DATASET] [--repeats 5] [--memory]

Start-up (imports, weights) is outside both. The plain pass reads decoded images that are already in
memory, before and after each recommendation, so that a drift of the machine's speed cancels; `recommend`
starts from the files with an empty cache. Wall and processor time are both given: on a shared machine the
second is the steadier. `--memory` adds the peak memory of the whole command
in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from advisor.types import Backbone

DATA = Path(__file__).parents[2] / "shared" / "data"
PLAIN_IMAGES = 512


def clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def since(began: tuple[float, float]) -> tuple[float, float]:
    now = clocks()
    return now[0] - began[0], now[1] - began[1]


def plain_pass(network: torch.nn.Module, batches: list[torch.Tensor]) -> tuple[float, float]:
    """Seconds (wall, processor) per image."""
    import torch

    began = clocks()
    with torch.inference_mode():
        for batch in batches:
            network(batch)
    wall, cpu = since(began)
    count = sum(len(batch) for batch in batches)
    return wall / count, cpu / count


def resident_batches(dataset: str, backbone: Backbone) -> list[torch.Tensor]:
    import torch

    from advisor.data.prepare import prepare
    from advisor.data.views import clean_view
    from advisor.network.sweep import BATCH
    from advisor.plugins import load_catalog
    from advisor.progress import Silent

    prepared = prepare(dataset, backbone.input, catalog=load_catalog(), seed=0, progress=Silent())
    rows = prepared.dataset.rows("train", "val")[:PLAIN_IMAGES]
    return [
        clean_view(torch.from_numpy(prepared.pixels.batch(rows[i : i + BATCH])), backbone.input)
        for i in range(0, len(rows), BATCH)
    ]


def peak_memory(dataset: str, backbone: str) -> float:
    """Gigabytes of the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "advisor", "recommend", dataset, "--backbone", backbone, "-q"]
        env = {**os.environ, "ADVISOR_CACHE": f"{folder}/cache"}
        subprocess.run([*command, "-o", f"{folder}/advisor.toml"], check=True, env=env, stdout=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", nargs="?", default=str(DATA / "clothing_small"))
    parser.add_argument("--backbone", default="lite0")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="also the peak memory of the command")
    args = parser.parse_args()
    if args.memory:
        print(f"peak memory of `advisor recommend`: {peak_memory(args.dataset, args.backbone):.2f} GB", flush=True)

    import torch

    from advisor.advice.recommend import recommend
    from advisor.network.opening import open_network
    from advisor.plugins import load_catalog

    backbone = load_catalog().backbone(args.backbone)
    network = open_network(backbone, torch.device("cpu"))
    walls, cpus = [], []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["ADVISOR_CACHE"] = cache
        batches = resident_batches(args.dataset, backbone)
    plain_pass(network, batches[:4])
    for repeat in range(args.repeats):
        before = plain_pass(network, batches)
        with tempfile.TemporaryDirectory() as cache:
            os.environ["ADVISOR_CACHE"] = cache
            began = clocks()
            used = recommend(args.dataset, backbone=args.backbone, device="cpu").curve.images
            wall, cpu = since(began)
        after = plain_pass(network, batches)
        plain = [used * (a + b) / 2 for a, b in zip(before, after, strict=True)]
        walls.append(wall / plain[0])
        cpus.append(cpu / plain[1])
        print(
            f"run {repeat + 1}: {used} images; recommend {wall:.1f} s wall, {cpu:.1f} s processor; "
            f"plain {plain[0]:.1f} s, {plain[1]:.1f} s; ratios {walls[-1]:.2f}, {cpus[-1]:.2f}",
            flush=True,
        )
    print(f"median ratio: wall {statistics.median(walls):.2f}, processor {statistics.median(cpus):.2f}")


if __name__ == "__main__":
    main()
