"""How good is the advice? Judged on cells that it was not fitted to.

    python benchmarks/advice/judge.py           # prints the table and writes docs/advice.md
    python benchmarks/advice/judge.py --refit   # also writes advisor/advice/fitted.json

Reads `cells.csv`. Models of expected accuracy are fitted leaving one image set out at a time; each cell is advised
by the models that never saw its set, with the rule of `advisor.advice.scenario`. The image set is the unit: the
intervals of mean regret are from a bootstrap over sets.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from cells import SETS

from advisor.advice.forecast import Expected, Facts, Model, level, logit, predict, regressors
from advisor.advice.scenario import choose, judge_size, required_lead
from advisor.strategy import SCENARIOS, Strategy, scenario_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

HERE = Path(__file__).parent
TABLE = HERE / "cells.csv"
PAGE = HERE.parents[1] / "docs" / "advice.md"
FITTED = HERE.parents[1] / "advisor" / "advice" / "fitted.json"
# What the recipes start with: heads, and the learning rate for similar and for different images.
START = {"last": "last_linear_0.0003", "tap": "tap_linear_0.0003", "gentle": "tune_5e-05", "firm": "tune_0.0002"}
INTRODUCTION = """\
{cells} cells of {sets} image sets (`benchmarks/advice/cells.csv`), EfficientNet-Lite0 at 128 pixels. Each cell is
advised by models fitted to the other sets. `python benchmarks/advice/judge.py` writes this page from the table;
`python benchmarks/advice/cells.py` measures the table and goes on where it stopped.

