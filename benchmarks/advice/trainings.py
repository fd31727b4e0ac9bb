"""Fine-tunings in the cells of the panel: lengths, rates, depths and input sizes, each with its seconds.

    python benchmarks/advice/trainings.py [--sets mnist_5k,digits] [--rounds 1,2,3]

Goes through the cells of `cells.csv`, appends one row per training to `trainings.csv` beside it and skips what is
there, so it can be stopped and started at will. Rounds, each over all cells before the next:

1. 60 and 250 steps of everything at a small input (64 pixels, 96 for photographs), with the rate that the advice
   gives for the distance (1e-3 for different images, 3e-4 for similar ones);
2. 250 steps of the upper half of the network;
3. 250 steps with the other rate;
4. 1 000 steps, where there are 200 images or more;
5. 250 steps at 128 pixels;
6. 60 steps with the other rate, and 60 steps at the backbone's own size.

Everything starts from the closed-form head (LP-FT), in batches of 32, BatchNorm with kept statistics. Seconds are
those of the processor, on one thread, without judging.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from panel import BACKBONE, CELLS, SETS, TRAININGS, Cell, append, images_of, rows_of, to_bits

from advisor.network.opening import open_network, stages_for
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.recipe import KEYS
from advisor.recipe.values import TrialValues
from advisor.tuning.context import TrialContext
from advisor.tuning.pool import ContextPool
from advisor.tuning.trial import predict_logits, run_trial

if TYPE_CHECKING:
    from advisor.plugins import Catalog

DIFFERENT, SIMILAR = 1e-3, 3e-4  # peak learning rates
SHORT, MIDDLE, LONG = 60, 250, 1000  # steps
LARGER = 128  # pixels
ENOUGH_FOR_LONG = 200  # images


@dataclass(frozen=True)
class Training:
    """What makes one training differ from another in the same cell."""

    size: int
    steps: int
    lr: float
    depth: float = 0.0

    @property
    def key(self) -> tuple[str, ...]:
        """As it stands in the table."""
        return tuple(str(value) for value in asdict(self).values())


def rounds_of(cell: Cell, own_size: int, images: int, *, different: bool) -> list[list[Training]]:
    """The trainings of a cell, in the order of the rounds."""
    small = cell.source.small
    rate, other = (DIFFERENT, SIMILAR) if different else (SIMILAR, DIFFERENT)
    return [
        [Training(small, SHORT, rate), Training(small, MIDDLE, rate)],
        [Training(small, MIDDLE, rate, 0.5)],
        [Training(small, MIDDLE, other)],
        [Training(small, LONG, rate)] if images >= ENOUGH_FOR_LONG else [],
        [Training(LARGER, MIDDLE, rate)],
        [Training(small, SHORT, other), Training(own_size, SHORT, rate)],
    ]


def run(context: TrialContext, cell: Cell, training: Training) -> dict[str, object]:
    """Train, then judge on the test images; the row."""
    flat = {path: key.default for path, key in KEYS.items()} | {
        "features.input_size": training.size, "features.cache": "fresh", "features.tap": 1.0,
        "freeze.depth": training.depth, "head.name": "ridge", "optimizer.lr": training.lr,
        "train.steps": training.steps, "train.augment": "flip_crop" if cell.source.mirrored else "crop",
    }  # fmt: skip
    nobody = np.zeros(0, np.int64)
    train = context.rows("train")
    context.features("train", len(context.stages))  # the head starts from them; the probe has read them anyway
    began = time.process_time()
    trained = run_trial(
        context.divided(train, nobody), TrialValues.from_flat(flat), seed=cell.seed, deadline=math.inf, gated=False
    )
    seconds = time.process_time() - began
    logits = predict_logits(trained.network(), context, context.rows("test"))
    right = (logits.argmax(1) == context.labels("test")).numpy()
    return {
        "set": cell.set, "per_class": cell.per_class, "seed": cell.seed, **asdict(training),
        "test": len(right), "seconds": round(seconds, 2),
        "train_accuracy": round(trained.train_accuracy, 4), "right": to_bits(right),
    }  # fmt: skip


def opened(cell: Cell, catalog: Catalog) -> ContextPool:
    """Contexts for every input size of a cell."""
    backbone = catalog.backbone(BACKBONE)
    network = open_network(backbone, torch.device("cpu"))
    prepared = images_of(cell, backbone.input, catalog)
    stages = stages_for(backbone, network)
    return ContextPool(TrialContext(backbone, network, stages, prepared, catalog, torch.device("cpu"), Silent()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--rounds", default="1,2,3,4,5,6")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    catalog = load_catalog()
    own_size = catalog.backbone(BACKBONE).input.size
    measured = {tuple(list(row.values())[:7]) for row in rows_of(TRAININGS)}
    todo: list[tuple[int, float, Cell, list[Training]]] = []
    for row in rows_of(CELLS):
        if row["set"] not in args.sets.split(","):
            continue
        cell = Cell(row["set"], int(row["per_class"]), int(row["seed"]))
        rounds = rounds_of(cell, own_size, int(row["train"]), different=float(row["p_different"]) >= 0.5)
        for number, trainings in enumerate(rounds, 1):
            missing = [one for one in trainings if (*cell.key, *one.key) not in measured]
            if str(number) in args.rounds.split(",") and missing:
                cost = sum(one.steps * one.size**2 for one in missing)
                todo.append((number + cell.seed, cost, cell, missing))
    todo.sort(key=lambda job: (job[0], job[2].turn, job[1], job[2]))
    print(f"{len(measured)} trainings are in {TRAININGS.name}, {sum(len(job[3]) for job in todo)} to do", flush=True)
    pool, open_cell = None, None
    for number, (_, _, cell, trainings) in enumerate(todo, 1):
        if pool is None or cell != open_cell:
            pool, open_cell = opened(cell, catalog), cell
        for training in trainings:
            row_values = TrialValues.from_flat({"features.input_size": training.size})
            row = run(pool.of(row_values), cell, training)
            append(TRAININGS, row)
            print(f"{number}/{len(todo)} {cell.set} {cell.per_class} {cell.seed} {training} {row['seconds']} s",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
