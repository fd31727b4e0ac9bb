"""Datasets made of a table alone, for tests of what is counted and divided before any pixel is read."""

import numpy as np
import pandas as pd

from advisor.data.dataset import ImageDataset


def dataset(labels, *, splits=None, classes=("a", "b", "c"), broken=(("x.png", "it is empty"),), **columns):
    """Labels are class numbers, or tuples of them where an image may have several."""
    n = len(labels)
    several = bool(n) and isinstance(labels[0], tuple)
    frame = pd.DataFrame({
        "row": np.arange(n), "path": [f"{i}.png" for i in range(n)],
        "label": [own[0] if own else -1 for own in labels] if several else labels,
        "split": splits or ["train"] * n, "given_group": "", "content": [f"c{i}" for i in range(n)],
        "width": 200, "height": 100, "mode": "RGB", "format": "JPEG", "depth": "uint8",
    })  # fmt: skip
    if several:
        frame["labels"] = pd.Series(labels, dtype=object)
    for name, values in columns.items():
        frame[name] = values
    if "family" not in columns:
        frame["family"] = frame["content"]
    return ImageDataset(
        "toy", "./toy", "folder", classes, frame, "digest", lambda path: b"", broken=broken,
        ignored=("readme.md",), reading=("Read as folders.",), notes=("a note",),
    )  # fmt: skip
