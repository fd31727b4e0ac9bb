"""Images a second of `advisor.predict`, from files to labels, against a bare forward pass over ready pixels.

    python benchmarks/predict.py [--data ../shared/data/clothing_small] [--images 600] [--repeats 5]

Both run the same network in the same batches in one process, one after the other in turn; what is bare has its images
decoded and in memory before the clock starts. Above 1, decoding is hidden behind the network and BatchNorm folded away
pays for it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import advisor
from advisor.data.decode import decode_square
from advisor.data.views import clean_view
from advisor.network.sweep import batch_for
from advisor.outcome.inputs import find_images
from advisor.plugins import load_catalog
from advisor.recipe import Plan, Recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data/clothing_small")
    parser.add_argument("--backbone", default="lite0")
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(Recipe("head", values={"freeze.depth": 1.0, "search.trials": 1}), args.data, args.backbone)
        best = advisor.tune(plan, runs=Path(folder), trials=1, budget="60s").best
        model = advisor.load(best, device="auto")
        sources = list(find_images([args.data], load_catalog()))[: args.images]
        spec, where = model.input, next(model.network.parameters()).device
        pixels = np.stack(
            [decode_square(source.read(), spec.resize, spec.interpolation, model.ranges) for source in sources]
        )
        network = model.network.to(memory_format=torch.channels_last)
        size = batch_for(where)

        def bare() -> None:
            with torch.inference_mode():
                for start in range(0, len(pixels), size):
                    batch = torch.from_numpy(pixels[start : start + size]).to(where)
                    network(clean_view(batch, spec)).softmax(1).cpu()

        def ours() -> None:
            advisor.predict(model, [source.path for source in sources])

        ratios = []
        for turn in range(args.repeats + 1):
            seconds = []
            for way in (bare, ours):
                began = time.perf_counter()
                way()
                seconds.append(time.perf_counter() - began)
            if turn:  # the first round warms up
                ratios.append(seconds[0] / seconds[1])
                rate = [len(pixels) / taken for taken in seconds]
                print(f"bare {rate[0]:.1f} images/s, predict {rate[1]:.1f} images/s, ratio {ratios[-1]:.3f}")
    print(
        f"median ratio {statistics.median(ratios):.3f} on {args.data}, {len(pixels)} images, {args.backbone}, {where}"
    )


if __name__ == "__main__":
    main()
