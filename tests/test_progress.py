"""Work that nobody watches."""

import math

import pytest

from advisor.progress import Progress, Silent


def test_silent_work_is_done_without_a_word(capsys):
    progress: Progress = Silent()
    progress.say("a line of talk")
    done = []
    with progress.task("Working", 3) as advance:
        for step in range(3):
            done.append(step)
            assert advance(1) is None
    assert done == [0, 1, 2]
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_tasks_may_be_nested_limited_and_advanced_past_their_end():
    progress = Silent()
    with progress.task("outer", 1, seconds=0.0) as outer, progress.task("inner", 0, seconds=math.inf) as inner:
        outer(10)
        inner(10)


def test_an_error_inside_a_task_is_not_swallowed():
    with pytest.raises(ZeroDivisionError), Silent().task("Working", 1):
        raise ZeroDivisionError


def test_a_task_lasts_no_longer_than_its_block():
    task = Silent().task("Working", 1)
    with task:
        pass
    with pytest.raises((RuntimeError, AttributeError)), task:
        raise AssertionError("a finished task began again")
