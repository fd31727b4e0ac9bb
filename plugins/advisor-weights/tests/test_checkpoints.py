"""Checkpoints as trainers write them, of one small network; what cannot be taken is said in words."""

import argparse
import json
import re

import pytest
import timm
import torch
from advisor_weights import advisor_backbones
from advisor_weights.command import run
from safetensors.torch import save_file

from advisor.errors import BackboneError, UsageError


@pytest.fixture
def advisor_plugins():
    return ["weights"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVISOR_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return timm.create_model("test_resnet", num_classes=7).eval()


@pytest.fixture(scope="module")
def state(network):
    return network.state_dict()


def under(prefix, state):
    return {prefix + name: value for name, value in state.items()}


def add(file, architecture="test_resnet"):
    return run(["add", str(file), "--name", "mine", *(["--architecture", architecture] if architecture else [])])


def answers():
    """The logits of the only backbone of the folder for two images."""
    (backbone,) = advisor_backbones()
    network = backbone.create(True).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        return network(torch.randn(2, 3, 64, 64))


@pytest.fixture
def wanted(network):
    torch.manual_seed(0)
    with torch.no_grad():
        return network(torch.randn(2, 3, 64, 64))


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "net.", "backbone.", "timm_model.",
     "model._orig_mod.", "_orig_mod.model.backbone."],
)  # fmt: skip
def test_wrappers_in_any_nesting_are_seen_through_and_a_name_of_ones_own_is_said(
    state, tmp_path, capsys, wanted, prefix
):
    torch.save({"state_dict": under(prefix, state), "pytorch-lightning_version": "2.0"}, tmp_path / "a.ckpt")
    assert add(tmp_path / "a.ckpt") == 0
    assert torch.equal(answers(), wanted)
    own = prefix.replace("_orig_mod.", "").replace("module.", "")
    said = re.search("`(.*)` in front of the names is taken off", capsys.readouterr().out)
    assert (said[1] if said else "") == own


def test_a_wrapper_within_the_network_is_seen_through(state, tmp_path, wanted):
    inner = {re.sub(r"^layer1\.", "layer1._orig_mod.", name): value for name, value in state.items()}
    assert inner.keys() != state.keys()
    torch.save(inner, tmp_path / "a.pth")
    add(tmp_path / "a.pth")
    assert torch.equal(answers(), wanted)


@pytest.mark.parametrize("name", ["a.pth.tar", "a.ckpt", "a.PTH", "a.bin"])
def test_every_usual_ending_is_taken(state, tmp_path, folder, wanted, name):
    torch.save({"model_state_dict": state, "optimizer_state_dict": {"state": {}, "param_groups": [{"lr": 0.1}]}},
               tmp_path / name)  # fmt: skip
    add(tmp_path / name)
    assert torch.equal(answers(), wanted)
    assert (folder / f"mine{name[1:].lower()}").is_file()


def test_what_a_trainer_adds_beside_the_network_is_left_and_said(state, tmp_path, capsys, wanted):
    torch.save(under("model.", state) | {"loss.weight": torch.ones(7), "loss.scale": torch.ones(1)}, tmp_path / "a.pth")
    add(tmp_path / "a.pth")
    assert torch.equal(answers(), wanted)
    assert "2 tensors outside of `model.` are left, such as `loss.weight`" in capsys.readouterr().out


def test_counters_that_are_missing_or_added_change_nothing(state, tmp_path, wanted):
    counted = {name: value for name, value in state.items() if "num_batches_tracked" not in name}
    assert len(counted) < len(state)
    torch.save(counted | {"total_ops": torch.zeros(1), "layer1.total_params": torch.zeros(1)}, tmp_path / "a.pth")
    add(tmp_path / "a.pth")
    assert torch.equal(answers(), wanted)


def test_a_file_without_a_classifier_makes_a_network_without_one(network, state, tmp_path, capsys):
    torch.save({name: value for name, value in state.items() if not name.startswith("fc.")}, tmp_path / "a.pth")
    add(tmp_path / "a.pth")
    assert "no classifier" in capsys.readouterr().out
    (backbone,) = advisor_backbones()
    headless = backbone.create(True).eval()
    assert headless.num_classes == 0
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(headless(images), network.forward_head(network.forward_features(images), pre_logits=True))


