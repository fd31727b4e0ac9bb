import copy

import pytest
import timm
import torch
from torch import nn

from advisor.network.adabn import reestimate_batchnorm


def images(count, shift=0.0, seed=0):
    """Each image has a brightness of its own, so that means of batches differ."""
    generator = torch.Generator().manual_seed(seed)
    own = torch.randn(count, 1, 1, 1, generator=generator)
    return torch.randn(count, 3, 64, 64, generator=generator) + own + shift


def make(architecture="test_resnet"):
    torch.manual_seed(0)
    return timm.create_model(architecture, pretrained=False, num_classes=5).eval()


def norms(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def test_the_first_layer_has_the_pooled_statistics_of_all_images():
    network, all_images = make(), images(11, shift=2.0)
    assert reestimate_batchnorm(network, all_images.split(4)) == len(norms(network)) == 15
    conv = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    with torch.no_grad():
        read = conv(all_images).double()
    first = norms(network)[0]
    torch.testing.assert_close(first.running_mean.double(), read.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(first.running_var.double(), read.var((0, 2, 3), correction=0), rtol=1e-5, atol=1e-6)
    parts = torch.stack([part.var((0, 2, 3)) for part in read.split(4)]).mean(0)
    assert (
        read.var((0, 2, 3), correction=0) / parts > 1.02
    ).any()  # the mean of the parts' variances is another number


@pytest.mark.parametrize("architecture", ["test_resnet", "test_efficientnet"])
def test_after_one_batch_evaluation_is_what_normalising_by_the_batch_was(architecture):
    network, batch = make(architecture), images(16, shift=1.0)
    theirs = copy.deepcopy(network)
    for norm in norms(theirs):
        norm.training = True
    with torch.no_grad():
        expected = theirs(batch)
        assert not torch.allclose(network(batch), expected, rtol=1e-2)
        reestimate_batchnorm(network, [batch])
        torch.testing.assert_close(network(batch), expected, rtol=1e-3, atol=1e-4)


def test_nothing_else_changes_and_the_network_is_left_in_evaluation_mode():
    network = make()
    before = copy.deepcopy(network.state_dict())
    reestimate_batchnorm(network.train(), images(8).split(4))
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {name.rpartition(".")[2] for name in changed} == {"running_mean", "running_var"}
    assert not any(module.training for module in network.modules())
    assert not any(module._forward_pre_hooks for module in network.modules())
    assert all(norm.momentum == 0.1 for norm in norms(network))


def test_it_is_deterministic_even_with_dropout():
    def state():
        network = timm.create_model("test_efficientnet", drop_rate=0.5, drop_path_rate=0.5)
        network.load_state_dict(start)
        reestimate_batchnorm(network, images(8).split(4))
        return network.state_dict()

    start = timm.create_model("test_efficientnet").state_dict()
    one, two = state(), state()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_failing_pass_leaves_the_network_as_it_was():
    network = make()
    before = copy.deepcopy(network.state_dict())

    def batches():
        yield images(4)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        reestimate_batchnorm(network, batches())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_networks_without_batchnorm_and_no_images():
    assert reestimate_batchnorm(make("test_convnext"), iter([])) == 0
    with pytest.raises(ValueError, match="no images"):
        reestimate_batchnorm(make(), [])
