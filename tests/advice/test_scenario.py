import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verdicts import times

from advisor.advice import scenario, timetable
from advisor.advice.cost import StepCost, StepCosts
from advisor.advice.distance import Distance
from advisor.advice.forecast import Expected, Facts, fine_tune_gain, fitted, forecast
from advisor.advice.planning import evidence_of
from advisor.advice.probe import ProbeCurve, ProbePoint
from advisor.advice.scenario import Pilot, contenders, decide, facts_of, judge_size
from advisor.advice.timetable import Timetable, offers_of
from advisor.strategy import SCENARIOS, Strategy
from advisor.task import SingleLabel


def far(different):
    return Distance(
        256,
        None,
        None,
        None,
        None,
        None,
        None,
        {"gain": different},
        {"gain": (different, different)},
        different,
        (different, different),
    )


def curve(accuracies, gain_se=0.01, n=400):
    points = tuple(
        ProbePoint(
            stage=i + 1,
            name=f"stage{i + 1}",
            tap=(i + 1) / len(accuracies),
            width=8,
            accuracy=a,
            se=0.01,
            gain=a - accuracies[-1],
            gain_se=gain_se,
            tied=max(accuracies) - a <= 2 * gain_se,
            neighbours=a,
            penalty=1.0,
        )
        for i, a in enumerate(accuracies)
    )
    return ProbeCurve(
        n,
        n,
        0.1,
        SingleLabel.numbered(10),
        codes="mean",
        points=points,
        fits=(),
        image_scores=(),
        labels=np.zeros(0, int),
    )


FLAT = curve([0.5, 0.7, 0.9])
COSTS = StepCosts({64: StepCost(0.006, 0.02, 1000, 10), 224: StepCost(0.06, 0.02, 1000, 100)})


def decided(size, distance, probes, pilot=None, *, budget=None):
    """A verdict as `recommend` comes to it, on a machine on which a step at 224 pixels takes two seconds."""
    splits = {"train": round(0.8 * size.images), "val": size.images - round(0.8 * size.images)}
    facts = facts_of(probes, size.per_class, distance)
    return decide(size, distance, probes, Timetable(offers_of(facts, splits, 224, None, 0.01, COSTS), budget), pilot)


def expecting(monkeypatch, size, distance, probes, **accuracies):
    """A verdict where these accuracies are expected of the ways, whatever was measured."""
    expected = expect(**accuracies)
    monkeypatch.setattr(scenario, "forecast", lambda _facts, _training: expected)
    monkeypatch.setattr(timetable, "forecast", lambda _facts, _training: expected)
    return decide(size, distance, probes, times(expected, different=distance.different))


def test_size_needs_both_many_images_and_many_per_class():
    assert judge_size(100, 10).side == "small"
    assert judge_size(200, 20).side == "borderline"
    assert judge_size(50_000, 5_000).side == "large"
    assert judge_size(50_000, 5).side == "small"
    sizes = [judge_size(n, n / 10).large for n in (10, 100, 1000, 10_000, 100_000)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("images", "different", "scenario"),
    [(100, 0.05, 1), (50_000, 0.05, 2), (100, 0.95, 3), (50_000, 0.95, 4)],
)
def test_clear_cases_are_the_four_classic_scenarios(images, different, scenario):
    probes = FLAT if different < 0.5 else curve([0.5, 0.9, 0.85])
    verdict = decided(judge_size(images, images / 10), far(different), probes)
    assert verdict.scenario == scenario
    assert sum(verdict.probabilities.values()) == pytest.approx(1)
    assert verdict.runner_up != verdict.scenario
    assert set(verdict.expected) == set(Strategy)
    assert all(0 <= e.low <= e.accuracy <= e.high <= 1 for e in verdict.expected.values())


