"""What adding a share of the mean variance to each feature's own does to probes and to what they foresee.

    python benchmarks/scaling.py [--shares 0,0.1,0.3,1,3] [--per-class 5,25,50]

For each image set of `benchmarks/advice/cells.py` a ridge classifier is fitted on few images per class at the last four
stages of lite0 (128 pixels); printed are leave-one-out and test accuracy, mean over sets and sizes.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent / "advice"))
import cells

from advisor.advice.inspection import open_network
from advisor.data.prepare import prepare
from advisor.network import ridge
from advisor.network.features import FeatureStore, compute_features
from advisor.network.stages import stages_of
from advisor.network.sweep import Sweeper
from advisor.plugins import load_catalog
from advisor.progress import Silent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shares", default="0,0.1,0.3,1,3")
    parser.add_argument("--per-class", default="5,25,50")
    args = parser.parse_args()
    catalog, device = load_catalog(), torch.device("cpu")
    own = catalog.backbone(cells.BACKBONE)
    backbone = replace(own, input=replace(own.input, size=128))
    network = open_network(own, device)
    stages = stages_of(network, torch.zeros(1, 3, 128, 128))
    found: dict[tuple[int, float], list[tuple[float, float]]] = {}
    for name, location in cells.SETS.items():
        whole = prepare(location, backbone.input, catalog=catalog, seed=0, progress=Silent())
        store = FeatureStore.open(whole.pixels, network, stages, backbone.input)
        for per_class in args.per_class.split(","):
            cell = cells.sample(whole, int(per_class), 0)
            parts = [
                (
                    compute_features(
                        Sweeper(network, stages), whole.pixels, cell.dataset.rows(*part), backbone.input,
                        store=store, device=device, progress=Silent(),
                    ),
                    cell.dataset.labels(*part),
                )
                for part in (("train", "val"), ("test",))
            ]  # fmt: skip
            (seen, labels), (new, truth) = parts
            for stage in range(len(stages) - 4, len(stages)):
                for share in (float(text) for text in args.shares.split(",")):
                    ridge.SHARED_VARIANCE = share
                    fit = ridge.fit_ridge(seen[stage], labels, len(cell.dataset.classes))
                    right = (new[stage] @ fit.weight.T + fit.bias).argmax(1) == truth
                    pair = (float(fit.correct(labels).mean()), float(right.mean()))
                    found.setdefault((stage + 1, share), []).append(pair)
        print(f"{name} done", file=sys.stderr, flush=True)
    print("| stage | share | leave-one-out | test |\n|--:|--:|--:|--:|")
    for (stage, share), pairs in sorted(found.items()):
        loo, test = np.mean(pairs, axis=0)
        print(f"| {stage} | {share:g} | {loo:.3f} | {test:.3f} |")


if __name__ == "__main__":
    main()
