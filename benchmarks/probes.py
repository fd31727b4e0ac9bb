"""What the way of reading a stage, and the scaling of what is read, do to probes and to what they foresee.

    python benchmarks/probes.py [--codes mean,relu,mean+std] [--shares 0.3] [--per-class 5,25,50]
    python benchmarks/probes.py --codes mean --shares 0,0.1,0.3,1,3

For each image set of `benchmarks/advice/panel.py` a ridge classifier is fitted on few images per class at the last four
stages of lite0 (128 pixels). `codes` are those of `features.codes`; a share of the mean variance of all columns is
added to that of each. Printed are leave-one-out and test accuracy, means over sets and sizes: at each stage, and at
the best stage by leave-one-out, which is what `advisor recommend` would read.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent / "advice"))
from panel import BACKBONE, SETS, sample

from advisor.data.prepare import prepare
from advisor.network import ridge
from advisor.network.features import FeatureStore, compute_features
from advisor.network.opening import open_network, stages_for
from advisor.network.sweep import Sweeper
from advisor.plugins import load_catalog
from advisor.progress import Silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advisor.data.prepare import Prepared

Part = tuple["list[NDArray[np.float32]]", "NDArray[np.int64]"]
LAST = 4  # stages


def judge(seen: Part, new: Part, classes: int) -> list[tuple[float, float]]:
    """Leave-one-out and test accuracy at each of the last stages, and at the best of them by the former."""
    found = []
    for known, unknown in zip(seen[0][-LAST:], new[0][-LAST:], strict=True):
        fit = ridge.fit_ridge(known, seen[1], classes)
        right = (unknown @ fit.weight.T + fit.bias).argmax(1) == new[1]
        found.append((float(fit.correct(seen[1]).mean()), float(right.mean())))
    return [*found, max(found, key=lambda pair: pair[0])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codes", default="mean,relu,mean+std")
    parser.add_argument("--shares", default=str(ridge.SHARED_VARIANCE))
    parser.add_argument("--per-class", default="5,25,50")
    parser.add_argument("--sets", default=",".join(SETS))
    args = parser.parse_args()
    catalog = load_catalog()
    own = catalog.backbone(BACKBONE)
    backbone = replace(own, input=replace(own.input, size=128))
    network = open_network(backbone, torch.device("cpu"))
    found: dict[tuple[str, float, int], list[tuple[float, float]]] = {}

    def read(whole: Prepared, cell: Prepared, codes: str, *splits: str) -> Part:
        stages = stages_for(backbone, network, codes=codes)
        store = FeatureStore.open(whole.pixels, network, stages, backbone.input)
        features = compute_features(
            Sweeper(network, stages), whole.pixels, cell.dataset.rows(*splits), backbone.input,
            store=store, device=torch.device("cpu"), progress=Silent(),
        )  # fmt: skip
        return features, cell.dataset.labels(*splits)

    for name in args.sets.split(","):
        source = SETS[name]
        whole = prepare(source.location, backbone.input, catalog=catalog, seed=0, progress=Silent())
        for per_class in (int(text) for text in args.per_class.split(",")):
            if per_class >= source.per_class:
                continue
            cell = sample(whole, per_class, 0)
            for codes in args.codes.split(","):
                seen, new = read(whole, cell, codes, "train", "val"), read(whole, cell, codes, "test")
                for share in (float(text) for text in args.shares.split(",")):
                    ridge.SHARED_VARIANCE = share
                    for place, pair in enumerate(judge(seen, new, len(cell.dataset.classes))):
                        found.setdefault((codes, share, place), []).append(pair)
        print(f"{name} done", file=sys.stderr, flush=True)
    print("| codes | share | stage | leave-one-out | test |\n|---|--:|---|--:|--:|")
    for (codes, share, place), pairs in sorted(found.items()):
        loo, test = np.mean(pairs, axis=0)
        stage = "best" if place == LAST else "last" if place == LAST - 1 else f"{LAST - 1 - place} before"
        print(f"| {codes} | {share:g} | {stage} | {loo:.3f} | {test:.3f} |")


if __name__ == "__main__":
    main()
