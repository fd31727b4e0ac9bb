"""One fine-tuning of ours beside a careful plain loop: same weights, images, input side and steps, in turns.

Ours is trained twice, as it chooses by itself and in float32 throughout.

    python benchmarks/fine_tuning.py ../shared/data/satellite_landcover ../shared/data/mnist_5k --train 500 --side 64

The plain loop is what a good engineer writes by hand: the head set to the ridge solution on the last layer, BatchNorm
kept, random shifts (and mirrors where the set allows it), AdamW, one cycle, batches of 32. Prints, for each set and
seed, test accuracy with its standard error and processor seconds of each, and at the end the median ratio of the
seconds.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from advisor.network.ridge import fit_ridge
from advisor.outcome.run import Machine, open_contexts
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.recipe import Plan, Recipe
from advisor.tuning.precision import SWITCH
from advisor.tuning.space import SearchSpace
from advisor.tuning.trial import run_trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from advisor.recipe.values import TrialValues
    from advisor.tuning.context import TrialContext

BATCH = 32
NOT_MIRRORED = ("mnist_5k", "letters_fonts", "digits:")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", help="locations of datasets")
    parser.add_argument("--train", type=int, default=500, help="training images")
    parser.add_argument("--test", type=int, default=600, help="test images at most")
    parser.add_argument("--side", type=int, default=64, help="of the input, pixels")
    parser.add_argument("--steps", type=int, default=480)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    ratios: dict[str, list[float]] = {"ours": [], "float32": []}
    for location in args.sets:
        mirror = Path(location).name not in NOT_MIRRORED
        for seed in range(args.seeds):
            context, values = prepared(location, args, mirror=mirror, seed=seed)
            seconds = compared(Path(location).name, context, values, args, mirror=mirror, seed=seed)
            for name, so_far in ratios.items():
                so_far.append(seconds[name] / seconds["plain"])
    for name, all_of_them in ratios.items():
        spread = ", ".join(f"{ratio:.2f}" for ratio in sorted(all_of_them))
        print(f"processor seconds, {name} over plain: median {np.median(all_of_them):.2f} of {spread}")


def compared(
    name: str, context: TrialContext, values: TrialValues, args: argparse.Namespace, *, mirror: bool, seed: int
) -> dict[str, float]:
    """Processor seconds of each."""

    def ours() -> tuple[float, str]:
        finished = run_trial(context, values, seed=seed, deadline=math.inf, gated=False)
        return finished.accuracy, " ".join(finished.notes)

    seconds = {}
    for way, work in (
        ("ours", ours),
        ("plain", lambda: (plain(context, args, mirror=mirror, seed=seed), "")),
        ("float32", lambda: in_float32(ours)),
    ):
        began = time.process_time()
        accuracy, note = work()
        seconds[way] = time.process_time() - began
        error = math.sqrt(accuracy * (1 - accuracy) / len(context.rows("val")))
        print(f"{name} seed {seed} {way}: {accuracy:.3f} ± {error:.3f} in {seconds[way]:.0f} s. {note}", flush=True)
    return seconds


def in_float32(work: Callable[[], tuple[float, str]]) -> tuple[float, str]:
    os.environ[SWITCH] = "float32"
    try:
        return work()
    finally:
        del os.environ[SWITCH]


def prepared(location: str, args: argparse.Namespace, *, mirror: bool, seed: int) -> tuple[TrialContext, TrialValues]:
    """Training images, test images in the place of validation, and the values of the trial."""
    recipe = Recipe("benchmark", values={
        "features.input_size": args.side, "features.cache": "fresh", "head.name": "ridge", "freeze.depth": 0.0,
        "optimizer.lr": args.lr, "optimizer.lr_ratio": 3.0, "train.steps": args.steps,
        "train.augment": "flip_crop" if mirror else "crop",
    })  # fmt: skip
    contexts = open_contexts(Plan(recipe, location, "lite0"), Machine(device="cpu"), load_catalog(), Silent())
    values = SearchSpace(recipe, contexts.first.stages, contexts.first.catalog).start()
    context, rng = contexts.of(values), np.random.default_rng(seed)
    train = rng.permutation(np.concatenate([context.rows("train"), context.rows("val")]))[: args.train]
    test = rng.permutation(context.rows("test"))[: args.test]
    context = context.divided(np.sort(train), np.sort(test))
    context.features("train", len(context.stages))  # read once, outside the clock of either
    return context, values


def plain(  # noqa: C901 - one loop, read from top to bottom
    context: TrialContext, args: argparse.Namespace, *, mirror: bool, seed: int
) -> float:
    """Test accuracy of the loop written by hand."""
    torch.manual_seed(seed)
    model, spec = context.backbone.create(True), context.backbone.input
    model.reset_classifier(0)
    model = model.to(memory_format=torch.channels_last)
    labels, side, resize = context.labels("train"), args.side, (spec.resize, spec.resize)

    def decoded(part: str) -> Tensor:
        images = torch.from_numpy(context.prepared.pixels.batch(context.rows(part))).permute(0, 3, 1, 2).float()
        larger = F.interpolate(images, resize, mode=spec.interpolation, antialias=True)
        return larger.clamp(0, 255).round().to(torch.uint8)

    pixels = {part: decoded(part) for part in ("train", "val")}
    margin = spec.resize - side

    def ready(images: Tensor) -> Tensor:
        mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (spec.mean, spec.std))
        return ((images.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)

    def middle(images: Tensor) -> Tensor:
        return ready(images[..., margin // 2 : margin // 2 + side, margin // 2 : margin // 2 + side])

    def view(images: Tensor) -> Tensor:
        out = []
        for image in images:
            top, left = (int(torch.randint(margin + 1, ())) for _ in range(2))
            one = image[:, top : top + side, left : left + side]
            out.append(one.flip(-1) if mirror and torch.rand(()) < 0.5 else one)
        return ready(torch.stack(out))

    def answers(network: nn.Module, images: Tensor) -> Tensor:
        network.eval()
        with torch.no_grad():
            return torch.cat([network(middle(images[i : i + 64])) for i in range(0, len(images), 64)])

    features = answers(model, pixels["train"])
    head = nn.Linear(features.shape[1], context.classes)
    fit = fit_ridge(features.numpy(), labels.numpy(), context.classes)
    head.weight.data = torch.from_numpy(fit.temperature * fit.weight).float()
    head.bias.data = torch.from_numpy(fit.temperature * fit.bias).float()
    network = nn.Sequential(model, head)
    optimizer = torch.optim.AdamW(
        [{"params": model.parameters(), "lr": args.lr}, {"params": head.parameters(), "lr": 3 * args.lr}],
        weight_decay=1e-2,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [args.lr, 3 * args.lr], total_steps=args.steps, pct_start=0.15
    )
    step = 0
    while step < args.steps:
        network.train()
        for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
            norm.eval()
        for rows in torch.randperm(len(labels)).split(BATCH):
            if len(rows) < 2 or step == args.steps:
                continue
            optimizer.zero_grad()
            F.cross_entropy(network(view(pixels["train"][rows])), labels[rows]).backward()
            optimizer.step()
            schedule.step()
            step += 1
    said = answers(network, pixels["val"]).argmax(1)
    return float((said == context.labels("val")).float().mean())


if __name__ == "__main__":
    main()
