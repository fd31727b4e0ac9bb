import pytest
import timm
import torch
from torch import nn

from advisor.network.fold import fold_batchnorm
from advisor.network.stages import stages_of
from advisor.network.sweep import Sweeper, batchnorms


def built(name):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=10).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
    return network


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "tf_efficientnet_lite0"])
def test_the_folded_network_reads_the_same_features_and_has_no_batchnorm(name):
    network = built(name)
    example = torch.randn(1, 3, 96, 96)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    sweeper = Sweeper(network, stages_of(network, example))
    folded = sweeper.folded(example)
    assert batchnorms(network)
    assert not batchnorms(folded.network)
    images = torch.randn(3, 3, 96, 96)
    for old, new in zip(sweeper(images).pooled, folded(images).pooled, strict=True):
        assert (new - old).abs().max() <= 1e-3 * old.abs().max()
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "tf_efficientnet_lite0"])
def test_moments_of_the_folded_network_are_those_of_the_layers_inputs(name):
    network = built(name)
    images = torch.randn(3, 3, 96, 96)
    sweeper = Sweeper(network, stages_of(network, images[:1]))
    folded = sweeper.folded(images[:1])
    assert folded.knows_moments
    plain, quick = sweeper(images, distance=True), folded(images, distance=True)
    assert all(a is b for a, b in zip(plain.layers, quick.layers, strict=True))
    assert len(plain.layers) > 5
    for expected, found in zip(plain.moments, quick.moments, strict=True):
        for a, b in zip(expected, found, strict=True):
            torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-3)


def test_a_channel_scaled_to_nothing_hides_its_input():
    network = built("test_resnet")
    with torch.no_grad():
        batchnorms(network)[2].weight[1] = 1e-9
    example = torch.randn(1, 3, 64, 64)
    sweeper = Sweeper(network, stages_of(network, example))
    assert sweeper.knows_moments
    assert not sweeper.folded(example).knows_moments


def test_a_network_without_batchnorm_is_left_as_it_is():
    network = timm.create_model("test_vit").eval()
    example = torch.randn(1, 3, 160, 160)
    sweeper = Sweeper(network, stages_of(network, example))
    assert sweeper.folded(example) is sweeper


class Twice(nn.Module):
    """Its convolution feeds BatchNorm and a second reader."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        nn.init.uniform_(self.norm.running_mean, 1, 2)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + y


def test_a_convolution_that_is_read_elsewhere_too_is_not_folded():
    network = Twice().eval()
    images = torch.randn(1, 3, 8, 8)
    assert fold_batchnorm(network, images, lambda net, x: [net(x)]) is None
