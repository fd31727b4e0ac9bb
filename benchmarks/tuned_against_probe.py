"""What `recommend` and `tune` hand over within a budget, against the best closed-form probe, on real images.

    python benchmarks/tuned_against_probe.py [--sets clipart,mnist_5k] [--budget 10m] [--seeds 3] [--out FOLDER]

Each set is a draw of `--train` labelled images and `--test` others. The budget is for both commands together, reading
the images included. Then the probe at its best stage by leave-one-out accuracy is handed over by a plan with no search,
and both are judged on the same untouched test images; the standard error of their difference is paired. What is
finished stands in FOLDER/results.csv and is not done again; FOLDER/course.csv has set, seed, seconds and validation
score of the best so far.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from against_plain import SETS, fresh_cache, sample

import advisor
from advisor.recipe import Plan, Recipe
from advisor.units import parse_duration

if TYPE_CHECKING:
    import numpy as np

    from advisor.outcome.handover import Result
    from advisor.records.trial import TrialRecord

_POINTS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--train", type=int, default=400, help="images at most")
    parser.add_argument("--test", type=int, default=600, help="images at most")
    parser.add_argument("--out", default="tuned-against-probe", metavar="FOLDER", help="results and work files")
    args = parser.parse_args()
    out = Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    results = out / "results.csv"
    for seed in range(args.seeds):  # every set once before any set again, so that an early stop leaves all sets
        for name in args.sets.split(","):
            if results.exists() and ((known := pd.read_csv(results))["set"].eq(name) & known["seed"].eq(seed)).any():
                continue
            folder = sample(name, seed, args.train, args.test, out)
            append(results, run(folder, name, seed, args.budget, out))
            shutil.rmtree(folder)
    table(pd.read_csv(results), args.budget)


def run(folder: Path, name: str, seed: int, budget: str, out: Path) -> dict[str, object]:
    """Advise and tune, then the probe alone; one row."""
    fresh_cache(out)
    began = time.monotonic()
    advice = advisor.recommend(str(folder), budget=budget, seed=seed)
    left = parse_duration(budget) - (time.monotonic() - began)
    course = Course(began)
    tuned = advisor.tune(advice, runs=out / "runs", name=f"{name}-{seed}", budget=f"{left:.0f}s", on_trial=course)
    seconds = time.monotonic() - began
    best = advice.curve.best
    values = {"head.name": "ridge", "features.tap": best.tap, "freeze.depth": 1.0, "search.trials": 1}
    bare = Plan(Recipe("probe", values=values), advice.plan.location, advice.plan.backbone, seed=seed)
    probe = advisor.tune(bare, runs=out / "runs", name=f"{name}-{seed}-probe")
    pd.DataFrame([(name, seed, *row) for row in course.rows]).to_csv(
        out / "course.csv", mode="a", header=False, index=False
    )
    difference = right(tuned) - right(probe)
    record = tuned.record
    return {
        "set": name, "seed": seed, "scenario": advice.verdict.scenario, "advised": advice.times.chosen.words,
        "winner": record.winner.kind.value, "trials": len(tuned.trials), "tuned": tuned.test, "probe": probe.test,
        "gain": difference.mean(), "se": difference.std(ddof=1) / len(difference) ** 0.5, "seconds": round(seconds, 1),
    }  # fmt: skip


def right(result: Result) -> np.ndarray:
    """Which test images a run got right, in the order of their paths."""
    frame = pd.read_csv(result.folder / "predictions.csv").sort_values("path")
    return (frame["label"] == frame["predicted"]).to_numpy(float)


class Course:
    """The validation score of the best so far, with the seconds since both commands began."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.rows: list[tuple[float, float]] = []

    def __call__(self, trial: TrialRecord) -> None:
        """Note a finished trial that is better than all before it."""
        if trial.accuracy is not None and (not self.rows or trial.accuracy > self.rows[-1][1]):
            self.rows.append((round(time.monotonic() - self.began, 1), trial.accuracy))


def append(file: Path, row: dict[str, object]) -> None:
    """Add a row, and print it."""
    new = not file.exists()
    with file.open("a", newline="") as handle:
        writer = csv.DictWriter(handle, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(row, flush=True)


def table(frame: pd.DataFrame, budget: str) -> None:
    """Print the mean of every set over its seeds, and how many sets gained."""
    print(f"| set | tuned in {budget} | probe | gain, points | ± |")
    print("|---|--:|--:|--:|--:|")
    means = frame.groupby("set").agg(
        tuned=("tuned", "mean"), probe=("probe", "mean"), gain=("gain", "mean"),
        se=("se", lambda errors: float((errors**2).sum() ** 0.5 / len(errors))),
    )  # fmt: skip
    for row in means.itertuples():
        print(
            f"| {row.Index} | {row.tuned:.3f} | {row.probe:.3f} | {_POINTS * row.gain:+.1f} | {_POINTS * row.se:.1f} |"
        )
    print(
        f"\nmean gain {_POINTS * means['gain'].mean():+.1f} points; better on {(means['gain'] > 0).sum()} of "
        f"{len(means)} sets, worse by more than a standard error on {(means['gain'] < -means['se']).sum()}"
    )


if __name__ == "__main__":
    main()
