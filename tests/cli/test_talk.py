"""Progress on stderr: lines in a log, bars on a real terminal, nothing when quiet."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time

import pytest

from advisor.cli import talk as room
from advisor.cli.talk import Talk


def work(talk, steps=4, seconds=0.0, total=None, **options):
    with talk.task("Counting", steps if total is None else total, **options) as advance:
        for _ in range(steps):
            time.sleep(seconds)
            advance(1)


def test_a_log_gets_a_line_at_the_start_regular_lines_and_one_at_the_end(capsys, monkeypatch):
    monkeypatch.setattr(room, "_LOG_EVERY", 0.5)
    work(Talk(), steps=30, seconds=0.06)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0] == "Counting: 0/30"
    assert re.fullmatch(r"Counting: 30/30 in \d\.\d s", lines[-1])
    assert 2 <= len(lines) - 2 <= 4
    assert re.fullmatch(r"Counting: \d+/30, \d+(\.\d)?/s, \d s left", lines[-2])


def test_a_slow_unit_is_told_by_its_seconds_and_a_limit_is_told_where_it_comes_first(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: clock[0])
    slow = room._Work("Training", 10, 60.0, lambda: "")
    assert slow.facts() == "0/10, at most 60 s left"
    clock[0] += 10
    slow.done = 4
    assert slow.facts() == "4/10, 2.5 s each, 15 s left"
    clock[0] += 40
    assert slow.facts() == "4/10, 12.5 s each, at most 10 s left"
    one = room._Work("Waiting", 1, float("inf"), lambda: "")
    clock[0] += 3
    assert one.facts() == "3 s"
    one.done = 1
    one.end()
    assert one.facts() == "done in 3.0 s"


def test_work_within_work_is_told_only_where_it_is_slow(capsys, monkeypatch):
    talk = Talk()
    with talk.task("Searching", 2, seconds=50) as advance:
        work(talk)
        talk.note = "best 0.9 (trial 1)"
        advance(1)
        monkeypatch.setattr(room, "_SLOW", 0.1)
        work(talk, seconds=0.06)
        advance(1)
    work(talk)
    err = capsys.readouterr().err
    assert err.startswith("Searching: 0/2, at most 50 s left\nCounting: 2/4")
    assert re.search(r"Counting: 4/4 in 0\.\d s\nSearching: 2/2, best 0.9 \(trial 1\) in 0\.\d s\nCounting: 0/4\n", err)


def test_quiet_says_nothing_and_nothing_to_do_is_no_work(capsys):
    work(Talk(quiet=True))
    Talk(quiet=True).say("hello")
    work(Talk(), steps=0)
    assert capsys.readouterr() == ("", "")


def test_an_error_within_work_comes_through(capsys):
    talk = Talk()
    with pytest.raises(ZeroDivisionError), talk.task("Outer", 2), talk.task("Inner", 2):
        raise ZeroDivisionError
    work(talk)
    assert "Counting: 4/4" in capsys.readouterr().err


PROGRAM = """
import sys, time
from advisor.cli.talk import Talk
talk = Talk()
with talk.task("Searching", 3, seconds=40) as advance:
    for trial in range(3):
        with talk.task("Training", 8) as step:
            for _ in range(8):
                time.sleep(0.06)
                step(1)
        talk.say(f"trial {trial} with [brackets] and a sentence that is longer than sixty columns are wide, so it is broken")
        talk.note = f"best 0.9{trial} (trial {trial})"
        advance(1)
print("a page")
"""


def on_terminal(source, columns, **environment):
    """What a program shows on a terminal of so many columns, stdout and stderr."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, columns))
    env = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    program = subprocess.Popen(
        [sys.executable, "-c", source], stdin=theirs, stdout=theirs, stderr=theirs,
        env={**env, "TERM": "xterm-256color", **environment}, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while program.poll() is None or select.select([ours], [], [], 0.2)[0]:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the last writer has gone
                break
    os.close(ours)
    assert program.wait() == 0
    return shown.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")
@pytest.mark.parametrize("columns", [60, 120])
def test_on_a_terminal_bars_stand_below_the_talk_and_fit(columns):
    shown = on_terminal(PROGRAM, columns)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"Training +(\S+ )?\d/8", plain)
    assert re.search(r"Searching +(\S+ )?2/3, best 0.91 \(trial 1\), \d s left", plain)
    assert "3/3, best 0.92 (trial 2) in" in plain
    assert ("━" in plain) == (columns == 120)
    assert "with [brackets]" in plain
    longest = max(len(line.rstrip()) for line in re.split(r"[\r\n]+", plain))
    assert longest <= columns
    assert plain.rstrip().endswith("a page")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")
def test_colour_is_for_terminals_that_want_it():
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9;]*m")
    assert colour.search(on_terminal(PROGRAM, 120))
    assert not colour.search(on_terminal(PROGRAM, 120, NO_COLOR="1"))
    assert "\x1b" not in on_terminal(PROGRAM, 120, TERM="dumb")
