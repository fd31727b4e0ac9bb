"""What a classifier that reads several stages brings over the best single one.

    python benchmarks/several_stages.py [--sets mnist_5k,clipart] [--per-class 10,40] [--most 2,3]

For each image set of `benchmarks/advice/panel.py` a ridge classifier is fitted on few images per class to the stages of
lite0 (128 pixels): to the best stage by leave-one-out accuracy, and to the stages that `best_together` adds to it by
leave-one-out error. Printed are the stages with leave-one-out and test accuracy, and last the mean difference.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent / "advice"))
import panel as pn

from advisor.data.prepare import prepare
from advisor.network import joining
from advisor.network.features import FeatureStore, compute_features
from advisor.network.opening import open_network, stages_for
from advisor.network.ridge import fit_ridge, standardise
from advisor.network.sweep import Sweeper
from advisor.plugins import load_catalog
from advisor.progress import Silent

SETS = "satellite_landcover,mnist_5k,letters_fonts,clothing_small,clipart,furniture_renders"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=SETS)
    parser.add_argument("--per-class", default="10,40")
    parser.add_argument("--most", default="2,3")
    args = parser.parse_args()
    catalog, cpu = load_catalog(), torch.device("cpu")
    own = catalog.backbone(pn.BACKBONE)
    backbone = replace(own, input=replace(own.input, size=128))
    network = open_network(backbone, cpu)
    stages = stages_for(backbone, network)
    gains: dict[int, list[float]] = {}
    print("| set | images | stages | leave-one-out | test |\n|---|--:|---|--:|--:|")
    for name in args.sets.split(","):
        whole = prepare(pn.SETS[name].location, backbone.input, catalog=catalog, seed=0, progress=Silent())
        store = FeatureStore.open(whole.pixels, network, stages, backbone.input)
        for per_class in (int(text) for text in args.per_class.split(",")):
            dataset = pn.sample(whole, per_class, 0).dataset
            (learnt, labels), (new, truth) = (
                (compute_features(Sweeper(network, stages), whole.pixels, dataset.rows(*parts), backbone.input,
                                  store=store, device=cpu, progress=Silent()), dataset.labels(*parts))
                for parts in (("train", "val"), ("test",))
            )  # fmt: skip
            classes = len(dataset.classes)
            alone = [float(fit_ridge(stage, labels, classes).correct(labels).mean()) for stage in learnt]
            best = max(range(len(stages)), key=lambda i: (alone[i], i)) + 1
            first = 0.0
            for most in (1, *(int(text) for text in args.most.split(","))):
                joining.MOST_STAGES = most
                read = joining.best_together(learnt, labels, classes, best)
                scales = [standardise(learnt[stage - 1])[1:] for stage in read]
                fit = fit_ridge(joining.joined([learnt[s - 1] for s in read]), labels, classes, scaled=True)
                columns = [(new[s - 1] - mean) / scale for s, (mean, scale) in zip(read, scales, strict=True)]
                answers = np.concatenate(columns, axis=1) / len(read) ** 0.5 @ fit.weight.T + fit.bias
                loo, test = float(fit.correct(labels).mean()), float((answers.argmax(1) == truth).mean())
                said = " + ".join(map(str, read))
                print(f"| {name} | {len(labels)} | {said} | {loo:.3f} | {test:.3f} |", flush=True)
                first = first or test
                gains.setdefault(most, []).append(test - first)
    for most, differences in gains.items():
        if most > 1:
            print(f"\nAt most {most}: {100 * np.mean(differences):+.1f} points on average over {len(differences)}, "
                  f"from {100 * min(differences):+.1f} to {100 * max(differences):+.1f}.")  # fmt: skip


if __name__ == "__main__":
    main()
