"""ONNX files against the models they are written from, on real images.

    python benchmarks/onnx_files.py runs/data runs/other --images 500

For each run: its winner as an ONNX file, and the same images through both; whether the class is the same, the largest
difference of a probability, the size of the file, and the seconds per image of both on this machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime

from advisor.outcome.bundle import best_of, load
from advisor.outcome.card import report_of
from advisor.outcome.export import export_onnx
from advisor.outcome.export.gate import expected_of, pictures_for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--images", type=int, default=500)
    args = parser.parse_args()
    print("run                 network                 images  sizes  same class  max |Δp|   file     torch    onnx")
    for run in args.runs:
        best = best_of(run)
        bundle = load(best)
        ours = bundle.config["advisor"]
        with tempfile.TemporaryDirectory() as folder:
            made = export_onnx(best, Path(folder) / "model.onnx", images=args.images)
            session = onnxruntime.InferenceSession(made.path, providers=["CPUExecutionProvider"])
            pictures = pictures_for(bundle, report_of(best), 50).pixels
            clock = [time.perf_counter()]
            for pixels in pictures:
                expected_of(bundle, pixels[None])
            clock.append(time.perf_counter())
            for pixels in pictures:
                session.run(None, {"images": pixels[None]})
            clock.append(time.perf_counter())
            size = made.path.stat().st_size / 1e6
        torch_ms, onnx_ms = np.diff(clock) / len(pictures) * 1000
        name = f"{ours['backbone']}, tap {ours['tap']}, {ours['head']['name']}"
        sizes = len({pixels.shape for pixels in pictures})
        found = made.agreement
        print(
            f"{Path(run).name:20}{name:24}{found.images:6} {sizes:6} {found.same_label:6}/{found.images:<4}"
            f"{found.max_difference:10.1e} {size:5.1f} MB {torch_ms:5.0f} ms {onnx_ms:5.0f} ms"
        )
        if not found.real or found.same_label < found.images:
            raise SystemExit(f"{run}: {found}")


if __name__ == "__main__":
    main()
