"""The fitted forecast: bounds, order, and how it hands over to the prior."""

import hashlib
import json
import math
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.advice import priors
from advisor.advice.forecast import (
    Expected,
    Facts,
    Model,
    fine_tune_gain,
    fitted,
    forecast,
    level,
    logit,
    predict,
    regressors,
)
from advisor.strategy import Strategy

MOST = fitted().panel.most_per_class
shares = st.floats(0, 1)
facts = st.builds(
    Facts, images=st.integers(1, 5000), per_class=st.floats(0.5, 50_000), different=shares, last=shares, earlier=shares
)
USUAL = Facts(images=1000, per_class=30.0, different=0.2, last=0.8, earlier=0.75)


@given(facts)
@settings(max_examples=150)
def test_every_way_gets_an_accuracy_within_an_interval_within_0_and_1(facts):
    expected = forecast(facts)
    assert set(expected) == set(Strategy)
    for one in expected.values():
        assert 0 <= one.low <= one.accuracy <= one.high <= 1


@given(facts)
@settings(max_examples=60)
def test_more_images_probed_never_make_a_forecast_less_sure_beyond_the_clip(facts):
    # With accuracies away from 0 and 1, where the number of images also moves the clip.
    facts = replace(facts, last=0.2 + 0.6 * facts.last, earlier=0.2 + 0.6 * facts.earlier, images=max(50, facts.images))
    more = replace(facts, images=4 * facts.images)
    for strategy in Strategy:
        few, many = forecast(facts)[strategy], forecast(more)[strategy]
        assert many.high - many.low <= few.high - few.low + 1e-9


@given(st.floats(0.01, 0.98), st.floats(0.001, 0.02))
def test_a_better_probe_promises_a_better_head(last, step):
    def head(accuracy):
        return forecast(replace(USUAL, last=accuracy))[Strategy.LAST_LAYER].accuracy

    assert head(last) < head(last + step)


@given(st.floats(0.05, 0.9), st.floats(0.005, 0.05))
def test_an_earlier_layer_gains_with_the_lead_of_its_probe(earlier, step):
    def early(accuracy):
        return forecast(replace(USUAL, earlier=accuracy))[Strategy.EARLIER_LAYER].accuracy

    assert early(earlier) < early(earlier + step)


def test_the_head_on_the_last_layer_does_not_read_the_earlier_ones():
    one, other = (forecast(replace(USUAL, earlier=value))[Strategy.LAST_LAYER] for value in (0.1, 0.99))
    assert one == other


# -- log odds


@given(st.floats(-1, 2), st.integers(0, 10**6))
def test_log_odds_are_finite_whatever_is_right(accuracy, images):
    assert math.isfinite(logit(accuracy, images))


@given(shares, st.integers(1, 1000))
def test_log_odds_are_symmetric_and_grow(accuracy, images):
    assert logit(accuracy, images) == pytest.approx(-logit(1 - accuracy, images), abs=1e-6)
    assert logit(accuracy, images) <= logit(min(1.0, accuracy + 0.1), images)


def test_all_right_of_a_few_images_is_half_an_image_less():
    assert logit(1.0, 10) == pytest.approx(math.log(0.95 / 0.05))
    assert logit(0.0, 10) == pytest.approx(-logit(1.0, 10))
    assert logit(0.5, 10) == 0
    assert logit(1.0, 1000) > logit(1.0, 10)


# -- what a way is linear in


def test_at_the_pivot_the_size_says_nothing():
    assert regressors(Strategy.LAST_LAYER, replace(USUAL, per_class=25.0), 1000.0).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("strategy", Strategy)
def test_each_way_has_as_many_facts_as_coefficients(strategy):
    assert len(regressors(strategy, USUAL, MOST)) == len(fitted().models[strategy].coefficients)


@pytest.mark.parametrize("strategy", Strategy)
def test_beyond_the_panel_the_size_stands_still(strategy):
    at, beyond = (regressors(strategy, replace(USUAL, per_class=per_class), 100.0) for per_class in (100.0, 10_000.0))
    np.testing.assert_array_equal(at, beyond)
    assert not np.array_equal(at, regressors(strategy, replace(USUAL, per_class=50.0), 100.0))


def test_less_than_one_image_per_class_is_one():
    np.testing.assert_array_equal(
        regressors(Strategy.LAST_LAYER, replace(USUAL, per_class=0.01), 100.0),
        regressors(Strategy.LAST_LAYER, replace(USUAL, per_class=1.0), 100.0),
    )


@pytest.mark.parametrize(
    ("strategy", "different", "mismatch"),
    [(Strategy.TUNE_SIMILAR, 0.0, 0.0), (Strategy.TUNE_SIMILAR, 1.0, 1.0), (Strategy.TUNE_DIFFERENT, 0.0, 1.0),
     (Strategy.TUNE_DIFFERENT, 1.0, 0.0)],
)  # fmt: skip
def test_learning_rates_for_images_of_the_other_kind_are_a_mismatch(strategy, different, mismatch):
    assert regressors(strategy, replace(USUAL, different=different), MOST)[-1] == mismatch


