"""One pass that brings home features, logits and moments."""

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from advisor.network.stages import Stage, stages_of
from advisor.network.sweep import BATCH, Sweeper, _as_map, batch_for, batchnorms, channel_moments, has_classifier


@pytest.fixture(scope="module", params=["test_resnet", "test_vit"])
def swept(request):
    torch.manual_seed(0)
    size = 160 if request.param == "test_vit" else 32
    network = timm.create_model(request.param, num_classes=5).eval()
    images = torch.randn(3, 3, size, size)
    stages = stages_of(network, images[:1])
    return network, stages, images


def test_every_stage_has_a_vector_an_image_and_the_last_is_timms(swept):
    network, stages, images = swept
    found = Sweeper(network, stages)(images)
    assert len(found.pooled) == len(stages)
    assert all(value.shape[0] == 3 and value.ndim == 2 and value.dtype == torch.float32 for value in found.pooled)
    with torch.no_grad():
        torch.testing.assert_close(
            found.pooled[-1], network.forward_head(network.forward_features(images), pre_logits=True)
        )


def test_logits_and_moments_come_only_where_they_are_asked_for(swept):
    network, stages, images = swept
    plain = Sweeper(network, stages)(images)
    assert plain.logits is None
    assert plain.moments == []
    whole = Sweeper(network, stages)(images, distance=True)
    with torch.no_grad():
        torch.testing.assert_close(whole.logits, network(images))
    assert len(whole.moments) == len(whole.layers) == len(batchnorms(network))
    without = Sweeper(network, stages)(images, distance=True, moments=False)
    assert without.moments == []
    torch.testing.assert_close(without.logits, whole.logits)


def test_moments_of_stages_are_of_all_but_the_last_and_of_no_layer(swept):
    network, stages, images = swept
    found = Sweeper(network, stages, stage_moments=True)(images, distance=True)
    assert len(found.moments) == len(stages) - 1
    assert found.layers == []
    assert all(bool((variance >= 0).all()) for _, variance in found.moments)


def test_an_image_is_read_the_same_alone_and_among_others(swept):
    network, stages, images = swept
    together = Sweeper(network, stages)(images, distance=True)
    alone = Sweeper(network, stages)(images[1:2], distance=True)
    for whole, one in zip([*together.pooled, together.logits], [*alone.pooled, alone.logits], strict=True):
        torch.testing.assert_close(whole[1:2], one, atol=1e-4, rtol=1e-3)


def test_no_hook_is_left_behind_even_after_a_failure(swept):
    network, stages, images = swept
    Sweeper(network, stages)(images, distance=True)
    with pytest.raises((RuntimeError, AssertionError)):
        Sweeper(network, stages)(images[:, :2], distance=True)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_folding_is_done_once_and_of_a_network_without_batchnorm_not_at_all(swept):
    network, stages, images = swept
    sweeper = Sweeper(network, stages)
    folded = sweeper.folded(images[:1])
    assert sweeper.folded(images[:1]) is folded
    assert (folded is sweeper) == (not batchnorms(network))
    assert folded.stage_moments == sweeper.stage_moments


def test_a_network_without_a_classifier_has_no_logits(swept):
    _, _, images = swept
    network = timm.create_model("test_resnet", num_classes=0).eval()
    small = images[:, :, :32, :32]
    stages = stages_of(network, small[:1])
    assert not has_classifier(network)
    assert Sweeper(network, stages)(small, distance=True).logits is None


@pytest.mark.parametrize(("classes", "has"), [(5, True), (0, False), (None, False)])
def test_a_classifier_is_one_that_tells_classes(classes, has):
    network = nn.Linear(2, 2)
    network.num_classes = classes
    assert has_classifier(network) is has
    assert not has_classifier(nn.Linear(2, 2))


def test_a_gpu_gets_larger_batches():
    assert batch_for(torch.device("cpu")) == BATCH < batch_for(torch.device("cuda"))


@given(st.integers(1, 13), st.integers(1, 13), st.integers(1, 4))
@settings(max_examples=30)
def test_moments_of_small_maps_are_exact(height, width, channels):
    features = torch.randn(2, channels, height, width)
    mean, variance = channel_moments(features)
    values = features.numpy().reshape(2, channels, -1)
    np.testing.assert_allclose(mean, values.mean(2), atol=1e-5)
    np.testing.assert_allclose(variance, values.var(2), atol=1e-5)


def test_moments_do_not_depend_on_how_memory_is_laid_out_and_leave_the_map_alone():
    features = torch.randn(2, 4, 28, 28)
    before = features.clone()
    first = channel_moments(features)
    last = channel_moments(features.contiguous(memory_format=torch.channels_last))
    for one, other in zip(first, last, strict=True):
        torch.testing.assert_close(one, other)
    assert torch.equal(features, before)
    mean, variance = channel_moments(features.bfloat16())
    assert mean.dtype == variance.dtype == torch.float32


def test_tokens_and_both_layouts_are_one_map():
    maps = torch.randn(2, 5, 3, 4)
    stage = Stage("s", "s", ())
    assert torch.equal(_as_map(maps, stage), maps)
    assert torch.equal(_as_map(maps.permute(0, 2, 3, 1), Stage("s", "s", (), channels_last=True)), maps)
    tokens = maps.flatten(2).transpose(1, 2)
    assert torch.equal(_as_map(tokens, stage).squeeze(-1), maps.flatten(2))


def test_batchnorms_without_statistics_are_none():
    network = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(3, track_running_stats=False), nn.BatchNorm1d(4))
    assert batchnorms(network) == [network[0]]
