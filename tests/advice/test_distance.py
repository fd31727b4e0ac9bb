import io
import math
import pickle

import numpy as np
import pytest
import timm
import torch
import verdicts
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.advice.distance import (
    Observed,
    SourceStatistics,
    _thirds,
    class_distances,
    hellinger,
    mean_kurtosis,
    measure_distance,
    mutual_information,
    pool_moments,
    read_sources,
    scramble_phases,
    statistics_of,
    write_sources,
)
from advisor.advice.uncertainty import from_elsewhere, widened
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
    alone = measure_distance(only_head, only_head, [], None, seed=0)
    assert alone.gain is not None
    assert alone.votes == {}
    assert (distance.interval, alone.interval) == ((0.0, 1.0), (0.0, 1.0))


def test_class_predictions_vote_only_with_constants_of_their_own_classifier():
    """The same answers on another scale, as a sigmoid loss or 21 000 classes give them, move no vote."""
    rng = np.random.default_rng(0)
    images, control = observed(rng, 100), observed(rng, 60, shift=2.0, peaked=False)

    def scaled(one, factor):
        return Observed(one.means, one.variances, factor * one.logits)

    plain, other = (measure_distance(scaled(images, f), scaled(control, f), SOURCES, None, seed=0) for f in (1.0, 0.05))
    assert set(plain.votes) == {"late"}
    assert (plain.different, plain.interval) == (other.different, other.interval)
    assert other.gain.value < plain.gain.value


def test_without_constants_the_interval_is_wider():
    rng = np.random.default_rng(0)
    images, control = observed(rng, 100, shift=0.6), observed(rng, 60, shift=2.0, peaked=False)
    borrowed = measure_distance(images, control, SOURCES, None, seed=0)
    assert not borrowed.calibrated
    own = measure_distance(images, control, SOURCES, REFERENCE, seed=0)
    assert own.calibrated
    lent = from_elsewhere(own, "lite0")
    assert (lent.borrowed, lent.calibrated, lent.different) == ("lite0", False, own.different)
    assert lent.interval[0] < own.interval[0]
    assert lent.interval[1] > own.interval[1]
    assert widened(0.5, (0.45, 0.55), calibrated=False) == pytest.approx((0.12, 0.88), abs=0.01)
    assert widened(0.5, (0.45, 0.55), calibrated=True) == (0.45, 0.55)
    for distance in (borrowed, lent):
        for name, vote in distance.votes.items():
            low, high = distance.vote_intervals[name]
            assert 0 <= low <= vote <= high <= 1


def test_sources_are_the_running_statistics():
    network = timm.create_model("test_resnet")
    sources = statistics_of(batchnorms(network))
    assert len(sources) == 15
    assert sources[0].mean.shape == sources[0].variance.shape


def random_observed(seed, n=30, channels=4, layers=3, classes=6, std=1.0):
    rng = np.random.default_rng(seed)
    return Observed(
        tuple(rng.normal(0, std, (n, channels)).astype(np.float32) for _ in range(layers)),
        tuple(rng.uniform(0.5, 2, (n, channels)).astype(np.float32) for _ in range(layers)),
        rng.normal(0, 3, (n, classes)).astype(np.float32),
    )


def random_sources(seed, channels=4, layers=3):
    rng = np.random.default_rng(seed)
    return [SourceStatistics(rng.normal(size=channels), rng.uniform(0.5, 2, channels), 1e-5) for _ in range(layers)]


@given(st.integers(0, 500))
@settings(max_examples=30)
def test_the_squared_hellinger_distance_lies_within_0_and_1_and_does_not_depend_on_order(seed):
    observed, (source, *_) = random_observed(seed), random_sources(seed)
    value = hellinger(observed.means[0], observed.variances[0], source)
    order = np.random.default_rng(seed).permutation(30)
    assert 0 <= value <= 1
    assert hellinger(observed.means[0][order], observed.variances[0][order], source) == pytest.approx(value)


