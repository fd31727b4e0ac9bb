"""How good is the advice? Judged on cells that it was not fitted to.

    python benchmarks/advice/judge.py           # prints the tables and writes docs/advice.md
    python benchmarks/advice/judge.py --refit   # also writes advisor/advice/fitted.json

Reads `cells.csv`, `trainings.csv` and `cells_128.csv`, an older panel. Models of expected accuracy are fitted leaving
one image set out at a time; each cell is advised by the models that never saw its set, for each of three times that one
training may take. The image set is the unit: intervals are from a bootstrap over sets.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fitting import fit, left_out, most_per_class
from measured import Option, read_all
from panel import CELLS, SHORT, TRAININGS

from advisor.advice.forecast import predict
from advisor.advice.scenario import judge_size
from advisor.strategy import Strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from measured import MeasuredCell

    from advisor.advice.forecast import Expected, Model

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "advice.md"
FITTED = HERE.parents[1] / "advisor" / "advice" / "fitted.json"
BUDGETS = (30.0, 120.0, 600.0)  # processor seconds that one training may take
_POINTS = 100
_HALVINGS = 50
_REDRAWS = 4000
INTRODUCTION = """\
{cells} cells and {trainings} fine-tunings of {sets} image sets with EfficientNet-Lite0. In `cells.csv` and
`trainings.csv` of `benchmarks/advice` heads read 224 pixels and fine-tunings mostly 64 (photographs 96); in
`cells_128.csv`, which is older, everything reads 128 and trainings are short. Each cell is advised by models fitted to
the other sets, for three times that one training may take on one thread.
`python benchmarks/advice/judge.py` writes this page from the tables; `cells.py` and `trainings.py` beside it measure
them and go on where they stopped.

Regret is in points of test accuracy below the best of all that was measured within the time: heads on the last and on
the best earlier stage, and every training that fits. The best of several noisy figures is a little lucky, so even who
knew the true accuracies would show some regret; the fair column finds the best on one half of the test images and
measures the regret on the other (mean of {halvings} random halvings). Agreement is the share of cells within one point
or one paired standard error of the best. The last column is the rule's fair regret less that of the advice, with its
95 % interval from a paired bootstrap over sets: where that holds 0, the two cannot be told apart."""

COVERAGE = """\
The 80 % interval of the expected accuracy holds the measured one in {advised:.0%} of the cases for what is advised, in
{options:.0%} for all options."""
TABLE = """\
Test accuracy, with the longest time: heads on the last and on the best earlier stage, the best training, and what is
advised (by models of the other sets) with its expected accuracy."""


@dataclass(frozen=True)
class Case:
    """One cell with a time for one training.

    Attributes:
        cell: the cell.
        seconds: the time.
        options: what was measured within it.
        models: fitted without the cell's set.
        most: images per class beyond which they know nothing.
    """

    cell: MeasuredCell
    seconds: float
    options: tuple[Option, ...]
    models: Mapping[Strategy, Model]
    most: float

    def expected(self, option: Option, test_images: int = 0) -> Expected:
        """What the advice expects of an option."""
        return predict(
            option.strategy, self.cell.facts, self.models, self.most, option.training, test_images=test_images
        )

    @cached_property
    def advised(self) -> Option:
        """The option with the highest expected accuracy."""
        usual = [option for option in self.options if option.usual]
        return max(usual, key=lambda option: self.expected(option).accuracy)

    def regret(self, option: Option) -> float:
        """Points below the best."""
        return _POINTS * (max(other.accuracy for other in self.options) - option.accuracy)

    @cached_property
    def fair(self) -> dict[Option, float]:
        """For each option, points below the one that is best on the other half of the test images."""
        rng = np.random.default_rng(0)
        right = np.array([option.right for option in self.options], dtype=float)
        lost, count = np.zeros(len(right)), right.shape[1]
        for _ in range(_HALVINGS):
            order = rng.permutation(count)
            for one, other in ((order[: count // 2], order[count // 2 :]), (order[count // 2 :], order[: count // 2])):
                best = right[right[:, one].mean(1).argmax(), other].mean()
                lost += best - right[:, other].mean(1)
        return dict(zip(self.options, _POINTS * lost / (2 * _HALVINGS), strict=True))

    def agrees(self, option: Option) -> bool:
        """Within a point or one paired standard error of the best."""
        best = max(self.options, key=lambda other: other.accuracy)
        difference = best.right.astype(float) - option.right
        return bool(self.regret(option) <= max(1.0, _POINTS * difference.std() / math.sqrt(len(difference))))


def cases_of(cells: Sequence[MeasuredCell], seconds: float) -> list[Case]:
    """Every cell in which a fine-tuning was measured, with what fits into the time."""
    cases = []
    for base, rest in left_out(cells).items():
        models, most = fit(rest), most_per_class(rest)
        for cell in cells:
            options = tuple(option for option in cell.options if option.seconds <= seconds)
            if cell.base == base and any(option.training for option in cell.options):
                cases.append(Case(cell, seconds, options, models, most))
    return cases


def last(case: Case) -> Option:
    """A head on the last stage."""
    return next(option for option in case.options if option.strategy is Strategy.LAST_LAYER)


def by_probe(case: Case) -> Option:
    """A head on the stage with the best probe."""
    facts = case.cell.facts
    earlier = next(option for option in case.options if option.strategy is Strategy.EARLIER_LAYER)
    return earlier if facts.earlier > facts.last else last(case)


def longest(case: Case) -> Option:
    """LP-FT of everything at the distance's rate for as many steps as fit; a head where none do."""
    trainings = [option for option in case.options if option.training and option.usual and not option.training.depth]
    return max(trainings, key=lambda option: option.seconds, default=last(case))


