"""The folder that is handed over: saved, loaded, and damaged in every way that a disk knows."""

import json
import shutil

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from advisor.errors import BackboneError, BundleError, UsageError
from advisor.network.stages import stages_of
from advisor.network.transfer import Standardise, TransferNetwork
from advisor.outcome.bundle import best_of, load, load_backbone, save_bundle
from advisor.task import MultiLabel, SingleLabel
from advisor.types import Backbone, InputSpec, Weights

CLASSES = ("auk", 'b "ee"', "\u202ecat\n")
BACKBONE = Backbone(
    "tiny", lambda _pretrained: timm.create_model("test_resnet", pretrained=False), InputSpec(64, 0.9),
    architecture="test_resnet", weights=Weights(source="seed", licence="MIT", trained_on="nothing"),
)  # fmt: skip


def network_at(share):
    """A real network with random weights, cut at a share of its stages."""
    torch.manual_seed(0)
    trunk = timm.create_model("test_resnet", pretrained=False).eval()
    stages = stages_of(trunk, torch.zeros(1, 3, 64, 64))
    tap = stages.tap_index(share)
    cut = TransferNetwork(trunk, stages, tap, Standardise(torch.zeros(1), torch.ones(1)), nn.Identity())
    with torch.inference_mode():
        width = cut(torch.zeros(1, 3, 64, 64)).shape[1]
    return TransferNetwork(
        trunk,
        stages,
        tap,
        Standardise(torch.full((width,), 0.1), torch.full((width,), 2.0)),
        nn.Linear(width, len(CLASSES)),
    )


def saved(folder, share=1.0, task=None, **changes):
    usual = {
        "backbone": BACKBONE, "head": "linear", "head_params": {}, "head_is_linear": True,
        "task": task or SingleLabel(CLASSES), "temperature": 1.25, "texts": {"report.json": "{}"},
    }  # fmt: skip
    return save_bundle(folder, network_at(share), **{**usual, **changes})


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """One that timm alone loads, and one that it cannot express."""
    home = tmp_path_factory.mktemp("bundles")
    assert saved(home / "whole")
    assert not saved(home / "tapped", 0.5)
    return home


@pytest.fixture(params=["whole", "tapped"])
def best(originals, tmp_path, request):
    return shutil.copytree(originals / request.param, tmp_path / "best")


@pytest.fixture
def tapped(originals, tmp_path):
    return shutil.copytree(originals / "tapped", tmp_path / "best")


def change(folder, **ours):
    """Other entries in what the bundle says of itself; None takes one out."""
    config = json.loads((folder / "config.json").read_text())
    for key, value in ours.items():
        config["advisor"].pop(key, None)
        if value is not None:
            config["advisor"][key] = value
    (folder / "config.json").write_text(json.dumps(config))


def refused(folder):
    with pytest.raises(BundleError) as caught:
        load(folder)
    error = caught.value
    assert error.hint
    assert len(error.message) < 400
    assert "\n" not in error.message
    return error.message


def test_it_comes_back_with_its_classes_and_answers(best):
    bundle = load(best)
    assert bundle.classes == CLASSES
    assert bundle.temperature == 1.25
    assert bundle.input == BACKBONE.input
    images = torch.rand(2, 3, 64, 64)
    share = 1.0 if bundle.timm_loads_it else 0.5
    with torch.inference_mode():
        torch.testing.assert_close(bundle.network(images), network_at(share).eval()(images), rtol=1e-4, atol=1e-4)


def test_probabilities_are_calibrated_and_add_up(best):
    bundle, logits = load(best), torch.tensor([[1.0, 2.0, 3.0]])
    expected = torch.softmax(1.25 * logits, 1)
    torch.testing.assert_close(bundle.probabilities(logits), expected, check_dtype=False)


def test_everybody_may_read_its_files(best):
    assert {oct(file.stat().st_mode & 0o777) for file in best.iterdir() if file.is_file()} == {"0o644"}


def test_one_that_is_there_is_replaced_as_a_whole(originals, tmp_path):
    best = shutil.copytree(originals / "whole", tmp_path / "best")
    (best / "old.txt").write_text("old")
    saved(best, 0.5)
    assert not (best / "old.txt").exists()
    assert not load(best).timm_loads_it
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_one_that_is_there_stays_where_the_new_one_cannot_be_written(originals, tmp_path):
    best = shutil.copytree(originals / "whole", tmp_path / "best")
    with pytest.raises(UsageError, match="There is no head `no-such-head`"):
        saved(best, 0.5, head="no-such-head")
    assert load(best).timm_loads_it


def test_several_labels_come_back_as_such(tmp_path):
    saved(tmp_path / "best", task=MultiLabel(CLASSES))
    bundle = load(tmp_path / "best")
    assert bundle.task == MultiLabel(CLASSES)
    torch.testing.assert_close(bundle.probabilities(torch.zeros(1, 3)), torch.full((1, 3), 0.5), check_dtype=False)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_is_gone_is_named(tapped, name):
    (tapped / name).unlink()
    assert f"is not a tuned model: {name} is missing" in refused(tapped)


