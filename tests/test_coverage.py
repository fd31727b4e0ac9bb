"""A small part of `benchmarks/coverage.py`: intervals hold the truth as often as they say, families or not."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).parents[1] / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("interval_coverage", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("size", [1, 3, 10])
def test_intervals_of_95_percent_hold_in_about_as_many(benchmark, size):
    held = benchmark.coverage(40, size, 150, draws=(benchmark.scored, benchmark.several))
    for name in ("accuracy", "recall", "bin", "map"):
        assert 0.88 <= held[name][0] < 1, name


@pytest.mark.parametrize("size", [1, 3, 10])
def test_intervals_of_80_percent_hold_in_about_as_many(benchmark, size):
    held = benchmark.coverage(40, size, 300, draws=(benchmark.expected,))
    for name in ("expected", "prior", "piloted"):
        assert 0.73 <= held[name][0] <= 0.90, name


def test_counting_images_where_there_are_families_would_not(benchmark):
    rng, family, held = np.random.default_rng(0), benchmark.families_of(40, 10), []
    for _ in range(150):
        labels = benchmark.labels_of(rng, benchmark.SINGLE, family)
        scores, _ = benchmark.scores_of(rng, benchmark.SINGLE, labels, family)
        low, high = benchmark.SINGLE.interval(benchmark.SINGLE.image_scores(scores, labels))
        held.append(low <= benchmark.truth("accuracy") <= high)
    assert np.mean(held) < 0.75