def by_thresholds(case: Case) -> Option:
    """Size and distance by hard thresholds, nothing measured by a probe."""
    large = judge_size(case.cell.train, case.cell.facts.per_class).large > 0.5
    if large:
        return longest(case)
    different = case.cell.facts.different >= 0.5
    wanted = Strategy.EARLIER_LAYER if different else Strategy.LAST_LAYER
    return next(option for option in case.options if option.strategy is wanted)


RULES: dict[str, Callable[[Case], Option]] = {
    "**advice** (models of the other sets)": lambda case: case.advised,
    "always a head on the last stage": last,
    "a head on the stage with the best probe": by_probe,
    "always LP-FT, as long as it may take": longest,
    "hard thresholds of size and distance": by_thresholds,
}


def by_base(cases: Sequence[Case], values: Sequence[float]) -> list[list[float]]:
    """Values by image set."""
    groups: dict[str, list[float]] = defaultdict(list)
    for case, value in zip(cases, values, strict=True):
        groups[case.cell.base].append(value)
    return list(groups.values())


def interval(groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """95 % interval of a mean by a bootstrap over sets."""
    rng = np.random.default_rng(0)
    sums, counts = (np.array([f(group) for group in groups]) for f in (sum, len))
    drawn = rng.integers(0, len(groups), (_REDRAWS, len(groups)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def rule_table(cases: Sequence[Case]) -> list[str]:
    """Regret and agreement of every rule, as rows of a table, and whom the advice cannot be told from."""
    lines = [
        "| rule | mean regret | 90th percentile | largest | fair | agreement | fair, over the advice |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    mine = np.array([case.fair[case.advised] for case in cases])
    alike = []
    for name, rule in RULES.items():
        chosen = [rule(case) for case in cases]
        regrets = np.array([case.regret(option) for case, option in zip(cases, chosen, strict=True)])
        fair = np.array([case.fair[option] for case, option in zip(cases, chosen, strict=True)])
        agreement = np.mean([case.agrees(option) for case, option in zip(cases, chosen, strict=True)])
        low, high = interval(by_base(cases, (fair - mine).tolist()))
        own = name.startswith("**")
        over = "" if own else f"{np.mean(fair - mine):+.2f} ({low:+.2f} to {high:+.2f})"
        if low <= 0 <= high and not own:
            alike.append(name)
        lines.append(
            f"| {name} | {regrets.mean():.2f} | {np.quantile(regrets, 0.9):.1f} | {regrets.max():.1f} "
            f"| {fair.mean():.2f} | {agreement:.0%} | {over} |"
        )
    return [*lines, "", f"Here the advice cannot be told from: {'; '.join(alike) or 'none of these rules'}."]


def coverage(cases: Sequence[Case]) -> tuple[float, float]:
    """Share of 80 % intervals that hold the measured accuracy: of what is advised, and of all options."""

    def holds(case: Case, option: Option) -> bool:
        expected = case.expected(option, test_images=len(option.right))
        return expected.low <= option.accuracy <= expected.high

    every = [holds(case, option) for case in cases for option in case.options]
    return float(np.mean([holds(case, case.advised) for case in cases])), float(np.mean(every))


def page(cells: Sequence[MeasuredCell]) -> str:
    """The whole report as Markdown."""
    trainings = sum(1 for cell in cells for option in cell.options if option.training)
    lines = [
        "# How good is the advice?",
        "",
        INTRODUCTION.format(cells=len(cells), trainings=trainings, sets=len({cell.base for cell in cells}),
                            halvings=_HALVINGS),
    ]  # fmt: skip
    every = []
    for seconds in BUDGETS:
        cases = cases_of(cells, seconds)
        every += cases
        lines += ["", f"## At most {seconds:.0f} seconds for one training", "", *rule_table(cases)]
    advised, options = coverage(every)
    lines += [
        "",
        COVERAGE.format(advised=advised, options=options),
        "",
        "## Cells",
        "",
        TABLE,
        "",
        "| set | per class | seed | P(different) | last | earlier | best training | advice | expected | reached |",
        "|---|--:|--:|--:|--:|--:|---|---|---|--:|",
    ]
    for case in sorted(cases_of(cells, BUDGETS[-1]), key=lambda case: (case.cell.set, case.cell.per_class)):
        cell, option = case.cell, case.advised
        heads = {one.strategy: one for one in case.options if not one.training}
        best = max((one for one in case.options if one.training), key=lambda one: one.accuracy)
        expected = case.expected(option)
        lines.append(
            f"| {cell.set} | {cell.per_class} | {cell.seed} | {cell.facts.different:.2f} "
            f"| {heads[Strategy.LAST_LAYER].accuracy:.3f} | {heads[Strategy.EARLIER_LAYER].accuracy:.3f} "
            f"| {best.accuracy:.3f} ({best.name}) | {option.name} "
            f"| {expected.accuracy:.2f} ({expected.low:.2f} to {expected.high:.2f}) | {option.accuracy:.3f} |"
        )
    return "\n".join(lines) + "\n"


def fitted_data(cells: Sequence[MeasuredCell]) -> dict[str, object]:
    """What is shipped: the models of all cells, and where they come from."""
    digest = hashlib.sha256(b"".join(table.read_bytes() for table in (CELLS, TRAININGS, SHORT))).hexdigest()
    return {
        "panel": {
            "table": ", ".join(table.name for table in (CELLS, TRAININGS, SHORT)),
            "sha256": digest,
            "cells": len(cells),
            "sets": sorted({cell.set for cell in cells}),
            "per_class": sorted({cell.per_class for cell in cells}),
            "seeds": sorted({cell.seed for cell in cells}),
            "most_per_class": most_per_class(cells),
            "backbone": "lite0",
        },
        "models": {way.value: asdict(model) for way, model in fit(cells).items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--refit", action="store_true", help="write the shipped models from all cells")
    args = parser.parse_args()
    cells = read_all()
    if args.refit:
        FITTED.write_text(json.dumps(fitted_data(cells), indent=2) + "\n")
    text = page(cells)
    PAGE.write_text(text)
    print(text.partition("## Cells")[0])


if __name__ == "__main__":
    main()
