"""A study of twenty trials against the same trials with nothing kept and nothing decoded in advance.

    python benchmarks/study_speed.py [--data FOLDER] [--recipe NAME] [--input-size 0] [--out study-speed]

The study is `tune` as a person runs it on an empty cache: decoding, probes, every trial, the last test and the bundle
count. There is one validation part, and the leaders are not judged again, so that both sides do the same trials. Then
each trial is run once more the plain way: its images are decoded from their files whenever they are read, the frozen
part of the network is computed in every epoch, and a head starts from features that nobody kept. Of a plain trial's
epochs two are run, and the second, with its scoring, counts for all that follow; with `--share 0.25` they are run on
every fourth image of either part, and what they take counts four times (what a trial takes whatever its images, less
than a second, with it). Trials that the study pruned are
counted as far as they went, repeats and probes not at all. What is finished stands in FOLDER: plain trials are not
timed twice; a study that was stopped begins again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advisor.data.dataset import ImageDataset
    from advisor.data.pixels import PixelStore
    from advisor.recipe import Plan
    from advisor.recipe.values import TrialValues
    from advisor.tuning.context import TrialContext

DATA = Path(__file__).parents[2] / "shared" / "data"
TIMED_EPOCHS = 2  # of a plain trial; from the end of the first to that of the second is what any more would take


class Undecoded:
    """Stands for a pixel store and decodes from the files whenever images are read."""

    def __init__(self, store: PixelStore, dataset: ImageDataset, interpolation: str) -> None:
        self.folder, self.side, self.count = store.folder, store.side, store.count
        self._dataset, self._interpolation = dataset, interpolation
        self._path = dict(zip(dataset.frame["row"], dataset.frame["path"], strict=True))

    def batch(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """As a pixel store's, with as many threads as there are cores."""
        from concurrent.futures import ThreadPoolExecutor

        import numpy as np

        from advisor.data.decode import decode_square

        def one(row: int) -> NDArray[np.uint8]:
            return decode_square(
                self._dataset.read(self._path[row]), self.side, self._interpolation, self._dataset.ranges
            )

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.stack(list(pool.map(one, rows.tolist())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(DATA / "clothing_small"))
    parser.add_argument("--recipe", default="", help="instead of the recommended one")
    parser.add_argument("--input-size", type=int, default=0, help="pixels; smaller is quicker for both")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--share", type=float, default=1.0, help="of the images that the plain trials are timed on")
    parser.add_argument("--out", default="study-speed", metavar="FOLDER", help="where everything is kept")
    args = parser.parse_args()
    folder = Path(args.out).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    from advisor.outcome.run import Machine, open_contexts
    from advisor.plugins import load_catalog
    from advisor.progress import Silent
    from advisor.recipe import load_plan
    from advisor.tuning.storage import open_ledger

    catalog = load_catalog()
    if not (folder / "plan.toml").exists():
        write_plan(args, folder)
    plan = load_plan(folder / "plan.toml", catalog)
    os.environ["ADVISOR_CACHE"] = str(folder / "cache")
    if not (folder / "seconds").exists():
        run_study(plan, folder, args.trials)
    seconds = float((folder / "seconds").read_text())
    with open_ledger("", "", folder / "run") as ledger:
        trials = ledger.searched()
    own = sum(trial.seconds or 0.0 for trial in trials)
    print(
        f"{plan.recipe.name}, {len(trials)} trials: {seconds:.0f} s in all, {own:.0f} s of them in trials", flush=True
    )
    plain_file = folder / "plain.json"
    plain: dict[str, float] = json.loads(plain_file.read_text()) if plain_file.exists() else {}
    contexts = open_contexts(plan, Machine(), catalog, Silent())
    for trial in trials:
        key, values = str(trial.number), trial.values
        if values is None:
            continue
        if key not in plain:
            epochs = len(trial.curve)
            plain[key] = plain_seconds(contexts.of(values), values, epochs, trial.number, args.share)
            plain_file.write_text(json.dumps(plain))
        print(f"trial {key:>2} {trial.state.lower():<8} frozen {values.freeze.depth:.2f} of "
              f"{values.features.tap:.2f}: {trial.seconds or 0.0:7.1f} s, plain {plain[key]:7.1f} s",
              flush=True)  # fmt: skip
    whole = sum(plain.values())
    print(f"plain {whole:.0f} s over {seconds:.0f} s of the whole study: {whole / seconds:.2f} ×; "
          f"over its trials alone {whole / own:.2f} ×")  # fmt: skip


def write_plan(args: argparse.Namespace, folder: Path) -> None:
    """The recommended plan, or the named recipe, with one validation part and one seed."""
    import advisor
    from advisor.plugins import load_catalog
    from advisor.recipe import Plan, load_recipe, plan_to_toml

    once = {"search.folds": 1, "search.seeds": 1, "features.input_size": args.input_size}
    if args.recipe:
        plan = Plan(load_recipe(args.recipe, load_catalog()), args.data, "lite0")
    else:
        os.environ["ADVISOR_CACHE"] = str(folder / "cache-of-recommend")
        plan = advisor.recommend(args.data).plan
    plan = replace(plan, recipe=plan.recipe.with_values(once))
    (folder / "plan.toml").write_text(plan_to_toml(plan))


def run_study(plan: Plan, folder: Path, trials: int) -> None:
    """Run it on an empty cache and write down its seconds."""
    import advisor

    for name in ("run", "cache"):
        shutil.rmtree(folder / name, ignore_errors=True)
    began = time.perf_counter()
    advisor.tune(plan, runs=folder, name="run", trials=trials, budget="10h")
    (folder / "seconds").write_text(str(time.perf_counter() - began))


def plain_seconds(context: TrialContext, values: TrialValues, epochs: int, seed: int, share: float) -> float:
    """What as many epochs as the study ran of a trial take with nothing kept; none for a closed form."""
    from advisor.tuning.context import TrialContext as Bench
    from advisor.tuning.trial import run_trial

    cache = os.environ["ADVISOR_CACHE"] = tempfile.mkdtemp(prefix="study-speed-")
    prepared = context.prepared
    files = Undecoded(prepared.pixels, prepared.listed, context.backbone.input.interpolation)
    fresh = Bench(
        context.backbone, context.network, context.stages, replace(prepared, pixels=files), context.catalog,
        context.device, context.progress, limits=context.limits, metric=context.metric,
    )  # fmt: skip
    if share < 1:
        step = round(1 / share)
        fresh = fresh.divided(fresh.rows("train")[::step], fresh.rows("val")[::step])
        share = 1 / step
    ends: list[float] = []
    timed = min(epochs, TIMED_EPOCHS)
    began = time.perf_counter()
    if epochs and values.train is not None:
        values = replace(
            values, features=replace(values.features, cache="fresh"), train=replace(values.train, epochs=timed)
        )
    run_trial(
        fresh, values, seed=seed,
        deadline=math.inf, report=lambda _now: ends.append(time.perf_counter()),
    )  # fmt: skip
    whole = time.perf_counter() - began
    shutil.rmtree(cache)
    whole += (epochs - timed) * (ends[1] - ends[0]) if epochs > timed else 0.0
    return whole / share


if __name__ == "__main__":
    main()
