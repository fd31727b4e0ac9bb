"""What a study remembers of a trial, and how it is read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from advisor.tuning.confirm import ScoredTrial, pack, unpack
from advisor.tuning.loop import TrialFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.tuning.trial import Finished


def facts(finished: Finished, seconds: float) -> dict[str, Any]:
    """A finished trial as attributes of a study."""
    return {
        "credit": pack(finished.image_scores),
        "validation_loss": finished.loss,
        "temperature": finished.temperature,
        "seconds": seconds,
        "tap": finished.tap,
        "frozen": finished.frozen,
        "frozen_share": finished.frozen_share,
        "steps": finished.steps,
        "planned_steps": finished.planned_steps,
        "audit": finished.audit,
        "notes": list(finished.notes),
        "curve": [[now.epoch, now.steps, round(now.seconds, 3), round(now.accuracy, 6)] for now in finished.curve],
    }


def reason_of(error: Exception) -> str:
    """Why a trial failed, in one line."""
    text = str(error).splitlines()[0] if str(error) else ""
    return text if isinstance(error, TrialFailedError) else f"{type(error).__name__}: {text}"


def scored_trial_of(
    number: int, own: Mapping[str, Any], again: Mapping[str, str], count: int, *, linear: bool, folds: int
) -> ScoredTrial:
    """A finished trial from its attributes.

    Args:
        number: of the trial; negative for a probe.
        own: as `facts` wrote them, with `kind` and `values`.
        again: by further seed, packed answers.
        count: validation images.
        linear: whether the head is one linear layer.
        folds: of the study; with one, a closed form gives the same under every seed.
    """
    more = [unpack(text, count) for _, text in sorted(again.items())]
    steps = own["steps"]
    return ScoredTrial(
        number=number,
        kind=own["kind"],
        values=own["values"],
        image_scores=np.stack([unpack(own["credit"], count), *more]),
        loss=own["validation_loss"],
        temperature=own["temperature"],
        seconds=own["seconds"],
        tap=own["tap"],
        frozen=own["frozen"],
        linear=linear,
        deterministic=own["tap"] == own["frozen"] and steps == 0 and folds == 1,
        trained=steps / own["planned_steps"] if steps else 1.0,
    )
