"""`advisor --help` against `python -c pass`: medians of interleaved runs, and their ratio.

python benchmarks/help_time.py [--runs 40]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=40)
    args = parser.parse_args()
    ours = [str(Path(sys.executable).with_name("advisor")), "--help"]
    nothing = [sys.executable, "-c", "pass"]
    seconds(ours), seconds(nothing)
    pairs = [(seconds(ours), seconds(nothing)) for _ in range(args.runs)]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(x / y for x, y in pairs)
    print(f"advisor --help {1000 * a:.0f} ms, python -c pass {1000 * b:.0f} ms, median ratio {ratio:.1f}")


if __name__ == "__main__":
    main()