A way keeps the head penalty or learning rate that its recipe starts with, unless another did better on the images to
choose on by more than one standard error: a handful of images says little of any. Regret is in points of test accuracy
below the best of the four scenarios. The best of four noisy figures is a little lucky, so even who knew the true
accuracies would show some regret; the fair column finds the best on one half of the test images and measures the regret
on the other (mean of 50 random halvings). Agreement is the share of cells within one point or one paired standard error
of the best."""
COVERAGE = """\
The 80 % interval of the expected accuracy holds the measured one in {advised:.0%} of the cells for the advised way, in
{every:.0%} for all ways. The advice takes {share:.0%} (median; 90th percentile {most:.0%}) of the time of one
fine-tuning of the same cell."""
CELLS = """\
Test accuracy of each way, the probe's leave-one-out accuracy at the last and at the best earlier stage, the advice (by
models of the other sets) with its expected accuracy, and its regret."""
_FOUR = tuple(scenario.strategy for scenario in SCENARIOS.values())
_RIDGE = 1.0
_POINTS = 100
_HALVINGS = 50


@dataclass(frozen=True)
class Cell:
    """One row of the table, its ways reduced to the five that are advised.

    Attributes:
        set: image set.
        per_class: images per class asked for, 0 for all.
        seed: of the draw.
        facts: what the advice knows.
        large: probability of a large set.
        right: for each way, which test images it got right.
        share: seconds of the advice over those of one fine-tuning.
    """

    set: str
    per_class: int
    seed: int
    facts: Facts
    large: float
    right: dict[Strategy, NDArray[np.bool_]]
    share: float

    def accuracy(self, way: Strategy) -> float:
        """On the test images, 0..1."""
        return float(self.right[way].mean())

    @property
    def base(self) -> str:
        """The image set that the images come from; what shares it is left out together."""
        return Path(SETS[self.set].location).name

    @property
    def best(self) -> Strategy:
        """The best of the four scenarios' ways."""
        return max(_FOUR, key=self.accuracy)

    def regret(self, way: Strategy) -> float:
        """Points below the best of four."""
        return _POINTS * (self.accuracy(self.best) - self.accuracy(way))

    def fair_regret(self, way: Strategy) -> float:
        """Points below the way that is best on the other half of the test images, mean over random halvings."""
        rng = np.random.default_rng(0)
        right = np.array([self.right[other] for other in _FOUR], dtype=float)
        count = right.shape[1]
        lost = []
        for _ in range(_HALVINGS):
            order = rng.permutation(count)
            for one, other in ((order[: count // 2], order[count // 2 :]), (order[count // 2 :], order[: count // 2])):
                best = right[right[:, one].mean(1).argmax(), other].mean()
                lost.append(_POINTS * (best - self.right[way][other].mean()))
        return float(np.mean(lost))

    def agrees(self, way: Strategy) -> bool:
        """Within a point or one paired standard error of the best of four."""
        difference = self.right[self.best].astype(float) - self.right[way]
        return bool(self.regret(way) <= max(1.0, _POINTS * difference.std() / math.sqrt(len(difference))))


def read(table: Path) -> list[Cell]:
    """The cells of a table."""
    cells = []
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            names = [column.removesuffix(":right") for column in row if column.endswith(":right")]
            heads = {kind: [name for name in names if name.startswith(kind)] for kind in ("last", "tap")}
            tuned = [name for name in names if name.startswith("tune")]
            chosen = {
                Strategy.LAST_LAYER: pick(row, heads["last"], START["last"]),
                Strategy.EARLIER_LAYER: pick(row, heads["tap"], START["tap"]),
                Strategy.TUNE_SIMILAR: pick(row, tuned[:2], START["gentle"]),
                Strategy.TUNE_DIFFERENT: pick(row, tuned[1:], START["firm"]),
                Strategy.LP_FT: pick(row, tuned, START["gentle"]),
            }
            test = int(row["test"])
            loo = json.loads(row["loo"])
            tap = int(row["tap_stage"]) - 1
            images = min(2000, int(row["train"]) + int(row["val"]))
            cells.append(
                Cell(
                    set=row["set"],
                    per_class=int(row["per_class"]),
                    seed=int(row["seed"]),
                    facts=Facts(images, float(row["per_class_train"]), float(row["p_different"]), loo[-1], loo[tap]),
                    large=judge_size(int(row["train"]) + int(row["val"]), float(row["per_class_train"])).large,
                    right={way: unpack(row[f"{name}:right"], test) for way, name in chosen.items()},
                    share=float(row["advice_seconds"]) / float(row[f"{START['gentle']}:seconds"]),
                )
            )
    return cells


def pick(row: dict[str, str], names: list[str], start: str) -> str:
    """What the recipe starts with, unless the best on the images to choose on is better by a standard error."""
    best = max(names, key=lambda name: (float(row[f"{name}:val"]), -float(row[f"{name}:loss"])))
    reached, usual = float(row[f"{best}:val"]), float(row[f"{start}:val"])
    middle = (reached + usual) / 2
    return best if reached - usual > math.sqrt(middle * (1 - middle) / int(row["val"])) else start


def unpack(text: str, count: int) -> NDArray[np.bool_]:
    """Hexadecimal digits to booleans."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:count].astype(bool)


def most_per_class(cells: list[Cell]) -> float:
    """Images per class beyond which the panel knows nothing."""
    return max(cell.facts.per_class for cell in cells)


def solve(cells: list[Cell], most: float) -> dict[Strategy, NDArray[np.float64]]:
    """Coefficients of every way: the first against its probe, the others against the first.

    Scenarios 2 and 4 tune alike but for their learning rates, so they share coefficients.
    """

    def reached(cell: Cell, way: Strategy) -> float:
        return logit(cell.accuracy(way), len(cell.right[way]))

    alike = (Strategy.TUNE_SIMILAR, Strategy.TUNE_DIFFERENT)
    coefficients = {}
    for ways in ((Strategy.LAST_LAYER,), (Strategy.EARLIER_LAYER,), alike, (Strategy.LP_FT,)):
        rows = [(cell, way) for cell in cells for way in ways]
        X = np.array([regressors(way, cell.facts, most) for cell, way in rows])
        start = [
            logit(cell.facts.last, cell.facts.images)
            if way is Strategy.LAST_LAYER
            else reached(cell, Strategy.LAST_LAYER)
            for cell, way in rows
        ]
        y = np.array([reached(cell, way) for cell, way in rows]) - start
        # Without evidence an earlier stage keeps the lead of its probe, and all else means nothing.
        usual = np.array([0.0, 1.0, 0.0]) if ways == (Strategy.EARLIER_LAYER,) else np.zeros(X.shape[1])
        # Noisy cells count less; the constant is not penalised.
        w = np.array([1 / (0.1 + noise(way, cell)) for cell, way in rows])
        penalty = _RIDGE * w.mean() * np.diag([0.0] + [1.0] * (X.shape[1] - 1))
        change = np.linalg.solve(X.T @ (w[:, None] * X) + penalty, X.T @ (w * (y - X @ usual)))
        coefficients |= dict.fromkeys(ways, usual + change)
    return coefficients


def fit(cells: list[Cell]) -> dict[Strategy, Model]:
    """A model for every way; spreads are those of sets left out in turn."""
    most = most_per_class(cells)
    sets = sorted({cell.base for cell in cells})
    without = {name: solve([cell for cell in cells if cell.base != name], most) for name in sets}
    everything = solve(cells, most)
    models = {}
    for way in Strategy:
        errors = [
            logit(cell.accuracy(way), len(cell.right[way])) - level(way, cell.facts, without[cell.base], most)
            for cell in cells
        ]
        noises = [noise(way, cell) for cell in cells]
        excess = float(np.mean(np.square(errors) - noises))
        spread = math.sqrt(max(0.0, excess))
        # As many standard deviations as four fifths of the cells need, and a little more for few sets.
        sizes = np.abs(errors) / np.sqrt(spread**2 + np.array(noises))
        reach = float(np.quantile(sizes, 0.8 * (1 + 0.5 / len(sets))))
        models[way] = Model(tuple(everything[way].round(4).tolist()), round(spread, 4), round(reach, 4))
    return models


def noise(way: Strategy, cell: Cell) -> float:
    """Binomial variance of probe and test accuracy on the logit scale."""
    total = 0.0
    for p, n in ((cell.facts.last, cell.facts.images), (cell.accuracy(way), len(cell.right[way]))):
        q = min(max(p, 0.5 / n), 1 - 0.5 / n)
        total += 1 / (n * q * (1 - q))
    return total


def advise(cell: Cell, models: dict[Strategy, Model], most: float) -> tuple[Strategy, dict[Strategy, Expected]]:
    """What the advice says of a cell, and what it expects of every way on that many test images."""
    plain = {way: predict(way, cell.facts, models, most) for way in Strategy}
    tested = {way: predict(way, cell.facts, models, most, test_images=len(cell.right[way])) for way in Strategy}
    return choose(cell.facts.different, plain, required_lead(cell.large)), tested


def summary(cells: list[Cell], rule: Callable[[Cell], Strategy]) -> dict[str, float]:
    """Mean, 90th percentile and largest regret, agreement, fair regret, and the bootstrap interval over sets."""
    regrets = np.array([cell.regret(rule(cell)) for cell in cells])
    by_set = {}
    for cell, value in zip(cells, regrets, strict=True):
        by_set.setdefault(cell.base, []).append(value)
    rng = np.random.default_rng(0)
    groups = list(by_set.values())
    means = [
        np.mean(np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])) for _ in range(2000)
    ]
    return {
        "mean": float(regrets.mean()),
        "low": float(np.quantile(means, 0.025)),
        "high": float(np.quantile(means, 0.975)),
        "p90": float(np.quantile(regrets, 0.9)),
        "max": float(regrets.max()),
        "agreement": float(np.mean([cell.agrees(rule(cell)) for cell in cells])),
        "fair": float(np.mean([cell.fair_regret(rule(cell)) for cell in cells])),
    }


def left_out_advice(cells: list[Cell]) -> dict[int, tuple[Strategy, dict[Strategy, Expected]]]:
    """For each cell the advice of models fitted without its set."""
    advice = {}
    for name in sorted({cell.base for cell in cells}):
        rest = [cell for cell in cells if cell.base != name]
        models, most = fit(rest), most_per_class(rest)
        for index, cell in enumerate(cells):
            if cell.base == name:
                advice[index] = advise(cell, models, most)
    return advice


def hard(cell: Cell) -> Strategy:
    """Size and distance by thresholds, nothing measured by a probe."""
    return scenario_for(large=cell.large > 0.5, different=cell.facts.different >= 0.5).strategy


def page(cells: list[Cell]) -> str:
    """The whole report as Markdown."""
    advice = left_out_advice(cells)
    index = {id(cell): i for i, cell in enumerate(cells)}
    rules: dict[str, Callable[[Cell], Strategy]] = {
        "**advice** (models of the other sets)": lambda cell: advice[index[id(cell)]][0],
        "always probe (scenario 1)": lambda _cell: Strategy.LAST_LAYER,
        "always fine-tune (scenario 2)": lambda _cell: Strategy.TUNE_SIMILAR,
        "always LP-FT": lambda _cell: Strategy.LP_FT,
        "hard thresholds": hard,
        "probe only (1 or 3 by the probes)": lambda cell: (
            Strategy.EARLIER_LAYER if cell.facts.earlier > cell.facts.last else Strategy.LAST_LAYER
        ),
    }
    lines = [
        "# How good is the advice?",
        "",
        INTRODUCTION.format(cells=len(cells), sets=len({cell.base for cell in cells})),
        "",
        "| rule | mean regret | 95 % over sets | 90th percentile | largest | fair | agreement |",
        "|---|--:|---|--:|--:|--:|--:|",
    ]
    for name, rule in rules.items():
        s = summary(cells, rule)
        lines.append(
            f"| {name} | {s['mean']:.2f} | {s['low']:.2f} to {s['high']:.2f} | {s['p90']:.1f} | {s['max']:.1f} "
            f"| {s['fair']:.2f} | {s['agreement']:.0%} |"
        )
    each = [summary(cells, lambda _cell, way=way: way) for way in _FOUR]
    random = np.array([[cell.regret(way) for way in _FOUR] for cell in cells])
    fair, agreement = (float(np.mean([s[key] for s in each])) for key in ("fair", "agreement"))
    lines.append(
        f"| random | {random.mean():.2f} | | {np.quantile(random, 0.9):.1f} | {random.max():.1f} | {fair:.2f} "
        f"| {agreement:.0%} |"
    )
    covered = [
        expected[way].low <= cell.accuracy(way) <= expected[way].high
        for cell, (way, expected) in zip(cells, (advice[i] for i in range(len(cells))), strict=True)
    ]
    every = [
        advice[i][1][way].low <= cell.accuracy(way) <= advice[i][1][way].high
        for i, cell in enumerate(cells) for way in Strategy
    ]  # fmt: skip
    shares = np.array([cell.share for cell in cells])
    names = " | ".join(way.value for way in Strategy)
    lines += [
        "",
        COVERAGE.format(
            advised=np.mean(covered),
            every=np.mean(every),
            share=np.median(shares),
            most=np.quantile(shares, 0.9),
        ),
        "",
        "## Cells",
        "",
        CELLS,
        "",
        f"| set | per class | seed | P(different) | last | earlier | {names} | advice | expected | regret |",
        "|---|" + "--:|" * (6 + len(Strategy)) + "---|--:|",
    ]
    order = sorted(range(len(cells)), key=lambda i: (cells[i].set, cells[i].per_class or 10**9, cells[i].seed))
    for i in order:
        cell, (way, expected) = cells[i], advice[i]
        e = expected[way]
        columns = [
            cell.set, str(cell.per_class or "all"), str(cell.seed), f"{cell.facts.different:.2f}",
            f"{cell.facts.last:.3f}", f"{cell.facts.earlier:.3f}",
            *(f"{cell.accuracy(w):.3f}" for w in Strategy), way.value,
            f"{e.accuracy:.2f} ({e.low:.2f} to {e.high:.2f})", f"{cell.regret(way):.1f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, default=TABLE, help="default cells.csv beside this file")
    parser.add_argument("--refit", action="store_true", help="write the shipped models from all cells")
    args = parser.parse_args()
    cells = read(args.table)
    if args.refit:
        models, most = fit(cells), most_per_class(cells)
        data = {
            "panel": {
                "table": args.table.name,
                "sha256": hashlib.sha256(args.table.read_bytes()).hexdigest(),
                "cells": len(cells),
                "sets": sorted({cell.set for cell in cells}),
                "per_class": sorted({cell.per_class for cell in cells}),
                "seeds": sorted({cell.seed for cell in cells}),
                "most_per_class": most,
                "backbone": "lite0 at 128 pixels",
            },
            "models": {way.value: asdict(model) for way, model in models.items()},
        }
        FITTED.write_text(json.dumps(data, indent=2) + "\n")
    text = page(cells)
    PAGE.write_text(text)
    print(text.partition("## Cells")[0])


if __name__ == "__main__":
    main()
