"""Single findings of `advisor doctor`, without importing anything in another process."""

import sys
from typing import NamedTuple

import pytest

from advisor.doctor import examination, libraries


class Usage(NamedTuple):
    """What `shutil.disk_usage` answers, bytes."""

    total: int
    used: int
    free: int


def only(findings):
    (one,) = findings
    return one


def test_a_check_that_fails_itself_is_a_problem_with_what_to_do():
    def broken():
        yield examination.Diagnosis("x", examination.OK, "fine")
        raise RuntimeError("no idea")

    first, second = examination._guarded("x", broken)
    assert first.state == "ok"
    assert (second.state, second.words) == ("problem", "could not be looked at: RuntimeError: no idea")
    assert second.advice


@pytest.mark.parametrize(("free", "state"), [(10**9, "note"), (3 * 10**9, "ok")])
def test_little_memory_is_noted(monkeypatch, free, state):
    monkeypatch.setattr("advisor.tuning.memory.free_main_memory", lambda: free)
    processor, memory = examination._processor()
    assert "cores" in processor.words
    assert (memory.state, bool(memory.advice)) == (state, state == "note")


def test_a_limit_of_threads_is_told(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert next(examination._processor()).words.endswith("OMP_NUM_THREADS is 3")


@pytest.mark.parametrize(("reason", "words"), [("", "starts with large pages"), ("no pages", "as they are: no pages")])
def test_how_memory_is_handed_out_is_told(monkeypatch, reason, words):
    monkeypatch.setattr(examination, "why_not", lambda _environment: reason)
    allocator = only(examination._allocator())
    assert allocator.state == "ok"
    assert words in allocator.words


@pytest.mark.parametrize(("free", "state"), [(10**9, "note"), (10**11, "ok")])
def test_a_cache_on_a_full_disk_is_noted(monkeypatch, tmp_path, free, state):
    monkeypatch.setenv("ADVISOR_CACHE", str(tmp_path / "new"))
    monkeypatch.setattr(examination.shutil, "disk_usage", lambda _: Usage(0, 0, free))
    found = only(examination._cache())
    assert found.state == state
    assert str(tmp_path / "new") in found.words
    assert not (tmp_path / "new").exists()


def test_a_folder_is_looked_at_where_it_would_be_made(tmp_path):
    assert examination._unwritable(tmp_path / "a" / "b") == ""
    assert examination._existing(tmp_path / "a" / "b") == tmp_path
    (tmp_path / "file").touch()
    assert examination._unwritable(tmp_path / "file" / "x").startswith("may not be written (")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def looked(monkeypatch, found):
    monkeypatch.setattr(examination, "look", lambda: found)
    return {one.about: one for one in examination._libraries()}


def test_libraries_that_were_not_come_to_are_notes(monkeypatch):
    found = looked(monkeypatch, {"optuna": {}, "torch": {"error": "ImportError: libc"}})
    assert found["optuna"].state == "ok"
    assert found["torch"].words == "cannot be imported: ImportError: libc"
    assert {found[name].state for name in ("torchvision", "timm", "weights")} == {"note"}
    assert "gpu" not in found


def test_weights_that_cannot_be_opened_are_a_problem(monkeypatch):
    torch = {"cuda": False, "gpus": [], "built_for": ""}
    found = looked(monkeypatch, {"torch": torch, "weights": {"error": "BackboneError: hash"}})
    assert found["weights"].state == "problem"
    assert "--backbone" in found["weights"].advice
    good = looked(monkeypatch, {"torch": torch, "weights": {"backbone": "lite0", "source": "a/b/c.safetensors"}})
    assert good["weights"].words.endswith("opens, c.safetensors")


@pytest.mark.parametrize(
    ("code", "err", "words"),
    [(-11, "", "ended by signal 11"), (-9, "x", "ended by signal 9"), (1, "a\nlast words\n", "code 1: last words"),
     (3, "", "the process ended with code 3")],
)  # fmt: skip
def test_how_a_process_ended_is_said(code, err, words):
    assert words in libraries._ending(code, err)


def test_an_import_tells_of_gpus_only_for_torch():
    assert libraries._import("json") == {}
    told = libraries._import("torch")
    assert set(told) == {"cuda", "gpus", "built_for"}
    assert "torch" in sys.modules
