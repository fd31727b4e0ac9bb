"""Predicted seconds and memory of each way of transferring against measured ones, on this machine.

    python benchmarks/forecast.py [--sets digits:,furniture_renders] [--ways 1,lp-ft] [--per-class 25]

For each set `recommend` runs first and predicts; then one training of each way's recipe, from its starting values, is
timed from cold features to its score on the validation images, while a thread watches the memory. Sets are folders
below `../shared/data` or locations; `--per-class` takes only so many images of each class, to be quicker. Run it on an
otherwise idle machine: the prediction rests on a few seconds, the training takes minutes.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[2] / "shared" / "data"


def a_few(location: str, per_class: int, folder: Path) -> str:
    """A copy of a folder with at most so many images of each class; other locations are taken as they are."""
    source = DATA / location
    if not source.is_dir():
        return location
    source = source / "train" if (source / "train").is_dir() else source
    for kind in sorted(path for path in source.iterdir() if path.is_dir()):
        (folder / kind.name).mkdir(parents=True)
        for file in sorted(kind.iterdir())[: per_class or None]:
            shutil.copy(file, folder / kind.name)
    return str(folder)


@contextmanager
def watched() -> Iterator[list[int]]:
    """The most memory this process held inside the block beyond what it held before, bytes."""
    page, stop, most = os.sysconf("SC_PAGE_SIZE"), threading.Event(), [0]

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * page

    before = resident()

    def watch() -> None:
        while not stop.wait(0.02):
            most[0] = max(most[0], resident() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default="digits:,furniture_renders,satellite_landcover")
    parser.add_argument("--ways", default="1,lp-ft", help="scenario numbers and lp-ft")
    parser.add_argument("--per-class", type=int, default=25, help="0 for all; default 25")
    args = parser.parse_args()

    from advisor.advice.planning import first_of, recipes_by_strategy
    from advisor.advice.recommend import recommend
    from advisor.outcome.run import Machine, open_contexts
    from advisor.plugins import load_catalog
    from advisor.progress import Silent
    from advisor.recipe import KEYS, load_recipe
    from advisor.recipe.values import TrialValues
    from advisor.strategy import Strategy
    from advisor.tuning.trial import run_trial

    catalog = load_catalog()
    ratios = []
    print(
        "| set | way | predicted s | measured s | ratio | predicted MB | measured MB |\n|---|---|--:|--:|--:|--:|--:|"
    )
    for name in args.sets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            location = a_few(name, args.per_class, Path(folder) / "data")
            os.environ["ADVISOR_CACHE"] = f"{folder}/advice"
            found = recommend(location, device="cpu", catalog=catalog)
            recipes = [load_recipe(known, catalog) for known in sorted(catalog.recipes)]
            planned = recipes_by_strategy(
                recipes, found.verdict, found.curve, found.start_lr, found.profile.splits["train"]
            )
            for way in args.ways.split(","):
                recipe = planned[Strategy(way)]
                values = {key: first_of(recipe.get(key)) for key in KEYS}
                head = catalog.head(values["head.name"])
                own = {f"head.{head.name}.{param.name}": param.default for param in head.params}
                values |= {key: first_of(recipe.values.get(key, default)) for key, default in own.items()}
                os.environ["ADVISOR_CACHE"] = f"{folder}/{way}"
                context = open_contexts(replace(found.plan, recipe=recipe), Machine("cpu"), catalog, Silent()).first
                context.clean(context.rows("train")[:8])
                with watched() as extra:
                    began = time.perf_counter()
                    run_trial(context, TrialValues.from_flat(values), seed=0, deadline=math.inf)
                    seconds = time.perf_counter() - began
                expected = found.cost.ways[Strategy(way)]
                ratios.append(expected.seconds / seconds)
                print(
                    f"| {name} | {way} | {expected.seconds:.0f} | {seconds:.0f} | {ratios[-1]:.2f} "
                    f"| {expected.extra_bytes / 1e6:.0f} | {extra[0] / 1e6:.0f} |",
                    flush=True,
                )
    off = [abs(ratio - 1) for ratio in ratios]
    print(f"off by {statistics.median(off):.0%} in the median, {max(off):.0%} at most")


if __name__ == "__main__":
    main()
