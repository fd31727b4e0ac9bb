import pytest

from advisor.advice import scenario
from advisor.advice.distance import Distance
from advisor.advice.forecast import WAYS, Expected, Seen, fine_tune_gain, fitted, forecast
from advisor.advice.probe import ProbeCurve, ProbePoint
from advisor.advice.scenario import choose, decide, judge_size


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
        n, n, 0.1, balanced=False, multilabel=False, codes="mean", points=points, fits=(), image_scores=()
    )


FLAT = curve([0.5, 0.7, 0.9])


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
    verdict = decide(judge_size(images, images / 10), far(different), probes)
    assert verdict.scenario == scenario
    assert sum(verdict.probabilities.values()) == pytest.approx(1)
    assert verdict.runner_up != verdict.scenario
    assert set(verdict.expected) == set(WAYS)
    assert all(0 <= e.low <= e.accuracy <= e.high <= 1 for e in verdict.expected.values())


def test_a_clearly_better_earlier_layer_is_read_and_a_tie_is_said():
    size = judge_size(100, 10)
    helped = decide(size, far(0.95), curve([0.5, 0.9, 0.6]))
    assert helped.tap_stage == 2
    assert helped.earlier_helps
    assert any("beats the last by 30.0" in reason for reason in helped.reasons)
    assert decide(size, far(0.05), curve([0.3, 0.5, 0.9])).tap_stage == 3
    tied = decide(size, far(0.95), curve([0.5, 0.62, 0.6], gain_se=0.06))
    assert any("tied" in reason for reason in tied.reasons)


def expect(**accuracies):
    return {way: Expected(accuracies.get(f"w{way[0]}", 0.5), 0.0, 1.0) for way in WAYS}


def test_size_and_distance_decide_unless_a_lead_is_clear():
    assert choose(0.1, 0.1, expect(w1=0.80, w2=0.81)) == "1"
    assert choose(0.1, 0.1, expect(w1=0.80, w2=0.83)) == "2"
    assert choose(0.1, 0.9, expect(w1=0.80, w3=0.79, w4=0.805)) == "3"
    assert choose(0.1, 0.9, expect(w1=0.80, w4=0.83)) == "4"
    assert choose(0.1, 0.9, expect(w1=0.80, w3=0.85, w4=0.86)) == "3"
    assert choose(0.9, 0.9, expect(w1=0.80, w3=0.85, w4=0.84)) == "4"
    assert choose(0.9, 0.9, expect(w1=0.80, w3=0.90, w4=0.84)) == "3"
    assert choose(0.9, 0.1, expect(w1=0.90, w3=0.80, w2=0.87)) == "1"
    assert choose(0.1, 0.1, expect(w1=0.80, w3=0.83, w2=0.84)) == "3"  # a clear lead of the earlier layer
    assert choose(0.1, 0.1, expect(w1=0.80, w2=0.81), lead=0.005) == "2"


def test_fine_tuning_keeps_the_whole_network(monkeypatch):
    monkeypatch.setattr(scenario, "forecast", lambda _seen: expect(w1=0.5, w3=0.6, w4=0.9))
    verdict = decide(judge_size(50_000, 5000), far(0.95), curve([0.5, 0.7, 0.6]))
    assert verdict.scenario == 4
    assert verdict.tap_stage == 3


def test_a_verdict_against_the_size_says_so(monkeypatch):
    monkeypatch.setattr(scenario, "forecast", lambda _seen: expect(w1=0.9, w2=0.8))
    verdict = decide(judge_size(50_000, 5000), far(0.05), FLAT)
    assert verdict.scenario == 1
    assert any("by size alone this would be called large" in reason for reason in verdict.reasons)


def test_more_labels_that_would_flip_a_verdict_are_counted():
    verdict = decide(judge_size(100, 10), far(0.95), curve([0.3, 0.6, 0.55]))
    assert verdict.scenario == 3
    flips = [flip for flip in verdict.flips if "labelled images per class" in flip]
    assert int(flips[0].split()[1]) > 10
    assert any("below 0.50" in flip for flip in verdict.flips)


def test_a_probe_at_chance_is_not_called_learnable_and_promises_chance():
    verdict = decide(judge_size(300, 30), far(0.1), curve([0.0, 0.1, 0.02]))
    assert not verdict.learnable
    assert verdict.expected["1"].accuracy == pytest.approx(0.1, abs=0.05)
    assert decide(judge_size(300, 30), far(0.1), FLAT).learnable


@pytest.mark.parametrize(
    ("per_class", "different", "gain"),
    [(5, 0, -8), (1, 0, -8), (10, 0, -1), (500, 0, 3), (1e6, 0, 3), (25, 1, 8), (100, 1, 15), (25, 0.5, 4.5)],
)
def test_prior_gain_of_fine_tuning(per_class, different, gain):
    assert fine_tune_gain(per_class, different)[0] == pytest.approx(gain)


def test_the_forecast_hands_over_to_the_prior_smoothly_beyond_the_panel():
    most = fitted()[1]["most_per_class"]
    if most >= 500:
        pytest.skip("the panel reaches as far as the prior")

    def at(per_class):
        return forecast(Seen(1000, per_class, 0.0, 0.8, 0.7))["2"].accuracy

    assert at(most * 1.001) == pytest.approx(at(most), abs=0.002)
    assert at(500) == at(5000) == pytest.approx(0.83)


def test_the_shipped_models_say_which_panel_they_come_from():
    panel = fitted()[1]
    assert panel["cells"] >= 16
    assert len(panel["sets"]) >= 6
    assert len(panel["sha256"]) == 64
