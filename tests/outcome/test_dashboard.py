"""A run's study in the real optuna-dashboard, opened as the guide says."""

import contextlib
import json
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from advisor.cli.main import main

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "search.md"


@contextlib.contextmanager
def dashboard(command, folder):
    """A running dashboard; yields a function from a path to what it answers."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    program, *words = shlex.split(command)
    server = subprocess.Popen(
        [Path(sys.executable).with_name(program), *words, "--host", "127.0.0.1", "--port", str(port)],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def ask(path):
        until = time.monotonic() + 60
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                    return answer.read().decode()
            except URLError as error:
                # Answers that are errors come out; a server that is not there yet is asked again.
                if server.poll() is not None or not isinstance(error.reason, ConnectionRefusedError):
                    raise AssertionError(f"{error}: {server.stderr.read()}") from error
                assert time.monotonic() < until
                time.sleep(0.2)

    try:
        yield ask
    finally:
        server.terminate()
        server.communicate(timeout=20)


def shown(ask):
    """Every study that the dashboard knows, by name."""
    found = json.loads(ask("/api/studies"))["study_summaries"]
    return {one["study_name"]: json.loads(ask(f"/api/studies/{one['study_id']}")) for one in found}


def test_a_runs_study_opens_in_optuna_dashboard(tiny, tiny_folder, tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna_dashboard")
    monkeypatch.chdir(tmp_path)
    assert main(["recommend", str(tiny_folder), "--backbone", tiny, "-q", "--no-report"]) == 0
    capsys.readouterr()
    assert main(["tune", "--trials", "2", "--budget", "60s", "--name", "data", "-q", "--json", "--no-report"]) == 0
    rows = json.loads(capsys.readouterr().out)["trials"]
    command = "optuna-dashboard sqlite:///runs/data/study.db"
    assert command in GUIDE.read_text("utf-8")
    with dashboard(command, tmp_path) as ask:
        assert "<title>" in ask("/")
        studies = shown(ask)
    assert set(studies) == {"advisor", "advisor-probes"}
    searched = [row for row in rows if row["kind"] == "trial"]
    told = {trial["number"]: trial for trial in studies["advisor"]["trials"]}
    for row in searched:
        assert told[row["trial"]]["state"].upper() == row["state"]
        assert {"features.tap", "freeze.depth"} <= {param["name"] for param in told[row["trial"]]["params"]}
    finished = [row for row in searched if row["state"] == "COMPLETE"]
    assert finished
    for row in finished:
        assert told[row["trial"]]["values"][0] == pytest.approx(row["validation_accuracy"], abs=1e-3)
    assert len(studies["advisor-probes"]["trials"]) == sum(row["kind"] == "probe" for row in rows)
    # A name that means something in an address: from inside the run's folder.
    shutil.copytree("runs/data", "runs/a?b %20#é")
    with dashboard("optuna-dashboard sqlite:///study.db", tmp_path / "runs" / "a?b %20#é") as ask:
        assert set(shown(ask)) == set(studies)
