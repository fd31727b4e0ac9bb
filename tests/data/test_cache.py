import json
import os
import subprocess
import sys
import time

import pytest

from advisor.data.cache import (
    MANIFEST,
    cache_dir,
    cache_entries,
    clear_cache,
    folder_bytes,
    lock_for,
    make_room,
    new_folder,
    remove_folder,
    write_whole,
)
from advisor.data.dataset import open_dataset
from advisor.data.pixels import store_pixels
from advisor.types import InputSpec


@pytest.fixture
def gone():
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def entry(name, size=1000, used=None, kind="activations"):
    """A finished folder with a manifest."""
    with new_folder(cache_dir(kind) / name) as partial:
        (partial / "0.bf16").write_bytes(bytes(size))
        (partial / MANIFEST).write_text(json.dumps({"what": f"test {name}"}))
    folder = cache_dir(kind) / name
    if used is not None:
        os.utime(folder / MANIFEST, (used, used))
    return folder


def names():
    return [found.name for found in cache_entries()]


def test_entries_say_what_they_are_and_the_last_used_comes_first(tiny_folder):
    pixels = store_pixels(open_dataset(str(tiny_folder)), InputSpec(size=64))
    now = time.time()
    entry("old", 3000, now - 5000)
    entry("new", 2000, now + 5000)
    features = cache_dir("features") / "f"
    features.mkdir(parents=True)
    (features / "a.npz").write_bytes(bytes(10))
    found = cache_entries()
    assert [found[0].name, found[-1].name] == ["new", "old"]
    assert found[0].what == "test new"
    assert found[0].bytes == folder_bytes(cache_dir("activations") / "new") > 2000
    assert found[0].used == pytest.approx(now + 5000)
    by_kind = {one.kind: one for one in found}
    assert by_kind["pixels"].what == "72 decoded images, 40 pixels a side"
    assert by_kind["pixels"].bytes >= pixels.count * 40 * 40 * 3
    assert "1 files" in by_kind["features"].what


def test_clearing_frees_what_it_says_and_only_the_kind_asked_for():
    entry("a", 1000)
    entry("p", 500, kind="features")
    size = folder_bytes(cache_dir("activations"))
    assert clear_cache("activations") == size
    assert names() == ["p"]
    assert clear_cache() > 500
    assert names() == []
    assert clear_cache() == 0
    assert list(cache_dir("activations").iterdir()) == []  # not even a lock


def test_what_was_used_lately_stays():
    entry("old", used=time.time() - 10 * 86400)
    entry("new", used=time.time() - 86400)
    assert clear_cache(older_than=5 * 86400) > 1000
    assert names() == ["new"]


def test_what_a_process_has_locked_stays():
    folder = entry("busy")
    code = (
        "import sys, pathlib; from advisor.data.cache import lock_for\n"
        "with lock_for(pathlib.Path(sys.argv[1])):\n    print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"locked\n"
        assert clear_cache() == 0
        assert remove_folder(folder) == 0
        assert folder.is_dir()
        process.kill()
        process.wait()
        assert clear_cache() > 1000


def test_unfinished_folders_are_listed_and_cleared_once_their_process_is_gone(gone):
    for pid in (gone, os.getpid()):
        partial = cache_dir("pixels") / f".some-3-name.{pid}"
        partial.mkdir(parents=True)
        (partial / "pixels.u8").write_bytes(bytes(700))
    assert {found.what for found in cache_entries()} == {"unfinished, left by a process that is gone", "being written"}
    assert clear_cache() == 700
    assert names() == [f".some-3-name.{os.getpid()}"]


def test_room_is_made_by_age_around_what_is_held(gone):
    now = time.time()
    folders = {name: entry(name, 1000, now - age) for name, age in (("b", 20), ("a", 40), ("c", 10), ("d", 30))}
    each = folder_bytes(folders["a"])
    stale = cache_dir("activations") / f".new.{gone}"
    stale.mkdir()
    (stale / "0.bf16").write_bytes(bytes(10**6))
    root = cache_dir("activations")
    with lock_for(root / "new"):  # as its writer does
        make_room(root, each, 4 * each, held={folders["a"]}, locked="new")
        assert not stale.exists()
        assert names() == ["c", "b", "a"]  # d was the oldest that nobody held
        make_room(root, each, 2 * each, held={folders["a"]}, locked="new")
        assert names() == ["a"]
        make_room(root, 10**9, each, held={folders["a"]}, locked="new")
        assert names() == ["a"]


def test_half_a_folder_is_never_seen_under_its_name(tmp_path):
    target = tmp_path / "kind" / "name"

    def stop_half_way():
        with new_folder(target) as partial:
            (partial / "file").write_text("half")
            assert not target.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_half_way()
    assert list(target.parent.iterdir()) == []
    with new_folder(target), new_folder(target.with_name("other")):
        pass
    assert target.is_dir()
    write_whole(target / "text", "ä")
    assert (target / "text").read_bytes() == "ä".encode()
