"""Peak memory of `advisor tune --memory CAP` as a whole process, beside a run without a cap.

    python benchmarks/memory.py [--set clothing_small] [--batch-size 64] [--shares 0.75,0.5] [--caps 1500MB,2GB]

Each run is one fine-tuning of everything (one epoch, the recipe `lp-ft`) on `--images` of the images, from an empty
cache, in a process of its own; its largest resident set is what the system counted. It is first run without a cap, and
once for a head alone, which is what a run holds before training. The caps divide what lies between the two: share 0.5
is half of it. Wanted: every peak is at most its cap. Exits with 1 if one is not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from against_plain import sample

UNLIMITED = "100TB"
MEGA = 1e6
_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="clothing_small", help="one of the image sets")
    parser.add_argument("--images", type=int, default=96, help="to train on; a third as many to test on")
    parser.add_argument("--backbone", default="lite0")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--shares", default="0.75,0.5", help="of what training takes")
    parser.add_argument("--caps", default="", help="instead of shares, such as 1500MB,2GB")
    args = parser.parse_args()
    from advisor.plugins import load_catalog
    from advisor.recipe import Plan, load_recipe, plan_to_toml
    from advisor.units import parse_size

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = sample(args.set, 0, args.images, args.images // 3, root)
        shutil.rmtree(root / "cache-of-sets")
        once = {"search.folds": 1, "search.seeds": 1, "train.epochs": 1, "train.batch_size": args.batch_size}
        recipe = load_recipe("lp-ft", load_catalog()).with_values(once)
        plans = {"everything": recipe, "head": recipe.with_values({"freeze.depth": 1.0})}
        for name, way in plans.items():
            (root / f"{name}.toml").write_text(plan_to_toml(Plan(way, str(data), args.backbone)))
        floor, _ = peak(root, "head", UNLIMITED)
        most, ended = peak(root, "everything", UNLIMITED)
        print(
            f"a head alone: {floor / MEGA:.0f} MB; everything, without a cap: {most / MEGA:.0f} MB ({ended})",
            flush=True,
        )
        caps = [parse_size(text) for text in args.caps.split(",") if text]
        caps = caps or [int(floor + float(share) * (most - floor)) for share in args.shares.split(",")]
        good = True
        for cap in caps:
            used, ended = peak(root, "everything", f"{cap // 1_000_000}MB")
            good = good and used <= cap
            print(f"cap {cap / MEGA:.0f} MB: peak {used / MEGA:.0f} MB, {used / cap:.1%} of it; {ended}", flush=True)
    sys.exit(not good)


def peak(root: Path, plan: str, cap: str) -> tuple[int, str]:
    """Largest resident set of one run, bytes, and how its trials ended."""
    shutil.rmtree(root / "cache", ignore_errors=True)
    shutil.rmtree(root / "runs", ignore_errors=True)
    command = [sys.executable, "-m", "advisor", "tune", str(root / f"{plan}.toml"), "--runs", str(root / "runs"),
               "--name", "run", "--trials", "1", "--budget", "1h", "--memory", cap, "--json", "--quiet"]  # fmt: skip
    with (root / "report.json").open("w") as report:
        process = subprocess.Popen(
            command, env={**os.environ, "ADVISOR_CACHE": str(root / "cache")}, stdout=report, text=True
        )
        _, status, usage = os.wait4(process.pid, 0)  # of this process alone; getrusage would keep the largest of all
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed with {process.returncode}")
    found: dict[str, Any] = json.loads((root / "report.json").read_text())
    trials = [row for row in found["trials"] if row["kind"] == "trial"]
    notes = {row["notes"] or row["reason"] for row in trials} - {"", None}
    said = f": {'; '.join(sorted(notes))}" if notes else ""
    return usage.ru_maxrss * _UNIT, f"{', '.join(row['state'] for row in trials)}{said}"


if __name__ == "__main__":
    main()
