"""A verdict in words: which sentences come, in which order, and with which figures."""

import pytest
from verdicts import LARGE, PILOT, SMALL, curve, distance, expectations, times, verdict

from advisor.advice.reasons import checks_of, flips_of, reasons_of
from advisor.advice.scenario import judge_size
from advisor.strategy import Strategy
from advisor.task import MultiLabel

FLAT = curve([0.5, 0.7, 0.9])


def told(verdict_=None, size=SMALL, far=None, probes=FLAT):
    verdict_ = verdict_ or verdict()
    return reasons_of(verdict_, size, far or distance(), probes, times(verdict_.expected))


def test_size_distance_depth_and_expectation_come_in_this_order():
    lines = told()
    assert [line.split()[0] for line in lines] == ["100", "the", "no", "expected"]
    assert lines[0] == f"100 images to train on, 10 per class: small (probability of large {SMALL.large:.2f})"
    assert lines[1] == (
        "the images look like those the network was trained on (probability of different 0.20, 95 % interval 0.10 to 0.30)"
    )
    assert lines[2] == "no earlier layer beats the last one's leave-one-out accuracy of 0.900"


@pytest.mark.parametrize(
    ("different", "words"),
    [(0.39, "look like those"), (0.41, "neither clearly like nor clearly unlike"), (0.61, "look unlike those")],
)
def test_three_kinds_of_distance_have_words(different, words):
    assert words in told(far=distance(different))[1]


def test_a_distance_that_nothing_measured_is_not_called_similar():
    lines = told(far=distance(0.5, votes={}))
    assert "could not be measured" in lines[1]
    assert "probability of different" not in " ".join(lines)


@pytest.mark.parametrize(
    ("far", "words"),
    [
        (distance(0.2, early=0.5, late=0.1), "the early layers see another kind of image"),
        (distance(0.7, early=0.1, late=0.3), "the late layers see unfamiliar content"),
        (distance(0.2, early=0.1, late=0.1), ""),
        (distance(0.9, early=None, late=None, votes={"gain": 0.9}), ""),
    ],
    ids=["low-level", "content", "none", "unknown"],
)
def test_a_shift_is_explained_where_it_is_known(far, words):
    lines = told(far=far)
    assert len(lines) == (5 if words else 4)
    assert not words or any(words in line for line in lines)


def test_borrowed_statistics_are_said_with_whose_they_are():
    assert any("like those lite0 was trained on" in line for line in told(far=distance(borrowed="lite0")))
    assert any("like those the network was trained on" in line for line in told())
    assert not any("lite0" in line for line in told())


@pytest.mark.parametrize(
    ("size", "strategy", "rival", "against"),
    [
        (SMALL, Strategy.LAST_LAYER, Strategy.TUNE_SIMILAR, ""),
        (SMALL, Strategy.TUNE_SIMILAR, Strategy.LAST_LAYER, "called small, but the expected accuracies favour"),
        (LARGE, Strategy.LAST_LAYER, Strategy.TUNE_SIMILAR, "called large, but the expected accuracies favour"),
        (LARGE, Strategy.TUNE_SIMILAR, Strategy.LAST_LAYER, ""),
    ],
)
def test_what_seems_to_contradict_the_size_stands_beside_it(size, strategy, rival, against):
    lines = told(verdict(strategy, rival, scenario=2 if strategy.fine_tunes else 1), size)
    assert (against in lines[1]) if against else not any("by size alone" in line for line in lines)


def test_a_pilot_is_told_with_its_error_and_its_images():
    (line,) = [line for line in told(verdict(pilot=PILOT)) if "pilot" in line]
    assert line.startswith("a pilot of 90 s measured +3.0 ± 1.0 points")
    assert "500 images to train on and 100 to validate" in line


@pytest.mark.parametrize(
    ("strategy", "rival", "end"),
    [
        (Strategy.LAST_LAYER, Strategy.TUNE_SIMILAR, "a classifier on frozen features is recommended"),
        (
            Strategy.TUNE_SIMILAR,
            Strategy.LAST_LAYER,
            "fine-tuning is recommended; no longer training is expected to do better",
        ),
    ],
)
def test_the_expectations_are_those_of_the_two_that_were_weighed(strategy, rival, end):
    expected = expectations(last=0.71, similar=0.82, earlier=0.13, different=0.14)
    line = told(verdict(strategy, rival, expected=expected))[-1]
    assert line == (
        f"expected accuracy: 0.71 for a classifier on frozen features, 0.82 for fine-tuning everything at 64 pixels, "
        f"250 steps (60 s here); {end}"
    )


@pytest.mark.parametrize(
    ("accuracies", "gain_se", "words"),
    [
        ([0.5, 0.9, 0.8], 0.01, "an earlier layer (stage2) beats the last by 10.0 ± 1.0 points"),
        ([0.5, 0.81, 0.8], 0.01, "the best earlier layer (stage2) and the last are tied: 1.0 ± 1.0 points"),
        ([0.5, 0.8, 0.8], 0.01, "no earlier layer beats the last"),
    ],
)
def test_depth_is_a_win_a_tie_or_nothing(accuracies, gain_se, words):
    assert words in told(probes=curve(accuracies, gain_se=gain_se))[2]


