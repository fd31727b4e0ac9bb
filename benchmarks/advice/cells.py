"""Every way of transferring, measured in many cells: image set × images per class × seed.

    python benchmarks/advice/cells.py [--sets mnist_5k,digits] [--per-class 5,10,25] [--seeds 0,1] [--workers 2]

Appends one row per cell to `cells.csv` beside this file and skips cells that are there, so it can be
stopped and started at will; cheap cells come first. `judge.py` reads the table.

A cell is a stratified sample of the labelled images, four fifths to train on and a fifth to choose on, and
an untouched test set of at most 1000 images: of the given one, or else of a fifth of the set and what the
sample leaves over, with equal classes where the sample has them. The network sees images of 128 pixels to
make this affordable; the distance is measured at the backbone's own size, for which its constants were made.
The ways:

- `last_*`: a linear classifier on the frozen network's features (scenario 1);
- `tap_*`: the same on the best earlier stage by leave-one-out accuracy (scenario 3);
- `tune_*`: everything is trained, the head first, at three learning rates (scenarios 2 and 4, LP-FT).

For each way: accuracy on the images to choose on, seconds, and which test images it got right (a bit each,
as hexadecimal digits), so that paired errors can be computed afterwards.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from advisor.progress import Silent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from advisor.data.prepare import Prepared
    from advisor.network.stages import Stages
    from advisor.tuning.context import TrialContext
    from advisor.types import Backbone

HERE = Path(__file__).parent
TABLE = HERE / "cells.csv"
DATA = HERE.parents[2] / "shared" / "data"
PER_CLASS = (5, 10, 25, 50, 100, 0)  # 0 is all there are
MOST = 4000  # images in a cell of "all"
TEST_IMAGES = 1000
BACKBONE = "lite0"
L2 = (3e-5, 3e-4, 3e-3)
LR = (5e-5, 2e-4, 8e-4)
LEAST_STEPS = 60
EPOCHS = 4


@dataclass(frozen=True)
class ImageSet:
    """An image set: where it is, how many classes it has, and how many images of each it can train on, roughly.

    With `only`, it consists of these of its classes.
    """

    location: str
    classes: int
    per_class: int
    only: tuple[str, ...] = ()


SETS = {
    "clothing_small": ImageSet(str(DATA / "clothing_small"), 10, 127),
    # An easy set of photographs: there is none among the others, and easy ones are what the first scenario is about.
    "clothing_four": ImageSet(str(DATA / "clothing_small"), 4, 130, only=("dress", "hat", "pants", "shoes")),
    "furniture_renders": ImageSet(str(DATA / "furniture_renders"), 10, 50),
    "clipart": ImageSet(str(DATA / "clipart"), 33, 38),
    "satellite_landcover": ImageSet(str(DATA / "satellite_landcover"), 9, 210),
    "letters_fonts": ImageSet(str(DATA / "letters_fonts"), 26, 206),
    "mnist_5k": ImageSet(str(DATA / "mnist_5k"), 10, 400),
    "digits": ImageSet("digits:", 10, 144),
    "fashion_mnist": ImageSet("/usr/share/datasets/fashion-mnist", 10, 6000),
}


@dataclass(frozen=True)
class Cell:
    """Which images, and how large the network sees them."""

    set: str
    per_class: int
    seed: int
    side: int

    @property
    def key(self) -> tuple[str, str, str, str]:
        """As it stands in the table."""
        return (self.set, str(self.per_class), str(self.seed), str(self.side))


def narrow(prepared: Prepared, only: tuple[str, ...]) -> Prepared:
    """The same with some of its classes."""
    dataset = prepared.dataset
    kept = [dataset.classes.index(name) for name in only]
    frame = dataset.frame.loc[dataset.frame["label"].isin(kept)].reset_index(drop=True)
    frame["label"] = frame["label"].map({old: new for new, old in enumerate(kept)})
    return replace(prepared, dataset=replace(dataset, frame=frame, classes=only))


def sample(prepared: Prepared, per_class: int, seed: int) -> Prepared:
    """The cell's images: a few to train and choose on, and an untouched test set."""
    import numpy as np

    rng = np.random.default_rng(seed)
    frame = prepared.dataset.frame.copy()
    given = frame["split"] == "test"
    drawn = any(note.startswith("test part drawn") for note in prepared.dataset.notes)
    pool = frame.index[~given].to_numpy()
    labels = frame.loc[pool, "label"].to_numpy()
    most = per_class or math.ceil(MOST / len(prepared.dataset.classes))
    chosen: list[int] = []
    choose_on: list[int] = []
    spare: list[int] = []
    for label in np.unique(labels):
        mine = rng.permutation(pool[labels == label])
        taken = mine[:most]
        held = max(1, round(len(taken) / 5))
        chosen += taken.tolist()
        choose_on += taken[:held].tolist()
        if drawn:  # a given test part keeps twins apart, so nothing may be added to it
            spare += mine[most:].tolist()
    test = rng.permutation(np.concatenate([frame.index[given].to_numpy(), np.array(spare, dtype=np.int64)]))
    if per_class:
        # The sample has equal classes, so the test set has them too, as far as there are images.
        kinds = frame.loc[test, "label"].to_numpy()
        quota = math.ceil(TEST_IMAGES / len(np.unique(labels)))
        test = np.concatenate([test[kinds == label][:quota] for label in np.unique(labels)])
    else:
        test = test[:TEST_IMAGES]
    frame["split"] = ""
    frame.loc[chosen, "split"] = "train"
    frame.loc[choose_on, "split"] = "val"
    frame.loc[test, "split"] = "test"
    dataset = replace(prepared.dataset, frame=frame.loc[frame["split"] != ""].sort_values("row").reset_index(drop=True))
    from advisor.data.profile import profile_dataset

    return replace(prepared, dataset=dataset, profile=profile_dataset(dataset))


