import copy

import pytest
import timm
import torch
from timm.layers import DropPath
from torch import nn

from advisor.network.drop_path import set_drop_path
from advisor.network.stages import stages_of
from advisor.network.transfer import cut

IMAGES = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def make(architecture):
    torch.manual_seed(0)
    size = {"img_size": 64} if architecture == "test_vit" else {}
    network = timm.create_model(architecture, pretrained=False, num_classes=5, **size).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("gamma"):
            nn.init.ones_(parameter)  # ConvNeXt starts with blocks that do next to nothing
    return network


def rates(network):
    return {path: module.drop_prob for path, module in network.named_modules() if isinstance(module, DropPath)}


@pytest.mark.parametrize("architecture", ["test_convnext", "test_vit", "test_efficientnet"])
def test_the_rate_rises_linearly_with_depth(architecture):
    network = make(architecture)
    before = network(IMAGES)
    assert set_drop_path(network, 0.5) == len(rates(network)) > 2
    steps = torch.tensor(sorted(set(rates(network).values()))).diff()
    torch.testing.assert_close(steps, steps[:1].expand_as(steps), rtol=1e-4, atol=0)
    found = list(rates(network).values())
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0.0, 0.5)
    assert torch.equal(network(IMAGES), before)  # in evaluation mode


@pytest.mark.parametrize("architecture", ["test_convnext", "test_vit"])  # test_efficientnet has no way around a block
def test_in_training_each_image_goes_its_own_way(architecture):
    network = make(architecture)
    before = network(IMAGES)
    state = copy.deepcopy(network.state_dict())
    set_drop_path(network, 0.5)
    for module in network.modules():
        module.training = isinstance(module, DropPath)  # so that only depth is random
    torch.manual_seed(0)
    one, two = network(IMAGES), network(IMAGES)
    assert ((one - before).abs().amax(1) > 1e-3).all()
    assert ((one - two).abs().amax(1) > 1e-3).all()
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())


def test_both_places_of_a_block_have_its_rate_as_in_timm():
    network, theirs = make("test_vit"), timm.create_model("test_vit", drop_path_rate=0.3)
    set_drop_path(network, 0.3)
    expected = [
        [getattr(b.drop_path1, "drop_prob", 0.0), getattr(b.drop_path2, "drop_prob", 0.0)] for b in theirs.blocks
    ]
    assert [[b.drop_path1.drop_prob, b.drop_path2.drop_prob] for b in network.blocks] == [
        pytest.approx(pair) for pair in expected
    ]


def test_it_can_be_set_again_and_switched_off():
    network = make("test_convnext")
    places = set_drop_path(network, 0.5)
    assert set_drop_path(network, 0.0) == places
    assert set(rates(network).values()) == {0.0}
    torch.testing.assert_close(network.train()(IMAGES), network.eval()(IMAGES))


def test_a_network_without_places_stays_as_it_is():
    network = make("test_resnet")
    printed = str(network)
    assert set_drop_path(network, 0.5) == 0
    assert str(network) == printed


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_that_is_no_probability_below_one_is_an_error(rate):
    with pytest.raises(ValueError, match="not in"):
        set_drop_path(make("test_vit"), rate)


@pytest.mark.parametrize("architecture", ["test_convnext", "test_vit"])
def test_a_network_that_is_cut_afterwards_still_drops(architecture):
    network = make(architecture)
    stages = stages_of(network, IMAGES[:1])
    tap = len(stages) - 1
    expected = cut(copy.deepcopy(network), stages, tap)[0].eval()(IMAGES)["tap"]
    set_drop_path(network, 0.9)
    trunk, _ = cut(network, stages, tap)
    assert torch.equal(trunk.eval()(IMAGES)["tap"], expected)
    torch.manual_seed(0)
    trunk.train()
    one, two = trunk(IMAGES)["tap"], trunk(IMAGES)["tap"]
    assert ((one - two).flatten(1).abs().amax(1) > 1e-3).all()
