"""Accuracy against the time of one training."""

import made

from advisor.advice.forecast import Expected, Training
from advisor.advice.timetable import Offer
from advisor.report.charts.times import times_chart
from advisor.strategy import Strategy


def test_what_is_advised_is_marked_and_said():
    chart = times_chart(made.recommendation())
    assert chart.finding.startswith("In 3 s, a linear classifier on the frozen network: about 0.80 is expected")
    assert [row[0] for row in chart.numbers.rows] == ["3 s", "7 min"]
    assert chart.numbers.marked == {0}
    assert "fine-tune everything at 96 pixels, 480 steps" in [row[1] for row in chart.numbers.rows]
    assert chart.draw()["layer"]


def test_with_a_budget_what_is_advised_stands_among_the_best_of_other_times():
    usual = made.times()
    slow = Offer(Strategy.TUNE_SIMILAR, Training(960, 96), 1000.0, Expected(0.9, 0.8, 0.95))
    quick = Offer(Strategy.TUNE_SIMILAR, Training(60, 96), 50.0, Expected(0.803, 0.7, 0.85))
    times = made.times(offers=(*usual.offers[:2], quick, slow), budget=200.0)
    assert times.chosen is quick  # too small a step to be a row of its own
    chart = times_chart(made.recommendation(times=times))
    assert [row[0] for row in chart.numbers.rows] == ["3 s", "50 s", "17 min"]
    assert chart.numbers.marked == {1}
    assert "a search of 3 min has no room for more" in chart.finding
