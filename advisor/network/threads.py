"""Threads of the linear algebra below NumPy and SciPy."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[object]:
    """For a stretch of small linear algebra: threads that wait for each other cost more than they bring.

    On an idle machine of two cores a second thread gains a third at best on matrices of about a thousand rows. With
    another process at work its waiting makes the same decomposition tens of times slower
    (`benchmarks/threads.py`).
    """
    limited: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limited


@functools.cache
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
