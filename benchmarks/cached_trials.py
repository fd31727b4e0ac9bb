"""Trials that read kept activations against the same trials that compute everything, at three freeze depths.

    python benchmarks/cached_trials.py [DATA] [--shares 0.5,0.7,0.9] [--images 96] [--epochs 3] [--repeats 3]

For each depth, p is the frozen share of the forward pass's floating-point operations. If time went by operations, a
step that trains everything would cost 3 forward passes and a step on kept activations 3(1 - p): a speed-up of
1 / (1 - p) against training everything, and of (3 - 2p) / 3(1 - p) against the same frozen depth without kept
activations. Early stages take more time than their share of the operations, so it may be more.
Trials are timed with their activations kept by an earlier one; what keeping them took stands beside. The accuracy of
both kinds of trial is compared on the same validation images, over all repeats, each with a seed of its own; that needs
more images and repeats than the clock does, and smaller ones will do: `--accuracy --input-size 96 --images 600`.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advisor.tuning.context import TrialContext

DATA = Path(__file__).parents[2] / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=str(DATA / "clothing_small"))
    parser.add_argument("--shares", default="0.5,0.7,0.9", help="wanted for p; the nearest stages are taken")
    parser.add_argument("--images", type=int, default=96, help="to train on in the timed trials")
    parser.add_argument("--val", type=int, default=160, help="to compare accuracies on")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--input-size", type=int, default=0, help="pixels; 0 is the network's own")
    parser.add_argument("--accuracy", action="store_true", help="leave out the training of everything")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    os.environ["ADVISOR_CACHE"] = tempfile.mkdtemp(prefix="cached-trials-")
    from advisor.outcome.run import Machine, open_contexts
    from advisor.plugins import load_catalog
    from advisor.progress import Silent
    from advisor.recipe import Plan, Recipe

    plan = Plan(Recipe("benchmark"), args.data, "lite0")
    from advisor.recipe.values import TrialValues

    contexts = open_contexts(plan, Machine(args.device), load_catalog(), Silent())
    context = contexts.of(TrialValues.from_flat({"features.input_size": args.input_size}))
    parts = [spread(context.rows(part), most) for part, most in (("train", args.images), ("val", args.val))]
    context = context.divided(*parts).divided(*parts)  # once more, so that nothing is kept of the other images
    shares = frozen_shares(context)
    print(f"{len(context.rows('train'))} images to train on, {len(context.rows('val'))} to judge on, "
          f"{args.epochs} epochs, {context.device}; median of {args.repeats}")  # fmt: skip
    print("   p  stage   full s  uncached s  kept s  keeping s |  full : kept (by operations, share)  uncached : kept "
          "(likewise)  accuracy kept - uncached")  # fmt: skip
    wanted = [float(text) for text in args.shares.split(",")]
    for stage in sorted({min(shares, key=lambda k: abs(shares[k] - share)) for share in wanted}):
        p = shares[stage]
        depth = stage / len(context.stages)
        keeping = keep(context, stage, args.epochs)
        full, uncached, kept = [], [], []
        for repeat in range(args.repeats):  # by turns, so that a slow moment of the machine hits all alike
            if not args.accuracy:
                full.append(timed(context, 0.0, "fresh", args.epochs, repeat))
            uncached.append(timed(context, depth, "fresh", args.epochs, repeat))
            kept.append(timed(context, depth, "views", args.epochs, repeat))
        seconds = [
            statistics.median(run["seconds"] for run in runs) if runs else math.nan for runs in (full, uncached, kept)
        ]
        bounds = 1 / (1 - p), (3 - 2 * p) / (3 * (1 - p))
        ratios = [seconds[i] / seconds[2] for i in (0, 1)]
        gap, se = difference(kept, uncached)
        against = [
            f"{ratio:5.2f} ({bound:5.2f}, {ratio / bound:4.0%})" for ratio, bound in zip(ratios, bounds, strict=True)
        ]
        print(f"{p:4.2f}  {stage:>5}  {seconds[0]:7.1f}  {seconds[1]:10.1f}  {seconds[2]:6.1f}  {keeping:9.1f} | "
              f"{against[0]:>26}  {against[1]:>30}  {100 * gap:+.1f} ± {100 * se:.1f} points", flush=True)  # fmt: skip


def spread(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many rows, evenly over the table, which is sorted by class."""
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]


def frozen_shares(context: TrialContext) -> dict[int, float]:
    """For each number of frozen stages the share of the forward pass's operations that lies below the cut."""
    from torch.utils.flop_counter import FlopCounterMode

    segments = context.segments
    assert segments is not None
    images = context.clean(context.rows("train")[:2])

    def operations(model: Any) -> int:  # noqa: ANN401
        with FlopCounterMode(display=False) as counter:
            model(images)
        return counter.get_total_flops()

    whole = operations(context.network)
    return {k: operations(segments.between(context.network, 0, k)) / whole for k in range(1, len(context.stages))}


def keep(context: TrialContext, stage: int, epochs: int) -> float:
    """Seconds to compute and keep what trials frozen so deep read, as the first such trial does."""
    from advisor.network.activations import View
    from advisor.recipe import KEYS

    assert context.activations is not None
    began = time.perf_counter()
    for number in range(min(epochs, int(str(KEYS["features.views"].default)))):
        context.activations.get(context.kept("train")[0], stage, View(str(KEYS["train.augment"].default), number))
    return time.perf_counter() - began


def timed(context: TrialContext, depth: float, cache: str, epochs: int, seed: int) -> dict[str, Any]:
    """One trial: the seconds of its training, without the scoring on validation images, and its answers there."""
    from advisor.recipe import KEYS
    from advisor.recipe.values import TrialValues
    from advisor.tuning.trial import run_trial

    values = {path: key.default for path, key in KEYS.items()} | {
        "head.name": "linear", "head.linear.l2": 3e-4, "freeze.depth": depth, "train.epochs": epochs,
        "features.cache": cache, "freeze.batchnorm": "eval",
    }  # fmt: skip
    done = run_trial(context, TrialValues.from_flat(values), seed=seed, deadline=math.inf)
    return {"seconds": done.curve[-1].seconds, "correct": done.image_scores}


def difference(kept: list[dict[str, Any]], fresh: list[dict[str, Any]]) -> tuple[float, float]:
    """Mean difference of the accuracies and its paired standard error over images."""
    from advisor.task.interval import paired

    means = [np.mean([run["correct"] for run in runs], axis=0) for runs in (kept, fresh)]
    return paired(means[0] - means[1], np.ones(len(means[0])))


if __name__ == "__main__":
    main()