def test_a_clearly_better_earlier_layer_is_read_and_a_tie_is_said():
    size = judge_size(100, 10)
    helped = decided(size, far(0.95), curve([0.5, 0.9, 0.6]))
    assert helped.tap_stage == 2
    assert helped.earlier_helps
    assert any("beats the last by 30.0" in reason for reason in helped.reasons)
    assert decided(size, far(0.05), curve([0.3, 0.5, 0.9])).tap_stage == 3
    tied = decided(size, far(0.95), curve([0.5, 0.62, 0.6], gain_se=0.06))
    assert any("tied" in reason for reason in tied.reasons)


def expect(**accuracies):
    return {way: Expected(accuracies.get(f"w{way.value[0]}", 0.5), 0.0, 1.0) for way in Strategy}


@pytest.mark.parametrize(
    ("different", "accuracies", "way"),
    [
        (0.1, {"w1": 0.80, "w2": 0.805}, "1"),  # so little is not worth the time
        (0.1, {"w1": 0.80, "w2": 0.83}, "2"),
        (0.1, {"w1": 0.80, "w3": 0.83, "w2": 0.835}, "3"),
        (0.9, {"w1": 0.80, "w3": 0.79, "w4": 0.805}, "1"),
        (0.9, {"w3": 0.80, "w4": 0.83}, "4"),
        (0.9, {"w1": 0.80, "w3": 0.85, "w4": 0.86}, "3"),
        (0.9, {"w1": 0.80, "w3": 0.80}, "3"),  # of equals that of the distance's side
        (0.1, {"w1": 0.80, "w3": 0.80}, "1"),
    ],
)
@pytest.mark.parametrize("images", [100, 50_000])
def test_the_way_is_what_is_expected_to_be_best_by_more_than_a_point(images, different, accuracies, way, monkeypatch):
    verdict = expecting(monkeypatch, judge_size(images, images / 10), far(different), FLAT, **accuracies)
    assert verdict.strategy is Strategy(way)


def test_the_classifier_that_is_weighed_is_the_better_one():
    assert contenders(0.1, expect(w1=0.80, w3=0.81)) == (Strategy.EARLIER_LAYER, Strategy.TUNE_SIMILAR)
    assert contenders(0.9, expect(w1=0.81, w3=0.80)) == (Strategy.LAST_LAYER, Strategy.TUNE_DIFFERENT)
    assert contenders(0.9, expect(w1=0.80, w3=0.80))[0] is Strategy.EARLIER_LAYER


def test_a_short_budget_brings_a_classifier_and_a_long_one_fine_tuning():
    size, distance, probes = judge_size(1000, 100), far(0.95), curve([0.3, 0.6, 0.55])
    assert not decided(size, distance, probes, budget=10).strategy.fine_tunes
    assert decided(size, distance, probes, budget=36_000).strategy.fine_tunes


def test_an_earlier_layer_in_scenario_1_is_expected_as_it_is_planned(monkeypatch):
    """The plan reads an earlier layer of the frozen network, so what is expected is that of such a classifier."""
    size, distance, probes = judge_size(100, 10), far(0.1), curve([0.5, 0.9, 0.8])
    verdict = expecting(monkeypatch, size, distance, probes, w1=0.803, w2=0.7, w3=0.880)
    assert (verdict.scenario, verdict.strategy, verdict.tap_stage) == (1, Strategy.EARLIER_LAYER, 2)
    assert verdict.forecast.accuracy == 0.880
    evidence = evidence_of(verdict, size, distance, probes)
    assert (evidence["strategy"], evidence["expected"]["accuracy"]) == ("3", 0.880)
    assert "as in scenario 3" in verdict.departure
    assert "0.88 for a classifier on frozen features" in " ".join(verdict.reasons)


def test_the_last_layer_in_scenario_3_is_said_to_be_the_way_of_scenario_1(monkeypatch):
    verdict = expecting(monkeypatch, judge_size(100, 10), far(0.9), curve([0.5, 0.7, 0.9]), w1=0.9, w3=0.8, w4=0.7)
    assert (verdict.scenario, verdict.strategy, verdict.tap_stage) == (3, Strategy.LAST_LAYER, 3)
    assert "as in scenario 1" in verdict.departure


