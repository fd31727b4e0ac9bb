"""Which trainings are stopped before their end: only those that are worse than what they began with, by themselves."""

from dataclasses import replace

import numpy as np
import pytest
from made import VALUES

from advisor.tuning.failures import HopelessError
from advisor.tuning.gates import Gate
from advisor.tuning.loop import Moment

ALL_RIGHT, GUESSING = 1.0, float(np.log(3))


def moment(step, *, steps=100, loss=0.1):
    return Moment(step, steps, 1, 1.0, loss)


@pytest.fixture
def start(context):
    return np.full(len(context.rows("val")), ALL_RIGHT)


@pytest.fixture
def gate(context, start):
    return Gate(context, VALUES, start)


def test_a_loss_above_that_of_guessing_stops_a_training_after_a_tenth_of_its_steps(gate, start):
    gate.check(moment(9, loss=2 * GUESSING), start)
    gate.check(moment(10, loss=0.99 * GUESSING), start)
    with pytest.raises(HopelessError, match="of guessing: the learning rate is too high"):
        gate.check(moment(10, loss=1.01 * GUESSING), start)


def test_validation_clearly_below_the_start_stops_a_training_after_half_of_its_steps(gate, start):
    worse = 0 * start
    gate.check(moment(49), worse)
    with pytest.raises(HopelessError, match="points below the head it began with"):
        gate.check(moment(50), worse)


def test_within_two_paired_standard_errors_it_goes_on(gate, start):
    worse = start.copy()
    worse[0] = 0.0
    gate.check(moment(90), worse)


def test_what_has_ended_and_what_is_too_short_is_never_stopped(gate, start):
    gate.check(moment(100, loss=99.0), 0 * start)
    gate.check(moment(30, steps=49, loss=99.0), 0 * start)


def test_mixed_or_smoothed_labels_have_a_loss_of_their_own(context, start):
    for train in ({"mixup": 0.2}, {"label_smoothing": 0.1}):
        gate = Gate(context, replace(VALUES, train=replace(VALUES.steps[1], **train)), start)
        gate.check(moment(20, loss=99.0), start)
