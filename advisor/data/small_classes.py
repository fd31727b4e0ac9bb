"""Classes with too few images to be divided: refused, or left out where that was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from advisor.data.multilabel import keep_labels
from advisor.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from advisor.data.dataset import ImageDataset


def handle_small(
    dataset: ImageDataset, frame: pd.DataFrame, *, need: int, skip: bool
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Refuse or leave out classes with fewer than `need` different trainable images."""
    pool = frame.loc[frame["split"].isin(["", "train"])]
    task = dataset.task
    counts = task.family_counts(task.encode(pool[task.column].tolist()), pool["family"].to_numpy())
    small = np.flatnonzero(counts < need).tolist()
    if not small:
        return frame, dataset.classes
    held = frame.loc[frame["split"].isin(["val", "test"])]
    elsewhere = [i for i in small if task.exclusive and (held["label"] == i).any() and not counts[i]]
    few = f"fewer than {need} different readable images"
    if not skip:
        if len(elsewhere) == len(small):
            raise _untrained(dataset, frame, elsewhere)
        named = ", ".join(f"`{dataset.classes[i]}` ({counts[i]})" for i in small[:5])
        raise DatasetError(
            f"{len(small)} of {len(dataset.classes)} {task.too_few(few)} to split: "
            f"{named}{' …' if len(small) > 5 else ''}.",
            ways=[
                "add images to them, or remove them",
                *_repair(dataset),
                "leave those classes out with --skip-small-classes",
            ],
            hint="advisor profile shows the number of images per class",
        )  # fmt: skip
    kept = [label for label in range(len(dataset.classes)) if label not in small]
    classes = tuple(dataset.classes[label] for label in kept)
    if len(classes) < 2:
        shown = ", ".join(f"`{dataset.classes[i]}` ({counts[i]})" for i in small[:5])
        raise DatasetError(
            f"{len(small)} of the {len(dataset.classes)} classes of `{dataset.location}` have {few} to train on, "
            f"{shown}{' …' if len(small) > 5 else ''}; without them {'one class' if classes else 'no class'} is left, "
            "and a classifier needs two.",
            ways=[
                "add images to these classes",
                *_repair(dataset),
                *(["move images of them from the test part to the training part"] if elsewhere else []),
            ],
            hint="--skip-small-classes leaves classes out, it cannot make small ones do",
        )  # fmt: skip
    if not task.exclusive:
        return keep_labels(frame, kept, replace(task, classes=classes)), classes
    frame = frame.loc[frame["label"].isin(kept)].reset_index(drop=True)
    frame["label"] = frame["label"].map({label: new for new, label in enumerate(kept)}).astype(np.int64)
    if len(held) and not frame["split"].isin(["val", "test"]).any():
        gone = ", ".join(f"`{dataset.classes[label]}`" for label in small[:5])
        raise DatasetError(
            f"Without the classes left out, {gone}{' …' if len(small) > 5 else ''}, no images to test on remain.",
            ways=["give the folders of a class the same name in every part", "add images of these classes to train/"],
            hint="advisor profile shows the number of images per class",
        )
    return frame, classes


def _repair(dataset: ImageDataset) -> list[str]:
    """What can be done about files that cannot be read, where there are any."""
    if not dataset.broken:
        return []
    path, reason = dataset.broken[0]
    return [f"repair the {len(dataset.broken)} unreadable files, for example {path}: {reason}"]


def _untrained(dataset: ImageDataset, frame: pd.DataFrame, labels: Sequence[int]) -> DatasetError:
    """Classes that stand only in the parts that are not trained on."""
    counts = {dataset.classes[i]: frame.loc[frame["label"] == i, "split"].value_counts() for i in labels[:5]}
    named = ", ".join(
        f"`{name}` ({' and '.join(f'{count} in {part}' for part, count in own.items())})"
        for name, own in counts.items()
    )
    return DatasetError(
        f"There are no images to train on of {len(labels)} of the {len(dataset.classes)} classes: "
        f"{named}{' …' if len(labels) > 5 else ''}.",
        ways=["move images of them to the training part", "give the folders of a class the same name in every part",
              "leave those classes out with --skip-small-classes"],
        hint="advisor profile shows the number of images per class",
    )  # fmt: skip
