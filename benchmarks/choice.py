"""What the rule by which a winner is chosen costs on images that nobody chose by.

    python benchmarks/choice.py [--halvings 20]

The cells of `benchmarks/advice/cells_128.csv` have eleven trials each: heads on two stages under several penalties, and
fine-tunings at three rates. One half of a cell's test images takes the place of the validation images, the other half
is unseen. Three rules choose by the first: the search's own (`advisor.tuning.confirm.choose`), the highest figure, and
the cheapest within one paired standard error of it, which was the rule before. Printed are points of accuracy on the
unseen half below the highest figure's, with their 95 % interval from a bootstrap over image sets.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "advice"))
from judge import interval
from panel import SETS, SHORT, from_bits, rows_of

from advisor.recipe.values import TrialValues
from advisor.records.trial import TrialKind, TrialRecord, TrialState
from advisor.task.interval import paired
from advisor.tuning.confirm import ScoredTrial, choose, leaders

if TYPE_CHECKING:
    from numpy.typing import NDArray

STAGES, POINTS = 8, 100


@dataclass(frozen=True)
class Tried:
    """A trial of a cell: its record, and which test images it got right."""

    record: TrialRecord
    right: NDArray[np.bool_]
    linear: bool

    def on(self, rows: NDArray[np.int64]) -> ScoredTrial:
        """As if these images were the validation images."""
        scores = self.right[rows][None].astype(float)
        return ScoredTrial(self.record, scores, linear=self.linear, deterministic=self.record.steps == 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--halvings", type=int, default=20, help="random halvings of each cell's test images")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    bases: list[str] = []
    lost: dict[str, list[float]] = {"the search's rule": [], "within one standard error": []}
    tuned: dict[str, list[float]] = {"highest figure": [], **{name: [] for name in lost}}
    for row in rows_of(SHORT):
        trials = tried(row)
        cell: dict[str, list[float]] = {name: [] for name in lost}
        for _ in range(args.halvings):
            order = rng.permutation(len(trials[0].right))
            halves = order[: len(order) // 2], order[len(order) // 2 :]
            for seen, unseen in (halves, halves[::-1]):
                scored = [trial.on(seen) for trial in trials]
                worth = np.ones(len(seen))
                chosen = {
                    "highest figure": leaders(scored, worth, 1)[0],
                    "the search's rule": choose(scored, worth, seeds=1).chosen,
                    "within one standard error": within_one_error(scored, worth),
                }
                reached = {name: trials[one.number].right[unseen].mean() for name, one in chosen.items()}
                for name, values in cell.items():
                    values.append(POINTS * (reached["highest figure"] - reached[name]))
                for name, one in chosen.items():
                    tuned[name].append(float(not one.head_only))
        bases.append(Path(SETS[row["set"]].location).name)
        for name, values in cell.items():
            lost[name].append(float(np.mean(values)))
    print(f"{len(bases)} cells of {len(set(bases))} sets; a fine-tuning is chosen in "
          + ", ".join(f"{np.mean(values):.0%} ({name})" for name, values in tuned.items()))  # fmt: skip
    for name, values in lost.items():
        low, high = interval(
            [[one for one, of in zip(values, bases, strict=True) if of == base] for base in set(bases)]
        )
        print(f"{name}: {np.mean(values):+.2f} points lost ({low:+.2f} to {high:+.2f})")


def tried(row: dict[str, str]) -> list[Tried]:
    """The trials of a cell, numbered as they stand."""
    names = [column.removesuffix(":right") for column in row if column.endswith(":right")]
    trials = []
    for number, name in enumerate(names):
        kind, head = name.split("_")[:2]
        tap = int(row["tap_stage"]) if kind == "tap" else STAGES
        frozen = 0 if kind == "tune" else tap
        record = TrialRecord(
            number, TrialKind.PROBE if head == "ridge" else TrialKind.TRIAL, TrialState.COMPLETE, TrialValues(),
            loss=float(row[f"{name}:loss"]), seconds=float(row[f"{name}:seconds"]), tap=tap, frozen=frozen,
            steps=int(row[f"{name}:steps"]),
        )  # fmt: skip
        trials.append(Tried(record, from_bits(row[f"{name}:right"], int(row["test"])), linear=True))
    return trials


def within_one_error(scored: list[ScoredTrial], worth: NDArray[np.float64]) -> ScoredTrial:
    """The cheapest of those that are within one paired standard error of the highest figure."""
    best = leaders(scored, worth, 1)[0]

    def tied(one: ScoredTrial) -> bool:
        gap, se = paired(best.mean() - one.mean(), worth)
        return gap <= (se if math.isfinite(se) else 0.0)

    return min((one for one in scored if tied(one)), key=lambda one: (one.cost, -one.accuracy(worth)))


if __name__ == "__main__":
    main()
