"""A runner that replays tabulated curves on a clock of its own, so that whole searches take milliseconds."""

import numpy as np

from advisor.recipe.values import FreezeValues, HeadValues, TrialValues
from advisor.records.trial import CurvePoint, Member
from advisor.tuning.failures import LEAST_SHARE, OutOfTimeError
from advisor.tuning.finished import Finished, joined
from advisor.tuning.runner import Footprint

IMAGES = 200


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Replay:
    """Accuracy and seconds of a trial by functions of its values; a training's curve rises evenly to its end.

    Args:
        accuracy: of values, 0..1, at the end of a training.
        seconds: of a training of values in one fold; 0 where only a head is fitted.
        stages: of the network, whose closed-form probes reach `probe`.
        events: by the count of runs, what happens instead.
        forecast: what `seconds` are expected to be.
        learnt: of values, the share of the training images that a training has right in the end; None says nothing.
    """

    def __init__(
        self, accuracy, seconds=lambda _values: 10.0, *, stages=8, probe=0.6, events=None, forecast=None,
        learnt=lambda _values: None,
    ):  # fmt: skip
        self.accuracy, self.length, self.stages, self.probe = accuracy, seconds, stages, probe
        self.forecast, self.learnt = forecast or seconds, learnt
        self.clock = Clock()
        self.events = events or {}
        self.runs, self.kept, self.dropped, self.averaged, self.grown = [], {}, [], [], []
        self.average = lambda members: np.mean([self.kept[member].accuracy for member in members])
        self.asked_for_several = []
        self.images, self.most_folds, self.given_validation = IMAGES, 5, True

    def sample_weight(self, folds):
        return np.ones(IMAGES if folds > 1 else IMAGES // 2)

    def families(self, folds):
        return np.arange(len(self.sample_weight(folds)))

    def seconds(self, values):
        return 0.0 if values.freeze.depth == 1 else self.forecast(values)

    def probes(self):
        return {
            -tap: TrialValues(freeze=FreezeValues(1.0, "eval"), head=HeadValues("ridge"))
            for tap in range(self.stages, 0, -1)
        }

    def probe_of_several(self, tap):
        self.asked_for_several.append(tap)

    def footprint(self, values):
        return Footprint(1e-3 * values.features.tap, round(1e6 * values.features.tap))

    def variants(self, _probe, _kind):
        return {}

    def can_grow(self, _values, _side):
        return True

    def run(self, values, *, folds, seed, deadline, draw=0, report=lambda _point: None, grows=None):
        self.grown.append(grows)
        self.runs.append((values, seed, draw))
        if values.head.name == "ridge":
            tap = self.stages - sum(1 for one, *_ in self.runs[:-1] if one.head.name == "ridge")
            return self.finished(self.probe - 0.01 * (self.stages - tap), folds, seed, tap=tap, frozen=tap, steps=0)
        if event := self.events.get(len(self.runs)):
            raise event
        parts = [self.trained(values, folds, fold, seed, deadline, report) for fold in range(folds)]
        return joined(parts, lambda rows: np.ones(len(rows)))

    def trained(self, values, folds, fold, seed, deadline, report):
        whole, end = self.length(values), self.accuracy(values)
        frozen = round(values.freeze.depth * self.stages)
        if frozen == self.stages:
            return self.finished(end, folds, seed, tap=frozen, frozen=frozen, steps=0, fold=fold)
        left = deadline - self.clock.now
        if left < LEAST_SHARE * whole:
            self.clock.now += 0.01 * whole
            raise OutOfTimeError("too few steps would fit in the time left", whole)
        share = min(1.0, left / whole)
        curve = []
        for epoch in range(1, 5):
            self.clock.now += share * whole / 4
            curve.append(CurvePoint(epoch, 25 * epoch, share * whole * epoch / 4, share * end * epoch / 4))
            report(curve[-1])
        return self.finished(
            share * end, folds, seed, tap=self.stages, frozen=frozen, steps=round(100 * share), curve=curve, fold=fold,
            learnt=self.learnt(values),
        )  # fmt: skip

    def finished(self, accuracy, folds, seed, *, tap, frozen, steps, curve=(), fold=0, learnt=None):
        count = IMAGES // folds if folds > 1 else IMAGES // 2
        right = np.zeros(count)
        right[: round(accuracy * count)] = 1
        scores = np.random.default_rng(seed).permutation(right) if steps else right
        return Finished(
            rows=np.arange(fold * count, (fold + 1) * count), image_scores=scores, sample_weight=np.ones(count),
            loss=1 - accuracy, temperature=1.0, tap=tap, frozen=frozen, frozen_share=frozen / self.stages,
            steps=steps, planned_steps=100 if steps else 0, audit="same", network=lambda: seed, curve=tuple(curve),
            train_accuracy=learnt,
        )  # fmt: skip

    def is_linear(self, _head):
        return True

    def can_hand_over(self, _tap):
        return True

    def keep(self, number, finished, seed=0):
        self.kept[Member(number, seed)] = finished

    def drop_all_but(self, numbers):
        self.dropped.append(sorted(numbers))
        self.kept = {member: one for member, one in self.kept.items() if member.trial in numbers}

    def members(self):
        return set(self.kept)

    def judging_seconds(self, _values):
        return 0.5

    def judge_average(self, values, members):
        if not set(members) <= set(self.kept):
            return None
        self.clock.now += self.judging_seconds(values)
        self.averaged.append(tuple(members))
        return self.finished(self.average(members), 1, 0, tap=self.stages, frozen=0, steps=0)
