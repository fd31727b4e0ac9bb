"""Seconds and memory to open a table of a million images with advisor-manifest, format by format.

    python benchmarks/manifest.py [--rows 1000000]

The table has the columns path, label (100 of them), split and group (a tenth as many as rows); it is opened in a
process of its own, by `DatasetFormat.open`, which finds columns, checks every row and lists the images without
reading any. Memory is the largest resident size of that process, Python and its libraries among it. Wanted: under 20
s and 2 GB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

CHILD = """
import resource, sys, time
from advisor.plugins import load_catalog
place = sys.argv[1]
found = load_catalog().dataset_for(place)
began = time.perf_counter()
listing = found.open(place)
seconds = time.perf_counter() - began
assert found.name == "manifest" and len(listing.paths) == int(sys.argv[2]), found.name
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    table = pa.table(
        {
            "path": [f"images/{number // 1000:05d}/{number:08d}.jpg" for number in range(rows)],
            "label": [f"class {number % 100:03d}" for number in range(rows)],
            "split": [("train", "train", "train", "val", "test")[number % 5] for number in range(rows)],
            "group": [f"camera {number // 10:06d}" for number in range(rows)],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        for path in table["path"].to_pylist():  # empty files: they are looked for, not read
            file = Path(folder) / path
            if path.endswith("000.jpg"):
                file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        for name in ("photos.csv", "photos.tsv", "photos.parquet", "photos.jsonl"):
            file = Path(folder) / name
            if name.endswith("parquet"):
                parquet.write_table(table, file)
            elif name.endswith("jsonl"):
                with file.open("w") as lines:
                    lines.writelines(
                        json.dumps(row) + "\n" for batch in table.to_batches(10_000) for row in batch.to_pylist()
                    )
            else:
                csv.write_csv(table, file, csv.WriteOptions(delimiter="\t" if name.endswith("tsv") else ","))
            done = subprocess.run(
                [sys.executable, "-c", CHILD, str(file), str(rows)], capture_output=True, text=True, check=True
            )
            seconds, gigabytes = map(float, done.stdout.split())
            print(f"{name:<16} {file.stat().st_size / 1e6:6.0f} MB  {seconds:6.1f} s  {gigabytes:5.2f} GB", flush=True)


if __name__ == "__main__":
    main()