def test_a_way_adds_its_gain_to_the_head_on_the_last_layer():
    ones = {way: np.ones(len(regressors(way, USUAL, MOST))) for way in Strategy}
    head = level(Strategy.LAST_LAYER, USUAL, ones, MOST)
    assert head == pytest.approx(logit(0.8, 1000) + regressors(Strategy.LAST_LAYER, USUAL, MOST).sum())
    for way in set(Strategy) - {Strategy.LAST_LAYER}:
        gain = level(way, USUAL, ones, MOST) - head
        assert gain == pytest.approx(regressors(way, USUAL, MOST).sum())


# -- predictions of a model


def flat_models(spread=0.1, reach=1.28):
    return {way: Model((0.0,) * len(regressors(way, USUAL, MOST)), spread, reach) for way in Strategy}


@pytest.mark.parametrize("strategy", Strategy)
def test_without_coefficients_every_way_does_as_well_as_the_probe(strategy):
    one = predict(strategy, USUAL, flat_models(), MOST)
    assert one.accuracy == pytest.approx(0.8)
    assert one.low < 0.8 < one.high


def test_few_test_images_widen_the_interval_and_leave_the_middle():
    wide, narrow, none = (
        predict(Strategy.LAST_LAYER, USUAL, flat_models(), MOST, test_images=count) for count in (20, 2000, 0)
    )
    assert wide.accuracy == narrow.accuracy == none.accuracy
    assert wide.low < narrow.low < none.low
    assert wide.high > narrow.high > none.high


def test_a_model_that_was_off_by_more_says_so():
    sure = predict(Strategy.LAST_LAYER, USUAL, flat_models(spread=0.05), MOST)
    unsure = predict(Strategy.LAST_LAYER, USUAL, flat_models(spread=0.5), MOST)
    far = predict(Strategy.LAST_LAYER, USUAL, flat_models(spread=0.5, reach=3.0), MOST)
    assert sure.high - sure.low < unsure.high - unsure.low < far.high - far.low


# -- the prior


@given(st.floats(1e-9, 1e9), st.floats(0, 1))
def test_the_prior_gain_lies_between_similar_and_different(per_class, different):
    gain, spread = fine_tune_gain(per_class, different)
    ends = [fine_tune_gain(per_class, side) for side in (0.0, 1.0)]
    assert ends[0][0] - 1e-9 <= gain <= ends[1][0] + 1e-9
    assert min(end[1] for end in ends) - 1e-9 <= spread <= max(end[1] for end in ends) + 1e-9


@given(st.floats(1, 1e6), st.floats(1, 10), st.floats(0, 1))
def test_more_images_never_make_fine_tuning_gain_less(per_class, factor, different):
    assert fine_tune_gain(per_class, different)[0] <= fine_tune_gain(per_class * factor, different)[0] + 1e-9


@given(st.floats(0.0, 0.999))
def test_fine_tuning_takes_at_most_a_share_of_the_headroom(last):
    expected = forecast(Facts(2000, 10_000, 1.0, last, last))
    for way in (Strategy.TUNE_SIMILAR, Strategy.TUNE_DIFFERENT, Strategy.LP_FT):
        assert expected[way].accuracy - last <= priors.MAX_SHARE_OF_HEADROOM * (1 - last) + 1e-9


def test_far_beyond_the_panel_heads_do_as_well_as_their_probes():
    expected = forecast(Facts(2000, 10_000, 0.5, 0.8, 0.6))
    assert expected[Strategy.LAST_LAYER].accuracy == 0.8
    assert expected[Strategy.EARLIER_LAYER].accuracy == 0.6


def test_a_perfect_probe_leaves_nothing_to_gain():
    expected = forecast(Facts(2000, 10_000, 1.0, 1.0, 1.0))
    assert {one.accuracy for one in expected.values()} == {1.0}


# -- what is shipped


def test_the_shipped_file_is_what_the_program_reads():
    data = json.loads(resources.files("advisor.advice").joinpath("fitted.json").read_text(encoding="utf-8"))
    assert {way.value for way in fitted().models} == set(data["models"])
    for way, model in fitted().models.items():
        assert list(model.coefficients) == data["models"][way.value]["coefficients"]
        assert model.spread >= 0
        assert model.reach > 0
    assert fitted() is fitted()


def test_the_panel_is_as_long_as_its_seeds_and_sizes_allow():
    panel = fitted().panel
    assert panel.cells <= len(panel.sets) * len(panel.per_class) * len(panel.seeds)
    assert len(set(panel.sets)) == len(panel.sets)
    assert len(hashlib.sha256().hexdigest()) == len(panel.sha256)
    assert int(panel.sha256, 16)


def test_expectations_are_compared_by_their_numbers():
    assert Expected(0.5, 0.4, 0.6) == Expected(0.5, 0.4, 0.6)
    with pytest.raises(AttributeError):
        Expected(0.5, 0.4, 0.6).accuracy = 1.0