def ways(tap: float, augment: str, images: int) -> dict[str, dict[str, Any]]:
    """The values of every trial of a cell, by name."""
    batch = 32 if images >= 256 else 16
    per_epoch = math.ceil(images / batch)
    found: dict[str, dict[str, Any]] = {}
    for name, at in (("last", 1.0), ("tap", tap)):
        frozen = {"features.tap": at, "freeze.depth": 1.0}
        found[f"{name}_ridge"] = {**frozen, "head.name": "ridge"}
        for l2 in L2:
            found[f"{name}_linear_{l2:g}"] = {**frozen, "head.name": "linear", "head.linear.l2": l2}
    for lr in LR:
        found[f"tune_{lr:g}"] = {
            "features.tap": 1.0,
            "freeze.depth": 0.0,
            "head.name": "ridge",
            "optimizer.lr": lr,
            "train.epochs": max(EPOCHS, math.ceil(LEAST_STEPS / per_epoch)),
            "train.batch_size": batch,
            "train.augment": augment,
        }
    return found


def run_cell(cell: Cell, cache: Path) -> dict[str, Any]:
    """Measure a cell with decoded images from a cache, but no features, so that costs are those of a first time."""
    with TemporaryDirectory(dir=cache) as fresh:
        Path(fresh, "pixels").symlink_to(cache / "pixels", target_is_directory=True)
        os.environ["ADVISOR_CACHE"] = fresh
        return measure_cell(cell)


def measure_cell(cell: Cell) -> dict[str, Any]:
    """What the advice sees of a cell, and what each way comes to."""
    import torch

    from advisor.network.opening import open_network, stages_for
    from advisor.plugins import load_catalog
    from advisor.tuning.context import TrialContext

    catalog = load_catalog()
    own = catalog.backbone(BACKBONE)
    small = replace(own, input=replace(own.input, size=cell.side))
    network = open_network(own, torch.device("cpu"))
    stages = stages_for(small, network)
    row, prepared = look(cell, own, small, network, stages)
    context = TrialContext(small, network, stages, prepared, catalog, torch.device("cpu"), Silent())
    augment = "crop" if row["p_different"] >= 0.5 else "flip_crop"
    for name, values in ways(row["tap_stage"] / len(stages), augment, row["train"]).items():
        row.update({f"{name}:{key}": value for key, value in run_way(context, values, cell.seed).items()})
    row["threads"] = torch.get_num_threads()
    return row


def look(
    cell: Cell, own: Backbone, small: Backbone, network: nn.Module, stages: Stages
) -> tuple[dict[str, Any], Prepared]:
    """The cell's images, and what the advice sees of them."""
    import torch

    from advisor.advice.cost import measure_step
    from advisor.advice.measure import measure
    from advisor.advice.probe import probe
    from advisor.advice.scenario import judge_size
    from advisor.data.prepare import prepare
    from advisor.data.views import clean_view
    from advisor.network.sweep import BATCH
    from advisor.plugins import load_catalog

    def images_for(backbone: Backbone) -> Prepared:
        catalog = load_catalog()
        source = SETS[cell.set]
        prepared = prepare(source.location, backbone.input, catalog=catalog, seed=0, progress=Silent())
        if source.only:
            prepared = narrow(prepared, source.only)
        return sample(prepared, cell.per_class, cell.seed)

    given = {"seed": cell.seed, "progress": Silent()}
    distance = measure(images_for(own), own, network, stages, images=256, **given).distance
    prepared = images_for(small)
    began = time.perf_counter()
    measured = measure(prepared, small, network, stages, images=2000, **given)
    classes = len(prepared.dataset.classes)
    curve = probe(measured.features, measured.labels, prepared.dataset.task, stages)
    rows = torch.from_numpy(prepared.pixels.batch(measured.rows[:BATCH]))
    measure_step(network, clean_view(rows, small.input))  # a part of the advice's cost
    seconds = time.perf_counter() - began
    splits = prepared.profile.splits
    size = judge_size(splits["train"] + splits["val"], prepared.profile.per_class_train)
    return {
        "set": cell.set, "per_class": cell.per_class, "seed": cell.seed, "side": cell.side, "classes": classes,
        "train": splits["train"], "val": splits["val"], "test": splits["test"],
        "per_class_train": round(prepared.profile.per_class_train, 2),
        "p_large": round(size.large, 4), "p_different": round(distance.different, 4),
        "late": round(distance.late.value, 5) if distance.late else "",
        "gain": round(distance.gain.value, 4) if distance.gain else "",
        "kurtosis": round(distance.kurtosis.value, 3) if distance.kurtosis else "",
        "loo": json.dumps([round(point.accuracy, 4) for point in curve.points]),
        "loo_gain_se": json.dumps([round(point.gain_se, 4) for point in curve.points]),
        "chance": round(curve.chance, 4), "balanced": int(curve.balanced),
        "tap_stage": max(curve.points[:-1], key=lambda point: (point.accuracy, point.stage)).stage,
        "forward_ms": round(1000 * measured.forward_seconds, 2), "advice_seconds": round(seconds, 2),
    }, prepared  # fmt: skip


