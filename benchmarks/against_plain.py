"""Accuracy against wall-clock: the search beside the training that people write by hand with timm.

    python benchmarks/against_plain.py [--sets clipart,mnist_5k] [--seeds 3] [--out against-plain] [--plot FILE.svg]

Plain: a random new head on lite0, everything trained for five epochs, AdamW with 1e-3 for the head and 1e-4 below it,
cosine, batches of 32, BatchNorm in training mode, torchvision's RandomResizedCrop and mirroring (of digits and letters,
too: that is the plain way). It is given the decoded pixels and the memory layout that the search has, and its clock
stops before it is scored.

Ours: `tune` with the installed recipe `small-different`, without `recommend`, on every set: with `--train` images a
person knows the set to be small, that recipe has the widest room of those for small sets, and a tenth of plain's time
is too short for `recommend`. The cache is empty at the start, and the budget is the time that plain took on the same
images under the same seed; cross-validation, judging the leaders again, the last fit, scoring the test images and
writing the bundle count. Both clocks start at the raw images, imports done.

After each finished trial or probe the search would hand over one of those so far; the seconds at which that choice
changes, as the study recorded them, make the curve. After the run, off the clock, those models are made as a run
ending there would have made them and scored on the test images; where that needed a fit on all images, its seconds
are added. Test images choose nothing.

`--train` images are drawn from a set's training part, each class by its share, but at least four; `--test` from its
test part. Where a set has none, a part is drawn with the seed, near copies on one side. What is finished stands in
FOLDER/results.csv and is not done again.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from against_plain_report import plot, table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advisor.data.prepare import Prepared
    from advisor.recipe.values import TrialValues
    from advisor.types import Backbone

DATA = Path(__file__).parents[2] / "shared" / "data"
SETS = ("clothing_small", "furniture_renders", "clipart", "satellite_landcover", "letters_fonts", "mnist_5k")
RECIPE = "small-different"
IMPORTS = (
    "timm", "torchvision.transforms.v2", "sklearn.model_selection", "sqlalchemy", "alembic.runtime.migration",
    "optuna.storages._rdb.storage", "advisor.outcome.run",
)  # fmt: skip
LEAST_OF_A_CLASS = 4
EPOCHS, BATCH_SIZE, HEAD_LR, BODY_LR = 5, 32, 1e-3, 1e-4
COLUMNS = ("set", "seed", "way", "seconds", "accuracy", "what")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=120, help="images at most")
    parser.add_argument("--test", type=int, default=250, help="images at most")
    parser.add_argument("--out", default="against-plain", metavar="FOLDER", help="results and work files")
    parser.add_argument("--plot", default="", metavar="FILE", help="draw the curves")
    args = parser.parse_args()
    for module in IMPORTS:
        importlib.import_module(module)  # no clock shall have them
    out = Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    results = out / "results.csv"
    for seed in range(args.seeds):  # every set once before any set again, so that an early stop leaves all sets
        for name in args.sets.split(","):
            known = read(results)
            done = set(known.loc[(known["set"] == name) & (known["seed"] == seed), "way"])
            if done >= {"plain", "ours"}:
                continue
            folder = sample(name, seed, args.train, args.test, out)
            if "plain" not in done:
                append(results, [(name, seed, *row) for row in plain(folder, seed, out)])
            mine = read(results).query("set == @name and seed == @seed and way == 'plain'")
            append(results, [(name, seed, *row) for row in ours(folder, seed, float(mine["seconds"].iloc[0]), out)])
            shutil.rmtree(folder)
    frame = read(results)
    table(frame)
    if args.plot:
        plot(frame, args.plot)


def read(file: Path) -> pd.DataFrame:
    return pd.read_csv(file) if file.exists() else pd.DataFrame(columns=list(COLUMNS))


def append(file: Path, rows: list[tuple[Any, ...]]) -> None:
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame.to_csv(file, mode="a", header=not file.exists(), index=False)
    last = frame.iloc[-1]
    print(f"{last['set']:<20} seed {last['seed']} {last['way']:<5} {last['seconds']:6.1f} s  {last['accuracy']:.3f}  "
          f"{last['what']}", flush=True)  # fmt: skip


def sample(name: str, seed: int, train: int, test: int, out: Path) -> Path:
    """A folder train/CLASS/ and test/CLASS/ with a draw from a set; its whole is decoded once, for finding copies."""
    from advisor.data.prepare import prepare
    from advisor.plugins import load_catalog
    from advisor.progress import Silent

    os.environ["ADVISOR_CACHE"] = str(out / "cache-of-sets")
    catalog = load_catalog()
    spec = catalog.backbone("lite0").input
    prepared = prepare(str(DATA / name), spec, catalog=catalog, seed=seed, progress=Silent())
    dataset, folder = prepared.dataset, out / f"{name}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    frame = dataset.frame.sample(frac=1.0, random_state=seed)
    frame["part"] = np.where(frame["split"] == "test", "test", "train")
    for part, most in (("train", train), ("test", test)):
        mine = frame[frame["part"] == part].copy()
        place = mine.groupby("label").cumcount()
        size = mine.groupby("label")["label"].transform("size")
        mine["turn"] = np.where(place < LEAST_OF_A_CLASS, 0.0, (place + 0.5) / size)
        for image in mine.sort_values("turn", kind="stable").head(most).itertuples():
            target = folder / part / dataset.classes[int(image.label)] / f"{image.row}{Path(image.path).suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(dataset.read(image.path))
    return folder


def fresh_cache(out: Path) -> None:
    shutil.rmtree(out / "cache", ignore_errors=True)
    os.environ["ADVISOR_CACHE"] = str(out / "cache")


def plain(folder: Path, seed: int, out: Path) -> list[tuple[str, float, float, str]]:
    """Train by hand; one row with the seconds and the test accuracy."""
    import torch

    from advisor.data.prepare import prepare
    from advisor.plugins import load_catalog
    from advisor.progress import Silent

    fresh_cache(out)
    catalog = load_catalog()
    backbone = catalog.backbone("lite0")
    torch.manual_seed(seed)
    began = time.perf_counter()
    prepared = prepare(str(folder), backbone.input, catalog=catalog, seed=seed, progress=Silent())
    network: Any = backbone.create(True)
    network.reset_classifier(len(prepared.dataset.classes))
    network.to(memory_format=torch.channels_last)
    train_plain(network, prepared, backbone, seed)
    seconds = time.perf_counter() - began
    labels = torch.tensor(prepared.dataset.labels("test"))
    found = predicted(network, prepared.dataset.rows("test"), prepared, backbone)
    return [("plain", seconds, float((found == labels.numpy()).mean()), f"{len(labels)} test images")]


def train_plain(network: Any, prepared: Prepared, backbone: Backbone, seed: int) -> None:  # noqa: ANN401
    import torch
    import torch.nn.functional as F  # noqa: N812 - torch's own convention
    from torchvision.transforms import InterpolationMode, v2

    spec = backbone.input
    change = v2.Compose([
        v2.RandomResizedCrop(spec.size, interpolation=InterpolationMode.BICUBIC, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(spec.mean, spec.std),
    ])  # fmt: skip
    rows = prepared.dataset.rows("train", "val")
    labels = torch.tensor(prepared.dataset.labels("train", "val"))
    head = set(network.get_classifier().parameters())
    body = [parameter for parameter in network.parameters() if parameter not in head]
    optimizer = torch.optim.AdamW([{"params": body, "lr": BODY_LR}, {"params": list(head), "lr": HEAD_LR}])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * math.ceil(len(rows) / BATCH_SIZE))
    generator = torch.Generator().manual_seed(seed)
    network.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(rows), generator=generator)
        for start in range(0, len(rows), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            pixels = torch.from_numpy(prepared.pixels.batch(rows[batch.numpy()])).permute(0, 3, 1, 2)
            images = torch.stack([change(image) for image in pixels]).contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels[batch]).backward()
            optimizer.step()
            schedule.step()


def predicted(network: Any, rows: NDArray[np.int64], prepared: Prepared, backbone: Backbone) -> NDArray[np.int64]:  # noqa: ANN401
    """Class indices (n,) for the clean views of some rows."""
    import torch

    from advisor.data.views import clean_view
    from advisor.network.sweep import BATCH

    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            pixels = torch.from_numpy(prepared.pixels.batch(rows[start : start + BATCH]))
            parts.append(network(clean_view(pixels, backbone.input)).argmax(1).numpy())
    return np.concatenate(parts)


def ours(folder: Path, seed: int, budget: float, out: Path) -> list[tuple[str, float, float, str]]:
    """Search within plain's seconds; rows of the choice so far whenever it changed, and last what was handed over."""
    import advisor
    from advisor.recipe import Plan

    fresh_cache(out)
    runs = out / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    catalog = advisor.load_catalog()
    plan = Plan(advisor.load_recipe(RECIPE, catalog), str(folder), "lite0", seed=seed)
    at, began = datetime.now(), time.perf_counter()  # noqa: DTZ005 - Optuna's clock has no zone either
    found = advisor.tune(plan, runs=runs, name="run", budget=f"{budget:.2f}s", catalog=catalog)
    whole = time.perf_counter() - began
    assert found.test is not None
    rows = champions(plan, runs / "run", at)
    ended = f"handed over: {words(found.record.winner.values)}, {len(found.trials)} trials, {found.record.folds} folds"
    return [*rows, ("ours", whole, found.test, ended)]


