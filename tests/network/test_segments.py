import copy

import pytest
import timm
import torch
from timm.layers import DropPath
from torch import nn

from advisor.errors import BackboneError
from advisor.network.segments import Segments
from advisor.network.stages import Stage, Stages, stages_of
from advisor.network.sweep import Sweeper
from advisor.network.transfer import Standardise, TransferNetwork, cut

ARCHITECTURES = ["test_vit", "test_resnet", "test_convnext", "test_efficientnet"]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def divided(request):
    torch.manual_seed(0)
    network = timm.create_model(request.param).eval()
    size = network.pretrained_cfg["input_size"][-1]
    for module in network.modules():  # statistics that evaluation mode must use
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    images = torch.randn(5, 3, size, size)
    stages = stages_of(network, images[:1])
    return network, stages, Segments(network, stages, images[:1]), images


def without_classifier(network):
    root = copy.deepcopy(network)
    root.reset_classifier(0)
    return root


def close(given, wanted):
    torch.testing.assert_close(given, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_both_parts_are_the_whole_at_every_stage_with_another_batch_than_the_example(divided):
    network, stages, segments, images = divided
    root = without_classifier(network)
    whole = root(images)
    for at in range(1, len(stages)):
        kept = segments.between(root, 0, at)(images)
        assert tuple(tuple(value.shape) for value in kept) == tuple((5, *size) for size in segments.sizes(at))
        copies = [value.clone() for value in kept]
        above = segments.between(root, at, len(stages), tapped=True)
        close(above(*kept), whole)
        for value, copied in zip(kept, copies, strict=True):
            assert torch.equal(value, copied)  # may be kept: nothing is changed in place
        close(above(*(value[2:3] for value in kept)), whole[2:3])  # each image on its own


@torch.no_grad()
def test_segments_in_the_middle_compose(divided):
    network, stages, segments, images = divided
    root = without_classifier(network)
    for first in range(1, len(stages) - 1):
        for second in range(first + 1, len(stages)):
            given = segments.between(root, first, second)(*segments.between(root, 0, first)(images))
            for value, wanted in zip(given, segments.between(root, 0, second)(images), strict=True):
                close(value, wanted)
    (vector,) = segments.between(root, 1, len(stages))(*segments.between(root, 0, 1)(images))
    close(vector, root(images))


@torch.no_grad()
def test_what_is_tapped_is_what_the_sweep_pools(divided):
    network, stages, segments, images = divided
    pooled = Sweeper(network, stages)(images).pooled
    for tap in range(1, len(stages) + 1):
        root = copy.deepcopy(network)
        trunk, pool = cut(root, stages, tap)
        for start in {0, tap // 2}:
            # A trunk that `cut` made has lost the code of its blocks; one that was made here has not.
            own = segments.between(without_classifier(network), 0, tap, tapped=True)
            for below in (without_classifier(network), trunk, own):
                kept = segments.between(below, 0, start)(images) if start else (images,)
                close(pool(segments.between(below, start, tap, tapped=True)(*kept)), pooled[tap - 1])


def test_gradients_reach_what_is_above_and_nothing_else(divided):
    network, stages, segments, images = divided
    for at in range(1, len(stages)):
        root = without_classifier(network)
        with torch.no_grad():
            kept = segments.between(root, 0, at)(images)
        segments.between(root, at, len(stages), tapped=True)(*kept).square().sum().backward()
        reached = {name for name, parameter in root.named_parameters() if parameter.grad is not None}
        assert reached == {name for name, _ in root.named_parameters()} - stages.parameters(at)
        whole = without_classifier(network)
        whole(images).square().sum().backward()
        for name in reached:
            wanted = whole.get_parameter(name).grad
            torch.testing.assert_close(root.get_parameter(name).grad, wanted, rtol=1e-3, atol=1e-4 * wanted.abs().max())


@pytest.mark.parametrize("tap", [2, -1])
def test_training_a_segment_trains_the_network_it_was_made_from(divided, tap):
    network, stages, segments, images = divided
    tap = tap if tap > 0 else len(stages)
    width = Sweeper(network, stages)(images).pooled[tap - 1].shape[1]
    standardise = Standardise(torch.zeros(width), torch.ones(width))
    model = TransferNetwork(copy.deepcopy(network), stages, tap, standardise, nn.Linear(width, 3)).eval()
    model.freeze(1, batchnorm="eval")
    above = segments.between(model.trunk, 1, tap, tapped=True)
    shared = dict(model.trunk.named_parameters())
    assert all(shared[name] is parameter for name, parameter in above.named_parameters())
    with torch.no_grad():
        kept = segments.between(model.trunk, 0, 1)(images)
        before = model.features(images)
        close(model.pool(above(*kept)), before)
    digest = model.frozen_digest()
    optimizer = torch.optim.SGD([p for p in above.parameters() if p.requires_grad], lr=0.1)
    model.pool(above(*kept)).square().sum().backward()
    optimizer.step()
    with torch.no_grad():
        after = model.features(images)
        assert not torch.allclose(after, before)
        close(model.pool(above(*kept)), after)
    assert model.frozen_digest() == digest


@pytest.mark.parametrize("tap", [4, 7])
def test_the_mode_of_the_root_and_modules_put_into_it_are_felt(tap):
    torch.manual_seed(0)
    network = timm.create_model("test_vit").eval()
    images = torch.randn(4, 3, 160, 160)
    stages = stages_of(network, images[:1])
    assert len(stages) == 7
    segments = Segments(network, stages, images[:1])
    root = without_classifier(network)
    for block in root.blocks:
        block.drop_path1 = DropPath(0.5).eval()
    trunk = segments.between(root, 0, tap, tapped=True)
    above = segments.between(trunk, 1, tap, tapped=True)
    with torch.no_grad():
        kept = segments.between(trunk, 0, 1)(images)
        close(above(*kept), trunk(images))
        trunk.train()
        assert not torch.equal(above(*kept), above(*kept))
        trunk.eval()
        assert torch.equal(above(*kept), above(*kept))


def test_batchnorm_above_the_cut_follows_the_root():
    torch.manual_seed(0)
    network = timm.create_model("test_resnet").eval()
    images = torch.randn(4, 3, 64, 64)
    stages = stages_of(network, images[:1])
    segments = Segments(network, stages, images[:1])
    root = without_classifier(network)
    above = segments.between(root, 2, len(stages), tapped=True)
    kept = segments.between(root, 0, 2)(images)
    before = copy.deepcopy(root.state_dict())
    root.train()
    above(*kept)
    moved = {name for name, value in root.state_dict().items() if not torch.equal(value, before[name])}
    frozen = {name.rpartition(".")[0] for name in stages.parameters(2)}
    norms = {name for name, module in root.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert {name.rpartition(".")[0] for name in moved} == norms - frozen


@pytest.mark.parametrize(
    "name",
    [
        "pvt_v2_b0",  # blocks take the size beside the tokens
        "crossvit_9_240",  # two branches, lists of tensors
        "coat_lite_tiny",  # shared position encodings
        "eva02_tiny_patch14_224",  # rotary tables
        "densenet121",
        "davit_tiny",
        "tnt_s_legacy_patch16_224",  # patches of pixels as a batch of their own
    ],
)
def test_families_that_hand_on_more_than_a_map(name):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=0).eval()
    size = network.pretrained_cfg["input_size"][-1]
    images = torch.randn(1, 3, size, size)
    stages = stages_of(network, images)
    segments = Segments(network, stages, images)
    at = len(stages) // 2
    with torch.no_grad():
        kept = segments.between(network, 0, at)(images)
        close(segments.between(network, at, len(stages), tapped=True)(*kept), network(images))
    assert all(isinstance(value, torch.Tensor) and value.shape[0] == 1 for value in kept)


def test_making_segments_leaves_the_network_alone():
    torch.manual_seed(0)
    network = timm.create_model("test_convnext").eval()
    before = copy.deepcopy(network.state_dict())
    modules = dict(network.named_modules())
    images = torch.randn(1, 3, 64, 64)
    Segments(network, stages_of(network, images), images)
    assert dict(network.named_modules()) == modules
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class Counting(nn.Module):
    """Does something else with large batches."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)

    def reset_classifier(self, number):
        assert number == 0

    def forward(self, images):
        features = self.a(images)
        if features.shape[0] > 2:
            features = features.relu()
        return self.c(self.b(features)).mean((2, 3))


def test_a_network_that_cannot_be_divided_is_refused_with_the_reason():
    parts = [Stage(name, name if name != "c" else "", (f"{name}.weight", f"{name}.bias")) for name in "abc"]
    with pytest.raises(BackboneError, match=r"`Counting` cannot be divided into its stages: .* the batch size"):
        Segments(Counting().eval(), Stages(tuple(parts)), torch.randn(1, 3, 12, 12))
