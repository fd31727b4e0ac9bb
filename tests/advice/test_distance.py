import numpy as np
import pytest
import timm
import torch

from advisor.advice.distance import (
    Observed,
    SourceStatistics,
    hellinger,
    mean_kurtosis,
    measure_distance,
    mutual_information,
    scramble_phases,
    statistics_of,
)
from advisor.network.sweep import batchnorms
from advisor.types import Reference, Vote

REFERENCE = Reference(late=Vote(-3.1, 0.35), gain=Vote(0.75, 0.25), kurtosis=Vote(5.7, 0.6))


def moments(rng, n, mean, std):
    """Per-image moments of n images whose channels are normal with these means and deviations."""
    pixels = rng.normal(mean, std, (n, 400, len(mean)))
    return pixels.mean(1).astype(np.float32), pixels.var(1).astype(np.float32)


def test_hellinger_is_zero_on_itself_and_known_between_two_normals():
    mean, std = np.array([0.0, 2.0, -1.0]), np.array([1.0, 0.5, 3.0])
    rng = np.random.default_rng(0)
    m, v = moments(rng, 400, mean, std)
    assert hellinger(m, v, SourceStatistics(mean, std**2, 1e-5)) < 1e-4
    # H² of N(0, 1) and N(1, 4): 1 - sqrt(2·1·2/(1+4)) · exp(-1/(4·5))
    m, v = moments(rng, 400, np.array([0.0]), np.array([1.0]))
    expected = 1 - np.sqrt(4 / 5) * np.exp(-1 / 20)
    assert hellinger(m, v, SourceStatistics(np.array([1.0]), np.array([4.0]), 1e-5)) == pytest.approx(
        expected, abs=2e-3
    )


def test_hellinger_does_not_blow_up_on_a_dead_channel():
    m, v = np.zeros((8, 2), np.float32), np.zeros((8, 2), np.float32)
    value = hellinger(m, v, SourceStatistics(np.array([0.0, 5.0]), np.array([1.0, 1.0]), 1e-5))
    assert 0 <= value <= 1


def test_mutual_information_is_log_classes_when_sure_and_zero_when_constant():
    sure = 50 * np.eye(4)[np.arange(80) % 4]
    assert mutual_information(sure) == pytest.approx(np.log(4), abs=1e-6)
    assert mutual_information(np.tile([1.0, 2.0, 3.0], (10, 1))) == pytest.approx(0, abs=1e-12)


def test_kurtosis_of_a_normal_is_three():
    assert mean_kurtosis(np.random.default_rng(0).normal(size=(200, 1000))) == pytest.approx(3, abs=0.05)
    assert np.isfinite(mean_kurtosis(np.zeros((3, 10))))


def test_scrambling_keeps_mean_colour_and_spectrum_and_loses_the_picture():
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    images = torch.stack([((x - 20) ** 2 + (y - 30) ** 2 < 150).float() * scale + 0.5 for scale in (1.0, 0.5, 0.2)])[
        None
    ]
    scrambled = scramble_phases(images, seed=1)
    assert scrambled.shape == images.shape
    assert torch.equal(scrambled, scramble_phases(images, seed=1))
    assert (scrambled.mean((2, 3)) - images.mean((2, 3))).abs().max() < 0.1
    correlation = torch.corrcoef(torch.stack([images[0, 0].flatten(), scrambled[0, 0].flatten()]))[0, 1]
    assert correlation.abs() < 0.3


def observed(rng, n, shift=0.0, peaked=True):
    logits = rng.normal(0, 1, (n, 50)) + (12 * np.eye(50)[rng.integers(0, 50, n)] if peaked else 0)
    m, v = moments(rng, n, np.array([shift, shift, shift]), np.ones(3))
    return Observed((m, m, m), (v, v, v), logits.astype(np.float32))


SOURCES = [SourceStatistics(np.zeros(3), np.ones(3), 1e-5)] * 3


def test_votes_agree_on_clear_cases_and_the_interval_holds_the_value():
    rng = np.random.default_rng(0)
    flat = observed(rng, 60, peaked=False)
    near = measure_distance(observed(rng, 200), flat, SOURCES, REFERENCE, seed=0)
    far = measure_distance(observed(rng, 200, shift=2.0, peaked=False), flat, SOURCES, REFERENCE, seed=0)
    assert near.side == "similar"
    assert far.side == "different"
    for distance in (near, far):
        assert distance.interval[0] <= distance.different <= distance.interval[1]
        assert set(distance.votes) == {"late", "gain", "kurtosis"}


def test_the_jackknife_takes_out_the_bias_of_few_images():
    """Twelve images of the source itself look farther than 400 do; the corrected estimates agree."""
    control = observed(np.random.default_rng(5), 60)
    spread = SourceStatistics(np.zeros(3), np.full(3, 2.0), 1e-5)

    def estimate(n, seed):
        rng = np.random.default_rng(seed)
        centres = rng.normal(0, 1, (n, 3)).astype(np.float32)  # images differ from each other
        ones = np.ones((n, 3), np.float32)
        seen = Observed((centres,) * 3, (ones,) * 3, None)
        return measure_distance(seen, control.select(np.arange(12)), [spread] * 3, REFERENCE, seed=0).late.value

    few = np.mean([estimate(20, seed) for seed in range(40)])
    many = estimate(4000, 99)
    raw = np.mean([
        hellinger(np.random.default_rng(s).normal(0, 1, (20, 3)).astype(np.float32), np.ones((20, 3), np.float32), spread)
        for s in range(40)
    ])  # fmt: skip
    assert abs(few - many) < abs(raw - many)


def test_without_constants_the_scrambled_images_are_the_yardstick():
    rng = np.random.default_rng(0)
    control = observed(rng, 60, shift=2.0, peaked=False)
    near = measure_distance(observed(rng, 100), control, SOURCES, None, seed=0)
    far = measure_distance(observed(rng, 100, shift=2.0), control, SOURCES, None, seed=0)
    assert near.votes["late"] < 0.1
    assert far.votes["late"] > 0.9


def test_a_network_without_batchnorm_or_classifier_says_so():
    empty = Observed((), (), None)
    distance = measure_distance(empty, empty, [], None, seed=0)
    assert distance.votes == {}
    assert distance.different == 0.5
    only_head = Observed((), (), observed(np.random.default_rng(0), 80).logits)
    assert set(measure_distance(only_head, only_head, [], None, seed=0).votes) == {"gain", "kurtosis"}


def test_sources_are_the_running_statistics():
    network = timm.create_model("test_resnet")
    sources = statistics_of(batchnorms(network))
    assert len(sources) == 15
    assert sources[0].mean.shape == sources[0].variance.shape
