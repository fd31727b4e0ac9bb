"""timm by name: cards without weights, and refusals that say which names there are."""

import json

import pytest
import timm
import torch

from advisor.builtin import backbones
from advisor.builtin.backbones import PREFIX, _repository, _resolve, advisor_backbones
from advisor.errors import BackboneError
from advisor.network.hub import WEIGHT_FILES


def test_three_families_by_their_prefixes():
    families = {family.prefix: family for family in advisor_backbones()}
    assert set(families) == {"timm/", "local-dir:", "hf-hub:"}
    assert all(family.summary for family in families.values())
    assert families["local-dir:"].names() == ()


def test_every_name_listed_has_the_prefix_and_pretrained_weights():
    names = next(iter(advisor_backbones())).names()
    assert len(names) > 500
    assert all(name.startswith(PREFIX) for name in names)
    assert "timm/resnet18.a1_in1k" in names


@pytest.mark.parametrize(
    "name", ["resnet18.a1_in1k", "vit_tiny_patch16_224.augreg_in21k", "efficientnet_lite0.ra_in1k"]
)
def test_a_card_says_what_timm_says_and_builds_no_weights(name):
    card = _resolve(PREFIX + name)
    cfg = timm.get_pretrained_cfg(name)
    assert card.name == PREFIX + name
    assert card.architecture == name.split(".")[0]
    assert card.input.size == cfg.input_size[-1]
    assert card.input.mean == cfg.mean
    assert card.input.std == cfg.std
    assert card.input.crop_pct == cfg.crop_pct
    assert card.input.interpolation == cfg.interpolation
    assert card.weights.trained_on == name.split(".")[1]
    assert card.weights.source == f"hub:{cfg.hf_hub_id}"


def test_a_card_costs_no_memory_for_weights(monkeypatch):
    devices = []
    real = timm.create_model

    def create(*args, **values):
        model = real(*args, **values)
        devices.append({parameter.device.type for parameter in model.parameters()})
        return model

    monkeypatch.setattr(timm, "create_model", create)
    _resolve("timm/test_resnet")
    assert devices == [{"meta"}]


def test_without_pretrained_weights_asked_for_a_network_is_built_offline():
    network = _resolve("timm/test_resnet").create(False)
    assert isinstance(network, torch.nn.Module)
    assert next(network.parameters()).device.type == "cpu"


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("timm/resnet19", "did you mean `resnet"),
        ("timm/resnet18.a1_in2k", "did you mean `resnet18.a1_in1k`?"),
        ("timm/resnet18.zzzzzzzzzzzzzzzzzz", "one of resnet18."),
    ],
)
def test_an_unknown_name_or_tag_gets_the_closest(name, suggestion):
    with pytest.raises(BackboneError, match="timm has no network") as refused:
        _resolve(name)
    assert refused.value.ways[0].startswith(suggestion)


def test_a_folder_that_is_not_there_is_refused_by_its_name(tmp_path):
    with pytest.raises(BackboneError, match=r"`local-dir:.*none` cannot be opened"):
        _resolve(f"local-dir:{tmp_path / 'none'}")


def test_a_network_for_other_than_square_colour_images_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({
        "architecture": "test_resnet", "num_classes": 2, "num_features": 96, "model_args": {"in_chans": 1},
        "pretrained_cfg": {"input_size": [1, 96, 128], "num_classes": 2},
    }))  # fmt: skip
    with pytest.raises(BackboneError, match="takes 1 × 96 × 128 inputs; only square RGB"):
        _resolve(f"local-dir:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "cfg", "repository"),
    [
        ("resnet18.a1_in1k", {"hf_hub_id": "timm/resnet18.a1_in1k"}, ("timm/resnet18.a1_in1k", WEIGHT_FILES)),
        ("resnet18", {}, ("", WEIGHT_FILES)),
        ("x", {"hf_hub_id": "a/b", "hf_hub_filename": "w.bin"}, ("a/b", ("w.bin",))),
        ("hf-hub:a/b@rev", {"hf_hub_id": "c/d"}, ("a/b@rev", WEIGHT_FILES)),
        ("local-dir:/tmp/x", {"hf_hub_id": "a/b"}, ("", ())),
    ],
)
def test_where_weights_lie_follows_from_the_name(name, cfg, repository):
    assert _repository(name, cfg) == repository


def test_weights_that_are_not_here_are_asked_for_before_anything_is_built(monkeypatch):
    card = _resolve("timm/resnet18.a1_in1k")
    monkeypatch.setattr(backbones, "_create", lambda *_args, **_values: pytest.fail("it was built"))
    with pytest.raises(BackboneError, match="which is not in the cache"):
        card.create(True)
