"""`advisor cache`: what is kept, what it takes, and how to be rid of it."""

import json
import os
import time

import pytest

from advisor.cli.main import main
from advisor.data.cache import MANIFEST, cache_dir, new_folder


@pytest.fixture
def run(capsys):
    def _run(*words):
        code = main(["cache", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return _run


@pytest.fixture
def filled():
    """Activations used now and 40 days ago, and pixels."""
    for name, size, days in (("new", 2_500_000, 0), ("old", 4000, 40)):
        folder = cache_dir("activations") / name
        with new_folder(folder) as partial:
            (partial / "0.bf16").write_bytes(bytes(size))
            (partial / MANIFEST).write_text(json.dumps({"what": f"resnet18 [{name}]"}))
        then = time.time() - days * 86400
        os.utime(folder / MANIFEST, (then, then))
    with new_folder(cache_dir("pixels") / "digits") as partial:
        (partial / "pixels.u8").write_bytes(bytes(800))
        (partial / "store.json").write_text(json.dumps({"count": 12, "side": 8}))


def test_an_empty_cache_says_where_it_would_be(run):
    code, out, err = run()
    assert (code, err) == (0, "")
    assert out == f"0 B in 0 folders under {cache_dir('').resolve()}\n"


def test_the_table_shows_kinds_words_sizes_ages_and_the_total(run, filled):
    code, out, _ = run()
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["kind", "what", "size", "last", "used"]
    assert "activations" in lines[-2]
    assert "resnet18 [old]" in lines[-2]
    assert "4 kB" in lines[-2]
    assert "40 days ago" in lines[-2]
    assert any("12 decoded images, 8 pixels a side" in line and "just now" in line for line in lines)
    assert any("2.5 MB" in line for line in lines)
    assert lines[-1].startswith("2.5 MB in 3 folders under ")
    code, out, _ = run("--older-than", "30d")
    assert "[old]" in out
    assert "[new]" not in out


def test_clearing_by_age_and_kind(run, filled):
    code, out, _ = run("--clear", "--older-than", "30d")
    assert code == 0
    assert out.startswith("4 kB freed.\n2.5 MB in 2 folders under ")
    code, out, _ = run("--clear", "activations", "--json")
    found = json.loads(out)
    assert 2_500_000 < found["freed"] < 2_501_000
    assert [entry["kind"] for entry in found["entries"]] == ["pixels"]
    assert found["bytes"] == found["entries"][0]["bytes"] > 800
    assert found["folder"] == str(cache_dir("").resolve())
    run("--clear")
    assert json.loads(run("--json")[1]) == {"folder": found["folder"], "freed": None, "bytes": 0, "entries": []}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--clear", "pixel"), "pixels"),
        (("--older-than", "soon"), "12h, 30d or 8w"),
        (("--older-than", "-3d"), "older-than"),
    ],
)
def test_wrong_words_remove_nothing(run, filled, words, said):
    code, out, err = run(*words)
    assert code == 2
    assert out == ""
    assert said in err
    assert "hint: " in err
    assert len(json.loads(run("--json")[1])["entries"]) == 3
