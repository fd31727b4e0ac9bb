"""Activations on disk: which view, and rows read in any order."""

import gc
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from advisor.data.augmentations import AUGMENTATIONS
from advisor.data.cache import MANIFEST, checksum
from advisor.network.kept import HELD, Activations, View, open_kept


def write(folder, *tensors):
    """As the writer of activations leaves a finished folder."""
    folder.mkdir(exist_ok=True)
    entries = []
    for number, tensor in enumerate(tensors):
        data = tensor.bfloat16().view(torch.int16).numpy().tobytes()
        (folder / f"{number}.bin").write_bytes(data)
        crc = checksum(folder / f"{number}.bin")
        entries.append({"file": f"{number}.bin", "shape": list(tensor.shape[1:]), "bytes": len(data), "crc32": crc})
    (folder / MANIFEST).write_text(json.dumps({"rows": len(tensors[0]), "tensors": entries}))
    return folder


@pytest.fixture
def values():
    torch.manual_seed(0)
    return torch.randn(7, 3, 2, 2).bfloat16(), torch.randn(7, 5).bfloat16()


# -- views


@given(st.sampled_from(AUGMENTATIONS), st.integers(0, 9))
def test_a_view_is_clean_exactly_where_it_varies_nothing(kind, number):
    view = View(kind, number)
    assert view.clean == (number == 0 or kind == "none")
    assert str(view) == ("clean" if view.clean else f"{kind}-{number}")


@given(
    st.tuples(st.sampled_from(AUGMENTATIONS), st.integers(0, 9)),
    st.tuples(st.sampled_from(AUGMENTATIONS), st.integers(0, 9)),
)
def test_views_that_differ_have_names_that_differ(one, other):
    first, second = View(*one), View(*other)
    assert (str(first) == str(second)) == (first == second or (first.clean and second.clean))


@pytest.mark.parametrize(("kind", "number"), [("spin", 1), ("", 0), ("crop", -1)])
def test_there_is_no_other_view(kind, number):
    with pytest.raises(ValueError, match="no such view"):
        View(kind, number)


# -- reading


def open_files():
    """How many files this process has open; 0 where the system does not say."""
    place = Path("/proc/self/fd")
    return len(list(place.iterdir())) if place.is_dir() else 0


def test_rows_come_in_the_order_asked_for_as_often_as_asked_for(tmp_path, values):
    kept = Activations(write(tmp_path / "a", *values))
    positions = torch.tensor([6, 0, 3, 3])
    for tensor, expected in zip(kept.take(positions), values, strict=True):
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor, expected[positions])
    assert kept.rows == 7
    assert kept.shapes == ((3, 2, 2), (5,))


def test_no_row_at_all_is_an_empty_batch_and_one_beyond_the_end_an_error(tmp_path, values):
    kept = Activations(write(tmp_path / "a", *values))
    assert [tuple(tensor.shape) for tensor in kept.take(torch.tensor([], dtype=torch.long))] == [(0, 3, 2, 2), (0, 5)]
    with pytest.raises(IndexError):
        kept.take(torch.tensor([7]))


def test_what_was_read_may_be_changed_without_harm_to_what_is_kept(tmp_path, values):
    kept = Activations(write(tmp_path / "a", *values))
    kept.take(torch.tensor([0]))[0].zero_()
    assert torch.equal(kept.take(torch.tensor([0]))[0], values[0][:1])


def test_files_that_another_process_removed_are_still_read(tmp_path, values):
    folder = write(tmp_path / "a", *values)
    kept = Activations(folder)
    for file in folder.iterdir():
        file.unlink()
    assert torch.equal(kept.take(torch.tensor([2]))[1], values[1][2:3])


def test_it_is_held_until_it_is_closed_or_forgotten(tmp_path, values):
    kept = Activations(write(tmp_path / "a", *values))
    assert kept in HELD
    files = list(kept._files)
    kept.close()
    kept.close()
    assert kept not in HELD
    for file in files:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)
    other = Activations(tmp_path / "a")
    (file, *_), count = other._files, len(HELD)
    del other
    gc.collect()
    assert len(HELD) == count - 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


@pytest.mark.parametrize("damage", ["missing", "short", "long"])
def test_a_folder_that_is_not_what_its_manifest_says_is_not_opened_and_leaves_no_file_open(tmp_path, values, damage):
    folder = write(tmp_path / "a", *values)
    last = folder / "1.bin"
    if damage == "missing":
        last.unlink()
    else:
        data = last.read_bytes()
        last.write_bytes(data[:-2] if damage == "short" else data + b"xx")
    before = open_files()
    with pytest.raises(FileNotFoundError):
        Activations(folder)
    assert open_kept(folder) is None
    gc.collect()
    assert open_files() <= before


def test_an_unfinished_folder_is_nothing_yet(tmp_path):
    assert open_kept(tmp_path) is None
    assert open_kept(tmp_path / "none") is None


def test_opening_marks_it_as_used(tmp_path, values):
    folder = write(tmp_path / "a", *values)
    os.utime(folder / MANIFEST, (1, 1))
    assert open_kept(folder).rows == 7
    assert (folder / MANIFEST).stat().st_mtime > 1e9


def test_numbers_of_half_precision_survive_to_the_bit(tmp_path):
    odd = torch.tensor([[0.0, -0.0, 1e-40, 3e38, -1.5]]).bfloat16()
    kept = Activations(write(tmp_path / "a", odd))
    back = kept.take(torch.tensor([0]))[0]
    np.testing.assert_array_equal(back.view(torch.int16), odd.view(torch.int16))
