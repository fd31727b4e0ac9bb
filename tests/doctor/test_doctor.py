"""`advisor doctor`: a whole installation, and one with each thing broken that can be broken from here."""

import json
import socket
from importlib.metadata import version
from textwrap import dedent

import pytest
from huggingface_hub import constants

from advisor.cli.main import main
from advisor.doctor import examination
from advisor.doctor.libraries import LIBRARIES


@pytest.fixture
def doctor(capsys):
    def _doctor():
        code = main(["doctor", "--json", "-q"])
        out, err = capsys.readouterr()
        assert err == ""
        found = json.loads(out)
        assert code == any(one["state"] == "problem" for one in found)
        return found

    return _doctor


@pytest.fixture
def shadow(tmp_path, monkeypatch):
    """A module that stands before an installed one."""

    def _shadow(name, source):
        (tmp_path / "before" / name).mkdir(parents=True)
        (tmp_path / "before" / name / "__init__.py").write_text(dedent(source))
        monkeypatch.syspath_prepend(str(tmp_path / "before"))

    return _shadow


def about(found, what):
    (one,) = [one for one in found if one["about"] == what]
    return one


def test_a_sound_installation_is_told_line_by_line(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A file of the current folder is not taken for a library.
    (tmp_path / "timm.py").write_text("raise ImportError")
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert "Checking the installation" in err
    lines = out.splitlines()
    states = {line.split()[1]: line.split()[0] for line in lines if line[:1] not in ("", " ")}
    for what in ("python", "versions", *LIBRARIES, "weights", "processor", "memory", "plugins", "cache", "this"):
        assert states[what] in {"ok", "note"}, out
    assert states["hub"] == "note"  # the tests set HF_HUB_OFFLINE
    assert f"torch        {version('torch')} can be imported" in out
    assert lines[-1].startswith("No problem, ")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise ImportError('libcudart.so.12: cannot open shared object file')", "ImportError: libcudart.so.12"),
        ("import os; os.kill(os.getpid(), 4)", "ended by signal 4"),
    ],
)
def test_torch_that_cannot_be_imported_is_a_problem_and_the_rest_is_looked_at(doctor, shadow, source, said):
    shadow("torch", source)
    found = doctor()
    broken = about(found, "torch")
    assert broken["state"] == "problem"
    assert said in broken["words"]
    assert "pip install" in broken["advice"]
    assert about(found, "optuna")["state"] == "ok"
    for what in ("torchvision", "timm", "weights"):
        assert about(found, what) == {
            "about": what,
            "state": "note",
            "words": about(found, what)["words"],
            "advice": "",
        }
        assert "torch" in about(found, what)["words"]
    assert about(found, "processor")["state"] == "ok"


def test_a_broken_plugin_and_places_that_may_not_be_written_are_problems(
    doctor, shadow, install, tmp_path, monkeypatch
):
    shadow("torch", "raise ImportError('not today')")  # the rest does not wait for the real one
    install("sour", "raise RuntimeError('no lemons')")
    (tmp_path / "file").touch()
    monkeypatch.setenv("ADVISOR_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.chdir("/proc")  # not even its owner can write there
    found = doctor()
    problems = {one["about"]: one for one in found if one["state"] == "problem"}
    assert set(problems) == {"torch", "plugins", "cache", "this folder"}
    assert "sour (advisor-sour 1.0) is broken: RuntimeError: no lemons" in problems["plugins"]["words"]
    assert "ADVISOR_DISABLE=sour" in problems["plugins"]["advice"]
    assert "ADVISOR_CACHE" in problems["cache"]["advice"]
    assert len([one for one in found if "sour" in one["words"]]) == 1


def test_versions_that_do_not_fit_each_other_are_named(tmp_path, monkeypatch):
    info = tmp_path / "torchvision-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torchvision\nVersion: 9.9\nRequires-Dist: torch (==1.2.3)\n"
        "Requires-Dist: no-such-library>=3\nRequires-Dist: nor-this; extra == 'more'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = [one.words for one in examination._versions() if one.state == examination.PROBLEM]
    assert words == [
        f"torchvision needs torch==1.2.3, and {examination._version('torch')} is installed",
        "no-such-library is missing, which torchvision needs",
    ]


def test_a_driver_without_a_torch_that_uses_it_is_noted(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    seen = examination._gpu({"cuda": False, "gpus": [], "built_for": ""})
    assert (seen.state, "built for processors only" in seen.words) == ("note", True)
    assert "pytorch.org" in seen.advice
    seen = examination._gpu({"cuda": False, "gpus": [], "built_for": "12.8"})
    assert "nvidia-smi" in seen.advice
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert examination._gpu({"cuda": False, "gpus": [], "built_for": "12.8"}).advice == "unset it"
    assert examination._gpu({"cuda": True, "gpus": ["A100"], "built_for": "12.8"}).state == "ok"


def test_the_hub_is_asked_for_a_moment_only(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (seen,) = examination._hub()
    assert (seen.state, seen.advice) == ("note", "unset HF_HUB_OFFLINE")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        (seen,) = examination._hub()
        assert (seen.state, f"{address} cannot be reached" in seen.words) == ("note", True)
        server.listen()
        (seen,) = examination._hub()
        assert (seen.state, seen.words) == ("ok", f"{address} can be reached")
