"""From a card to the network."""

from dataclasses import replace

import pytest
import timm
import torch

from advisor.errors import BackboneError
from advisor.network.opening import open_network, stages_for
from advisor.network.stages import CODES
from advisor.types import Backbone, InputSpec, Weights

CPU = torch.device("cpu")


def create(pretrained):
    assert pretrained
    return timm.create_model("test_resnet", num_classes=4).train()


CARD = Backbone("tiny", create, InputSpec(size=32), Weights("none"))


def test_a_network_comes_in_evaluation_mode_with_its_classifier_and_laid_out_for_speed():
    network = open_network(CARD, CPU)
    assert not any(module.training for module in network.modules())
    assert network.num_classes == 4
    kernels = [parameter for parameter in network.parameters() if parameter.ndim == 4]
    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


@pytest.mark.parametrize("thing", [None, "weights.pth", {"state_dict": 1}, object])
def test_what_is_no_network_is_named_with_its_kind(thing):
    with pytest.raises(BackboneError, match=f"returned {type(thing).__name__}, no torch.nn.Module") as refused:
        open_network(replace(CARD, create=lambda _pretrained: thing), CPU)
    assert "`tiny`" in refused.value.message
    assert refused.value.hint == "advisor backbones"


@pytest.mark.parametrize("codes", CODES)
def test_stages_are_read_as_was_asked(codes):
    network = open_network(CARD, CPU)
    stages = stages_for(CARD, network, codes=codes)
    assert stages.codes == codes
    assert len(stages) >= 3
    assert not network.training


def test_stages_are_found_where_the_network_lives():
    with torch.device("meta"):
        network = timm.create_model("test_resnet", num_classes=4)
    here = stages_for(CARD, open_network(CARD, CPU))
    assert [stage.name for stage in stages_for(CARD, network).stages] == [stage.name for stage in here.stages]