def champions(plan: Any, folder: Path, began: datetime) -> list[tuple[str, float, float, str]]:  # noqa: ANN401
    """What a run that ended after each of its trials would have handed over, with its test accuracy."""
    from dataclasses import replace

    from advisor.outcome.run import Machine, open_contexts, open_run
    from advisor.plugins import load_catalog
    from advisor.progress import Silent
    from advisor.tuning.confirm import choose

    contexts = open_contexts(plan, Machine(), load_catalog(), Silent())
    labels = contexts.first.labels("test").numpy()
    rows: list[tuple[str, float, float, str]] = []
    last = None
    with open_run(contexts, plan, folder, budget=math.inf, trials=1) as opened:
        search = opened.search
        # One seed each, as it was before the leaders were judged again.
        scored_trials = [replace(one, image_scores=one.image_scores[:1]) for one in search.scored_trials()]
        so_far = []
        for scored_trial in sorted(scored_trials, key=lambda one: one.record.ended or 0.0):
            so_far.append(scored_trial)
            seconds = (scored_trial.record.ended or 0.0) - began.timestamp()
            chosen = choose(so_far, search.sample_weight, seeds=1).chosen
            if chosen.number == last:
                continue
            last = chosen.number
            fitting = time.perf_counter()
            network, _ = opened.runner.network(chosen, folds=search.folds, seed=search.seed_of(chosen.values))
            fit = time.perf_counter() - fitting if search.folds > 1 else 0.0
            context = contexts.of(chosen.values)
            guesses = predicted(network, context.rows("test"), context.prepared, context.backbone)
            rows.append(("ours", seconds + fit, float((guesses == labels).mean()), words(chosen.values)))
    return rows


def words(values: TrialValues) -> str:
    return f"{values.head.name} at {values.features.tap:.2f}, frozen {values.freeze.depth:.2f}"


if __name__ == "__main__":
    main()
