"""How often every "95 %" and "80 %" interval holds the truth, for images that come in families of 1, 3 and 10.

python benchmarks/coverage.py        # docs/method.md has its table

Images are drawn as families: scores and features of a family share most of their noise, as near copies of a photograph
or images of one patient do. Every interval comes from the function that pages and cards take it from, and is held
against the figure on very many fresh families.
"""

from __future__ import annotations

import argparse
import math
import time
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from advisor.advice import priors
from advisor.advice.distance import Observed, SourceStatistics, measure_distance
from advisor.advice.forecast import Facts, fitted, forecast, level, predict
from advisor.advice.labels import label_curve
from advisor.advice.scenario import Pilot, piloted
from advisor.network.ridge import fit_ridge
from advisor.records.evidence import JudgedImage
from advisor.report.run.judged import reliability
from advisor.strategy import Strategy
from advisor.task import MultiLabel, SingleLabel
from advisor.task.interval import paired
from advisor.types import Reference, Vote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from advisor.task import Task

    Held = Iterator[tuple[str, tuple[float, float], float]]  # an interval's name, its ends, and the truth
    Draw = Callable[[np.random.Generator, NDArray[np.int64]], Held]

SIZES, FAMILIES, TRIES = (1, 3, 10), (24, 80), 250
SHARED = 0.8  # of the variance of an image's noise, what its family has in common
CLASSES, WIDTH, WIDE = 4, 16, 60_000
_RARELY = 5  # tries for each of the curve of labels
Z95, Z80 = 1.96, 1.2816
SINGLE, MULTI = SingleLabel.numbered(CLASSES), MultiLabel.numbered(CLASSES)
BALANCED = SINGLE.with_metric("balanced")
SHARES = (0.4, 0.3, 0.2, 0.1)  # of the classes
WORDS = {
    "accuracy": "accuracy on test images",
    "recall": "recall of the largest class",
    "bin": "share right among the surest (calibration chart)",
    "map": "mean average precision on test images",
    "estimate": "accuracy ± 1.96 standard errors",
    "balanced": "balanced accuracy ± 1.96 standard errors",
    "lead": "lead of one probe over another ± 1.96 standard errors",
    "map lead": "lead in mean average precision ± 1.96 standard errors",
    "paired": "lead of one trial over another ± 1.96 standard errors",
    "distance": "distance in the late layers",
    "different": "probability of different",
    "doubled": "accuracy with twice the labels",
    "expected": "expected accuracy of a way, by the panel",
    "prior": "expected accuracy of fine-tuning, by the prior",
    "piloted": "expected accuracy of fine-tuning, after a pilot",
}
WANTED = {95: (92, 97), 80: (76, 84)}
LEVEL = {name: 80 if name in ("doubled", "expected", "prior", "piloted") else 95 for name in WORDS}


def families_of(count: int, size: int) -> NDArray[np.int64]:
    """(n,) families of so many images each."""
    return np.repeat(np.arange(count), size)


