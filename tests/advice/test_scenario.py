import dataclasses

import pytest

from advisor.advice.distance import Distance
from advisor.advice.probe import ProbeCurve, ProbePoint
from advisor.advice.scenario import SCENARIOS, decide, fine_tune_gain, judge_size


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
    return ProbeCurve(n, 0.1, balanced=False, points=points, fits=())


FLAT = curve([0.5, 0.7, 0.9])


def test_size_needs_both_many_images_and_many_per_class():
    assert judge_size(200, 20).side == "small"
    assert judge_size(50_000, 5_000).side == "large"
    assert judge_size(50_000, 5).side == "small"
    sizes = [judge_size(n, n / 10).large for n in (10, 100, 1000, 10_000, 100_000)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("images", "different", "scenario"),
    [(200, 0.05, 1), (50_000, 0.05, 2), (200, 0.95, 3), (50_000, 0.95, 4)],
)
def test_clear_cases_are_the_four_classic_scenarios(images, different, scenario):
    verdict = decide(judge_size(images, images / 10), far(different), FLAT, 10)
    assert verdict.scenario == scenario
    assert not verdict.close
    assert sum(verdict.probabilities.values()) == pytest.approx(1)
    assert verdict.runner_up != verdict.scenario
    assert set(verdict.expected) == set(SCENARIOS)
    assert all(0 <= e.low <= e.accuracy <= e.high <= 1 for e in verdict.expected.values())


def test_an_earlier_layer_needs_two_standard_errors_and_one_point():
    size = judge_size(300, 30)
    assert decide(size, far(0.9), curve([0.5, 0.8, 0.7]), 10).tap_stage == 2
    assert decide(size, far(0.9), curve([0.5, 0.8, 0.7], gain_se=0.06), 10).tap_stage == 3
    assert decide(size, far(0.9), curve([0.5, 0.705, 0.7], gain_se=0.001), 10).tap_stage == 3
    tied = decide(size, far(0.9), curve([0.5, 0.8, 0.7], gain_se=0.06), 10)
    assert any("tied" in reason for reason in tied.reasons)


def test_measurements_decide_a_close_call_and_the_page_says_so():
    size = dataclasses.replace(judge_size(2000, 200), large=0.5)
    helped = decide(size, far(0.95), curve([0.5, 0.99, 0.6], gain_se=0.001), 10)
    assert helped.close
    assert helped.scenario == 3
    assert any("close together" in reason for reason in helped.reasons)
    flat = decide(size, far(0.95), curve([0.4, 0.5, 0.6]), 10)
    assert flat.scenario == 4


def test_what_would_flip_a_small_similar_set_names_counts():
    verdict = decide(judge_size(300, 30), far(0.1), FLAT, 10)
    assert any("1995 labelled images" in flip and "now 300" in flip for flip in verdict.flips)
    assert any("above 0.50" in flip for flip in verdict.flips)


def test_a_probe_at_chance_is_said_first_to_check_the_labels():
    verdict = decide(judge_size(300, 30), far(0.1), curve([0.1, 0.1, 0.1]), 10)
    assert any("check the labels" in reason for reason in verdict.reasons)
    assert not any("check the labels" in r for r in decide(judge_size(300, 30), far(0.1), FLAT, 10).reasons)


@pytest.mark.parametrize(
    ("per_class", "different", "gain"),
    [(5, 0, -8), (1, 0, -8), (10, 0, -1), (500, 0, 3), (1e6, 0, 3), (25, 1, 8), (100, 1, 15), (25, 0.5, 4.5)],
)
def test_prior_gain_of_fine_tuning(per_class, different, gain):
    assert fine_tune_gain(per_class, different)[0] == pytest.approx(gain)