@given(st.integers(0, 500))
@settings(max_examples=10, deadline=None)
def test_it_is_the_integral_of_the_two_densities(seed):
    from scipy.integrate import quad
    from scipy.stats import norm

    rng = np.random.default_rng(seed)
    (m, m0), (v, v0) = rng.normal(0, 2, 2), rng.uniform(0.3, 3, 2)
    closeness = quad(lambda x: math.sqrt(norm.pdf(x, m, v**0.5) * norm.pdf(x, m0, v0**0.5)), -40, 40, limit=200)[0]
    source = SourceStatistics(np.array([m0]), np.array([v0]), 0.0)
    assert hellinger(np.array([[m]]), np.array([[v]]), source) == pytest.approx(1 - closeness, abs=1e-6)


@given(st.integers(0, 500))
@settings(max_examples=30)
def test_mutual_information_is_never_negative_nor_more_than_there_are_classes_or_images(seed):
    rng = np.random.default_rng(seed)
    n, classes = rng.integers(1, 30), rng.integers(2, 10)
    logits = rng.normal(0, rng.uniform(0, 20), (n, classes))
    value = mutual_information(logits)
    assert -1e-9 <= value <= math.log(min(n, classes)) + 1e-9
    assert mutual_information(logits + rng.normal(size=(n, 1))) == pytest.approx(value, abs=1e-9)
    assert mutual_information(logits[:, ::-1]) == pytest.approx(value, abs=1e-9)


def test_very_sure_and_very_unsure_predictions_are_finite():
    assert mutual_information(np.eye(4) * 1e5) == pytest.approx(math.log(4))
    assert mutual_information(np.zeros((3, 4))) == pytest.approx(0)


@given(st.integers(0, 500), st.floats(0.01, 100), st.floats(-100, 100))
@settings(max_examples=30)
def test_kurtosis_is_scipys_and_knows_no_scale(seed, scale, shift):
    from scipy.stats import kurtosis

    logits = np.random.default_rng(seed).normal(size=(5, 40))
    assert mean_kurtosis(logits) == pytest.approx(kurtosis(logits, axis=1, fisher=False).mean())
    assert mean_kurtosis(logits * scale + shift) == pytest.approx(mean_kurtosis(logits), rel=1e-5)


def test_logits_that_are_all_alike_have_a_finite_kurtosis():
    assert mean_kurtosis(np.full((3, 5), 2.0)) == 0


@given(st.integers(0, 500))
@settings(max_examples=20)
def test_sources_survive_their_file_in_single_precision(seed):
    sources = random_sources(seed)
    for one, back in zip(sources, read_sources(write_sources(sources)), strict=True):
        np.testing.assert_allclose(back.mean, one.mean, rtol=1e-6)
        np.testing.assert_allclose(back.variance, one.variance, rtol=1e-6)
        assert back.eps == pytest.approx(one.eps)


def saved(save, *args, **values):
    file = io.BytesIO()
    save(file, *args, **values)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"no archive", write_sources(random_sources(0))[:-30], saved(np.save, np.ones(3)),
        saved(np.savez, mean_0=np.ones(2), variance_0=np.ones(2), other=np.ones(1)), pickle.dumps([1]),
    ],
    ids=["empty", "text", "cut", "an array", "other names", "a pickle"],
)  # fmt: skip
def test_what_is_no_file_of_sources_is_refused(data):
    with pytest.raises(ValueError, match="not a file of stage statistics") as refused:
        read_sources(data)
    assert "unsafe" not in str(refused.value)


def test_images_are_their_own_source_at_no_distance():
    observed = random_observed(3)
    for means, variances, source in zip(observed.means, observed.variances, pool_moments(observed), strict=True):
        assert hellinger(means, variances, source) == pytest.approx(0, abs=1e-12)


