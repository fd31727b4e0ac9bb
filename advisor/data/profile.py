"""What a dataset is made of, before any network sees it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from advisor.data.shortcuts import Shortcut, find_shortcuts
from advisor.task import make_task

if TYPE_CHECKING:
    import pandas as pd

    from advisor.data.dataset import ImageDataset
    from advisor.task import Task


@dataclass(frozen=True)
class DatasetProfile:
    """Counts and sizes of a split dataset.

    Attributes:
        name: of the dataset.
        location: what was opened.
        digest: of the data.
        images: readable images.
        splits: images per split.
        independent: images when those that go together (near copies, or a given group) count as one.
        independent_splits: the same per split.
        independent_trainable: the same of train and val together.
        multilabel: whether an image may have several labels, or none.
        per_class: images per class.
        per_class_train: harmonic mean over the classes of the independent images per class that may be trained on
            (train and val).
        imbalance: largest class over smallest class.
        width: 5th, 50th and 95th percentile, pixels.
        height: likewise.
        modes: images per Pillow colour mode.
        formats: images per file format.
        duplicates: groups of identical files, as lists of paths.
        near_duplicates: groups of different files that show the same picture (re-encoded, resized), as
            lists of paths.
        conflicting: groups of either kind that carry more than one label.
        leaking: groups of either kind that stand in more than one split.
        shortcuts: properties of the files that give the class away; not looked for where images have several labels.
        broken: unreadable files with the reason.
        ignored: files that are not images, or are not used.
        reading: how the location was understood, in sentences.
        notes: on splits and sizes.
    """

    name: str
    location: str
    digest: str
    images: int
    splits: dict[str, int]
    independent: int
    independent_splits: dict[str, int]
    independent_trainable: int
    multilabel: bool
    per_class: dict[str, int]
    per_class_train: float
    imbalance: float
    width: tuple[int, int, int]
    height: tuple[int, int, int]
    modes: dict[str, int]
    formats: dict[str, int]
    duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[tuple[str, ...], ...]
    conflicting: tuple[tuple[str, ...], ...]
    leaking: tuple[tuple[str, ...], ...]
    shortcuts: tuple[Shortcut, ...]
    broken: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    reading: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def task(self) -> Task:
        """What there is to learn."""
        return make_task(tuple(self.per_class), multilabel=self.multilabel)

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)


def profile_dataset(dataset: ImageDataset) -> DatasetProfile:
    """Profile a dataset whose images have been decoded and split."""
    frame = dataset.frame
    task, targets = dataset.task, dataset.targets(frame["row"].to_numpy(np.int64))
    truth = task.truth(targets)
    counts = truth.sum(0)
    family = frame["family"].to_numpy()
    of_split = {name: frame.loc[frame["split"] == name, "family"] for name in ("train", "val", "test")}
    trained = (frame["split"] != "test").to_numpy()
    trainable = np.array([len(set(family[trained & has])) for has in truth.T])
    trainable = trainable[trainable > 0]
    exact = _repeated(frame, "content")
    near = (
        [family for family in _repeated(frame, "duplicate_group") if _differ(family["content"])]
        if "duplicate_group" in frame
        else []
    )
    width = tuple(int(v) for v in frame["width"].quantile([0.05, 0.5, 0.95]))
    height = tuple(int(v) for v in frame["height"].quantile([0.05, 0.5, 0.95]))
    notes = list(dataset.notes)
    small = int((frame[["width", "height"]].min(axis=1) < 96).sum())
    if small:
        notes.append(f"{small} of {len(frame)} images are under 96 pixels; the network sees them enlarged")
    notes += task.notes(targets)
    return DatasetProfile(
        name=dataset.name,
        location=dataset.location,
        digest=dataset.digest,
        images=len(frame),
        splits={name: len(members) for name, members in of_split.items()},
        independent=len(set(family)),
        independent_splits={name: members.nunique() for name, members in of_split.items()},
        independent_trainable=len(set(family[trained])),
        multilabel=not task.exclusive,
        per_class={name: int(counts[label]) for label, name in enumerate(dataset.classes)},
        per_class_train=float(len(trainable) / (1 / trainable).sum()),
        imbalance=float(counts.max() / max(1, counts.min())),
        width=width,  # type: ignore[arg-type]
        height=height,  # type: ignore[arg-type]
        modes={str(k): int(v) for k, v in frame["mode"].value_counts().items()},
        formats={str(k): int(v) for k, v in frame["format"].value_counts().items()},
        duplicates=tuple(tuple(family["path"]) for family in exact),
        near_duplicates=tuple(tuple(family["path"]) for family in near),
        conflicting=tuple(tuple(family["path"]) for family in exact + near if _differ(family[task.column].map(str))),
        leaking=tuple(tuple(family["path"]) for family in exact + near if _differ(family["split"])),
        shortcuts=find_shortcuts(frame) if task.exclusive else (),
        broken=dataset.broken,
        ignored=dataset.ignored,
        reading=dataset.reading,
        notes=tuple(notes),
    )


def _repeated(frame: pd.DataFrame, column: str) -> list[pd.DataFrame]:
    """The rows of each value that stands more than once."""
    again = frame.loc[frame[column].duplicated(keep=False)]
    return [family for _, family in again.groupby(column, sort=False)]


def _differ(values: pd.Series[str]) -> bool:
    return bool((values != values.iloc[0]).any())
