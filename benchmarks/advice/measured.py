"""The panel's tables as records: a cell, and what was measured in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from panel import CELLS, SETS, SHORT, TRAININGS, from_bits, rows_of

from advisor.advice.forecast import Facts, Training, logit
from advisor.strategy import Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from panel import ImageSet

_FIRM = 1e-3  # learning rate, that of different images
_SHORT = {Strategy.TUNE_SIMILAR: "tune_0.0002"}
_HEADS = {Strategy.LAST_LAYER: "last_linear", Strategy.EARLIER_LAYER: "tap_linear"}


@dataclass(frozen=True, eq=False)
class Option:
    """Something that was done in a cell.

    Attributes:
        name: in a few words.
        strategy: the way; of fine-tunings it says which learning rate.
        training: None for a head on frozen features.
        usual: whether the advice would propose it: of two learning rates the distance's.
        seconds: of the processor.
        right: which test images it got right.
    """

    name: str
    strategy: Strategy
    training: Training | None
    usual: bool
    seconds: float
    right: NDArray[np.bool_]

    @property
    def accuracy(self) -> float:
        """On the test images, 0..1."""
        return float(self.right.mean())


@dataclass(frozen=True, eq=False)
class MeasuredCell:
    """A cell with what the advice sees of it, and what was done in it."""

    set: str
    base: str
    per_class: int
    seed: int
    train: int
    facts: Facts
    options: tuple[Option, ...]


def read_all() -> list[MeasuredCell]:
    """The cells of the panel in which a fine-tuning was run, and those of the older one."""
    cells = [cell for cell in read(CELLS, TRAININGS, SETS) if any(option.training for option in cell.options)]
    return cells + read_short(SHORT, SETS)


def read(cells: Path, trainings: Path, sets: Mapping[str, ImageSet]) -> list[MeasuredCell]:
    """The cells of both tables."""
    by_cell: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in rows_of(trainings):
        by_cell.setdefault((row["set"], row["per_class"], row["seed"]), []).append(row)
    return [
        _cell(row, by_cell.get((row["set"], row["per_class"], row["seed"]), []), sets[row["set"]])
        for row in rows_of(cells)
    ]


def read_short(table: Path, sets: Mapping[str, ImageSet]) -> list[MeasuredCell]:
    """The cells of an older panel: all at 128 pixels, trainings of four passes or 60 steps at 2e-4.

    Its trainings at 8e-4 fell apart in places, before gradients were clipped, and are left out.
    """
    cells = []
    for row in rows_of(table):
        test, train = int(row["test"]), int(row["train"]) + int(row["val"])
        loo, tap = json.loads(row["loo"]), int(row["tap_stage"]) - 1
        different = float(row["p_different"])
        facts = Facts(min(2000, train), float(row["per_class_train"]), different, loo[-1], loo[tap])
        options = [
            Option(way.label, way, None, usual=True, seconds=0.0, right=from_bits(row[f"{name}_0.0003:right"], test))
            for way, name in _HEADS.items()
        ]
        for way, name in _SHORT.items():
            steps = int(row[f"{name}:steps"])
            options.append(
                Option(
                    f"{steps} steps at 128 px", way, Training(steps, 128),
                    usual=(way is Strategy.TUNE_DIFFERENT) == (different >= 0.5),
                    seconds=float(row[f"{name}:seconds"]), right=from_bits(row[f"{name}:right"], test),
                )
            )  # fmt: skip
        base = Path(sets[row["set"]].location).name
        cells.append(
            MeasuredCell(row["set"], base, int(row["per_class"]), int(row["seed"]), train, facts, tuple(options))
        )
    return cells


def _cell(row: dict[str, str], trainings: list[dict[str, str]], source: ImageSet) -> MeasuredCell:
    loo, tap = json.loads(row["loo"]), int(row["tap_stage"]) - 1
    different, train = float(row["p_different"]), int(row["train"])
    facts = Facts(min(2000, train), float(row["per_class_train"]), different, loo[-1], loo[tap])
    options = [
        Option(
            strategy.label, strategy, None, usual=True, seconds=0.0,
            right=from_bits(row[f"{name}:right"], int(row["test"])),
        )
        for strategy, name in _HEADS.items()
    ]  # fmt: skip
    probes = {int(size): accuracy for size, (accuracy, _) in json.loads(row["sizes"]).items()}
    images = min(400, train)
    for one in trainings:
        size, firm = int(one["size"]), float(one["lr"]) == _FIRM
        gap = logit(probes[size], images) - logit(probes[max(probes)], images)
        depth = float(one["depth"])
        options.append(
            Option(
                f"{one['steps']} steps at {size} px{', upper half' if depth else ''}",
                Strategy.TUNE_DIFFERENT if firm else Strategy.TUNE_SIMILAR,
                Training(int(one["steps"]), size, depth, gap),
                usual=firm == (different >= 0.5),
                seconds=float(one["seconds"]),
                right=from_bits(one["right"], int(one["test"])),
            )
        )
    return MeasuredCell(
        row["set"], Path(source.location).name, int(row["per_class"]), int(row["seed"]), train, facts, tuple(options)
    )