def test_weights_that_are_gone_are_said_where_timm_would_load_them(originals, tmp_path):
    best = shutil.copytree(originals / "whole", tmp_path / "best")
    (best / "model.safetensors").unlink()
    refused(best)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"advisor": 3}', '{"other": {}}', '"x"', "\x00", '{"advisor": {}}']
)
def test_a_configuration_that_is_none_is_refused(best, text):
    (best / "config.json").write_text(text)
    refused(best)


def test_a_configuration_in_other_letters_is_refused(best):
    (best / "config.json").write_bytes(b"\xff\xfe{")
    refused(best)


@pytest.mark.parametrize("key", ["format", "classes", "input"])
def test_what_the_configuration_lacks_is_named(best, key):
    change(best, **{key: None})
    assert f"config.json lacks '{key}'" in refused(best)


@pytest.mark.parametrize("key", ["head", "tap", "architecture"])
def test_what_our_own_form_needs_is_named(tapped, key):
    change(tapped, **{key: None})
    assert f"config.json lacks '{key}'" in refused(tapped)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_a_bundle_of_another_format_says_which(best, version):
    change(best, format=version if version is not None else 99)
    assert "this version reads 1" in refused(best)


@pytest.mark.parametrize(
    "spec",
    [
        {}, None, [], {"size": "large"}, {"size": 64, "crop_pct": 0.9, "std": [1, 1, 1], "interpolation": "bicubic"},
        {"size": 64, "crop_pct": 0.9, "mean": [0, 0], "std": [1, 1, 1], "interpolation": "bicubic"},
        {"size": 64, "crop_pct": 0.9, "mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "magic"},
    ],
)  # fmt: skip
def test_an_input_that_is_none_is_refused(best, spec):
    config = json.loads((best / "config.json").read_text())
    config["advisor"]["input"] = spec
    (best / "config.json").write_text(json.dumps(config))
    refused(best)


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_weights_that_end_early_are_refused(best, cut):
    data = (best / "model.safetensors").read_bytes()
    (best / "model.safetensors").write_bytes(data[:cut])
    refused(best)


def test_weights_of_another_shape_or_name_are_refused(tapped):
    file = tapped / "model.safetensors"
    state = load_file(file)
    save_file({**state, "head.weight": torch.zeros(7, 7)}, file)
    assert "cannot be loaded" in refused(tapped)
    save_file({name: value for name, value in state.items() if name != "head.bias"}, file)
    assert "head.bias" in refused(tapped)
    save_file({**state, "more": torch.zeros(1)}, file)
    assert "more" in refused(tapped)


@pytest.mark.parametrize("tap", [0, 99, "two"])
def test_a_stage_that_the_network_has_not_is_refused(tapped, tap):
    change(tapped, tap=tap)
    assert f"it reads stage {tap!r} of a network that has" in refused(tapped)


def test_a_head_that_is_not_installed_is_named_by_the_catalog(tapped):
    change(tapped, head={"name": "nobodys", "params": {}})
    with pytest.raises(UsageError, match="There is no head `nobodys`"):
        load(tapped)


def test_a_range_that_is_damaged_is_said_at_once(best):
    change(best, range={"uint16": "wide"})
    refused(best)


def test_a_folder_that_is_almost_named_right_is_hinted_at(best, tmp_path):
    with pytest.raises(BundleError) as caught:
        load(tmp_path / "bset")
    assert f"did you mean `{best}`?" in caught.value.hint


@pytest.mark.parametrize("kind", ["file", "empty", "nothing"])
def test_a_place_that_is_no_bundle_is_refused(tmp_path, kind):
    place = tmp_path / "x"
    if kind == "file":
        place.write_text("x")
    elif kind == "empty":
        place.mkdir()
    refused(place)


def test_a_run_may_be_given_for_its_best_and_by_its_name(best, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "birds"
    run.mkdir(parents=True)
    best.rename(run / "best")
    assert best_of(run) == run / "best"
    assert str(best_of("birds")) == "runs/birds/best"
    assert best_of(run / "best") == run / "best"
    assert str(best_of("elsewhere")) == "elsewhere"
    assert load("birds").classes == CLASSES


def test_as_a_backbone_it_has_timms_interface_and_its_weights_are_checked(best):
    with pytest.raises(BackboneError):
        load_backbone(best, "0" * 64)
    network = load_backbone(best)
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
    network.reset_classifier(0)
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).ndim == 2


def test_as_a_backbone_without_its_weights_it_answers_otherwise(best):
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        tuned, fresh = load_backbone(best)(images), load_backbone(best, "0" * 64, pretrained=False).eval()(images)
    assert not torch.allclose(tuned, fresh)
