"""Pooling, standardising, tapping and devices, on tiny arrays."""

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from advisor.errors import BackboneError, UsageError
from advisor.network.ridge import standardise
from advisor.network.stages import TOKENS, Stages, stages_of
from advisor.network.tapped import TappedNetwork
from advisor.network.transfer import Pool, Standardise, TransferNetwork, cut, pick_device

FIRST, LAST = {"channels_last": False}, {"channels_last": True}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


# -- pooling


@pytest.mark.parametrize("codes", ["mean", "relu", "mean+std"])
def test_both_layouts_and_tokens_pool_to_the_same_vector(codes):
    maps = torch.randn(3, 5, 4, 4)
    by_layout = [
        Pool(**FIRST, codes=codes)(maps),
        Pool(**LAST, codes=codes)(maps.permute(0, 2, 3, 1)),
        Pool(**FIRST, codes=codes)(maps.flatten(2).transpose(1, 2)),
    ]
    for other in by_layout[1:]:
        torch.testing.assert_close(by_layout[0], other)
    assert by_layout[0].shape == (3, 10 if codes == "mean+std" else 5)


@pytest.mark.parametrize("codes", ["mean", "relu", "mean+std"])
def test_the_order_of_positions_does_not_matter(codes):
    tokens = torch.randn(2, 9, 4)
    pool = Pool(**FIRST, codes=codes)
    torch.testing.assert_close(pool(tokens), pool(tokens[:, torch.randperm(9)]))


def test_codes_are_those_of_numpy():
    maps = torch.randn(2, 3, 4, 5).double()
    values = maps.numpy().reshape(2, 3, 20)
    np.testing.assert_allclose(Pool(**FIRST)(maps), values.mean(2))
    np.testing.assert_allclose(Pool(**FIRST, codes="relu")(maps), np.maximum(values, 0).mean(2))
    np.testing.assert_allclose(
        Pool(**FIRST, codes="mean+std")(maps), np.concatenate([values.mean(2), values.std(2)], 1), atol=1e-6
    )


def test_a_map_that_is_the_same_everywhere_has_a_finite_gradient():
    maps = torch.ones(1, 2, 3, 3, requires_grad=True)
    Pool(**FIRST, codes="mean+std")(maps).sum().backward()
    assert torch.isfinite(maps.grad).all()


@pytest.mark.parametrize("codes", ["mean", "relu", "mean+std"])
def test_one_vector_an_image_stays_as_it_is_but_for_the_rectifier(codes):
    vectors = torch.tensor([[1.0, -2.0]])
    expected = [[1.0, 0.0]] if codes == "relu" else [[1.0, -2.0]]
    assert Pool(**FIRST, codes=codes)(vectors).tolist() == expected


def test_tokens_keep_every_position_in_one_order():
    maps = torch.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    kept = Pool(**FIRST, codes=TOKENS)(maps)
    assert kept.shape == (2, 4, 3)
    assert torch.equal(kept, Pool(**LAST, codes=TOKENS)(maps.permute(0, 2, 3, 1)))
    assert kept[0, 1].tolist() == maps[0, :, 0, 1].tolist()
    tokens = torch.randn(2, 4, 3)
    assert Pool(**FIRST, codes=TOKENS)(tokens) is tokens


def test_a_head_that_reads_positions_is_refused_where_there_are_none():
    with pytest.raises(BackboneError, match="one vector an image") as refused:
        Pool(**FIRST, codes=TOKENS)(torch.zeros(2, 3))
    assert any("tap earlier" in way for way in refused.value.ways)


# -- standardising


@given(st.integers(2, 30), st.integers(1, 8), st.integers(0, 1000))
@settings(max_examples=40)
def test_training_features_are_centred_and_of_at_most_unit_length_on_average(n, width, seed):
    features = torch.randn(n, width, generator=torch.Generator().manual_seed(seed)) * 5 + 3
    scaled = Standardise.of(features)(features)
    torch.testing.assert_close(scaled.mean(0), torch.zeros(width), atol=1e-4, rtol=0)
    assert float(scaled.square().sum(1).mean()) <= 1 + 1e-4