@pytest.mark.parametrize(("images", "different"), [(100, 0.05), (50_000, 0.05), (100, 0.95), (50_000, 0.95)])
def test_the_usual_way_of_a_scenario_needs_no_explanation(images, different, monkeypatch):
    verdict = expecting(
        monkeypatch,
        judge_size(images, images / 10),
        far(different),
        FLAT,
    )
    assert verdict.strategy is SCENARIOS[verdict.scenario].strategy
    assert verdict.departure == ""


def test_a_verdict_is_plain_data_with_text_keys():
    verdict = decided(judge_size(100, 10), far(0.95), FLAT)
    plain = json.loads(json.dumps(verdict.to_dict()))
    assert set(plain["expected"]) == {way.value for way in Strategy}
    assert plain["expected"][plain["strategy"]]["accuracy"] == verdict.forecast.accuracy
    assert {plain["strategy"], plain["rival"]} == {verdict.head.value, verdict.tuning.value}


def test_after_a_pilot_the_lead_that_would_change_the_verdict_is_what_chance_seldom_gives():
    verdict = decided(judge_size(50_000, 5000), far(0.05), FLAT, Pilot(0.05, 0.012, 0.0, 1000, 300, 90.0))
    assert verdict.strategy is Strategy.TUNE_SIMILAR
    assert verdict.flips[0].startswith("an expected lead of fine-tuning below +2 points")
    assert any("a pilot of 90 s measured +5.0 ± 1.2 points" in reason for reason in verdict.reasons)


def test_what_would_move_the_tap_is_said_only_of_a_classifier(monkeypatch):
    probes = curve([0.5, 0.9, 0.85])

    def flips(different, **accuracies):
        verdict = expecting(monkeypatch, judge_size(100, 10), far(different), probes, **accuracies)
        return [flip for flip in verdict.flips if "read" in flip]

    assert flips(0.1, w1=0.81, w3=0.80) == [
        "an expected lead of stage2 over the last layer above 0 points (now -1.0): read stage2"
    ]
    assert flips(0.9, w1=0.80, w3=0.81) == [
        "an expected lead of stage2 over the last layer below 0 points (now +1.0): read the last layer"
    ]
    assert flips(0.9, w1=0.80, w3=0.81, w4=0.95) == []


def test_fine_tuning_keeps_the_whole_network(monkeypatch):
    verdict = expecting(
        monkeypatch, judge_size(50_000, 5000), far(0.95), curve([0.5, 0.7, 0.6]), w1=0.5, w3=0.6, w4=0.9
    )
    assert verdict.scenario == 4
    assert verdict.tap_stage == 3


def test_a_verdict_against_the_size_says_so(monkeypatch):
    verdict = expecting(monkeypatch, judge_size(50_000, 5000), far(0.05), FLAT, w1=0.9, w2=0.8)
    assert verdict.scenario == 1
    assert any("by size alone this would be called large" in reason for reason in verdict.reasons)


def test_more_labels_that_would_flip_a_verdict_are_counted():
    verdict = decided(judge_size(100, 10), far(0.05), curve([0.3, 0.55, 0.6]))
    assert verdict.scenario == 1
    flips = [flip for flip in verdict.flips if "labelled images per class" in flip]
    assert int(flips[0].split()[1]) > 10
    assert any("above 0.50" in flip for flip in verdict.flips)


def test_a_probe_at_chance_is_not_called_learnable_and_promises_chance():
    verdict = decided(judge_size(300, 30), far(0.1), curve([0.0, 0.1, 0.02]))
    assert not verdict.learnable
    assert verdict.expected[Strategy.LAST_LAYER].accuracy == pytest.approx(0.1, abs=0.05)
    assert decided(judge_size(300, 30), far(0.1), FLAT).learnable


