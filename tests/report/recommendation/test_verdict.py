"""What to do and why, in words, against recommendations made by hand."""

from dataclasses import replace

import pytest
from made import cost, plan, recommendation, verdict

from advisor.advice.cost import WayCost
from advisor.advice.forecast import Expected
from advisor.recipe import Choices, Range
from advisor.report.recommendation import verdict as blocks
from advisor.strategy import Strategy


def cells(table):
    return [[getattr(cell, "text", cell) for cell in row] for row in table.rows]


def of(strategy, scenario=None, **changes):
    rival = Strategy.LAST_LAYER if strategy.fine_tunes else Strategy.TUNE_SIMILAR
    return recommendation(
        verdict=verdict(strategy=strategy, rival=rival, scenario=scenario or strategy.scenario or 2, **changes)
    )


@pytest.mark.parametrize(
    ("strategy", "title"),
    [
        (Strategy.LAST_LAYER, "Train a classifier on the frozen network"),
        (Strategy.EARLIER_LAYER, "Train a classifier on an earlier layer of the frozen network"),
        (Strategy.TUNE_SIMILAR, "Fine-tune the whole network"),
        (Strategy.TUNE_DIFFERENT, "Fine-tune the whole network from the pretrained weights"),
        (Strategy.LP_FT, "Head first, then the whole network gently"),
    ],
)
def test_every_way_has_a_title(strategy, title):
    assert blocks.title(of(strategy)) == title
    assert blocks.title(of(strategy, learnable=False)).startswith("Check the labels first")


def test_the_kicker_names_the_scenario_and_the_runner_up_is_another():
    assert blocks.kicker(recommendation()) == "Scenario 1: small and similar"
    assert blocks.runner_up(recommendation()).text.startswith("Runner-up is scenario 3, small and different: ")


def test_what_to_expect_is_a_sentence_and_four_figures():
    lead, facts = blocks.expectation(recommendation())
    assert "Expect an accuracy of about 0.80 on images like these." in lead.text
    assert lead.tone == "lead"
    assert [fact.value for fact in facts.items] == ["0.80", "3 s", "0.60", "72"]
    assert facts.items[1].note == "no further memory"


def test_nothing_is_promised_of_labels_that_say_nothing():
    (facts,) = blocks.expectation(of(Strategy.LAST_LAYER, learnable=False))
    assert facts.kind == "facts"


def test_memory_that_a_training_takes_is_told():
    *_, facts = blocks.expectation(of(Strategy.TUNE_SIMILAR))
    assert facts.items[1].note == "1.5 GB of further memory"


@pytest.mark.parametrize(
    ("strategy", "scenario", "words"),
    [
        (Strategy.EARLIER_LAYER, 1, "Scenario 1 usually reads the last layer; here an earlier one is expected to do"),
        (Strategy.LAST_LAYER, 3, "Scenario 3 usually reads an earlier layer; here the last is expected to do better"),
    ],
)
def test_a_way_of_another_scenario_is_told_apart(strategy, scenario, words):
    (note,) = blocks.departures(of(strategy, scenario))
    assert note.text.startswith(words)
    assert not list(blocks.departures(of(strategy)))


def test_reasons_become_sentences():
    assert blocks.why(recommendation()).items == ("There are few images.", "They look like photographs.")


@pytest.mark.parametrize(
    ("plan_file", "command"),
    [("advisor.toml", "advisor tune"), ("plans/a.toml", "advisor tune plans/a.toml"),
     ("my plan.toml", "advisor tune 'my plan.toml'"), ("$(rm -rf ~).toml", "advisor tune '$(rm -rf ~).toml'")],
)  # fmt: skip
def test_the_next_command_may_be_copied(plan_file, command):
    assert blocks.next_command(plan_file).text == command


def test_what_is_searched_is_told_by_its_ends():
    section = blocks.change_section(recommendation())
    rows = {row[-1]: row for row in cells(section.blocks[1])}
    assert rows["freeze.depth"][1:3] == ["0.5", "0 to 1"]
    assert rows["optimizer.lr"][2] == "1e-05 to 0.001, in the logarithm"
    assert rows["head.name"][1:3] == ["linear", "linear, ridge"]
    assert rows["train.epochs"][1:3] == ["10", "fixed"]
    assert "optimizer.weight_decay" not in rows


def test_every_value_of_a_plan_that_has_words_is_in_the_table():
    full = plan(**{
        "optimizer.lr_ratio": Range(1.0, 100.0, log=True, start=10.0), "optimizer.weight_decay": 0.05,
        "train.batch_size": 32, "features.fit": "pad", "train.augment": Choices(("flip", "crop")),
    })  # fmt: skip
    rows = cells(blocks.change_section(recommendation(plan=full)).blocks[1])
    assert [row[-1] for row in rows] == [key for key, _ in blocks._START]
    assert rows[-1][2] == "flip, crop"


def test_what_would_change_it_says_the_time_of_a_fine_tuning():
    flips = blocks.change_section(recommendation()).blocks[0].items
    assert flips == ("Three times the labels.", "7 min to spare for an expected gain of 1.0 points: fine-tune.")
    tuned = blocks.change_section(of(Strategy.TUNE_SIMILAR)).blocks[0].items
    assert tuned[-1].startswith("Less than 7 min for a training: a classifier on frozen features (3 s, expected 0.80")


def test_without_a_lead_no_time_would_change_it():
    expected = dict(verdict().expected) | {Strategy.TUNE_SIMILAR: Expected(0.7, 0.6, 0.8)}
    flips = blocks.change_section(of(Strategy.LAST_LAYER, expected=expected)).blocks[0].items
    assert flips == ("Three times the labels.",)


def test_cost_and_origin_are_told_with_their_units():
    rows = cells(blocks.cost_table(recommendation()))
    assert rows == [
        ["one image forward", "12 ms"],
        ["one image in training", "40 ms"],
        ["this advice", "31 s for 72 images"],
    ]
    origin = dict(cells(blocks.origin_section(recommendation()).blocks[0]))
    assert origin["images"] == "/home/me/birds"
    assert origin["digest of the images"] == "d1g357"
    assert "torch " in origin["versions"]


def test_the_licence_of_the_weights_is_said_whatever_it_is_called():
    found = recommendation(weights=replace(recommendation().weights, licence="x\u202e\nMIT", trained_on="y" * 200))
    text = blocks.weights(found).text
    assert "\n" not in text
    assert "\u202e" not in text
    assert "y" * 79 + "…" in text


def test_a_long_training_is_told_in_hours():
    ways = {way: WayCost("r", 9000.0, 0) for way in cost().ways}
    lead, _ = blocks.expectation(recommendation(cost=replace(cost(), ways=ways)))
    assert "takes about 2.5 h on this machine" in lead.text
