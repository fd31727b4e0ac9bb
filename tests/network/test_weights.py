"""Files of weights that are not what they should be; reading one never runs what is in it."""

import argparse
import hashlib
import io
import json
import os
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save

from advisor.errors import BackboneError
from advisor.network.weights import check_file, load_by_position, read_checkpoint, read_state_dict, read_tensors

STATE = {"weight": torch.arange(3.0)}


def pth(thing, **values):
    buffer = io.BytesIO()
    torch.save(thing, buffer, **values)
    return buffer.getvalue()


class Mischief:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-weight-file",)


def table(**entry):
    head = json.dumps({"weight": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12], **entry}}).encode()
    return struct.pack("<Q", len(head)) + head + bytes(12)


BROKEN = {
    "code.pth": (pth({"weight": Mischief()}), "holds code"),
    "old.bin": (pth(Mischief(), _use_new_zipfile_serialization=False), "holds code"),
    "network.pt": (pth(torch.nn.Linear(2, 2)), "holds code"),
    "page.pth": (b"<html>not found</html>", "is a page or a text"),
    "pointer.safetensors": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "pointer of Git LFS"),
    "empty.pth": (b"", "it is empty"),
    "several.pth": (pth({"teacher": STATE, "student": STATE}), "several networks: `teacher`, `student`"),
    "memo.pth": (b"\x80\x02h\x05.", "is damaged"),
    "noise.pth": (b"X\x04\x00\x00\x00\xff\xfe\xfd\xfc.", "is damaged"),
    "cut.pth": (pth(STATE)[:-40], "is damaged"),
    "numbers.pth": (pth({1: torch.ones(2)}), "no table of tensors by name"),
    "list.pth": (pth([torch.ones(2)]), "no table of tensors by name"),
    "cut.safetensors": (save(STATE)[:-1], "SafetensorError"),
    "long.safetensors": (table(shape=[2**40]), "SafetensorError"),
    "behind.safetensors": (table(data_offsets=[4, 16]), "SafetensorError"),
    "pickle.safetensors": (pth({"weight": Mischief()}), "SafetensorError"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_it_is_refused_in_words_and_nothing_in_it_runs(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    data, words = BROKEN[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BackboneError, match=words) as refused:
        read_state_dict(tmp_path / name, hashlib.sha256(data).hexdigest())
    assert "weights_only" not in str(refused.value)
    assert not (tmp_path / "made-by-a-weight-file").exists()


SCORED = {"epoch": 3, "args": argparse.Namespace(lr=0.1), "best": np.float64(0.8), "optimizer": {"state": {}}}
AVERAGED = {name: value + 1 for name, value in STATE.items()}


@pytest.mark.parametrize(
    "content",
    [{"state_dict": STATE, **SCORED}, {"model_state_dict": STATE, "loss": torch.ones(1), **SCORED},
     {"model": {"state_dict": STATE}}, {"net": STATE}, {"my_own_word": STATE, **SCORED}, {**STATE, "epoch": 3}],
)  # fmt: skip
def test_what_trainers_put_around_the_tensors_is_taken_off(tmp_path, content):
    torch.save(content, tmp_path / "a.pth.tar")
    assert read_tensors(tmp_path / "a.pth.tar").keys() == STATE.keys()


@pytest.mark.parametrize("name", ["state_dict_ema", "model_ema", "ema"])
def test_averaged_weights_are_taken_and_said(tmp_path, name):
    torch.save({"state_dict": STATE, name: {"module": AVERAGED}, "arch": "test_resnet"}, tmp_path / "a.pth")
    checkpoint = read_checkpoint(tmp_path / "a.pth")
    assert torch.equal(checkpoint.tensors["weight"], AVERAGED["weight"])
    assert checkpoint.architecture == "test_resnet"
    assert "averaged weights (EMA)" in checkpoint.notes[0]
    assert "`state_dict` beside them is left" in checkpoint.notes[0]


def test_a_safetensors_file_is_known_by_its_content(tmp_path):
    (tmp_path / "a.bin").write_bytes(save(STATE))
    assert torch.equal(read_tensors(tmp_path / "a.bin")["weight"], STATE["weight"])


def test_what_holds_code_is_called_by_its_name(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pth")
    with pytest.raises(BackboneError, match=r"`torch\.nn\.modules\.linear\.Linear`"):
        read_tensors(tmp_path / "a.pth")


@pytest.mark.parametrize(("name", "data"), [("a.pth", pth(STATE)), ("a.SafeTensors", save(STATE))])
def test_what_is_whole_is_read_whatever_the_case_of_its_ending_and_hash(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    found = read_state_dict(tmp_path / name, hashlib.sha256(data).hexdigest().upper())
    assert torch.equal(found["weight"], STATE["weight"])
    (tmp_path / name).write_bytes(data + b" ")
    with pytest.raises(BackboneError, match="not the declared one"):
        check_file(tmp_path / name, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_link_to_nowhere_and_a_folder_are_said(tmp_path, name):
    (tmp_path / name).symlink_to(tmp_path / "nowhere")
    for read in (read_tensors, lambda path: check_file(path, "0" * 64)):
        with pytest.raises(BackboneError, match="No such file"):
            read(tmp_path / name)
    (tmp_path / "nowhere").mkdir()
    for read in (read_tensors, lambda path: check_file(path, "0" * 64)):
        with pytest.raises(BackboneError, match=name):
            read(tmp_path / name)


def network():
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 4))


def test_weights_under_other_names_are_taken_by_their_order():
    source, target = network(), network()
    state = {f"backbone.{number}": value for number, value in enumerate(source.state_dict().values())}
    load_by_position(target, state)
    for own, other in zip(source.state_dict().values(), target.state_dict().values(), strict=True):
        assert torch.equal(own, other)


@pytest.mark.parametrize("change", ["fewer", "more", "shape"])
def test_weights_that_do_not_fit_leave_the_network_as_it_was(change):
    target = network()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    state = {name: torch.zeros_like(value) for name, value in before.items()}
    if change == "fewer":
        state.popitem()
    elif change == "more":
        state["more"] = torch.zeros(1)
    else:
        state["1.bias"] = torch.zeros(5)
    with pytest.raises(BackboneError, match=f"{len(state)} tensors for 4"):
        load_by_position(target, state)
    assert all(torch.equal(before[name], value) for name, value in target.state_dict().items())


def test_a_file_is_checked_whatever_the_case_of_its_hash(tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(b"content")
    digest = hashlib.sha256(b"content").hexdigest()
    check_file(path, digest)
    check_file(path, digest.upper())
    with pytest.raises(BackboneError, match="is not the declared one") as refused:
        check_file(path, "0" * 64)
    assert digest[:12] in refused.value.message
    assert "w.pth" in refused.value.hint


def test_a_trainers_notes_beside_the_tensors_say_the_architecture(tmp_path):
    path = tmp_path / "last.pth.tar"
    path.write_bytes(pth({"arch": "resnet18", "epoch": 3, "state_dict": STATE}))
    checkpoint = read_checkpoint(path)
    assert checkpoint.architecture == "resnet18"
    assert torch.equal(checkpoint.tensors["weight"], STATE["weight"])
    path.write_bytes(pth({"arch": 7, "state_dict": STATE}))
    assert read_checkpoint(path).architecture == ""


def test_the_only_table_there_is_needs_no_known_name(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(pth({"mine": {"deeper": STATE}}))
    checkpoint = read_checkpoint(path)
    assert set(checkpoint.tensors) == {"weight"}
    assert [note.split("`")[1] for note in checkpoint.notes] == ["mine", "deeper"]


def test_tables_too_deep_are_not_searched_for_ever(tmp_path):
    path, nested = tmp_path / "x.pth", STATE
    for _ in range(12):
        nested = {"a": nested}
    path.write_bytes(pth(nested))
    with pytest.raises(BackboneError, match="no table of tensors"):
        read_checkpoint(path)
