"""Test accuracy of the handed-over model against that of the closed-form probe, on real images.

    python benchmarks/tuned_against_probe.py [DATASET ...] [--budget 10m]

Each dataset is advised and tuned as a user would; then the probe alone is handed over by a plan with no
search, and both are judged on the same untouched test images.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import advisor
from advisor.recipe import Recipe

DATA = Path(__file__).parents[2] / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=[str(DATA / "clothing_small")])
    parser.add_argument("--budget", default="10m")
    args = parser.parse_args()
    print("| set | scenario | winner | trials | tuned: test | 95 % interval | probe: test | minutes |")
    print("|---|--:|---|--:|--:|---|--:|--:|")
    for location in args.datasets:
        with tempfile.TemporaryDirectory() as runs:
            advice = advisor.recommend(location)
            tuned = advisor.tune(advice, runs=runs, budget=args.budget)
            values = {"head.name": "ridge", "features.tap": 1.0, "freeze.depth": 1.0, "search.trials": 1}
            bare = replace(advice.plan, recipe=Recipe("probe", values=values))
            probe = advisor.tune(bare, runs=runs, name="probe")
        won = tuned.record.winner
        winner = "probe" if won.is_probe else won.values.head.name
        print(
            f"| {Path(location).name} | {advice.verdict.scenario} | {winner} | {len(tuned.trials)} "
            f"| {tuned.test:.3f} | {tuned.test_interval[0]:.3f} to {tuned.test_interval[1]:.3f} "
            f"| {probe.test:.3f} | {tuned.record.search.seconds / 60:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
