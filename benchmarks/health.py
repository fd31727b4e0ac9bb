"""How well wrong labels are found in real images, and how well the curve of labels foretells.

    python benchmarks/health.py [--sets clothing_small,mnist_5k] [--images 600] [--parts labels,curve]
    python benchmarks/health.py --parts curve --penalty 0

For each image set below `../shared/data`:

- labels: 5 % of the labels are exchanged at random; given is the share of those that are doubted, and how many of the
  doubted were exchanged (a lower bound of the truth, since sets have mistakes of their own);
- curve: the accuracy with twice the labels is foretold from half the images, and compared with the leave-one-out
  accuracy on all of them, for 600 and for 300 images, at the best and at the last stage, in four draws each; given are
  the mean and the mean absolute difference in points, how often the interval holds, and how far off it would be to
  expect no gain. `--penalty` is that on the fitted ceiling.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.advice import labels as label_module
from advisor.advice.health import find_suspects
from advisor.advice.labels import label_curve
from advisor.advice.probe import probe
from advisor.data.prepare import prepare
from advisor.data.sampling import sample_rows
from advisor.network.features import FeatureStore, compute_features
from advisor.network.opening import open_network, stages_for
from advisor.network.ridge import fit_ridge
from advisor.network.sweep import Sweeper
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.task import SingleLabel

if TYPE_CHECKING:
    from numpy.typing import NDArray

DATA = Path(__file__).parents[2] / "shared" / "data"
SETS = "clothing_small,furniture_renders,clipart,satellite_landcover,letters_fonts,mnist_5k"
EXCHANGED, DRAWS = 0.05, 4


def doubts(features: list[NDArray[np.float32]], labels: NDArray[np.int64], classes: int, stages: object) -> str:
    """Recall and precision of doubted labels."""
    rng = np.random.default_rng(0)
    wrong = rng.choice(len(labels), round(EXCHANGED * len(labels)), replace=False)
    given = labels.copy()
    given[wrong] = (given[wrong] + rng.integers(1, classes, len(wrong))) % classes
    curve = probe(features, given, SingleLabel.numbered(classes), stages)
    names = [str(label) for label in range(classes)]
    found = {
        int(entry.path) for entry in find_suspects(curve, features, given, list(map(str, range(len(given)))), names)
    }
    hit = len(found & set(wrong.tolist()))
    return f"{hit / len(wrong):.2f} | {hit / max(1, len(found)):.2f}"


def foretold(features: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> list[tuple[float, ...]]:
    """For each case: foretold less reached accuracy, whether the interval held, the present less the reached one."""
    found = []
    for images in (len(labels), len(labels) // 2):
        whole, _ = sample_rows(np.arange(len(labels)), labels, images, DRAWS)
        reached = float(fit_ridge(features[whole], labels[whole], classes).correct(labels[whole]).mean())
        for seed in range(DRAWS):
            half, _ = sample_rows(whole, labels[whole], images // 2, seed)
            right = fit_ridge(features[half], labels[half], classes).correct(labels[half]).astype(float)
            now, task = float(right.mean()), SingleLabel.numbered(classes)
            curve = label_curve(
                features[half], labels[half], task, task.estimate(right, labels[half]), have=len(half), seed=seed
            )
            if curve is not None:
                held = curve.doubled_interval[0] <= reached <= curve.doubled_interval[1]
                found.append((curve.doubled - reached, held, now - reached))
    return found


def in_words(found: list[tuple[float, ...]]) -> str:
    """Columns of the curve's part."""
    off, held, gain = np.array(found, dtype=float).T
    size, none = (100 * np.abs(values).mean() for values in (off, gain))
    return f"{100 * off.mean():+.1f} | {size:.1f} | {held.mean():.0%} | {none:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=SETS)
    parser.add_argument("--images", type=int, default=600, help="of each set; default 600")
    parser.add_argument("--parts", default="labels,curve")
    parser.add_argument("--penalty", type=float, default=label_module._CEILING_PENALTY)  # noqa: SLF001
    args = parser.parse_args()
    label_module._CEILING_PENALTY = args.penalty  # noqa: SLF001
    parts = args.parts.split(",")
    columns = {
        "labels": ["doubted", "rightly"],
        "curve": ["off", "off by", "held", "no gain"],
    }
    catalog = load_catalog()
    backbone = catalog.backbone("lite0")
    network = open_network(backbone, torch.device("cpu"))
    stages = stages_for(backbone, network)
    header = [name for part in parts for name in columns[part]]
    print(f"| set | {' | '.join(header)} |\n|---|{'--:|' * len(header)}", flush=True)
    everything: list[tuple[float, ...]] = []
    for name in args.sets.split(","):
        whole = prepare(str(DATA / name), backbone.input, catalog=catalog, seed=0, progress=Silent())
        frame = whole.dataset.frame
        rows, labels = sample_rows(frame["row"].to_numpy(np.int64), frame["label"].to_numpy(np.int64), args.images, 0)
        classes = len(whole.dataset.classes)
        cells = []
        store = FeatureStore.open(whole.pixels, network, stages, backbone.input)
        features = compute_features(
            Sweeper(network, stages), whole.pixels, rows, backbone.input, store=store, device=torch.device("cpu"),
            progress=Silent(),
        )  # fmt: skip
        if "labels" in parts:
            cells.append(doubts(features, labels, classes, stages))
        if "curve" in parts:
            best = probe(features, labels, SingleLabel.numbered(classes), stages).best.stage - 1
            found = [case for stage in (best, -1) for case in foretold(features[stage], labels, classes)]
            everything += found
            cells.append(in_words(found))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    if everything:
        print(f"curve, all sets: {in_words(everything)}")


if __name__ == "__main__":
    main()
