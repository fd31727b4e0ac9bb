"""What further views of each image bring a classifier on frozen features: random ones, and mirror images.

    python benchmarks/further_views.py [--sets mnist_5k,clipart] [--per-class 10] [--views 4]

For each image set of `benchmarks/advice/panel.py` a ridge classifier is fitted on few images per class to the best
stage of lite0 (128 pixels) by leave-one-out: to clean views, to several views of each image, which are left out
together, and to the mean features of an image and its mirror image. Printed are leave-one-out accuracy and test
accuracy on at most 500 images.
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
import panel as pn

from advisor.data.prepare import prepare
from advisor.network.kept import CLEAN, MIRRORED, View
from advisor.network.opening import open_network, stages_for
from advisor.network.ridge import fit_ridge
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.tuning.features import Features

if TYPE_CHECKING:
    from numpy.typing import NDArray

SETS = "satellite_landcover,mnist_5k,letters_fonts,clothing_small,clipart,furniture_renders"
MOST_TESTED = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=SETS)
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--views", type=int, default=4)
    args = parser.parse_args()
    catalog, cpu = load_catalog(), torch.device("cpu")
    own = catalog.backbone(pn.BACKBONE)
    backbone = replace(own, input=replace(own.input, size=128))
    network = open_network(backbone, cpu)
    stages = stages_for(backbone, network)
    print("| set | images | learns from | leave-one-out | test |\n|---|--:|---|--:|--:|")
    for name in args.sets.split(","):
        whole = prepare(pn.SETS[name].location, backbone.input, catalog=catalog, seed=0, progress=Silent())
        dataset = pn.sample(whole, args.per_class, 0).dataset
        features = Features(network, stages, whole, backbone, Silent())
        rows, labels = dataset.rows("train", "val"), dataset.labels("train", "val")
        held, truth = dataset.rows("test")[:MOST_TESTED], dataset.labels("test")[:MOST_TESTED]
        problem = labels, truth, len(dataset.classes)
        alone = [judged(features.get(rows, stage + 1).numpy(), features.get(held, stage + 1).numpy(), *problem)[0]
                 for stage in range(len(stages))]  # fmt: skip
        tap = int(np.argmax(alone)) + 1
        clean, tested = features.get(rows, tap).numpy(), features.get(held, tap).numpy()
        tell(name, f"stage {tap}", judged(clean, tested, *problem), len(rows))
        for kind in ("crop", "flip_crop"):
            views = [CLEAN, *(View(kind, number) for number in range(1, args.views))]
            columns = np.concatenate([features.get(rows, tap, view).numpy() for view in views])
            tell(name, f"{args.views} views, {kind}", judged(columns, tested, *problem), len(rows))
        both = [(one + features.get(some, tap, MIRRORED).numpy()) / 2 for one, some in ((clean, rows), (tested, held))]
        tell(name, "mean with mirror images", judged(*both, *problem), len(rows))


def judged(
    columns: NDArray[np.float32],
    tested: NDArray[np.float32],
    labels: NDArray[np.int64],
    truth: NDArray[np.int64],
    classes: int,
) -> tuple[float, float]:
    """Leave-one-out accuracy of the first rows, one for each label, all of an image left out together; and test."""
    count, times = len(labels), len(columns) // len(labels)
    families = np.tile(np.arange(count), times)
    fit = fit_ridge(columns, np.tile(labels, times), classes, families=families)
    right = (tested @ fit.weight.T + fit.bias).argmax(1) == truth
    return float((fit.loo[:count].argmax(1) == labels).mean()), float(right.mean())


def tell(name: str, what: str, accuracies: tuple[float, float], images: int) -> None:
    """A row of the table."""
    print(f"| {name} | {images} | {what} | {accuracies[0]:.3f} | {accuracies[1]:.3f} |", flush=True)


if __name__ == "__main__":
    main()
