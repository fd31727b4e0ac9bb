"""Why a trial ends without a score."""

from __future__ import annotations

LEAST_SHARE = 0.2  # of the planned steps; a shorter trial says nothing about the recipe


class TrialFailedError(Exception):
    """A trial that has no score; the text is the reason."""


class HopelessError(Exception):
    """A training that cannot come to anything was stopped; the text is the reason."""


class OutOfTimeError(Exception):
    """The budget leaves no room for a meaningful part of the trial.

    Args:
        reason: in a few words.
        seconds: what all of its training would take, where that was measured.
    """

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


def reason_of(error: Exception) -> str:
    """Why a trial failed, in one line."""
    text = str(error).splitlines()[0] if str(error) else ""
    return text if isinstance(error, TrialFailedError) else f"{type(error).__name__}: {text}"
