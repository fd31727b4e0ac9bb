"""Training steps under several ways of waiting for threads, alone and beside another busy process.

    python benchmarks/spinning.py [--counts 0,2000,300000] [--steps 60]

Threads that share an operation wait for the slowest. GNU's OpenMP lets them spin `GOMP_SPINCOUNT` times before they
sleep: 300 000 by default, 0 under `OMP_WAIT_POLICY=PASSIVE`; `advisor` sets 2 000. Timed are steps of lite0 on batches
of 32 random images of 96 pixels, in a process of its own for each count. The neighbour is one process that counts.
Printed is the time over that of the first count alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys

CHILD = """
import sys, time, timm, torch
network = timm.create_model("tf_efficientnet_lite0", num_classes=10).to(memory_format=torch.channels_last).train()
images = torch.randn(32, 3, 96, 96).contiguous(memory_format=torch.channels_last)
optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
for step in range(int(sys.argv[1]) + 3):
    if step == 3:
        began = time.perf_counter()
    optimizer.zero_grad()
    network(images).square().mean().backward()
    optimizer.step()
print(time.perf_counter() - began)
"""


def seconds(count: str, steps: int) -> float:
    env = {**os.environ, "GOMP_SPINCOUNT": count}
    env.pop("OMP_WAIT_POLICY", None)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(steps)], env=env, capture_output=True, text=True, check=True
    )  # fmt: skip
    return float(done.stdout)


def busy() -> None:
    while True:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="0,2000,300000")
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    base = None
    for alone in (True, False):
        neighbour = multiprocessing.get_context("spawn").Process(target=busy, daemon=True)
        if not alone:
            neighbour.start()
        for count in args.counts.split(","):
            took = seconds(count, args.steps)
            base = base or took
            print(
                f"{'alone' if alone else 'beside another':<15} spinning {count:>7} times: {took / base:5.2f}",
                flush=True,
            )
        if not alone:
            neighbour.terminate()


if __name__ == "__main__":
    main()
