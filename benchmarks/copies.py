"""Copies that are found among photographs, drawings and digits: planted ones, and false pairs among distinct images.

    .venv/bin/python benchmarks/copies.py [--data ../shared/data] [--images 1000] [--planted 60]
    .venv/bin/python benchmarks/copies.py --drawn 16000

Of each set, so many images are taken and some of them planted once more, each changed in one way. Two originals in one
group are a false pair, those that are copies in the set itself among them. Seconds are those of looking for copies
alone, after decoding. `--drawn` takes so many drawn pictures of 32 pixels, 100 of them mirrored ones of the first 100,
and says how long that takes and how much memory.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from advisor.data.copies import near_copies
from advisor.data.decode import decode_square
from advisor.data.pixels import PixelStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

SETS = ("clothing_small", "satellite_landcover", "furniture_renders", "clipart", "letters_fonts", "mnist_5k")
SIDE = 256
TURN = Image.Transpose


@dataclass
class Planted:
    """Recall of each way, false groups, seconds for 1 000 images."""

    recall: dict[str, float]
    false: int
    images: int
    seconds: float


def drawing(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret


def cropped(image: Image.Image, rng: random.Random, most: float) -> Image.Image:
    left, top, right, bottom = (rng.uniform(0, most) for _ in range(4))
    w, h = image.size
    return image.crop((round(left * w), round(top * h), round(w - right * w), round(h - bottom * h)))


def scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((max(8, round(image.width * factor)), max(8, round(image.height * factor))))


def ways(rng: random.Random) -> dict[str, Callable[[Image.Image], Image.Image]]:
    return {
        "JPEG 20": lambda image: image,
        "60 % of the size": lambda image: scaled(image, 0.6),
        "10 % brighter": lambda image: image.point(lambda level: min(255, round(level * 1.1))),
        "mirrored": lambda image: image.transpose(TURN.FLIP_LEFT_RIGHT),
        "a quarter turn": lambda image: image.transpose(TURN.ROTATE_90),
        "upside down": lambda image: image.transpose(TURN.ROTATE_180),
        "up to 5 % off each side": lambda image: cropped(image, rng, 0.05),
        "up to 10 % off each side": lambda image: cropped(image, rng, 0.1),
        "10 % off and mirrored": lambda image: cropped(image, rng, 0.1).transpose(TURN.FLIP_LEFT_RIGHT),
        "10 % off and turned": lambda image: cropped(image, rng, 0.1).transpose(TURN.ROTATE_270),
    }


def encoded(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def squares(files: list[Path], planted: int, side: int) -> Iterator[tuple[NDArray[np.uint8], int, str]]:
    """Decoded images, the number of the original, and the way; empty for originals."""
    for number, file in enumerate(files):
        yield decode_square(file.read_bytes(), side), number, ""
    for place, way in enumerate(ways(drawing(0))):
        for number in range(place * planted, (place + 1) * planted):  # each original has one copy
            image = Image.open(files[number]).convert("RGB")
            change = ways(drawing(number))[way]
            yield decode_square(encoded(change(image), 20 if way == "JPEG 20" else 85), side), number, way


def measured(folder: Path, images: int, planted: int, store: Path) -> Planted:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in {".jpg", ".jpeg", ".png"})
    drawing(0).shuffle(files)
    files = files[:images]
    planted = min(planted, len(files) // len(ways(drawing(0))))
    side = min(SIDE, *(Image.open(file).size[0] for file in files[:50]))
    pixels, numbers, kinds = zip(*squares(files, planted, side), strict=True)
    store.mkdir(parents=True, exist_ok=True)
    np.stack(pixels).tofile(store / "pixels.u8")
    rows = np.arange(len(pixels), dtype=np.int64)
    began = time.perf_counter()
    groups = near_copies(PixelStore(store, len(pixels), side, ()), rows)
    seconds = time.perf_counter() - began
    original = groups[: len(files)]
    recall = {
        way: float(np.mean([groups[row] == original[numbers[row]] for row in rows if kinds[row] == way]))
        for way in dict.fromkeys(kinds) if way
    }  # fmt: skip
    return Planted(recall, len(files) - len(np.unique(original)), len(files), 1000 * seconds / len(pixels))


def many(count: int, store: Path) -> str:
    """How looking for copies among many drawn pictures goes."""
    rng = np.random.default_rng(0)
    with (store / "pixels.u8").open("wb") as file:
        for _ in range(count):
            soft = Image.fromarray(rng.integers(0, 200, (6, 6, 3), dtype=np.uint8)).resize(
                (32, 32), Image.Resampling.BICUBIC
            )
            picture = np.asarray(soft) + rng.integers(0, 40, (32, 32, 3), dtype=np.uint8)
            file.write(picture.tobytes())
    pixels = np.memmap(store / "pixels.u8", np.uint8, "r+", shape=(count, 32, 32, 3))
    pixels[-100:] = pixels[:100, :, ::-1]
    pixels.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), time.process_time()
    groups = near_copies(PixelStore(store, count, 32, ()), np.arange(count))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return (
        f"{count} images: {seconds:.1f} s, {cpu:.1f} s of processors, {grown:.0f} MB more; "
        f"{int((groups[:100] == groups[-100:]).sum())} of 100 found, {count - len(np.unique(groups)) - 100} false"
    )


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--planted", type=int, default=60)
    parser.add_argument("--drawn", type=int, default=0)
    args = parser.parse_args()
    if args.drawn:
        with tempfile.TemporaryDirectory() as store:
            print(many(args.drawn, Path(store)))
        return
    columns: dict[str, Planted] = {}
    for name in args.sets.split(","):
        with tempfile.TemporaryDirectory() as store:
            columns[name] = measured(Path(args.data) / name, args.images, args.planted, Path(store))
        print(name, columns[name], flush=True)
    print("| |", " | ".join(columns), "|")
    print("|---|", "---:|" * len(columns), sep="")
    for way in next(iter(columns.values())).recall:
        print(f"| {way} |", " | ".join(f"{one.recall[way]:.2f}" for one in columns.values()), "|")
    print("| false pairs among so many images |",
          " | ".join(f"{one.false} of {one.images}" for one in columns.values()), "|")  # fmt: skip
    print("| seconds for 1 000 images |", " | ".join(f"{one.seconds:.1f}" for one in columns.values()), "|")


if __name__ == "__main__":
    main()
