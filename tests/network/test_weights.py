"""Files of weights that are not what they should be; reading one never runs what is in it."""

import hashlib
import io
import json
import os
import struct

import pytest
import torch
from safetensors.torch import save

from advisor.errors import BackboneError
from advisor.network.weights import check_file, read_state_dict, read_tensors

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
    "page.pth": (b"<html>not found</html>", "holds code, or objects that are no tensors"),
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
