"""Running ejected scripts where nothing of ours can be imported."""

import math
import os
import re
import subprocess
import sys

from advisor.outcome.eject import MOST_LINES


def lint(script):
    text = script.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert "{{" not in text
    assert "{%" not in text
    assert "advisor" not in text.split('"""')[2]  # but for the words at its head
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--select", "E,F,W,I,N,UP,B,SIM,RUF,C4,PTH,PL", "--ignore", "PLR2004"]
    for command in (["check", *rules], ["format", "--check"]):
        done = subprocess.run(
            [*ruff, *command, "--isolated", "--line-length", "120", script], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def run(script):
    """The accuracy and the number of images that a script prints, in a place where only libraries are to be had."""
    code = (
        "import runpy, sys\n"
        "class Closed:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'advisor': raise ImportError(name)\n"
        "sys.meta_path.insert(0, Closed())\n"
        "runpy.run_path(sys.argv[1], run_name='__main__')\n"
    )
    known = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", code, script], capture_output=True, text=True, env=known)
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"test accuracy ([\d.]+) on (\d+) images", done.stdout.strip().splitlines()[-1])
    return float(found[1]), int(found[2])


def alike(found, expected, count):
    """Within one standard error of the test set, or one image where that is more."""
    return abs(found - expected) <= max(math.sqrt(expected * (1 - expected) / count), 1 / count) + 1e-5