@given(st.integers(0, 200), st.sampled_from([(None, {"late"}), (REFERENCE, {"late", "gain", "kurtosis"})]))
@settings(max_examples=10)
def test_every_number_of_a_distance_is_within_its_bounds(seed, known):
    reference, votes = known
    measured = measure_distance(
        random_observed(seed), random_observed(seed + 1, n=12), random_sources(seed), reference, seed=0
    )
    assert 0 <= measured.different <= 1
    assert measured.different == pytest.approx(np.mean(list(measured.votes.values())))
    assert 0 <= measured.interval[0] <= measured.different <= measured.interval[1] <= 1
    assert set(measured.votes) == set(measured.vote_intervals) == votes
    for name, (low, high) in measured.vote_intervals.items():
        assert 0 <= low <= measured.votes[name] <= high <= 1
    assert measured.side in {"similar", "different", "borderline"}
    assert measured.to_dict()["side"] == measured.side


def test_the_same_images_have_the_same_distance_and_another_seed_nearly_so():
    arguments = random_observed(0, n=200), random_observed(1, n=60), random_sources(0), None
    one, again, other = (measure_distance(*arguments, seed=seed) for seed in (0, 0, 1))
    assert one == again
    assert other.different == pytest.approx(one.different, abs=0.05)
    assert other.interval != one.interval


@pytest.mark.parametrize(("layers", "places"), [(1, (0, 0, 0)), (2, (0, 0, 1)), (3, (0, 1, 2)), (9, (0, 3, 6))])
def test_few_layers_are_early_middle_and_late_all_the_same(layers, places):
    thirds = _thirds(np.arange(layers))
    assert tuple(int(part[0]) for part in thirds) == places
    assert all(len(part) for part in thirds)


def test_selected_images_are_the_same_images():
    observed = random_observed(0)
    rows = np.array([5, 2])
    part = observed.select(rows)
    assert len(part) == 2
    np.testing.assert_array_equal(part.means[1], observed.means[1][rows])
    np.testing.assert_array_equal(part.logits, observed.logits[rows])
    assert len(Observed((), (), None)) == 0


def test_classes_of_few_images_have_no_distance_of_their_own():
    observed = random_observed(0, n=40)
    truth = np.zeros((40, 3), bool)
    truth[:8, 0], truth[8:15, 1] = True, True
    found = class_distances(observed, random_sources(0), truth, seed=0)
    assert set(found) == {0}
    assert 0 <= found[0].se < 1
    assert class_distances(observed, [], truth, seed=0) == {}


def test_a_class_that_lies_apart_is_further_away():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(60, 4)).astype(np.float32)
    means[:30] += 4
    observed = Observed((means,) * 3, (np.ones((60, 4), np.float32),) * 3, None)
    sources = [SourceStatistics(np.zeros(4), np.full(4, 2.0), 1e-5)] * 3
    truth = np.repeat(np.eye(2, dtype=bool), 30, axis=0)
    found = class_distances(observed, sources, truth, seed=0)
    assert found[0].value > 3 * found[1].value


@pytest.mark.parametrize(
    ("early", "late", "vote", "shift"),
    [(0.1, 0.3, 0.7, "content"), (0.5, 0.1, 0.2, "low-level"), (0.1, 0.1, 0.2, "none"), (None, None, None, "unknown")],
)
def test_the_kind_of_shift_follows_from_early_and_late(early, late, vote, shift):
    votes = {} if vote is None else {"late": vote}
    assert verdicts.distance(0.3, early=early, late=late, votes=votes).shift == shift


@pytest.mark.parametrize(
    ("different", "side"),
    [
        (0.0, "similar"),
        (0.39, "similar"),
        (0.40, "borderline"),
        (0.60, "borderline"),
        (0.61, "different"),
        (1.0, "different"),
    ],
)
def test_the_side_has_a_borderland(different, side):
    assert verdicts.distance(different).side == side