def noise(rng: np.random.Generator, family: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    """(n, width) of unit variance, most of it shared within a family."""
    common = rng.normal(size=(int(family.max()) + 1, width))[family]
    return math.sqrt(SHARED) * common + math.sqrt(1 - SHARED) * rng.normal(size=(len(family), width))


def labels_of(rng: np.random.Generator, task: Task, family: NDArray[np.int64]) -> NDArray[np.int64]:
    """One class, or several labels, of each image, those of a family the same."""
    count = int(family.max()) + 1
    kinds = rng.choice(CLASSES, count, p=SHARES) if task.exclusive else rng.random((count, CLASSES)) < SHARES
    return np.asarray(kinds[family])


def scores_of(
    rng: np.random.Generator, task: Task, labels: NDArray[np.int64], family: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, classes) of two models, the second a little worse."""
    scores = 2.0 * task.truth(labels) + noise(rng, family, CLASSES)
    return scores, scores + 0.5 * noise(rng, family, CLASSES)


@cache
def truth(name: str) -> float:
    """A figure on very many families of one image."""
    rng, family = np.random.default_rng(99), np.arange(WIDE)
    task = MULTI if name.startswith("map") else BALANCED if name.startswith("balanced") else SINGLE
    labels = labels_of(rng, task, family)
    scores, others = scores_of(rng, task, labels, family)
    values, worse = task.image_scores(scores, labels), task.image_scores(others, labels)
    if name == "recall":
        return float(values[labels == 0].mean())
    return task.score(values - worse if name.endswith("lead") else values, labels)


def around(middle: float, error: float, z: float = Z95) -> tuple[float, float]:
    """So many standard errors to both sides."""
    return middle - z * error, middle + z * error


def scored(rng: np.random.Generator, family: NDArray[np.int64]) -> Held:
    """Figures of one class an image."""
    labels = labels_of(rng, SINGLE, family)
    scores, others = scores_of(rng, SINGLE, labels, family)
    right, worse = SINGLE.image_scores(scores, labels), SINGLE.image_scores(others, labels)
    yield "accuracy", SINGLE.interval(right, family), truth("accuracy")
    first = next(one for one in SINGLE.per_class(scores, labels, family) if one.name == "0")
    yield "recall", SINGLE.class_interval(first) or (0, 1), truth("recall")
    yield "estimate", around(*SINGLE.estimate(right, labels, family)), truth("accuracy")
    yield "lead", around(*SINGLE.compare(right, worse, labels, family)), truth("lead")
    yield "paired", around(*paired(right - worse, np.ones(len(right)), family)), truth("lead")
    if len(np.unique(labels)) == CLASSES:  # the truth is of all of them
        yield "balanced", around(*BALANCED.estimate(right, labels, family)), truth("balanced")
    images = [
        JudgedImage(str(place), "a", "a" if one else "b", 0.85, 0.5, str(family[place]))
        for place, one in enumerate(right)
    ]
    yield "bin", reliability(images)[0].interval, truth("accuracy")


def several(rng: np.random.Generator, family: NDArray[np.int64]) -> Held:
    """Figures of several labels an image."""
    labels = labels_of(rng, MULTI, family)
    if not (labels.any(0) & ~labels.all(0)).all():
        return
    scores, others = scores_of(rng, MULTI, labels, family)
    values, worse = (MULTI.image_scores(each, labels, family) for each in (scores, others))
    yield "map", MULTI.interval(values, family), truth("map")
    yield "map lead", around(*MULTI.compare(values, worse, labels, family)), truth("map lead")


def apart(rng: np.random.Generator, family: NDArray[np.int64]) -> Held:
    """Distance from a source of which everything is known, in three layers of sixteen channels."""
    n, shift = len(family), 0.5
    source = [SourceStatistics(np.zeros(WIDTH), np.ones(WIDTH), 1e-5) for _ in range(3)]
    means = [shift + 0.7 * noise(rng, family, WIDTH) for _ in source]
    variances = [np.full((n, WIDTH), 0.51) for _ in source]
    observed = Observed(tuple(means), tuple(variances), None)
    # The images' mean is 0.5 and their variance 0.49 between them and 0.51 within: one in all, as the source's.
    distance = 1 - math.exp(-(shift**2) / 8)
    reference = Reference(late=Vote(math.log(distance), 0.5), gain=priors.GAIN, kurtosis=priors.KURTOSIS)
    part = observed.select(np.arange(n // 2))
    measured = measure_distance(observed, part, source, reference, seed=0, families=family)
    assert measured.late is not None
    yield "different", measured.interval, 0.5
    yield "distance", around(measured.late.value, measured.late.se, priors.JACKKNIFE_95), distance


def doubled(rng: np.random.Generator, family: NDArray[np.int64]) -> Held:
    """The curve of labels, against a probe on twice the families."""
    centres = rng.normal(size=(CLASSES, WIDTH)) * 0.5
    wide = families_of(2 * (int(family.max()) + 1), len(family) // (int(family.max()) + 1))
    labels = labels_of(rng, SINGLE, wide)
    features = (centres[labels] + noise(rng, wide, WIDTH)).astype(np.float32)
    have = len(family)
    values = fit_ridge(features[:have], labels[:have], CLASSES, families=family).correct(labels[:have]).astype(float)
    now = SINGLE.estimate(values, labels[:have], family)
    count = int(family.max()) + 1
    curve = label_curve(features[:have], labels[:have], SINGLE, now, have=count, seed=0, families=family)
    if curve is not None:
        fit = fit_ridge(features, labels, CLASSES, families=wide)
        fresh = labels_of(rng, SINGLE, np.arange(4000))
        shown = centres[fresh] + noise(rng, np.arange(4000), WIDTH)
        yield "doubled", curve.doubled_interval, float(((shown @ fit.weight.T + fit.bias).argmax(1) == fresh).mean())


def expected(rng: np.random.Generator, family: NDArray[np.int64]) -> Held:
    """Forecasts from a probe's accuracy, where sets differ from the models as far as these say."""
    models, most = fitted().models, fitted().panel.most_per_class
    last = rng.uniform(0.6, 0.9)
    right = (noise(rng, family, 1)[:, 0] < quantile(last)).astype(float)
    count, reached = SINGLE.worth(right, np.zeros(len(right), np.int64), family), float(right.mean())
    way, coefficients = Strategy.LAST_LAYER, {key: np.array(one.coefficients) for key, one in models.items()}
    known, facts = (Facts(count, 25.0, 0.3, value, value) for value in (last, reached))
    model = models[way]
    between = model.spread * model.reach / Z80 * rng.normal()
    real = 1 / (1 + math.exp(-(level(way, known, coefficients, most) + between)))
    told = predict(way, facts, models, most)
    yield "expected", (told.low, told.high), real
    # The pilot is judged on other images, on which the two models err alike.
    common, own = noise(rng, family, 1)[:, 0], noise(rng, family, 2).T
    right, tuned = (
        (0.9 * common + math.sqrt(1 - 0.81) * other < quantile(share)).astype(float)
        for share, other in zip((last, last + 0.05), own, strict=True)
    )
    gain, error = paired(tuned - right, np.ones(len(right)), family)
    after = piloted({way: told, Strategy.TUNE_SIMILAR: told}, Pilot(gain, error, 0.0, 100, len(right), 1.0))
    yield "piloted", (after[Strategy.TUNE_SIMILAR].low, after[Strategy.TUNE_SIMILAR].high), min(1.0, real + 0.05)
    prior = forecast(Facts(count, 2000.0, 0.3, reached, reached))[Strategy.TUNE_SIMILAR]
    middle = forecast(Facts(10**9, 2000.0, 0.3, last, last))[Strategy.TUNE_SIMILAR]  # its width is the prior's alone
    yield "prior", (prior.low, prior.high), middle.accuracy + (middle.high - middle.low) / (2 * Z80) * rng.normal()


def quantile(share: float) -> float:
    """Of the normal distribution."""
    from scipy.special import ndtri

    return float(ndtri(share))


DRAWS: tuple[Draw, ...] = (scored, several, apart, doubled, expected)


def coverage(
    count: int, size: int, tries: int, *, seed: int = 0, draws: Sequence[Draw] = DRAWS
) -> dict[str, tuple[float, float]]:
    """How often each interval holds the truth, 0..1, and how wide it is on average."""
    rng, family = np.random.default_rng(seed), families_of(count, size)
    held: dict[str, list[tuple[bool, float]]] = {name: [] for name in WORDS}
    for turn in range(tries):
        for draw in draws:
            if draw is doubled and turn % _RARELY:
                continue  # its fits take as long as all else
            for name, (low, high), real in draw(rng, family):
                held[name].append((low <= real <= high, high - low))
    return {name: tuple(np.mean(all_, axis=0).tolist()) for name, all_ in held.items() if all_}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=TRIES)
    parser.add_argument("--families", default=",".join(map(str, FAMILIES)))
    options = parser.parse_args()
    counts = [int(count) for count in options.families.split(",")]
    began = time.perf_counter()
    columns = {(count, size): coverage(count, size, options.tries) for count in counts for size in SIZES}
    print("| interval | % | " + " | ".join(f"{count} × {size}" for count, size in columns) + " |")
    print("|---|--:|" + "--:|" * len(columns))
    for name, words in WORDS.items():
        cells = [f"{100 * column[name][0]:.0f}" if name in column else "–" for column in columns.values()]
        print(f"| {words} | {LEVEL[name]} | {' | '.join(cells)} |")
    print(f"{options.tries} tries each, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