def test_an_earlier_layer_against_the_probes_is_explained_by_other_sets():
    early = verdict(Strategy.EARLIER_LAYER, tap_stage=2)
    assert told(early)[2].endswith("; on sets like this one, an earlier layer did better in the end")
    assert "in the end" not in told()[2]


def test_labels_that_nothing_learns_come_first():
    lines = told(verdict(learnable=False), probes=curve([0.1, 0.12, 0.0]))
    assert lines[0] == (
        "no probe learns anything: the best stage has a leave-one-out accuracy of 0.120 ± 0.010 where guessing gives "
        "0.100, so no way is recommended"
    )
    assert len(lines) == 3
    assert not any("beats" in line or "expected" in line for line in lines)


def test_what_to_check_counts_the_images_only_where_they_are_few():
    few, many = (checks_of(size, curve([0.1, 0.1])) for size in (SMALL, LARGE))
    assert len(few) == len(many) + 1
    assert any("label more images: 10 per class" in line for line in few)


def test_a_task_with_a_caution_says_it():
    probes = curve([0.5, 0.7, 0.9], task=MultiLabel.numbered(10))
    assert probes.task.caution
    lines = told(probes=probes)
    assert lines[-1] == probes.task.caution
    assert "mean average precision" in lines[-2]


def test_a_training_for_which_there_is_no_time_is_said_to_be_too_long():
    expected = expectations(last=0.71, similar=0.82)
    line = reasons_of(verdict(expected=expected), SMALL, distance(), FLAT, times(expected, budget=60.0))[-1]
    assert line.endswith("that takes longer than there is time, so a classifier on frozen features is recommended")


def test_a_gain_of_less_than_a_point_is_not_worth_the_time():
    expected = expectations(last=0.81, similar=0.815)
    line = reasons_of(verdict(expected=expected), SMALL, distance(), FLAT, times(expected))[-1]
    assert line.endswith("(60 s here); so little more is not worth the time")


# -- what would change it


def flips(verdict_, size=SMALL, far=None, probes=FLAT, turning=None):
    return flips_of(verdict_, size, far or distance(), probes, turning=turning)


def test_the_lead_that_would_change_the_verdict_is_on_the_other_side_of_it():
    expected = expectations(last=0.8, similar=0.79)
    below = verdict(Strategy.TUNE_SIMILAR, Strategy.LAST_LAYER, scenario=2, required_lead=-0.02, expected=expected)
    above = verdict(expected=expected)
    assert flips(below)[0] == "an expected lead of fine-tuning below -2 points (now -1.0): use a classifier"
    assert flips(above)[0] == "an expected lead of fine-tuning above +2 points (now -1.0): fine-tune"


def test_the_number_of_labels_that_turns_the_verdict_is_said_where_it_is_known():
    tuned = verdict(Strategy.TUNE_SIMILAR, Strategy.LAST_LAYER, scenario=2)
    assert "about 80 labelled images per class (now 10): fine-tune" in flips(verdict(), turning=80)
    assert "fewer than about 8 labelled images per class (now 10): use a classifier" in flips(tuned, turning=8)
    assert not any("labelled images" in flip for flip in (*flips(verdict()), *flips(tuned)))


@pytest.mark.parametrize(
    ("strategy", "rival", "different", "words", "scenario"),
    [
        (Strategy.LAST_LAYER, Strategy.TUNE_SIMILAR, 0.2, "above 0.50 (now 0.20), from images less like", 3),
        (Strategy.EARLIER_LAYER, Strategy.TUNE_DIFFERENT, 0.8, "below 0.50 (now 0.80), from images more like", 1),
        (Strategy.TUNE_SIMILAR, Strategy.LAST_LAYER, 0.2, "above 0.50 (now 0.20), from images less like", 4),
        (Strategy.TUNE_DIFFERENT, Strategy.EARLIER_LAYER, 0.8, "below 0.50 (now 0.80), from images more like", 2),
    ],
)
def test_images_of_the_other_kind_lead_to_the_scenario_across(strategy, rival, different, words, scenario):
    (flip,) = [flip for flip in flips(verdict(strategy, rival), far=distance(different)) if "probability" in flip]
    assert words in flip
    assert flip.endswith(f": scenario {scenario}")


def test_an_unmeasured_distance_flips_nothing():
    assert not any("probability" in flip for flip in flips(verdict(), far=distance(0.5, votes={})))


@pytest.mark.parametrize(
    ("strategy", "different", "end"),
    [
        (Strategy.LAST_LAYER, 0.2, "above 0 points (now +1.0): read stage2"),
        (Strategy.EARLIER_LAYER, 0.2, "below 0 points (now +1.0): read the last layer"),
        (Strategy.EARLIER_LAYER, 0.8, "below 0 points (now +1.0): read the last layer"),
    ],
)
def test_the_layer_to_read_flips_where_the_other_is_expected_to_be_better(strategy, different, end):
    probes = curve([0.5, 0.9, 0.8])
    one = verdict(strategy, expected=expectations(last=0.80, earlier=0.81))
    (flip,) = [flip for flip in flips(one, far=distance(different), probes=probes) if "stage2" in flip]
    assert flip.endswith(end)


def test_a_borderline_size_is_called_borderline():
    assert "borderline" in told(size=judge_size(200, 20))[0]
