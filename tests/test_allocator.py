import os
import subprocess
import sys

import pytest

from advisor import allocator
from advisor.allocator import lent_to_children, settings, why_not

OFFERED = not why_not({})
RESTARTED = """
import os, sys
from advisor import allocator
print("began", os.getpid())
allocator.restart()
print("went on as", os.environ.get("ADVISOR_ALLOCATOR"), os.environ.get("GLIBC_TUNABLES"), sys.argv[1:])
"""


def large_pages(root, text):
    folder = root / "sys/kernel/mm/transparent_hugepage"
    folder.mkdir(parents=True)
    (folder / "enabled").write_text(text)
    return root


def run(environment, *arguments):
    kept = {name: value for name, value in os.environ.items() if name not in settings({})}
    done = subprocess.run(
        [sys.executable, "-c", RESTARTED, *arguments],
        env={**kept, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


@pytest.mark.parametrize("text", ["always [madvise] never", "[always] madvise never"])
def test_it_is_used_where_there_are_large_pages(tmp_path, monkeypatch, text):
    monkeypatch.setattr(allocator, "_glibc", lambda: (2, 36))
    assert why_not({}, large_pages(tmp_path, text)) == ""


def test_it_is_not_used_where_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(allocator, "_glibc", lambda: (2, 36))
    assert "has no" in why_not({}, tmp_path)
    assert "switched off" in why_not({}, large_pages(tmp_path, "always madvise [never]"))


@pytest.mark.parametrize("version", [(), (2, 34)])
def test_it_takes_a_glibc_that_knows_the_tunable(tmp_path, monkeypatch, version):
    monkeypatch.setattr(allocator, "_glibc", lambda: version)
    assert "glibc" in why_not({}, large_pages(tmp_path, "[always] madvise never"))


def test_a_person_can_switch_it_off_and_another_allocator_stays():
    assert "ADVISOR_ALLOCATOR" in why_not({"ADVISOR_ALLOCATOR": "system"})
    assert "LD_PRELOAD" in why_not({"LD_PRELOAD": "libjemalloc.so"})


def test_what_a_person_has_set_stands():
    new = settings({"MALLOC_TOP_PAD_": "1", "GLIBC_TUNABLES": "glibc.malloc.check=3"})
    assert "MALLOC_TOP_PAD_" not in new
    assert new["GLIBC_TUNABLES"] == "glibc.malloc.check=3:glibc.malloc.hugetlb=1"
    assert "GLIBC_TUNABLES" not in settings({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=2"})


@pytest.mark.skipif(not OFFERED, reason="no large pages here")
def test_a_command_starts_once_more_in_the_same_process_with_its_arguments():
    lines = run({}, "tune", "--budget", "1m")
    assert lines[0] == lines[1]
    assert lines[2:] == ["went on as tuned glibc.malloc.hugetlb=1 ['tune', '--budget', '1m']"]


def test_a_command_that_may_not_goes_on_as_it_is():
    lines = run({"ADVISOR_ALLOCATOR": "system"}, "tune")
    assert len(lines) == 2
    assert lines[1] == "went on as system None ['tune']"


@pytest.mark.skipif(not OFFERED, reason="no large pages here")
def test_processes_started_inside_have_the_settings_and_this_one_is_as_before():
    before = dict(os.environ)
    with lent_to_children():
        child = subprocess.run(
            [sys.executable, "-c", "import os; print(os.environ['ADVISOR_ALLOCATOR'])"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert child.stdout.strip() == "tuned"
    assert dict(os.environ) == before


@pytest.mark.skipif(not OFFERED, reason="no large pages here")
def test_a_command_called_from_python_is_never_restarted(monkeypatch, capsys):
    from advisor.cli.main import main

    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("restarted"))
    assert main(["tune", "nowhere.toml"]) == 2
    assert "nowhere.toml" in capsys.readouterr().err
