"""Which images are trained on, which choose and which test: parts that are given, or drawn with copies on one side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from advisor.data.multilabel import draw_jointly
from advisor.data.small_classes import handle_small
from advisor.errors import DatasetError

if TYPE_CHECKING:
    from advisor.data.dataset import ImageDataset
    from advisor.task import Task

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.2  # of what the test part leaves
_LEAST_FAMILIES = 0.2  # families of copies over different files
_LUMP = 0.5  # of a class's different files, in one family


def split_dataset(dataset: ImageDataset, *, seed: int = 0, skip_small_classes: bool = False) -> ImageDataset:
    """Give every image a split.

    Given train/val/test folders are kept; what is missing is drawn per class with a seed. Copies stay on
    one side: those of one `duplicate_group` where groups were looked for, else files of equal content. The result
    does not depend on the order of the files.

    Args:
        dataset: readable images only.
        seed: of the draw.
        skip_small_classes: leave out classes too small to split instead of refusing.

    Raises:
        DatasetError: a class is too small, or stands only in the test part.
    """
    frame = dataset.frame.copy()
    notes = list(dataset.notes)
    frame["family"] = _bound(_families(frame, notes, dataset.classes), frame["given_group"])
    given, gaps = set(frame["split"]) - {""}, dict(dataset.gaps)
    if "val" in given and "test" not in given:
        frame.loc[frame["split"] == "val", "split"] = "test"
        notes.append("the given validation part serves as the untouched test part")
        given, gaps = {"train", "test"}, {"test": gaps.get("val", ())}
    share_of = {"val": VALIDATION_SHARE} if "test" in given else {"test": TEST_SHARE, "val": VALIDATION_SHARE}
    if given >= {"train", "val", "test"}:
        share_of = {}
    frame, classes = handle_small(dataset, frame, need=1 + len(share_of), skip=skip_small_classes)
    if gone := [name for name in dataset.classes if name not in classes]:
        notes.append(f"classes left out with too few images to train on: {', '.join(gone)}")
    task = replace(dataset.task, classes=classes)
    frame.loc[frame["split"] == "", "split"] = "train"
    rng = np.random.default_rng(seed)
    for name, share in share_of.items():
        drawn = _draw(frame, share, rng, task)
        frame.loc[drawn, "split"] = name
        notes.append(f"{name} part drawn with seed {seed}: {len(drawn)} images")
    if share_of:
        _require_trainable(frame, task)
    for name, words in (("test", "test"), ("val", "validation")):
        untold = [label for label in _absent(frame, name, task) if label not in gaps.get(name, ())]
        if untold:
            notes.append(f"no {words} images for: {', '.join(untold)}")
    return replace(dataset, frame=frame, classes=classes, notes=tuple(notes), drawn=tuple(share_of))


def _absent(frame: pd.DataFrame, split: str, task: Task) -> list[str]:
    """Names of the classes of which a part has no image."""
    held = frame.loc[frame["split"] == split, task.column]
    counts = task.truth(task.encode(held.tolist())).sum(0)
    return [task.classes[label] for label in np.flatnonzero(counts == 0)]


def _require_trainable(frame: pd.DataFrame, task: Task) -> None:
    """Refuse parts that groups have left without images, or without those of a class."""
    missing = _absent(frame, "train", task)
    if missing or not {"val", "test"} <= set(frame["split"]):
        what = f"no images to train on for {', '.join(missing[:5])}" if missing else "a part without images"
        raise DatasetError(
            f"Groups of images that must stay together, such as copies, leave {what}.",
            ways=["give the parts yourself, in folders train, val and test or a column `split`", "give smaller groups"],
            hint="photos.csv?group= reads a table without its groups",
        )


def _draw(frame: pd.DataFrame, share: float, rng: np.random.Generator, task: Task) -> list[int]:
    """Index labels of a per-class share of the training images; at least one, never all."""
    pool = frame.loc[frame["split"] == "train"].sort_values(["label", "content", "path"])
    if not task.exclusive or (pool["given_group"] != "").any():
        truth = task.truth(task.encode(pool[task.column].tolist()))
        chosen = draw_jointly(pool["family"].to_numpy(), truth, share, rng)  # a group may have images of every class
    else:
        chosen = _draw_each(pool, share, rng)
    # Copies follow their original, into another class too where labels contradict each other.
    drawn: list[int] = pool.index[pool["family"].isin(chosen)].tolist()
    return drawn


def _draw_each(pool: pd.DataFrame, share: float, rng: np.random.Generator) -> set[str]:
    """Families that hold a share of each class."""
    chosen: set[str] = set()
    for _, rows in pool.groupby("label", sort=True):
        families = rows["family"].unique()
        order = rng.permutation(len(families))
        sizes = rows["family"].value_counts()[families[order]].to_numpy()
        # Families differ in size: stop where the share of the images is met most closely.
        after = np.abs(np.cumsum(sizes) - max(1, round(share * len(rows))))
        take = min(int(after.argmin()) + 1, len(families) - 1)
        chosen |= set(families[order[:take]])
    return chosen


def _families(frame: pd.DataFrame, notes: list[str], classes: tuple[str, ...]) -> pd.Series[str]:
    """Which images must stay on one side: an identifier per image, of its group's first content."""
    if "duplicate_group" not in frame:
        return frame["content"]
    family = frame.groupby("duplicate_group")["content"].transform("min")
    # Simple drawings may all look alike, each a little like the next. Where one family has swallowed a class and little
    # is left to draw from, files are told apart by content after all. Many families of many files are what they seem.
    each = frame.assign(family=family).drop_duplicates(["label", "content"]).groupby("label")
    files = each["content"].size()
    largest = each["family"].agg(lambda families: families.value_counts().iloc[0])
    lumped = (each["family"].nunique() < _LEAST_FAMILIES * files) & (largest > _LUMP * files)
    if lumped.any():
        named = ", ".join(classes[int(label)] for label in lumped.index[lumped][:5])
        notes.append(f"most images look like copies of each other in: {named}; they are split all the same")
        family = family.where(~frame["label"].isin(lumped.index[lumped]), frame["content"])
    return family


def _bound(family: pd.Series[str], given_group: pd.Series[str]) -> pd.Series[str]:
    """Families, with those made one that a given group binds."""
    given = given_group != ""
    if not given.any():
        return family
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    families, names = pd.factorize(family)
    groups = pd.factorize(given_group[given])[0] + len(names)
    links = coo_matrix((np.ones(len(groups)), (families[given.to_numpy()], groups)), shape=(groups.max() + 1,) * 2)
    parts = connected_components(links, directed=False)[1][families]
    return family.groupby(parts).transform("min")
