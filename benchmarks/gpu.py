"""How much of a GPU the training loop and the reading of features leave to the network.

    python benchmarks/gpu.py [--backbone timm/resnet50] [--size 224] [--batch-size 64] [--steps 60]

Training: seconds of a step of `advisor.tuning.loop.train` as trials run it, from decoded uint8 images through the
random views on the device, in bf16, over the same network with the same optimiser on one synthetic batch that lies on
the device. Wanted: at least 90 % of its images per second.

Features: `compute_features` as `recommend` and `tune` run it, every stage pooled and kept, over a bare forward pass of
the same network in the same batches on synthetic images. Wanted: at least 95 %. A bare pass in batches as large as
those of training stands beside it: what the batches of features themselves cost.

Both sides are timed by turns; the median of `--repeats` counts. Weights are random. `--device cpu` is for trying the
program, not for figures.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from PIL import Image

from advisor.data.prepare import prepare
from advisor.network.features import FeatureStore, compute_features
from advisor.network.opening import stages_for
from advisor.network.sweep import Sweeper, batch_for
from advisor.network.transfer import pick_device
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.recipe import KEYS
from advisor.tuning.context import TrialContext
from advisor.tuning.loop import Schedule, train
from advisor.tuning.source import source_of
from advisor.tuning.updates import make_optimizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

LR = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="timm/resnet50")
    parser.add_argument("--size", type=int, default=224, help="side of the images on disk, pixels")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=60, help="timed, in each repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--augment", default="flip_crop")
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    device = pick_device(args.device)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ADVISOR_CACHE"] = f"{folder}/cache"
        context = workbench(args, device, f"{folder}/images")
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU, which is not what this is for"
        print(f"{name}; torch {torch.__version__}; {args.backbone} at {context.backbone.input.size} pixels")
        report_training(context, args)
        report_features(context, args)


def workbench(args: argparse.Namespace, device: torch.device, folder: str) -> TrialContext:
    """A bench on images of noise, as many as the timed steps read."""
    from pathlib import Path

    rng = np.random.default_rng(0)
    classes = ("a", "b")
    for number in range(args.steps * args.batch_size):
        target = Path(folder) / "train" / classes[number % 2] / f"{number}.bmp"
        save(target, rng, args.size)
    for part in ("val", "test"):
        for name in classes:
            save(Path(folder) / part / name / "0.bmp", rng, args.size)
    catalog = load_catalog()
    backbone = catalog.backbone(args.backbone)
    torch.manual_seed(0)
    network: Any = backbone.create(False).eval().to(device).to(memory_format=torch.channels_last)
    prepared = prepare(folder, backbone.input, catalog=catalog, seed=0, progress=Silent())
    return TrialContext(backbone, network, stages_for(backbone, network), prepared, catalog, device, Silent())


def save(target: Path, rng: np.random.Generator, size: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (size, size, 3), np.uint8)).save(target)


def report_training(context: TrialContext, args: argparse.Namespace) -> None:
    ours, bare = [], []
    for repeat in range(args.repeats + 1):
        times = our_step(context, args, repeat), bare_step(context, args)
        if repeat:  # the first of each compiles and allocates
            ours.append(times[0])
            bare.append(times[1])
    mine, least = statistics.median(ours), statistics.median(bare)
    print(f"training, batches of {args.batch_size}, {args.augment}: {1000 * mine:.1f} ms a step, "
          f"bare {1000 * least:.1f} ms: {least / mine:.1%} of its speed (wanted 90 %); "
          f"{args.batch_size / mine:.0f} images a second", flush=True)  # fmt: skip


def report_features(context: TrialContext, args: argparse.Namespace) -> None:
    rows = context.rows("train")
    ours, bare, large = [], [], []
    for repeat in range(args.repeats + 1):
        times = (
            our_features(context),
            bare_forward(context, batch_for(context.device)),
            bare_forward(context, args.batch_size),
        )
        if repeat:
            for kept, value in zip((ours, bare, large), times, strict=True):
                kept.append(value / len(rows))
    mine, least, most = (statistics.median(values) for values in (ours, bare, large))
    size = batch_for(context.device)
    print(
        f"features, batches of {size}: {1 / mine:.0f} images a second, bare {1 / least:.0f}: {least / mine:.1%} of "
        f"its speed (wanted 95 %); bare in batches of {args.batch_size}: {1 / most:.0f}, {most / mine:.1%}"
    )


def network_and_rates(context: TrialContext) -> tuple[Any, dict[str, float]]:
    head = torch.nn.Linear(context.standardise(len(context.stages)).mean.numel(), context.classes)
    network = context.build(len(context.stages), head)
    network.freeze(0, batchnorm="eval")
    return network, {name: LR for name, parameter in network.named_parameters() if parameter.requires_grad}


def our_step(context: TrialContext, args: argparse.Namespace, seed: int) -> float:
    """Seconds a step of the second epoch, as trials take them."""
    network, rates = network_and_rates(context)
    values = {path: key.default for path, key in KEYS.items()} | {
        "features.cache": "fresh", "train.augment": args.augment, "train.batch_size": args.batch_size,
        "train.epochs": 2,
    }  # fmt: skip
    source = source_of(context, network, values, frozen=0, seed=seed, deadline=math.inf)
    schedule = Schedule("adamw", weight_decay=1e-3, epochs=2, batch_size=args.batch_size, warmup=0.1)
    ends: list[float] = []

    def after_epoch(_epoch: int, seconds: float) -> None:
        synchronise(context.device)
        ends.append(seconds)

    labels = context.labels("train").to(context.device)
    train(source.model, source.take, labels, schedule, rates=rates, seed=seed, deadline=time.monotonic() + 1e6,
          after_epoch=after_epoch)  # fmt: skip
    return (ends[1] - ends[0]) / math.ceil(len(labels) / args.batch_size)


def bare_step(context: TrialContext, args: argparse.Namespace) -> float:
    """Seconds a step on one batch that lies on the device."""
    network, rates = network_and_rates(context)
    network.train()
    optimizer = make_optimizer(network, "adamw", 1e-3, rates)
    images = synthetic(context, args.batch_size)
    labels = torch.zeros(args.batch_size, dtype=torch.int64, device=context.device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=context.device.type == "cuda"):
            logits = network(images)
        F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return timed(step, args.steps, context.device)


def our_features(context: TrialContext) -> float:
    """Seconds to read all training images' features into an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ADVISOR_CACHE"] = folder
        store = FeatureStore.open(context.prepared.pixels, context.network, context.stages, context.backbone.input)
        sweeper = Sweeper(context.network, context.stages)
        rows = context.rows("train")
        began = time.perf_counter()
        compute_features(
            sweeper, context.prepared.pixels, rows, context.backbone.input,
            store=store, device=context.device, progress=Silent(),
        )  # fmt: skip
        return time.perf_counter() - began


def bare_forward(context: TrialContext, batch: int) -> float:
    """Seconds for as many images as there are to train on, always the same batch."""
    images = synthetic(context, batch)

    def forward() -> None:
        with torch.inference_mode():
            context.network(images)

    times = math.ceil(len(context.rows("train")) / batch)
    return times * timed(forward, times, context.device)


def synthetic(context: TrialContext, batch: int) -> Tensor:
    size = context.backbone.input.size
    images = torch.randn(batch, 3, size, size, device=context.device)
    return images.contiguous(memory_format=torch.channels_last)


def timed(work: Callable[[], None], times: int, device: torch.device) -> float:
    """Mean seconds of one call, after three that do not count."""
    for _ in range(3):
        work()
    synchronise(device)
    began = time.perf_counter()
    for _ in range(times):
        work()
    synchronise(device)
    return (time.perf_counter() - began) / times


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
