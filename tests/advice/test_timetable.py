"""With so much time, do this: which trainings are thought of, and which is advised."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verdicts import expectations, times

from advisor.advice import priors
from advisor.advice.cost import StepCost, StepCosts
from advisor.advice.forecast import Expected, Facts, Training
from advisor.advice.input_sizes import SizeCurve, SizePoint
from advisor.advice.timetable import Offer, Timetable, offers_of
from advisor.recipe.values import automatic_steps
from advisor.strategy import Strategy

COSTS = StepCosts({64: StepCost(0.006, 0.02, 1000, 10), 224: StepCost(0.06, 0.02, 1000, 100)})
SIZES = SizeCurve(
    400,
    32,
    tuple(SizePoint(side, accuracy, 0.0, 0.01, 0.001) for side, accuracy in ((64, 0.6), (128, 0.7), (224, 0.7))),
)
FACTS = Facts(images=400, per_class=40.0, different=0.9, last=0.6, earlier=0.7)
SPLITS = {"train": 320, "val": 80}


def offered(facts=FACTS, sizes=SIZES, splits=SPLITS):
    return offers_of(facts, splits, 224, sizes, 0.01, COSTS)


def test_heads_and_trainings_of_every_size_depth_and_length_are_offered():
    offers = offered()
    assert [offer.strategy for offer in offers if offer.training is None] == [
        Strategy.LAST_LAYER,
        Strategy.EARLIER_LAYER,
    ]
    trainings = [offer.training for offer in offers if offer.training]
    assert {training.size for training in trainings} == {64, 128, 224}
    assert {training.depth for training in trainings} == {0.0, 0.5}
    lengths = {training.steps for training in trainings}
    assert min(lengths) == 60
    assert max(lengths) <= max(1000, automatic_steps(320, 32)) < 2 * max(lengths)
    assert {offer.strategy for offer in offers if offer.training} == {Strategy.TUNE_DIFFERENT}


def test_a_size_at_which_the_probe_falls_behind_promises_less():
    trainings = [offer for offer in offered() if offer.training is not None]
    at = {one.training.size: one for one in trainings if (one.training.steps, one.training.depth) == (240, 0.0)}
    assert at[64].training.gap < 0
    assert at[128].training.gap == at[224].training.gap == 0
    assert at[64].expected.accuracy < at[128].expected.accuracy == at[224].expected.accuracy
    assert at[64].seconds < at[128].seconds < at[224].seconds


def test_without_smaller_inputs_there_is_the_networks_own():
    assert {offer.training.size for offer in offered(sizes=None) if offer.training} == {224}


def test_seconds_are_those_of_reading_the_images_training_and_judging():
    (offer,) = [one for one in offered() if one.training and one.training == Training(60, 224)]
    assert offer.seconds == pytest.approx(0.01 * 400 + 60 * (32 * 0.06 + 0.02) + 10 * 80 * 0.01)


def test_rows_get_better_with_the_time():
    rows = Timetable(offered()).rows
    assert [row.seconds for row in rows] == sorted(row.seconds for row in rows)
    accuracies = [row.expected.accuracy for row in rows]
    assert all(later >= earlier + 0.005 for earlier, later in zip(accuracies, accuracies[1:], strict=False))


@pytest.mark.parametrize(
    ("tuned", "seconds", "budget", "strategy"),
    [
        (0.55, 60.0, None, Strategy.TUNE_SIMILAR),
        (0.505, 60.0, None, Strategy.LAST_LAYER),  # half a point is not worth a minute
        (0.505, 60.0, 600.0, Strategy.TUNE_SIMILAR),  # unless there is the time
        (0.55, 60.0, 100.0, Strategy.LAST_LAYER),  # of which one training takes a share only
        (0.55, 2 * priors.USUAL_TIME, None, Strategy.LAST_LAYER),
        (0.55, 2 * priors.USUAL_TIME, 10 * priors.USUAL_TIME, Strategy.TUNE_SIMILAR),
    ],
)
def test_what_is_advised_depends_on_gain_and_time(tuned, seconds, budget, strategy):
    table = times(expectations(similar=tuned), seconds=seconds, budget=budget)
    assert table.chosen.strategy is strategy
    assert table.training == Training(250, 64)


def test_of_trainings_that_differ_by_less_than_a_point_the_quickest_is_advised():
    head = Offer(Strategy.LAST_LAYER, None, 1.0, Expected(0.5, 0.4, 0.6))
    quick, long = (
        Offer(Strategy.TUNE_SIMILAR, Training(steps, 64), steps, Expected(accuracy, 0.6, 0.8))
        for steps, accuracy in ((60, 0.695), (240, 0.70))
    )
    assert Timetable((head, quick, long)).chosen is quick
    assert Timetable((head, quick, long), budget=3600).chosen is long
    assert Timetable((head, quick, long)).sentence == ("trainings of up to 4 min are expected to bring 0.5 points more")
    assert Timetable((head, quick), budget=3600).sentence == "no longer training is expected to do better"
    short = Timetable((head, quick, long), budget=300).sentence
    assert short.startswith("a search of 5 min has no room for more; trainings of up to 4 min")


def test_a_timetable_is_plain_data():
    table = Timetable(offered(), 600.0)
    plain = json.loads(json.dumps(table.to_dict()))
    assert plain["budget"] == 600.0
    assert plain["chosen"]["strategy"] == table.chosen.strategy.value
    assert len(plain["rows"]) == len(table.rows)


@given(
    st.builds(
        Facts, st.integers(20, 5000), st.floats(1, 1000), st.floats(0, 1), st.floats(0.05, 0.95), st.floats(0.05, 0.95)
    ),
    st.one_of(st.none(), st.floats(5, 1e5)),
    st.integers(10, 5000),
)
@settings(max_examples=60, deadline=None)
def test_what_is_advised_fits_and_is_worth_it(facts, budget, images):
    table = Timetable(offered(facts, splits={"train": images, "val": images // 4}), budget)
    chosen, heads = table.chosen, [offer for offer in table.offers if offer.training is None]
    best_head = max(offer.expected.accuracy for offer in heads)
    assert chosen in table.offers
    if chosen.training is None:
        assert chosen.expected.accuracy == best_head
    else:
        limit = priors.USUAL_TIME if budget is None else priors.SHARE_OF_SEARCH * budget
        assert chosen.expected.accuracy > best_head + table.required_lead
        assert chosen.seconds <= limit or chosen.seconds == min(offer.seconds for offer in table.offers)
    assert table.for_facts(facts) == table
