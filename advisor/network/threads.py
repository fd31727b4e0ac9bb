"""Threads of the linear algebra below NumPy and SciPy."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[object]:
    """For a stretch of small linear algebra: threads that wait for each other cost more than they bring.

    All threads over one took 1.2 to 1.5 times as long on an idle machine of two cores, and up to 2.4 times as long
    beside another busy process, for 128 and 400 rows (`benchmarks/threads.py`).
    """
    limited: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limited


@functools.cache
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