def test_it_is_the_probes_own_standardisation():
    features = np.random.default_rng(0).normal(3, [1, 5, 0.1, 2], (50, 4)).astype(np.float32)
    scaled, mean, scale = standardise(features)
    module = Standardise.of(torch.from_numpy(features))
    np.testing.assert_allclose(module(torch.from_numpy(features)), scaled, atol=1e-5)
    np.testing.assert_allclose(module.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(module.scale, scale, rtol=1e-5)


def test_a_column_that_never_varies_becomes_zero_not_infinite():
    features = torch.randn(20, 3)
    features[:, 1] = 7.0
    scaled = Standardise.of(features)(features)
    assert scaled[:, 1].tolist() == [0.0] * 20
    assert torch.isfinite(Standardise.of(torch.full((4, 3), 2.0)).scale).all()


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_folding_changes_nothing_but_the_number_of_layers(seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(20, 5, generator=generator) * 3 + 1
    linear, module = nn.Linear(5, 2), Standardise.of(features)
    torch.testing.assert_close(module.fold_into(linear)(features), linear(module(features)), atol=1e-5, rtol=1e-4)


def test_mean_and_scale_are_saved_and_never_learn():
    module = Standardise.of(torch.randn(9, 4))
    assert set(module.state_dict()) == {"mean", "scale"}
    assert not list(module.parameters())


# -- the network with a head


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=5).eval()
    return network, stages_of(network, torch.zeros(1, 3, 32, 32))


def transferred(tap_from_top=0):
    network = timm.create_model("test_resnet", num_classes=5).eval()
    stages = stages_of(network, torch.zeros(1, 3, 32, 32))
    tap = len(stages) - tap_from_top
    trunk, pool = cut(network, stages, tap)
    with torch.no_grad():
        out = trunk(torch.randn(6, 3, 32, 32))
        features = pool(out["tap"] if isinstance(out, dict) else out)
    return TransferNetwork(
        timm.create_model("test_resnet", num_classes=5), stages, tap, Standardise.of(features),
        nn.Linear(features.shape[1], 3),
    )  # fmt: skip


@pytest.mark.parametrize("tap_from_top", [0, 1])
def test_freezing_covers_every_parameter_of_what_is_frozen_and_none_above(tap_from_top):
    network = transferred(tap_from_top)
    for count in range(network.tap + 1):
        network.freeze(count, batchnorm="train")
        frozen = {name for name, parameter in network.trunk.named_parameters() if not parameter.requires_grad}
        present = {name for name, _ in network.trunk.named_parameters()}
        assert frozen == network.stages.parameters(count) & present
        assert all(parameter.requires_grad for parameter in network.head.parameters())


def test_training_mode_reaches_what_trains_and_not_what_is_frozen():
    network = transferred()
    network.freeze(network.tap, batchnorm="train")
    network.train()
    assert not network.trunk.training
    assert network.head.training
    network.freeze(0, batchnorm="eval")
    network.train()
    norms = [module for module in network.trunk.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    network.freeze(0, batchnorm="train")
    network.train()
    assert all(norm.training for norm in norms)
    network.eval()
    assert not any(module.training for module in network.modules())


def test_the_last_kept_stage_is_none_below_the_head_and_the_first_most():
    network = transferred(1)
    places = network.stages_from_top()
    assert {places[name] for name in network.stages.stages[network.tap - 1].parameters} == {0}
    assert {places[name] for name in network.stages.stages[0].parameters} == {network.tap - 1}
    assert not set(network.stages.stages[-1].parameters) & set(places)


def test_stages_counted_by_fractions_are_whole_and_within_bounds(tiny):
    _, stages = tiny
    assert stages.parameters(0) == frozenset()
    assert stages.parameters(len(stages)) >= stages.parameters(1)


@given(st.integers(3, 40), st.floats(0, 1), st.floats(0, 1))
def test_deeper_fractions_never_mean_fewer_stages(count, one, other):
    stages = Stages((None,) * count)
    low, high = sorted((one, other))
    assert 1 <= stages.tap_index(low) <= stages.tap_index(high) <= count
    assert 0 <= stages.frozen_index(low, count) <= stages.frozen_index(high, count) <= count
    assert stages.tap_index(1.0) == count
    assert stages.frozen_index(1.0, count) == count
    assert stages.frozen_index(0.0, count) == 0


@given(st.integers(3, 40), st.data())
def test_a_stages_own_fraction_leads_back_to_it(count, data):
    stage = data.draw(st.integers(1, count))
    assert Stages((None,) * count).tap_index(stage / count) == stage


# -- a cut network with timm's interface


@pytest.mark.parametrize("tap_from_top", [0, 1])
def test_a_tapped_network_answers_as_the_tuned_one_does(tap_from_top):
    tuned = transferred(tap_from_top).eval()
    tapped = TappedNetwork(tuned, 3).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(tapped(images), tuned(images))
        features = tapped.forward_features(images)
        pooled = tapped.forward_head(features, pre_logits=True)
        torch.testing.assert_close(pooled, tuned.features(images))
    assert pooled.shape == (2, tapped.num_features)
    assert tapped.get_classifier() is tapped.head


def test_another_classifier_or_none_can_be_put_in_place():
    tapped = TappedNetwork(transferred(1).eval(), 3)
    images = torch.randn(2, 3, 32, 32)
    tapped.reset_classifier(7)
    assert tapped(images).shape == (2, 7)
    assert tapped.num_classes == 7
    tapped.reset_classifier(0)
    assert tapped(images).shape == (2, tapped.num_features)


def test_stages_of_a_tapped_network_are_those_that_were_kept():
    tuned = transferred(1).eval()
    kept = tuned.tap
    tapped = TappedNetwork(tuned, 3).eval()
    group = tapped.group_matcher()
    order = [group(name) for name, _ in tapped.named_parameters()]
    assert set(order) == set(range(kept + 1))
    assert group("head.1.weight") == kept  # the classifier comes last
    again = stages_of(tapped, torch.zeros(1, 3, 32, 32))
    assert len(again) == kept


# -- devices


@pytest.mark.parametrize("name", ["gpu", "cpuu", "", "cuda:x", "tpu0"])
def test_what_is_no_device_is_refused_with_those_there_are(name):
    with pytest.raises(UsageError, match="is not a device") as refused:
        pick_device(name)
    assert "auto, cpu, cuda, cuda:1" in refused.value.ways
    assert refused.value.hint


def test_a_processor_is_always_there_and_a_gpu_may_be_missing(monkeypatch):
    assert pick_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    with pytest.raises(BackboneError, match="no usable NVIDIA GPU"):
        pick_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == torch.device("cuda")
    assert pick_device("cuda:1") == torch.device("cuda", 1)
