import copy

import pytest
import timm
import torch
from torch import nn

from advisor.errors import BackboneError
from advisor.network.stages import CODES, classifier_parameters, stages_of
from advisor.network.sweep import Sweeper
from advisor.network.transfer import Pool, Standardise, TransferNetwork

ARCHITECTURES = ["test_vit", "test_resnet", "test_convnext", "test_efficientnet"]
# Families whose own grouping needs care: no matcher, tokens, channels last, wide classifier, two heads.
ON_META = ["caformer_s18", "levit_128", "swin_tiny_patch4_window7_224", "vgg11", "cait_xxs24_224", "visformer_tiny",
           "mobilenetv3_small_100", "densenet121", "deit_tiny_distilled_patch16_224", "tf_efficientnet_lite0"]  # fmt: skip


def build(name, **kwargs):
    torch.manual_seed(0)
    network = timm.create_model(name, **kwargs).eval()
    size = network.pretrained_cfg["input_size"][-1]
    return network, torch.randn(2, 3, size, size)


def transfer(network, stages, tap, example):
    pooled = Sweeper(network, stages)(example).pooled[tap - 1]
    head = nn.Linear(pooled.shape[1], 3)
    return TransferNetwork(copy.deepcopy(network), stages, tap, Standardise.of(torch.randn(8, pooled.shape[1])), head)


@pytest.mark.parametrize("name", [*ARCHITECTURES, *ON_META])
def test_stages_cover_every_parameter_once_and_in_forward_order(name):
    with torch.device("meta"):
        network = timm.create_model(name).eval()
        size = network.pretrained_cfg["input_size"][-1]
        stages = stages_of(network, torch.zeros(1, 3, size, size))
    listed = [parameter for stage in stages.stages for parameter in stage.parameters]
    everything = {parameter for parameter, _ in network.named_parameters()} - classifier_parameters(network)
    assert sorted(listed) == sorted(everything)
    assert len(stages) >= 4
    assert stages.stages[-1].tap == ""
    assert all(stage.parameters for stage in stages.stages)
    order = {}

    def remember(path):
        def hook(*_):
            order.setdefault(path, len(order))

        return hook

    for path, module in network.named_modules():
        module.register_forward_pre_hook(remember(path))
    with torch.no_grad():
        network(torch.zeros(1, 3, size, size, device="meta"))
    place = {parameter: index for index, stage in enumerate(stages.stages) for parameter in stage.parameters}
    called = sorted(
        (p for p in place if p.rpartition(".")[0] in order and "." in p), key=lambda p: order[p.rpartition(".")[0]]
    )
    indices = [place[parameter] for parameter in called]
    assert indices == sorted(indices)


def test_two_groups_out_of_order_are_repaired():
    with torch.device("meta"):
        network = timm.create_model("cait_xxs24_224")
        stages = stages_of(network, torch.zeros(1, 3, 224, 224))
    assert stages.repaired


def test_fractions_become_stages():
    network, example = build("test_efficientnet")
    stages = stages_of(network, example[:1])
    count = len(stages)
    assert [stages.tap_index(f) for f in (0.0, 0.01, 0.5, 1.0)] == [1, 1, round(count / 2), count]
    assert [stages.frozen_index(d, count) for d in (0.0, 1.0)] == [0, count]


