"""Size of a run's report, and the seconds that the whole command takes to make it.

python benchmarks/report_cost.py runs/data runs/other
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from advisor.records.folder import find_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for run in args.runs:
            page = Path(folder) / "report.html"
            began = time.perf_counter()
            command = [
                sys.executable,
                "-m",
                "advisor",
                "report",
                str(find_run(run, "runs")),
                "-q",
                "--output",
                str(page),
            ]
            subprocess.run(command, check=True)
            print(f"{run}: {page.stat().st_size / 1e6:.2f} MB in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
