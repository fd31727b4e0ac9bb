"""What twenty installed plugins cost a command that needs none of them, and one that lists them.

    python benchmarks/plugins.py [--plugins 20] [--repeats 9]

The plugins are real ones: `advisor plugins new` writes them, and they are installed by metadata on the path, as pip
leaves an editable one. Each is slow to import (0.1 s), as strangers' may be. Timed are whole processes by turns, with
and without the twenty; printed is the median of the ratios. Wanted: at most 1.5 where none is needed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from advisor.packaging.new import new_plugin

NEEDLESS = {
    "the core's names looked up": (
        "from advisor.plugins import load_catalog\ncatalog = load_catalog()\n"
        "catalog.head('linear'); catalog.recipe('lp-ft'); assert len(catalog.met) == 4"
    ),
    "advisor --help": "from advisor.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass",
    "advisor cache": "from advisor.cli.main import main\nmain(['cache'])",
}
NEEDED = {"advisor plugins (all are listed)": "from advisor.cli.main import main\nmain(['plugins'])"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugins", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = [install(Path(folder), number) for number in range(args.plugins)]
        crowded = {"PYTHONPATH": os.pathsep.join(paths), "ADVISOR_CACHE": folder}
        plain = {"PYTHONPATH": "", "ADVISOR_CACHE": folder}
        for name, code in {**NEEDLESS, **NEEDED}.items():
            ratios = []
            for _ in range(args.repeats):
                alone = seconds(code, plain)
                ratios.append(seconds(code, crowded) / alone)
            print(f"{name:<34} {statistics.median(ratios):5.2f} x with {args.plugins} plugins", flush=True)


def install(folder: Path, number: int) -> str:
    """Write a plugin and its metadata; the folder that has to be on the path."""
    made = new_plugin(f"number-{number}", folder, kind="head")
    module = made / "src" / f"advisor_number_{number}" / "__init__.py"
    module.write_text(module.read_text() + "\n\nimport time\n\ntime.sleep(0.1)\n")
    info = made / "src" / f"advisor_number_{number}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: advisor-number-{number}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[advisor]\nnumber-{number} = advisor_number_{number}\n")
    return str(made / "src")


def seconds(code: str, env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **env}, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
