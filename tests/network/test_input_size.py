import copy

import pytest
import timm
import torch

from advisor.errors import BackboneError
from advisor.network.input_size import resize_input
from advisor.network.stages import stages_of
from advisor.types import InputSpec


def build(name, **kwargs):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=5, **kwargs).eval()
    return network, InputSpec(size=network.pretrained_cfg["input_size"][-1], crop_pct=1.0)


@pytest.mark.parametrize(
    ("name", "size"),
    [("test_resnet", 64), ("test_resnet", 75), ("test_vit", 96), ("vgg11", 64), ("swin_tiny_patch4_window7_224", 128)],
)
def test_the_network_takes_the_new_size_and_the_spec_says_so(name, size):
    network, spec = build(name)
    changed = resize_input(network, spec, size)
    assert (changed.size, changed.crop_pct, changed.resize) == (size, 1.0, size)
    assert (changed.mean, changed.interpolation) == (spec.mean, spec.interpolation)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert network(images).shape == (2, 5)
    assert len(stages_of(network, images[:1])) >= 4


def test_convolutions_keep_their_weights_and_positions_are_resampled():
    network, spec = build("test_resnet")
    before = copy.deepcopy(network.state_dict())
    resize_input(network, spec, 96)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

    network, spec = build("test_vit")
    grid = network.patch_embed.grid_size[0]
    with torch.no_grad():  # a map of positions that says the row
        network.pos_embed[0, -(grid**2) :] = torch.arange(grid).repeat_interleave(grid)[:, None] / (grid - 1)
    before = copy.deepcopy(network.state_dict())
    resize_input(network, spec, 96)
    after = network.state_dict()
    assert [name for name in after if after[name].shape != before[name].shape] == ["pos_embed"]
    assert all(torch.equal(after[name], before[name]) for name in after if name != "pos_embed")
    rows = after["pos_embed"][0, -36:, 0].unflatten(0, (6, 6))
    torch.testing.assert_close(rows.mean(1), torch.linspace(0, 1, 6), atol=0.1, rtol=0)


def test_the_present_size_changes_nothing():
    network, spec = build("test_vit")
    embedding = network.pos_embed
    assert resize_input(network, spec, spec.size) is spec
    assert network.pos_embed is embedding


def test_a_size_that_does_not_fit_the_patches_names_those_that_do_and_leaves_the_network_alone():
    network, spec = build("test_vit")
    images = torch.randn(1, 3, spec.size, spec.size)
    with torch.no_grad():
        before = network(images)
        with pytest.raises(BackboneError, match="cannot take images of 100 × 100") as caught:
            resize_input(network, spec, 100)
        assert torch.equal(network(images), before)
    assert caught.value.ways[:2] == ("use 96 pixels", "use 112 pixels")
    resize_input(network, spec, 112)


def test_a_fixed_input_is_refused():
    network, spec = build("mixer_s32_224")
    with pytest.raises(BackboneError, match="its input size is fixed") as caught:
        resize_input(network, spec, 256)
    assert caught.value.ways[0] == "use 224 pixels"


def test_an_image_too_small_for_the_strides_is_refused():
    with torch.device("meta"):
        network, spec = build("vgg11")
    with pytest.raises(BackboneError, match="cannot take images of 16 × 16") as caught:
        resize_input(network, spec, 16)
    assert caught.value.ways[0] == "use 32 pixels"