@pytest.mark.parametrize(
    ("per_class", "different", "gain"),
    [(5, 0, -8), (1, 0, -8), (10, 0, -1), (500, 0, 3), (1e6, 0, 3), (25, 1, 8), (100, 1, 15), (25, 0.5, 4.5)],
)
def test_prior_gain_of_fine_tuning(per_class, different, gain):
    assert fine_tune_gain(per_class, different)[0] == pytest.approx(gain)


def test_the_forecast_hands_over_to_the_prior_smoothly_beyond_the_panel():
    most = fitted().panel.most_per_class
    if most >= 500:
        pytest.skip("the panel reaches as far as the prior")

    def at(per_class):
        return forecast(Facts(1000, per_class, 0.0, 0.8, 0.7))[Strategy.TUNE_SIMILAR].accuracy

    assert at(most * 1.001) == pytest.approx(at(most), abs=0.002)
    assert at(500) == at(5000) == pytest.approx(0.83)


def test_the_shipped_models_say_which_panel_they_come_from():
    panel = fitted().panel
    assert panel.cells >= 16
    assert len(panel.sets) >= 6
    assert len(panel.sha256) == 64


@given(st.integers(0, 10**7), st.floats(0, 10**6), st.floats(1, 100))
def test_more_images_never_make_a_set_smaller(images, per_class, factor):
    size = judge_size(images, per_class)
    assert 0 <= size.large <= 1
    assert judge_size(round(images * factor), per_class).large >= size.large - 1e-9
    assert judge_size(images, per_class * factor).large >= size.large - 1e-9
    assert size.to_dict()["side"] == size.side


@given(st.integers(1, 10**6), st.floats(0, 1), st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 0.2))
@settings(max_examples=80)
def test_whatever_is_measured_the_verdict_is_whole(images, different, accuracies, gain_se):
    verdict = decided(judge_size(images, images / 10), far(different), curve(accuracies, gain_se=gain_se))
    assert sum(verdict.probabilities.values()) == pytest.approx(1)
    assert verdict.strategy.fine_tunes != verdict.rival.fine_tunes
    assert {verdict.head.fine_tunes, verdict.tuning.fine_tunes} == {False, True}
    assert SCENARIOS[verdict.scenario].size == ("large" if verdict.strategy.fine_tunes else "small")
    assert SCENARIOS[verdict.scenario].distance == ("different" if different >= 0.5 else "similar")
    assert 1 <= verdict.tap_stage <= len(accuracies)
    assert verdict.earlier_helps == (verdict.strategy is Strategy.EARLIER_LAYER)
    assert verdict.strategy.fine_tunes <= (verdict.lead > verdict.required_lead)
    one, other = SCENARIOS[verdict.scenario], SCENARIOS[verdict.runner_up]
    assert (one.size == other.size) != (one.distance == other.distance)
    assert all(line and line[-1] != "." for line in (*verdict.reasons, *verdict.flips))


def test_a_pilot_decides_with_its_own_gain_and_keeps_the_heads_expectations():
    size, distance = judge_size(100, 10), far(0.05)
    plain = decided(size, distance, FLAT)
    for gain, tunes in ((0.05, True), (0.0, False), (-0.3, False)):
        verdict = decided(size, distance, FLAT, Pilot(gain, 0.01, 0.5, 80, 20, 30.0))
        assert verdict.strategy.fine_tunes is tunes
        assert verdict.expected[Strategy.LAST_LAYER] == plain.expected[Strategy.LAST_LAYER]
        tuned = {verdict.expected[way] for way in Strategy if way.fine_tunes}
        assert len(tuned) == 1
        assert tuned.pop().accuracy == pytest.approx(
            min(1.0, max(0.0, plain.expected[Strategy.LAST_LAYER].accuracy + gain))
        )
        assert verdict.required_lead == pytest.approx(0.01645)
