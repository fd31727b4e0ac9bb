"""`recommend` against one plain forward pass of the same backbone over the images it uses, in one run.

    python benchmarks/recommend_cost.py [DATASET] [--repeats 3]

Prints the seconds of each part, the ratio, and the peak memory of the process. The plain pass reads
decoded images that are already in memory; `recommend` starts from the files with an empty cache.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import torch

DATA = Path(__file__).parents[2] / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", nargs="?", default=str(DATA / "clothing_small"))
    parser.add_argument("--backbone", default="lite0")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()

    import advisor
    from advisor.advice.recommend import open_network
    from advisor.data.prepare import prepare
    from advisor.data.views import clean_view
    from advisor.network.sweep import BATCH
    from advisor.plugins import load_catalog
    from advisor.progress import Silent

    catalog = load_catalog()
    backbone = catalog.backbone(args.backbone)
    ratios = []
    for repeat in range(args.repeats):
        with tempfile.TemporaryDirectory() as cache:
            os.environ["ADVISOR_CACHE"] = cache
            network = open_network(backbone, torch.device("cpu"))
            began = time.perf_counter()
            found = advisor.recommend(args.dataset, backbone=args.backbone, device="cpu")
            advice = time.perf_counter() - began
            used = found.curve.images
            prepared = prepare(args.dataset, backbone.input, catalog=catalog, seed=0, progress=Silent())
            rows = prepared.dataset.rows("train", "val")[:used]
            batches = [
                clean_view(torch.from_numpy(prepared.pixels.batch(rows[i : i + BATCH])), backbone.input)
                for i in range(0, min(used, 512), BATCH)
            ]
            with torch.inference_mode():
                network(batches[0])
                began = time.perf_counter()
                for batch in batches:
                    network(batch)
                plain = (time.perf_counter() - began) * used / sum(len(batch) for batch in batches)
        ratios.append(advice / plain)
        print(
            f"run {repeat + 1}: {used} images, recommend {advice:.1f} s, plain forward {plain:.1f} s, "
            f"ratio {ratios[-1]:.2f}",
            flush=True,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"median ratio {statistics.median(ratios):.2f}, peak memory {peak:.2f} GB")


if __name__ == "__main__":
    main()
