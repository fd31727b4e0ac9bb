"""A steady training step with glibc's usual settings and with those that `advisor tune` starts with, in turns.

    python benchmarks/allocator.py --backbones tf_efficientnet_lite0,resnet18 --sides 64,128

Each side is a process of its own, on one thread. Prints processor milliseconds of a step (median), the kernel's share
of them, page faults an image and the most memory that the process held; at the end of each network and size the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

from advisor.allocator import settings, why_not

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", default="tf_efficientnet_lite0,resnet18", help="of timm, without weights")
    parser.add_argument("--sides", default="64,128", help="of the input, pixels")
    parser.add_argument("--pairs", type=int, default=3, help="processes of each kind")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measured(args.backbones, int(args.sides), args.steps)))
        return
    reason = why_not(os.environ)
    if reason:
        parser.exit(1, f"the settings are not used here: {reason}\n")
    for backbone in args.backbones.split(","):
        for side in args.sides.split(","):
            ratios = []
            for _ in range(args.pairs):
                usual, tuned = (child(backbone, side, args.steps, new) for new in ({}, settings({})))
                ratios.append(tuned["ms"] / usual["ms"])
                for name, one in (("usual", usual), ("tuned", tuned)):
                    print(f"{backbone} {side} px {name}: {one['ms']:.0f} ms a step, {100 * one['kernel']:.0f} % in the "
                          f"kernel, {one['faults']:.0f} faults an image, at most {one['bytes'] / 1e9:.2f} GB",
                          flush=True)  # fmt: skip
            spread = ", ".join(f"{ratio:.2f}" for ratio in sorted(ratios))
            print(f"{backbone} {side} px: tuned over usual, median {np.median(ratios):.2f} of {spread}", flush=True)


def child(backbone: str, side: str, steps: int, new: dict[str, str]) -> dict[str, float]:
    environment = {name: value for name, value in os.environ.items() if name not in settings({})}
    command = [
        sys.executable, __file__, "--child", "--backbones", backbone, "--sides", side, "--steps", str(steps),
    ]  # fmt: skip
    environment |= {"OMP_NUM_THREADS": "1", **new}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def measured(backbone: str, side: int, steps: int) -> dict[str, float]:
    import timm
    import torch
    import torch.nn.functional as F  # noqa: N812

    from advisor.network.fast_training import fast_training

    torch.manual_seed(0)
    network = timm.create_model(backbone, num_classes=10).to(memory_format=torch.channels_last).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    images = torch.randn(BATCH, 3, side, side).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (BATCH,))

    def step() -> None:
        network.zero_grad()
        F.cross_entropy(network(images), labels).backward()

    seconds = []
    with fast_training(network, (images[:1],), BATCH):
        for _ in range(2):
            step()
        before = resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(steps):
            began = time.process_time()
            step()
            seconds.append(time.process_time() - began)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "ms": 1000 * float(np.median(seconds)),
        "kernel": (after.ru_stime - before.ru_stime) / sum(seconds),
        "faults": (after.ru_minflt - before.ru_minflt) / steps / BATCH,
        "bytes": 1024 * after.ru_maxrss,
    }


if __name__ == "__main__":
    main()
