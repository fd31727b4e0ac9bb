"""How many seconds `advisor tune` takes beyond its budget, as a whole process.

    python benchmarks/budget.py [--data FOLDER] [--budgets 30s,60s,120s] [--workers 1,2] [--recipe NAME]

The clock is that of the shell: starting Python, imports, the search, the last fit, testing and writing the bundle. Each
run has a folder of its own. The cold runs start from an empty cache, the warm ones from the cache that the cold run
of the same budget left. `over` is (seconds - budget) / budget; wanted is at most 5 %. `rest` is
what lies outside the call that has the budget: starting Python, imports, printing. Exits with 1 if a run fails or
leaves no bundle.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "shared" / "data"
WANTED = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(DATA / "furniture_renders"))
    parser.add_argument("--recipe", default="small-different", help="heads and trainings of any depth")
    parser.add_argument("--backbone", default="lite0")
    parser.add_argument("--budgets", default="30s,60s,120s")
    parser.add_argument("--workers", default="1,2", help="processes that search together")
    parser.add_argument("--trials", type=int, default=1000, help="more than fit, so that time ends the search")
    args = parser.parse_args()
    from advisor.plugins import load_catalog
    from advisor.recipe import Plan, load_recipe, plan_to_toml
    from advisor.units import parse_duration

    good = True
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        plan = root / "advisor.toml"
        plan.write_text(plan_to_toml(Plan(load_recipe(args.recipe, load_catalog()), args.data, args.backbone)))
        print("budget  workers  cache   seconds   over        rest  ended      trials  finished", flush=True)
        for workers in args.workers.split(","):
            for budget in args.budgets.split(","):
                cache = root / "cache"
                shutil.rmtree(cache, ignore_errors=True)
                for state in ("cold", "warm"):
                    name = f"{budget}-{workers}-{state}"
                    seconds, report = tuned(plan, root, cache, name, budget, workers, args.trials)
                    inner, rows = report["seconds"], report["trials"]
                    over = seconds / parse_duration(budget) - 1
                    finished = sum(row["kind"] == "trial" and row["state"] == "COMPLETE" for row in rows)
                    good = good and (root / "runs" / name / "best" / "report.json").is_file()
                    mark = " " if over <= WANTED else "!"
                    print(
                        f"{budget:>6}  {workers:>7}  {state:<5}  {seconds:8.1f}  {over:+7.1%}{mark}"
                        f"  {seconds - inner:6.1f}  {report['ended']:<9}  {len(rows):>6}  {finished:>8}",
                        flush=True,
                    )
    sys.exit(not good)


def tuned(
    plan: Path, root: Path, cache: Path, name: str, budget: str, workers: str, trials: int
) -> tuple[float, dict[str, Any]]:
    """Seconds of the whole process, and what it reported."""
    began = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-m", "advisor", "tune", str(plan), "--runs", str(root / "runs"), "--name", name, "--budget",
         budget, "--workers", workers, "--trials", str(trials), "--json", "--quiet"],
        env={**os.environ, "ADVISOR_CACHE": str(cache)}, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    found: dict[str, Any] = json.loads(process.stdout)
    return seconds, found


if __name__ == "__main__":
    main()
