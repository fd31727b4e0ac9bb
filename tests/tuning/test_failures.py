"""Why a trial ends without a score, in one line."""

import pytest

from advisor.errors import BackboneError
from advisor.tuning.failures import LEAST_SHARE, OutOfTimeError, TrialFailedError, reason_of


class SilentError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TrialFailedError("the loss is not finite at step 3"), "the loss is not finite at step 3"),
        (TrialFailedError("one\ntwo"), "one"),
        (TrialFailedError(), ""),
        (ValueError("bad\nstack\nof lines"), "ValueError: bad"),
        (SilentError(), "SilentError: "),
        (KeyError("x"), "KeyError: 'x'"),
        (BackboneError("It has none.", ways=["take another"], hint="x"), "BackboneError: It has none."),
    ],
)
def test_a_reason_is_one_line_and_strangers_errors_are_named(error, reason):
    assert reason_of(error) == reason
    assert "\n" not in reason_of(error)


def test_what_a_whole_training_would_take_is_kept_where_it_was_measured():
    assert OutOfTimeError("too few steps", 12.5).seconds == 12.5
    assert OutOfTimeError("no time").seconds is None
    assert str(OutOfTimeError("no time")) == "no time"


def test_out_of_time_is_no_failure():
    assert not issubclass(OutOfTimeError, TrialFailedError)
    assert 0 < LEAST_SHARE < 1
