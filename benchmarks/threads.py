"""Eigendecompositions of probes with one thread of linear algebra over all, alone and beside another busy process.

    python benchmarks/threads.py [--sizes 128,400,1280]

Printed is the time with all threads over that with one: above 1, one is quicker. The neighbour is a process of this
script that multiplies matrices with as many threads as there are cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time

import numpy as np
from scipy.linalg import eigh

from advisor.network.threads import one_blas_thread

REPEATS = 5


def seconds(matrix: np.ndarray, *, single: bool) -> float:
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        if single:
            with one_blas_thread():
                eigh(matrix)
        else:
            eigh(matrix)
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def busy() -> None:
    matrix = np.random.default_rng(0).normal(size=(800, 800))
    while True:
        matrix @ matrix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="128,400,1280")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    rng = np.random.default_rng(0)
    for alone in (True, False):
        neighbour = multiprocessing.get_context("spawn").Process(target=busy, daemon=True)
        if not alone:
            neighbour.start()
            time.sleep(2)
        for size in sizes:
            half = rng.normal(size=(size, 2 * size))
            ratio = seconds(half @ half.T, single=False) / seconds(half @ half.T, single=True)
            print(
                f"{'alone' if alone else 'beside another':<15} {size:>5} rows: all threads over one {ratio:7.2f}",
                flush=True,
            )
        if not alone:
            neighbour.terminate()


if __name__ == "__main__":
    main()
