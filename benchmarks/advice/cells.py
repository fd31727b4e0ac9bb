"""What the advice sees of every cell of the panel, and what heads on frozen features come to in it.

    python benchmarks/advice/cells.py [--sets mnist_5k,digits]

Appends one row per cell to `cells.csv` beside this file and skips cells that are there, so it can be stopped and
started at will; a few cells of every size come first. `trainings.py` measures fine-tunings in the same cells,
`judge.py` reads both.

A cell is a stratified sample of the labelled images to train on, and at most some 1000 others to judge on. Heads read
features at the backbone's own input size: `last_*` at the last stage, `tap_*` at the best earlier one by leave-one-out
accuracy. For each head: processor seconds, and which test images it got right (a bit each, as hexadecimal digits), so
that paired errors can be computed afterwards. `sizes` is the probe at smaller inputs, with the time of a forward pass.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from typing import TYPE_CHECKING

import torch
from panel import BACKBONE, CELLS, PER_CLASS, SETS, Cell, all_cells, append, images_of, rows_of, to_bits

from advisor.advice.cost import measure_step
from advisor.advice.input_sizes import measure_sizes
from advisor.advice.measure import measure
from advisor.advice.probe import probe
from advisor.data.views import clean_view
from advisor.network.opening import open_network, stages_for
from advisor.network.sweep import BATCH
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.recipe.values import FeatureValues, HeadValues, TrialValues
from advisor.tuning.context import TrialContext
from advisor.tuning.trial import run_trial

if TYPE_CHECKING:
    from advisor.plugins import Catalog

HEADS = {"ridge": HeadValues("ridge"), "linear": HeadValues("linear", params={"l2": 3e-4})}


def look(cell: Cell, catalog: Catalog) -> dict[str, object]:
    """A cell's row."""
    backbone = catalog.backbone(BACKBONE)
    network = open_network(backbone, torch.device("cpu"))
    stages = stages_for(backbone, network)
    prepared = images_of(cell, backbone.input, catalog)
    began = time.process_time()
    measured = measure(prepared, backbone, network, stages, images=2000, seed=cell.seed, progress=Silent())
    curve = probe(measured.features, measured.labels, prepared.dataset.task, stages)
    rows = torch.from_numpy(prepared.pixels.batch(measured.rows[:BATCH]))
    measure_step(network, clean_view(rows, backbone.input))  # a part of the advice's cost
    sizes = measure_sizes(prepared, backbone, network, stages, seed=cell.seed, progress=Silent())
    seconds = time.process_time() - began
    distance, splits = measured.distance, prepared.profile.splits
    best_earlier = max(curve.points[:-1], key=lambda point: (point.accuracy, point.stage)).stage
    row: dict[str, object] = {
        "set": cell.set, "per_class": cell.per_class, "seed": cell.seed,
        "classes": len(prepared.dataset.classes), "train": splits["train"], "test": splits["test"],
        "per_class_train": round(prepared.profile.per_class_train, 2),
        "p_different": round(distance.different, 4),
        "late": round(distance.late.value, 5) if distance.late else "",
        "gain": round(distance.gain.value, 4) if distance.gain else "",
        "kurtosis": round(distance.kurtosis.value, 3) if distance.kurtosis else "",
        "loo": json.dumps([round(point.accuracy, 4) for point in curve.points]),
        "loo_gain_se": json.dumps([round(point.gain_se, 4) for point in curve.points]),
        "chance": round(curve.chance, 4), "balanced": int(curve.balanced), "tap_stage": best_earlier,
        "own": sizes.own if sizes else "",
        "sizes": json.dumps(
            {point.size: [round(point.accuracy, 4), round(1000 * point.seconds, 2)] for point in sizes.points}
            if sizes else {}
        ),
        "forward_ms": round(1000 * measured.forward_seconds, 2), "advice_seconds": round(seconds, 2),
    }  # fmt: skip
    context = TrialContext(backbone, network, stages, prepared, catalog, torch.device("cpu"), Silent())
    test = context.rows("test")
    judged = context.divided(context.rows("train"), test)
    for name, tap in (("last", len(stages)), ("tap", best_earlier)):
        for head, values in HEADS.items():
            began = time.process_time()
            trial = TrialValues(features=FeatureValues(tap=tap / len(stages)), head=values)
            right = run_trial(judged, trial, seed=cell.seed, deadline=math.inf).image_scores > 0.5
            row[f"{name}_{head}:seconds"] = round(time.process_time() - began, 2)
            row[f"{name}_{head}:right"] = to_bits(right)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--per-class", default=",".join(str(n) for n in PER_CLASS))
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    catalog = load_catalog()
    measured = {(row["set"], row["per_class"], row["seed"]) for row in rows_of(CELLS)}
    wanted = [cell for cell in all_cells(args.sets.split(",")) if str(cell.per_class) in args.per_class.split(",")]
    missing = sorted((cell for cell in wanted if cell.key not in measured), key=lambda cell: cell.turn)
    print(f"{len(measured)} cells are in {CELLS.name}, {len(missing)} to do", flush=True)
    for number, cell in enumerate(missing, 1):
        append(CELLS, look(cell, catalog))
        print(f"{number}/{len(missing)} {cell.set} {cell.per_class} per class, seed {cell.seed}", flush=True)


if __name__ == "__main__":
    main()