def run_way(context: TrialContext, values: dict[str, Any], seed: int) -> dict[str, Any]:
    """Train one way and judge it on the test images."""
    import torch

    from advisor.recipe import KEYS
    from advisor.tuning.trial import predict_logits, run_trial

    defaults = {path: key.default for path, key in KEYS.items()}
    began = time.perf_counter()
    done = run_trial(
        context,
        {**defaults, **values},
        seed=seed,
        deadline=math.inf,
    )
    seconds = time.perf_counter() - began  # judging on the test images is no part of a training's cost
    network = done.network()
    if done.frozen == done.tap:
        with torch.inference_mode():
            logits = network.head(context.features("test", done.tap))
    else:
        logits = predict_logits(network, context, context.rows("test"))
    return {
        "val": round(done.accuracy, 4),
        "loss": round(done.loss, 4),
        "steps": done.steps,
        "seconds": round(seconds, 2),
        "right": bits((logits.argmax(1) == context.labels("test")).numpy()),
    }


def bits(right: NDArray[np.bool_]) -> str:
    """Booleans as hexadecimal digits, first image first."""
    import numpy as np

    return np.packbits(right).tobytes().hex()


def cost(cell: Cell) -> float:
    """A guess of a cell's relative cost, for the order only."""
    source = SETS[cell.set]
    images = source.classes * min(cell.per_class or source.per_class, source.per_class)
    return min(images, MOST) * (1 + cell.seed)


def write(row: dict[str, Any]) -> None:
    """Append a row; a table of another layout is refused rather than mixed."""
    new = not TABLE.exists()
    if not new:
        with TABLE.open(newline="") as file:
            header = next(csv.reader(file))
        if header != list(row):
            raise SystemExit(f"{TABLE} has other columns than this code writes: move it away.")
    with TABLE.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def done() -> set[tuple[str, ...]]:
    """Keys of the cells that are in the table."""
    if not TABLE.exists():
        return set()
    with TABLE.open(newline="") as file:
        return {tuple(row[name] for name in ("set", "per_class", "seed", "side")) for row in csv.DictReader(file)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--per-class", default=",".join(str(n) for n in PER_CLASS))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--side", type=int, default=128, help="pixels that the network sees; default 128")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", default=str(HERE / ".cache"))
    args = parser.parse_args()
    cells = [
        Cell(name, int(per_class), int(seed), args.side)
        for name in args.sets.split(",")
        for per_class in args.per_class.split(",")
        for seed in args.seeds.split(",")
        if int(per_class) < SETS[name].per_class  # else it would be the cell of all
    ]
    for name in sorted({cell.set for cell in cells}):
        place = SETS[name].location
        if ":" not in place and not Path(place).is_dir():
            print(f"{name} is left out: there is no {place}", file=sys.stderr)
            cells = [cell for cell in cells if cell.set != name]
    there = done()
    cells = sorted((cell for cell in cells if cell.key not in there), key=cost)
    print(f"{len(there)} cells are in {TABLE.name}, {len(cells)} to do", flush=True)
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // args.workers))  # inherited by the workers
    cache = Path(args.cache).absolute()
    (cache / "pixels").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run_cell, cell, cache): cell for cell in cells}
        for number, future in enumerate(as_completed(running), 1):
            cell = running[future]
            row = future.result()
            write(row)
            print(f"{number}/{len(cells)} {cell.set} {cell.per_class or 'all'} per class, seed {cell.seed}", flush=True)


if __name__ == "__main__":
    main()
