"""One thread of linear algebra for a stretch, and as many as before after it."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from advisor.network.threads import one_blas_thread


def threads():
    np.linalg.eigh(np.eye(3))
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_inside_there_is_one_and_afterwards_what_there_was():
    before = threads()
    assert before
    with one_blas_thread():
        assert set(threads()) == {1}
    assert threads() == before


def test_it_can_be_nested_and_lets_errors_through():
    before = threads()
    with pytest.raises(ZeroDivisionError), one_blas_thread(), one_blas_thread():
        raise ZeroDivisionError
    assert threads() == before
