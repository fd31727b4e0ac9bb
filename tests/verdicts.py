"""Measurements made up for tests of what is decided and said: distances, probes, and expectations."""

import numpy as np

from advisor.advice.distance import Distance, Estimate
from advisor.advice.forecast import Expected, Training
from advisor.advice.probe import ProbeCurve, ProbePoint
from advisor.advice.scenario import Pilot, Verdict, judge_size
from advisor.advice.timetable import Offer, Timetable
from advisor.strategy import Strategy
from advisor.task import SingleLabel


def distance(different=0.2, *, early=0.1, late=0.1, votes=None, borrowed="", interval=None):
    votes = {"late": different, "gain": different} if votes is None else votes
    return Distance(
        images=256,
        early=None if early is None else Estimate(early, 0.01),
        middle=None,
        late=None if late is None else Estimate(late, 0.01),
        late_control=None,
        gain=None,
        kurtosis=None,
        votes=votes,
        vote_intervals={name: (value, value) for name, value in votes.items()},
        different=different,
        interval=interval or (max(0.0, different - 0.1), min(1.0, different + 0.1)),
        borrowed=borrowed,
    )


def curve(accuracies, *, gain_se=0.01, se=0.01, n=400, task=None):
    task = task or SingleLabel.numbered(10)
    points = tuple(
        ProbePoint(
            stage=place + 1,
            name=f"stage{place + 1}",
            tap=(place + 1) / len(accuracies),
            width=8,
            accuracy=accuracy,
            se=se,
            gain=accuracy - accuracies[-1],
            gain_se=gain_se,
            tied=max(accuracies) - accuracy <= 2 * gain_se,
            neighbours=accuracy,
            penalty=1.0,
        )
        for place, accuracy in enumerate(accuracies)
    )
    return ProbeCurve(n, n, 0.1, task, codes="mean", points=points, fits=(), image_scores=(), labels=np.zeros(0, int))


def expectations(last=0.5, similar=0.5, earlier=0.5, different=0.5, lp_ft=0.5):
    values = dict(zip(Strategy, (last, similar, earlier, different, lp_ft), strict=True))
    return {way: Expected(value, value - 0.05, value + 0.05) for way, value in values.items()}


def verdict(strategy=Strategy.LAST_LAYER, rival=Strategy.TUNE_SIMILAR, *, scenario=1, tap_stage=3, **changed):
    values = {
        "required_lead": 0.02,
        "probabilities": {1: 0.7, 2: 0.1, 3: 0.1, 4: 0.1},
        "expected": expectations(),
        "runner_up": 3,
        "learnable": True,
    }
    return Verdict(scenario=scenario, strategy=strategy, rival=rival, tap_stage=tap_stage, **(values | changed))


def times(expected=None, *, different=0.1, seconds=60.0, budget=None):
    """Both classifiers in two seconds, and one fine-tuning: the way of the distance's side."""
    expected = expected or expectations()
    tuning = Strategy.TUNE_DIFFERENT if different >= 0.5 else Strategy.TUNE_SIMILAR
    return Timetable(
        (
            Offer(Strategy.LAST_LAYER, None, 2.0, expected[Strategy.LAST_LAYER]),
            Offer(Strategy.EARLIER_LAYER, None, 2.0, expected[Strategy.EARLIER_LAYER]),
            Offer(tuning, Training(250, 64), seconds, expected[tuning]),
        ),
        budget,
    )


SMALL, LARGE = judge_size(100, 10), judge_size(50_000, 5000)
PILOT = Pilot(gain=0.03, se=0.01, depth=0.5, images=500, judged_on=100, seconds=90.0)
