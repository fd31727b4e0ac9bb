"""Forward and backward pass of a training step, plain and as ours computes it on a processor, in turns.

    python benchmarks/training_step.py --backbones tf_efficientnet_lite0,resnet18,convnext_atto --side 64
    python benchmarks/training_step.py --parts

On one thread, with BatchNorm that keeps its statistics, without weights (their values cost nothing). Prints processor
milliseconds (medians) and what each takes of the plain step in float32. `--parts` does so for the gradient of single
depthwise kernels, torch's own and the one put together from strips.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import timm
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from advisor.network.depthwise import Convolution, Geometry
from advisor.network.fast_training import fast_training

if TYPE_CHECKING:
    from collections.abc import Callable

# channels, side of the map, side of the kernel, stride: of EfficientNet at 64 and 224 pixels, and of ConvNeXt
KERNELS = ((240, 8, 5, 1), (672, 4, 5, 1), (144, 16, 5, 2), (672, 14, 5, 1), (96, 16, 7, 1), (768, 7, 7, 1))
WAYS = {"plain": (False, False), "ours": (True, False), "ours bfloat16": (True, True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", default="tf_efficientnet_lite0,resnet18,convnext_atto", help="of timm")
    parser.add_argument("--side", type=int, default=64, help="of the input, pixels")
    parser.add_argument("--batch", type=int, default=32, help="images of a step")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--parts", action="store_true", help="single kernels instead of networks")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if args.parts:
        for kernel in KERNELS:
            one_kernel(*kernel, args)
    else:
        for name in args.backbones.split(","):
            one_network(name, args)


def one_network(name: str, args: argparse.Namespace) -> None:
    network = timm.create_model(name, num_classes=10).to(memory_format=torch.channels_last).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    shape = (args.batch, 3, args.side, args.side)
    images = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (args.batch,))

    def step(*, lowered: bool) -> None:
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
            logits = network(images)
        F.cross_entropy(logits.float(), labels).backward()

    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(args.rounds):
        for way, (ours, lowered) in WAYS.items():
            with fast_training(network, (images[:1],), args.batch) if ours else nullcontext():
                step(lowered=lowered)  # its buffers come from the system
                taken[way].append(seconds(lambda lowered=lowered: step(lowered=lowered)))
    told(f"{name} at {args.side} px", taken)


def one_kernel(channels: int, side: int, kernel: int, stride: int, args: argparse.Namespace) -> None:
    shape = (args.batch, channels, side, side)
    images = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, 1, kernel, kernel, requires_grad=True)
    at = Geometry((stride, stride), (kernel // 2, kernel // 2), (1, 1), channels)
    plain = torch.conv2d(images, weight, None, at.stride, at.padding, at.dilation, channels)
    ours = Convolution.apply(images, weight, None, at)
    above = torch.randn_like(plain)
    taken: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(2 * args.rounds):
        for way, out in (("plain", plain), ("ours", ours)):
            taken[way].append(
                seconds(lambda out=out: torch.autograd.grad(out, weight, above, retain_graph=True))
            )  # fmt: skip
    told(f"{channels} kernels of {kernel} × {kernel}, stride {stride}, on {side} × {side}", taken)


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def told(what: str, taken: dict[str, list[float]]) -> None:
    medians = {way: float(np.median(values)) for way, values in taken.items()}
    words = (f"{way} {1000 * value:.1f} ms ({value / medians['plain']:.2f})" for way, value in medians.items())
    print(f"{what}: {', '.join(words)}", flush=True)


if __name__ == "__main__":
    main()
