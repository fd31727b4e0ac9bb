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
from advisor.network.weights import check_file, read_checkpoint, read_state_dict, read_tensors

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