def test_a_stem_of_one_channel_sees_grey_images_as_before(tmp_path, capsys):
    torch.manual_seed(5)
    grey = timm.create_model("test_resnet", in_chans=1, num_classes=4).eval()
    torch.save(grey.state_dict(), tmp_path / "a.pth")
    add(tmp_path / "a.pth")
    assert "takes one channel" in capsys.readouterr().out
    (backbone,) = advisor_backbones()
    images = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(backbone.create(True).eval()(images.expand(-1, 3, -1, -1)), grey(images))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_taken_and_said(state, tmp_path, capsys, wanted, kind):
    half = {name: value.to(kind) if value.is_floating_point() else value for name, value in state.items()}
    save_file(half, tmp_path / "a.safetensors")
    add(tmp_path / "a.safetensors")
    assert f"stored as {str(kind)[6:]}" in capsys.readouterr().out
    torch.testing.assert_close(answers(), wanted, atol=0.05, rtol=0.05)
    assert answers().dtype == torch.float32


def test_averaged_weights_are_taken_and_the_architecture_is_the_trainers(state, network, tmp_path, capsys, wanted):
    ema = {name: value * 2 if name.startswith("fc.") else value for name, value in state.items()}
    torch.save({"arch": "test_resnet", "state_dict": state, "state_dict_ema": ema, "args": argparse.Namespace(lr=0.1)},
               tmp_path / "a.pth")  # fmt: skip
    add(tmp_path / "a.pth", architecture="")
    out = capsys.readouterr().out
    assert "averaged weights (EMA)" in out
    assert "mine: test_resnet" in out
    torch.testing.assert_close(answers(), wanted * 2)


def test_the_document_has_what_was_done(state, tmp_path, capsys):
    torch.save(under("model.", state), tmp_path / "a.pth")
    run(["add", str(tmp_path / "a.pth"), "--architecture", "test_resnet", "--json"])
    assert json.loads(capsys.readouterr().out)["notes"] == ["`model.` in front of the names is taken off"]


def test_a_difference_is_said_in_words_with_the_architecture_that_fits(state, tmp_path, folder):
    torch.save(under("model.", state), tmp_path / "test-resnet.ckpt")
    with pytest.raises(BackboneError, match="does not fit `resnet18`") as refused:
        add(tmp_path / "test-resnet.ckpt", "resnet18")
    assert re.search(r"\d+ tensors of the network are missing in the file, such as `\S+`", str(refused.value))
    assert re.search(
        r"have another shape, such as `\S+`: \d+[^;]* in the file, \d+.* in the network", str(refused.value)
    )
    assert refused.value.hint == "--architecture test_resnet"
    assert not folder.exists()
    stranger = {**state, "projector.weight": torch.ones(3, 3)}
    torch.save(stranger, tmp_path / "more.pth")
    with pytest.raises(BackboneError, match=r"1 tensor of the file is not in the network, such as `projector\.weight`"):
        add(tmp_path / "more.pth")


def test_two_networks_in_one_file_are_asked_about(state, tmp_path):
    torch.save(under("student.", state) | under("teacher.", state), tmp_path / "a.pth")
    with pytest.raises(BackboneError, match=r"several networks that fit, under `student\.`, `teacher\.`"):
        add(tmp_path / "a.pth")


def test_a_network_beside_the_one_that_is_taken_is_said(state, tmp_path, capsys):
    torch.save(
        {"model": state, "teacher": state, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}, tmp_path / "a.pth"
    )
    add(tmp_path / "a.pth")
    assert "The tensors in `model` are taken; other networks are left: `teacher`." in capsys.readouterr().out


def test_a_stem_of_four_channels_is_named(tmp_path):
    torch.save(timm.create_model("test_resnet", in_chans=4).state_dict(), tmp_path / "a.pth")
    with pytest.raises(BackboneError, match="its first layer takes 4 channels"):
        add(tmp_path / "a.pth")


def test_numbers_that_are_none_are_refused(state, tmp_path):
    broken = {name: value.clone() for name, value in state.items()}
    name = next(name for name, value in state.items() if value.ndim == 4)
    broken[name][0, 0, 0] = float("nan")
    torch.save(broken, tmp_path / "a.pth")
    with pytest.raises(BackboneError, match=f"NaN or infinity in 3 of the {state[name].numel()} numbers of `{name}`"):
        add(tmp_path / "a.pth")


def test_a_name_that_speaks_of_an_architecture_is_the_hint(state, tmp_path):
    torch.save(state, tmp_path / "test_resnet_mine-v2.pth")
    with pytest.raises(UsageError, match="which architecture") as refused:
        add(tmp_path / "test_resnet_mine-v2.pth", architecture="")
    assert refused.value.hint == "--architecture test_resnet"


@pytest.mark.parametrize("words", [["--help"], ["add", "--help"], ["verify", "-h"]])
def test_help_is_no_error(capsys, words):
    from advisor.cli.main import main

    assert main(["weights", *words]) == 0
    streams = capsys.readouterr()
    assert "usage: advisor weights" in streams.out
    assert not streams.err
