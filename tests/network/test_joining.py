"""Which stages are read together, and that a network cut for them answers with just those features."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import timm
import torch
from torch import nn

from advisor.errors import BackboneError
from advisor.network.joining import best_together, joined
from advisor.network.ridge import fit_ridge, standardise
from advisor.network.stages import TOKENS, stages_of
from advisor.network.sweep import Sweeper
from advisor.network.transfer import Standardise, TransferNetwork


def two_halves(n=120, seed=0):
    """Stages of which the second and the fourth each tell one half of four classes apart; the rest are noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 4
    noise = [rng.normal(size=(n, width)).astype(np.float32) for width in (5, 8, 40, 60, 30)]
    noise[1][:, 0] += 12 * (labels % 2)
    noise[3][:, 0] += 12 * (labels // 2)
    return noise, labels


def test_stages_that_know_different_things_are_read_together_and_noise_is_not():
    stages, labels = two_halves()
    read = best_together(stages, labels, 4, 4)
    assert {2, 4} <= set(read)
    alone, together = (fit_ridge(joined([stages[s - 1] for s in some]), labels, 4, scaled=True).correct(labels).mean()
                       for some in ((4,), (2, 4)))  # fmt: skip
    assert alone < 0.6
    assert together > 0.85


def test_a_stage_that_knows_all_is_read_alone():
    rng = np.random.default_rng(1)
    labels = np.arange(90) % 3
    known = (np.eye(3)[labels] + rng.normal(0, 0.01, (90, 3))).astype(np.float32)
    assert best_together([rng.normal(size=(90, 200)), known, known.copy()], labels, 3, 2)[-1:] != (1,)
    assert best_together([rng.normal(size=(90, 200)), known], labels, 3, 2) == (2,)


def test_each_stage_has_the_same_share_however_wide_it_is():
    rng = np.random.default_rng(0)
    columns = joined([rng.normal(3, 2, (50, 4)), rng.normal(size=(50, 400))])
    shares = (columns[:, :4] ** 2).sum(1).mean(), (columns[:, 4:] ** 2).sum(1).mean()
    assert shares[0] == pytest.approx(shares[1], rel=0.02)
    np.testing.assert_array_equal(joined([columns]), standardise(columns)[0])


def test_families_and_weights_count_in_the_choice():
    stages, labels = two_halves()
    copies = [np.repeat(stage, 3, axis=0) for stage in stages]
    families = np.repeat(np.arange(120), 3)
    assert {2, 4} <= set(best_together(copies, np.repeat(labels, 3), 4, 4, families=families))
    rare = np.where(labels < 2, 1e-6, 2.0)  # only classes 2 and 3 count, and stage 2 tells them apart
    assert 2 in best_together(stages, labels, 4, 4, weights=rare)
    assert best_together(stages, labels, 4, 4, families=np.zeros(120, np.int64))  # one family is no family


def test_leave_one_out_of_scaled_columns_agrees_with_brute_force():
    stages, labels = two_halves(40)
    columns = joined(stages[1:4])
    fit = fit_ridge(columns, labels, 4, (0.1,), scaled=True)
    target = np.where(np.eye(4)[labels] > 0, 1.0, -1.0)
    middle = columns.mean(0)
    for image in (0, 7, 39):
        kept = np.arange(40) != image
        X, Y = columns[kept] - middle, target[kept]
        centre, mean = X.mean(0), Y.mean(0)
        gram = (X - centre).T @ (X - centre) + 0.1 * np.eye(X.shape[1])
        beta = np.linalg.solve(gram, (X - centre).T @ (Y - mean))
        np.testing.assert_allclose(fit.loo[image], (columns[image] - middle - centre) @ beta + mean, atol=1e-8)


NETWORKS = ("test_resnet", "test_vit", "test_convnext", "test_efficientnet", "test_mambaout")


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_read_together_is_what_the_sweep_reads(name):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=5).eval()
    side = network.pretrained_cfg["input_size"][-1]
    stages, images = stages_of(network, torch.zeros(1, 3, side, side)), torch.randn(2, 3, side, side)
    pooled = Sweeper(network, stages)(images).pooled
    for also, tap in (((1,), 3), ((2, 3), len(stages)), ((1,), len(stages))):
        read = (*also, tap)
        parts = [Standardise(torch.zeros(pooled[s - 1].shape[1]), torch.ones(pooled[s - 1].shape[1])) for s in read]
        cut = TransferNetwork(copy.deepcopy(network), stages, tap, Standardise.joined(parts), nn.Identity(), also=also)
        expected = torch.cat([pooled[stage - 1] for stage in read], dim=1)
        for mode in (True, False):  # both graphs; what is frozen keeps its statistics in both
            cut.freeze(tap, batchnorm="eval")
            cut.train(mode)
            with torch.no_grad():
                torch.testing.assert_close(cut.features(images), expected, atol=1e-5, rtol=1e-4)
        present = {key for key, _ in cut.trunk.named_parameters()}
        assert present <= stages.parameters(tap) | {key for key in present if "norm" in key}


def test_the_stages_below_learn_from_all_that_is_read():
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=5).eval()
    stages, images = stages_of(network, torch.zeros(1, 3, 64, 64)), torch.randn(4, 3, 64, 64)
    pooled = Sweeper(network, stages)(images).pooled
    read = (2, 4)
    standardise = Standardise.joined([Standardise.of(pooled[stage - 1]) for stage in read])
    width = len(standardise.mean)
    cut = TransferNetwork(copy.deepcopy(network), stages, 4, standardise, nn.Linear(width, 3), also=(2,))
    cut.freeze(1, batchnorm="eval")
    cut.train()
    with torch.no_grad():
        cut.head.weight[:, pooled[1].shape[1] :] = 0  # the head looks at stage 2 only
    cut(images).square().sum().backward()
    moved = {key for key, p in cut.trunk.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert moved
    assert moved <= stages.parameters(2) - stages.parameters(1)


def test_positions_of_several_stages_are_refused_in_words():
    from dataclasses import replace

    network = timm.create_model("test_resnet", num_classes=5).eval()
    stages = replace(stages_of(network, torch.zeros(1, 3, 64, 64)), codes=TOKENS)
    with pytest.raises(BackboneError, match="positions of several stages"):
        TransferNetwork(network, stages, 4, Standardise(torch.zeros(1), torch.ones(1)), nn.Identity(), also=(2,))


def test_stages_are_numbered_from_fractions_once_each_and_below_the_tap():
    network = timm.create_model("test_efficientnet", num_classes=5).eval()
    stages = stages_of(network, torch.zeros(1, 3, 64, 64))
    assert stages.also_indices((0.5, 0.34, 0.35), 6) == (2, 3)
    assert stages.also_indices((0.5, 0.9), 3) == ()
    numbers = stages.also_indices([n / len(stages) for n in range(1, len(stages))], len(stages))
    assert all(second - first == 1 for first, second in pairwise(numbers))
