import copy

import pytest
import timm
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import nn

from advisor.network.fast_training import fast_training

BATCH = 16


def built(name):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=10).to(memory_format=torch.channels_last).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.eval()
    return network


def trained(network, images, labels, steps=6):
    """Losses of a few steps, as the training loop takes them."""
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-3, fused=True)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(BATCH, 3, 64, 64), torch.randint(0, 10, (BATCH,))


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "tf_efficientnet_lite0"])
def test_gradients_are_those_of_plain_training(name):
    torch.manual_seed(1)
    images, labels = torch.randn(4, 3, 48, 48, dtype=torch.float64), torch.arange(4)
    network = built(name).double()
    F.cross_entropy(network(images), labels).backward()
    expected = {key: parameter.grad for key, parameter in network.named_parameters()}
    network.zero_grad()
    with fast_training(network, (images[:1],), 64):
        assert any("forward" in module.__dict__ for module in network.modules()) or name == "test_convnext"
        F.cross_entropy(network(images), labels).backward()
    for key, parameter in network.named_parameters():
        assert (parameter.grad - expected[key]).norm() <= 1e-9 * expected[key].norm() + 1e-15, key


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_losses_and_weights_are_those_of_plain_training(name, batch):
    plain, fast = built(name), built(name)
    expected = trained(plain, *batch)
    with fast_training(fast, (batch[0][:1],), BATCH):
        losses = trained(fast, *batch)
    assert losses == pytest.approx(expected, rel=2e-3)
    assert losses[-1] < losses[0]
    before = built(name).state_dict()
    for key, value in fast.state_dict().items():
        if value.is_floating_point() and not torch.equal(value, before[key]):
            moved, other = value - before[key], plain.state_dict()[key] - before[key]
            assert (moved - other).norm() <= 0.1 * other.norm(), key
    assert fast.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize("name", ["test_efficientnet", "test_convnext", "tf_efficientnet_lite0"])
def test_in_bfloat16_gradients_point_the_same_way(name, batch):
    images, labels = batch
    network = built(name)
    gradients = []
    with fast_training(network, (images[:1],), BATCH):
        for lowered in (False, True):
            network.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
                logits = network(images)
            F.cross_entropy(logits.float(), labels).backward()
            gradients.append(torch.cat([parameter.grad.flatten() for parameter in network.parameters()]))
    assert gradients[1].dtype == torch.float32
    assert F.cosine_similarity(*gradients, dim=0) > 0.95


def test_batchnorm_is_folded_and_its_own_parameters_learn(batch):
    network = built("test_efficientnet")
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with fast_training(network, (batch[0][:1],), BATCH):
        replaced = [norm for norm in norms if "forward" in norm.__dict__]
        before = [norm.weight.clone() for norm in replaced]
        trained(network, *batch, steps=2)
    assert replaced
    assert not any("forward" in module.__dict__ for module in network.modules())
    assert all(not torch.equal(old, norm.weight) for old, norm in zip(before, replaced, strict=True))


def test_batchnorm_that_follows_the_images_is_left_alone(batch):
    plain, fast = built("test_efficientnet").train(), built("test_efficientnet").train()
    expected = trained(plain, *batch)
    with fast_training(fast, (batch[0][:1],), BATCH):
        losses = trained(fast, *batch)
    assert losses == pytest.approx(expected, rel=1e-4)
    assert torch.allclose(fast.bn1.running_mean, plain.bn1.running_mean)
    assert fast.bn1.training


def test_answers_follow_the_weights_after_every_step(batch):
    network = built("test_efficientnet")
    with fast_training(network, (batch[0][:1],), BATCH):
        for _ in range(2):
            trained(network, *batch, steps=1)
            with torch.inference_mode():
                answers = network(batch[0])
                again = network(batch[0])
            assert torch.equal(answers, again)
            expected = copy.deepcopy(network)
            for module in expected.modules():
                module.__dict__.pop("forward", None)
            with torch.inference_mode():
                torch.testing.assert_close(answers, expected(batch[0]), rtol=1e-3, atol=1e-4)


def test_a_frozen_layer_stays_as_it_is(batch):
    network = built("test_efficientnet")
    for parameter in network.blocks[0].parameters():
        parameter.requires_grad_(False)
    before = {key: value.clone() for key, value in network.blocks[0].state_dict().items()}
    with fast_training(network, (batch[0][:1],), BATCH):
        trained(network, *batch, steps=2)
    assert all(torch.equal(before[key], value) for key, value in network.blocks[0].state_dict().items())


def test_a_convolution_that_is_used_twice_is_not_folded():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
            nn.init.uniform_(self.norm.running_mean, 1, 2)

        def forward(self, images):
            out = self.conv(images)
            return (self.norm(out) + out).mean((2, 3))

    network = Twice().eval()
    images = torch.randn(2, 3, 8, 8)
    expected = network(images)
    with fast_training(network, (images,), 64):
        assert "forward" not in network.conv.__dict__
        assert torch.equal(network(images), expected)


def test_what_was_replaced_comes_back_after_an_error(batch):
    network = built("test_resnet")
    with pytest.raises(ZeroDivisionError), fast_training(network, (batch[0][:1],), BATCH):
        1 / 0  # noqa: B018
    assert not any("forward" in module.__dict__ for module in network.modules())
