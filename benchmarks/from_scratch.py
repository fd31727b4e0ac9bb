"""How many times the iterations of fine-tuning does the same network need from random weights?

    python benchmarks/from_scratch.py [--data FOLDER] [--input-size 64] [--images 600] [--plot FILE.svg]

Three ways on the same training images, in batches of 32, each at several lengths: `lp-ft` (the head is fitted in closed
form first), the same with a random head, and the recipe `from-scratch`. Every point is a training of its own whose
learning rate falls to zero at its end: the first epochs of a long training would make from-scratch look worse than a
short one is. From-scratch is as long as fine-tuning and up to `--factor` times the longest of it; of several
`--rates` the best at each length counts, chosen on the images that are reported, in its favour. Accuracy is on images
that nothing was trained on.

Then, for each accuracy that fine-tuning has, the iterations from-scratch needs for it: interpolated between its points
on a logarithmic scale, or a lower bound where it never has it.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from advisor.tuning.pool import ContextPool

DATA = Path(__file__).parents[2] / "shared" / "data"
BATCH_SIZE = 32
SCRATCH, RANDOM_HEAD, LP_FT = "from-scratch", "random head", "lp-ft"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(DATA / "mnist_5k"))
    parser.add_argument("--backbone", default="lite0")
    parser.add_argument("--input-size", type=int, default=64, help="pixels")
    parser.add_argument("--images", type=int, default=600, help="to train on, at most")
    parser.add_argument("--test", type=int, default=500, help="to judge on, at most")
    parser.add_argument("--epochs", default="1,2,4", help="lengths of fine-tuning")
    parser.add_argument("--factor", type=int, default=8, help="times the longest fine-tuning, a power of two")
    parser.add_argument("--lr", type=float, default=2e-4, help="of fine-tuning; ten times that for the head")
    parser.add_argument("--rates", default="", help="of from-scratch; default its recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--plot", default="", metavar="FILE")
    args = parser.parse_args()
    os.environ["ADVISOR_CACHE"] = tempfile.mkdtemp(prefix="from-scratch-")
    from advisor.outcome.run import Machine, open_contexts
    from advisor.plugins import load_catalog
    from advisor.progress import Silent
    from advisor.recipe import Plan, Recipe

    plan = Plan(Recipe("benchmark"), args.data, args.backbone, seed=args.seed)
    contexts = open_contexts(plan, Machine(args.device), load_catalog(), Silent())
    lengths = [int(text) for text in args.epochs.split(",")]
    longer = sorted({*lengths, *(max(lengths) * 2**power for power in range(1, int(math.log2(args.factor)) + 1))})
    rates = [float(text) for text in args.rates.split(",") if text] or [None]
    work: list[tuple[str, int, float | None]] = [(way, n, args.lr) for way in (LP_FT, RANDOM_HEAD) for n in lengths]
    work += [(SCRATCH, n, rate) for n in longer for rate in rates]
    points = []
    for way, epochs, lr in work:
        points.append({"way": way, **measured(contexts, way, epochs, lr, args)})
        text = "{way:<12} {epochs:>3} epochs {steps:>5} iterations  lr {lr:.0e}  {accuracy:.3f}  {seconds:6.1f} s"
        print(text.format(**points[-1]), flush=True)
    frame = pd.DataFrame(points)
    factors(frame, args.test)
    if args.plot:
        about = f"{Path(args.data).name}, {args.images} images of {args.input_size} pixels, {args.backbone}"
        plot(frame, args.plot, about)


def measured(
    contexts: ContextPool, way: str, epochs: int, lr: float | None, args: argparse.Namespace
) -> dict[str, Any]:
    """One training, scored on images that it did not see."""
    from advisor.recipe import load_recipe
    from advisor.tuning.space import SearchSpace
    from advisor.tuning.trial import run_trial

    catalog = contexts.first.catalog
    changes: dict[str, Any] = {
        "features.input_size": args.input_size, "train.epochs": epochs, "train.batch_size": BATCH_SIZE,
        "train.augment": "crop",
    }  # fmt: skip
    if lr is not None:
        changes["optimizer.lr"] = lr
    if way == RANDOM_HEAD:
        changes["head.init"] = "random"
    recipe = load_recipe(SCRATCH if way == SCRATCH else LP_FT, catalog).with_values(changes)
    values = SearchSpace(recipe, contexts.first.stages, catalog).start()
    whole = contexts.of(values)
    draw = np.random.default_rng(args.seed).permutation
    context = whole.divided(draw(whole.rows("train"))[: args.images], draw(whole.rows("test"))[: args.test])
    began = time.perf_counter()
    done = run_trial(context, values, seed=args.seed, deadline=math.inf)
    seconds = time.perf_counter() - began
    return {"epochs": epochs, "steps": done.steps, "lr": values.steps[0].lr, "accuracy": done.accuracy,
            "seconds": seconds}  # fmt: skip


def envelope(frame: pd.DataFrame) -> pd.DataFrame:
    """From-scratch's best rate at each length; a longer training counts at least as much as a shorter one."""
    best = frame[frame["way"] == SCRATCH].groupby("steps", as_index=False)["accuracy"].max()
    return best.assign(accuracy=best["accuracy"].cummax())


def needed(curve: pd.DataFrame, accuracy: float) -> float:
    """Iterations for an accuracy; infinite if the curve never has it."""
    there = np.flatnonzero(curve["accuracy"] >= accuracy)
    if not len(there):
        return math.inf
    after = int(there[0])
    if after == 0:
        return float(curve["steps"].iloc[0])
    low, high = curve.iloc[after - 1], curve.iloc[after]
    share = (accuracy - low["accuracy"]) / (high["accuracy"] - low["accuracy"])
    return float(low["steps"] * (high["steps"] / low["steps"]) ** share)


def factors(frame: pd.DataFrame, images: int) -> None:
    curve = envelope(frame)
    longest = curve["steps"].max()
    for way in (LP_FT, RANDOM_HEAD):
        for point in frame[frame["way"] == way].itertuples():
            found = needed(curve, point.accuracy)
            text = (
                f"{found:.0f}, {found / point.steps:.1f} times as many"
                if math.isfinite(found)
                else f"more than {longest}, {longest / point.steps:.1f} times as many (it comes to "
                f"{curve['accuracy'].max():.3f})"
            )
            error = math.sqrt(point.accuracy * (1 - point.accuracy) / images)
            has = f"{point.accuracy:.3f} ± {error:.3f} after {point.steps} iterations"
            print(f"{way:<12} has {has}; {SCRATCH} needs {text}")


def plot(frame: pd.DataFrame, file: str, title: str) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(5.2, 3.4))
    names = {LP_FT: "head first, then everything", RANDOM_HEAD: "random head, everything", SCRATCH: "random weights"}
    for way, colour in ((LP_FT, "tab:blue"), (RANDOM_HEAD, "tab:orange"), (SCRATCH, "tab:red")):
        best = frame[frame["way"] == way].groupby("steps", as_index=False)["accuracy"].max()
        axis.plot(best["steps"], best["accuracy"], "o-", color=colour, ms=4, label=names[way])
    axis.set_xscale("log", base=2)
    ticks = sorted(set(frame["steps"]))
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel("iterations")
    axis.set_ylabel("test accuracy")
    axis.set_title(title, fontsize=9)
    axis.legend(fontsize=8)
    figure.tight_layout()
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main()
