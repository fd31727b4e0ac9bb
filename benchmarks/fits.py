"""What central squares, squashed and padded pictures are worth to the probe, whatever the shape of a set's pictures.

    python benchmarks/fits.py [--sets clothing_small,clipart] [--images 400] [--backbone lite0]

For each image set below `../shared/data`: the shape of the median picture, and the best stage's leave-one-out accuracy
of all three, with the paired difference to the central squares.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from advisor.advice.fits import compare_fits
from advisor.data.prepare import prepare
from advisor.network.opening import open_network
from advisor.network.transfer import pick_device
from advisor.plugins import load_catalog
from advisor.progress import Silent

DATA = Path(__file__).parents[2] / "shared" / "data"


def main() -> None:
    """Print a line for each set and fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="clothing_small,clipart")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--backbone", default="lite0")
    args = parser.parse_args()
    catalog = load_catalog()
    backbone = catalog.backbone(args.backbone)
    network = open_network(backbone, pick_device("auto"))
    for name in args.sets.split(","):
        prepared = prepare(str(DATA / name), backbone.input, catalog=catalog, seed=0, progress=Silent())
        fits = compare_fits(
            prepared, backbone, network, images=args.images, seed=0, progress=Silent(), least=1.0
        )  # fmt: skip
        assert fits is not None
        print(f"{name}: {fits.images} images, median {fits.shape:.2f} : 1, {fits.left_out:.0%} left out")
        for point in fits.points:
            print(
                f"  {point.fit:<6} {point.accuracy:.3f}  {100 * point.gain:+.1f} ± {100 * point.gain_se:.1f} points"
                f"{'  chosen' if point is fits.chosen else ''}"
            )


if __name__ == "__main__":
    main()