def test_a_network_without_stages_is_refused():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

        def forward(self, images):
            return self.b(self.a(images)).mean((2, 3))

    with pytest.raises(BackboneError, match="Only 2 stages can be told apart"):
        stages_of(Flat(), torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("codes", CODES)
def test_a_cut_network_gives_the_features_of_the_whole_one_at_every_tap(name, codes):
    network, example = build(name)
    stages = stages_of(network, example[:1], codes=codes)
    pooled = Sweeper(network, stages)(example).pooled
    for tap in range(1, len(stages) + 1):
        cut = transfer(network, stages, tap, example).eval()
        with torch.no_grad():
            torch.testing.assert_close(cut.features(example), pooled[tap - 1], atol=1e-5, rtol=1e-5)


def test_codes_are_the_mean_of_positive_parts_or_mean_and_deviation_over_positions():
    values = torch.randn(3, 5, 4, 4)
    flat = values.flatten(2)
    torch.testing.assert_close(Pool(channels_last=False, codes="relu")(values), flat.clamp(min=0).mean(2))
    both = torch.cat((flat.mean(2), flat.std(2, correction=0)), dim=1)
    for pool, given in (
        (Pool(channels_last=False, codes="mean+std"), values),
        (Pool(channels_last=True, codes="mean+std"), values.permute(0, 2, 3, 1)),
        (Pool(channels_last=False, codes="mean+std"), flat.transpose(1, 2)),
    ):
        torch.testing.assert_close(pool(given), both)
    flat_map = torch.zeros(2, 3, 4, 4, requires_grad=True)
    Pool(channels_last=False, codes="mean+std")(flat_map).sum().backward()
    assert torch.isfinite(flat_map.grad).all()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_last_tap_is_what_timm_calls_the_features(name):
    network, example = build(name)
    stages = stages_of(network, example[:1])
    swept = Sweeper(network, stages)(example, distance=True)
    with torch.no_grad():
        torch.testing.assert_close(swept.logits, network(example))
        network.reset_classifier(0)
        torch.testing.assert_close(swept.pooled[-1], network(example))


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("batchnorm", ["train", "eval"])
def test_frozen_stages_neither_learn_nor_drift(name, batchnorm):
    network, example = build(name)
    stages = stages_of(network, example[:1])
    trainable = []
    for tap in (len(stages), len(stages) - 1):
        for frozen in range(tap + 1):
            model = transfer(network, stages, tap, example)
            model.freeze(frozen, batchnorm=batchnorm)
            model.train()
            before = {key: value.clone() for key, value in model.state_dict().items()}
            digest = model.frozen_digest()
            optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
            for _ in range(2):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(example), torch.tensor([0, 1])).backward()
                optimizer.step()
            assert model.frozen_digest() == digest
            names = stages.parameters(frozen)
            moved = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
            assert not {key.removeprefix("trunk.") for key in moved} & names
            buffers = {key for key, _ in model.trunk.named_buffers()}
            if batchnorm == "eval" or frozen == tap:
                assert not {key.removeprefix("trunk.") for key in moved} & buffers
            if tap == len(stages):
                trainable.append({n for n, p in model.trunk.named_parameters() if p.requires_grad})
    assert all(deeper < shallower for shallower, deeper in zip(trainable, trainable[1:], strict=False))


def test_the_digest_sees_a_moved_parameter_and_a_moved_buffer():
    network, example = build("test_resnet")
    stages = stages_of(network, example[:1])
    model = transfer(network, stages, len(stages), example)
    model.freeze(2, batchnorm="train")
    digest = model.frozen_digest()
    with torch.no_grad():
        model.trunk.layer4[0].conv1.weight.add_(1)
        model.trunk.layer4[0].bn1.running_mean.add_(1)
    assert model.frozen_digest() == digest  # those train
    with torch.no_grad():
        model.trunk.bn1.running_mean.add_(1e-3)
    assert model.frozen_digest() != digest
    digest = model.frozen_digest()
    with torch.no_grad():
        model.trunk.layer1[0].conv1.weight.add_(1e-3)
    assert model.frozen_digest() != digest


def test_standardisation_folds_into_a_linear_layer():
    features = torch.randn(50, 6) * torch.tensor([1.0, 5, 0.1, 3, 1, 0]) + 7
    standardise = Standardise.of(features)
    scaled = standardise(features)
    variance = features.double().var(0, correction=0)[:5]
    length = (variance / (variance + 0.3 * variance.mean())).sum() / 6
    torch.testing.assert_close(scaled.pow(2).sum(1).mean().double(), length, atol=1e-4, rtol=0)
    linear = nn.Linear(6, 3)
    torch.testing.assert_close(standardise.fold_into(linear)(features), linear(scaled), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["repvgg_a0", "xception41", "mobilenetv4_conv_small"])
def test_moments_belong_to_their_layers(name):
    """Layers run in another order than they were made, or twice."""
    torch.manual_seed(0)
    network = timm.create_model(name).eval()
    example = torch.randn(1, 3, 64, 64)
    sweeper = Sweeper(network, stages_of(network, example))
    swept = sweeper(example, distance=True)
    layers, moments = swept.layers, swept.moments
    assert len(layers) == len(moments) > 10
    assert all(mean.shape == (1, norm.num_features) for norm, (mean, _) in zip(layers, moments, strict=True))
