"""The distance verdicts on real image sets, and on changed copies of a similar one.

    python benchmarks/sides.py [--images 256] [--backbones lite0,lite1,lite2]

Prints a Markdown table: one row per set and backbone.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from PIL import Image

import advisor

DATA = Path(__file__).parents[2] / "shared" / "data"
SETS = {
    "clothing_small": "similar",
    "furniture_renders": "similar",
    "clipart": "between",
    "satellite_landcover": "different",
    "letters_fonts": "different",
    "mnist_5k": "different",
}


def changed(kind: str, folder: Path) -> str:
    """A gray or a 64-pixel copy of the clothing photographs."""
    for file in sorted((DATA / "clothing_small" / "train").rglob("*.jpg")):
        image = Image.open(file)
        if kind == "gray":
            image = image.convert("L")
        else:
            image.thumbnail((64, 64))
        target = folder / kind / file.parent.name / f"{file.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(target)
    return str(folder / kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--backbones", default="lite0")
    args = parser.parse_args()
    print("| backbone | set | expected | verdict | P(different) | 95 % interval | D_late | G | kurtosis |")
    print("|---|---|---|---|--:|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        locations = {name: (str(DATA / name), side) for name, side in SETS.items()}
        for kind in ("gray", "64-pixel"):
            locations[f"clothing_small, {kind}"] = (changed(kind, Path(folder)), "similar")
        locations["digits"] = ("digits:", "different")
        for backbone in args.backbones.split(","):
            for name, (location, side) in locations.items():
                found = advisor.recommend(location, backbone=backbone, images=args.images).distance
                assert found.late is not None
                assert found.gain is not None
                assert found.kurtosis is not None
                print(
                    f"| {backbone} | {name} | {side} | {found.side} | {found.different:.2f} | "
                    f"{found.interval[0]:.2f} to {found.interval[1]:.2f} | {found.late.value:.3f} | "
                    f"{found.gain.value:.2f} | {found.kurtosis.value:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
