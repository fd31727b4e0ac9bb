"""One trial, as a search leaves it and a report reads it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from advisor.recipe.values import TrialValues
from advisor.records.plain import Plain, finite, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.types import Scalar

_COLUMNS = 4  # of a learning curve
SOUP = -1000  # number of the average of trainings; those of probes are their stages, negative
_PLACES, _VIEWS, _MIRRORED = 1000, 500, 999  # no network has so many stages; see `probe_number`


class TrialKind(StrEnum):
    """What a trial was for, or what became of it.

    `PROBE` is a closed-form classifier at one stage, `TRIAL` one of the search, `SOUP` the average of the weights of
    several trainings, `REPEAT` one whose values had been tried before; the rest have no score of their own.
    """

    PROBE = "probe"
    TRIAL = "trial"
    SOUP = "soup"
    REPEAT = "repeat"
    OUT_OF_TIME = "out of time"
    INTERRUPTED = "interrupted"

    @property
    def judged(self) -> bool:
        """Whether its score is its own."""
        return self in {TrialKind.PROBE, TrialKind.TRIAL, TrialKind.SOUP}


class TrialState(StrEnum):
    """How a trial stands; the names are Optuna's."""

    RUNNING = "RUNNING"
    WAITING = "WAITING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAIL = "FAIL"

    @property
    def finished(self) -> bool:
        """Whether it has ended, however it did."""
        return self not in {TrialState.RUNNING, TrialState.WAITING}


class Way(StrEnum):
    """The ways in which a trial comes to a classifier, in words."""

    PROBE = "closed-form probe"
    HEAD = "head alone"
    TUNED = "fine-tuning"
    SOUP = "average of fine-tunings"


class Member(NamedTuple):
    """A training whose weights an average contains.

    Attributes:
        trial: number of its trial.
        seed: which of the trial's seeds it had; 0 is the first.
    """

    trial: int
    seed: int

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{trial_name(self.trial)} under seed {self.seed + 1}" if self.seed else trial_name(self.trial)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The validation images judged during a training.

    Attributes:
        epoch: passes over the training images so far.
        steps: optimiser steps so far.
        seconds: of training so far.
        accuracy: on the validation images, 0..1.
    """

    epoch: int
    steps: int
    seconds: float
    accuracy: float


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: in the study; that of a probe is negative and tells which stages it reads, see `probe_number`.
        kind: what it was for.
        state: how it stands.
        values: None where it ended before it had any.
        start: name of the recipe whose starting point it is; empty where the sampler drew it.
        accuracy: on the validation images under its first seed, in the run's metric; of a pruned trial its last; None
            without any.
        loss: cross-entropy there, nats.
        temperature: factor that turns logits into calibrated ones, fitted there.
        seconds: that it took.
        tap: stages kept; None where it never began.
        frozen: stages frozen of those, likewise.
        frozen_share: share of the kept parameters that were frozen.
        steps: optimiser steps taken; 0 where a closed form was fitted.
        planned_steps: what its values ask for.
        audit: SHA-256 of everything frozen, the same before and after.
        curve: of its training.
        notes: what a person should know.
        reason: why it was pruned or failed.
        ended: seconds since 1970; None while it runs.
        train_accuracy: share of the training images that were right when last seen; None where nothing took steps.
        members: whose weights it averages, the best first; empty for all but `TrialKind.SOUP`.
        also: earlier stages that the head reads beside the tap, ascending.
    """

    number: int
    kind: TrialKind
    state: TrialState
    values: TrialValues | None = None
    start: str = ""
    accuracy: float | None = None
    loss: float | None = None
    temperature: float = 1.0
    seconds: float | None = None
    tap: int | None = None
    frozen: int | None = None
    frozen_share: float | None = None
    steps: int | None = None
    planned_steps: int | None = None
    audit: str = ""
    curve: tuple[CurvePoint, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    ended: float | None = None
    train_accuracy: float | None = None
    members: tuple[Member, ...] = ()
    also: tuple[int, ...] = ()

    @property
    def stages_read(self) -> tuple[int, ...]:
        """Numbers of the stages that the head reads, ascending; empty where it never began."""
        return () if self.tap is None else (*self.also, self.tap)

    @property
    def name(self) -> str:
        """What it is called; a probe by its stage."""
        return trial_name(self.number)

    @property
    def scored(self) -> bool:
        """Whether it has a finished score of its own."""
        return self.state is TrialState.COMPLETE and self.kind.judged and self.accuracy is not None

    @property
    def trained(self) -> float | None:
        """Share of the planned steps that the time allowed; None without gradient steps."""
        return self.steps / self.planned_steps if self.steps and self.planned_steps else None

    @property
    def way(self) -> Way:
        """How it comes to a classifier."""
        if self.kind is TrialKind.PROBE:
            return Way.PROBE
        if self.kind is TrialKind.SOUP:
            return Way.SOUP
        if self.tap is None or self.frozen is None:
            return Way.HEAD if self.values is None or self.values.freeze.depth == 1 else Way.TUNED
        return Way.HEAD if self.tap == self.frozen else Way.TUNED

    @property
    def head(self) -> str:
        """Name of its head; empty where it ended before it had one."""
        return self.values.head.name if self.values else ""

    @property
    def backbone_lr(self) -> float | None:
        """Peak learning rate of the backbone; None where that is not trained."""
        if self.way is not Way.TUNED or self.values is None or self.values.optimizer is None:
            return None
        return self.values.optimizer.lr

    @property
    def lr_ratio(self) -> float | None:
        """Learning rate of the head over that of the backbone; None where only one of them is trained."""
        if self.way is not Way.TUNED or self.values is None or self.values.optimizer is None:
            return None
        ratio = self.values.optimizer.lr_ratio
        return ratio if math.isfinite(ratio) and ratio > 0 else None

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "number": self.number,
            "kind": self.kind.value,
            "state": self.state.value,
            "scenario": self.start,
            "values": self.values.to_flat() if self.values else {},
            "accuracy": self.accuracy,
            "loss": self.loss,
            "temperature": self.temperature,
            "seconds": self.seconds,
            "tap": self.tap,
            "also": list(self.also),
            "frozen": self.frozen,
            "frozen_share": self.frozen_share,
            "steps": self.steps,
            "planned_steps": self.planned_steps,
            "train_accuracy": self.train_accuracy,
            "audit": self.audit,
            "curve": curve_to_list(self.curve),
            "notes": list(self.notes),
            "reason": self.reason,
            "ended": self.ended,
            "members": members_to_list(self.members),
        }

    @classmethod
    def from_dict(cls, data: object) -> TrialRecord:
        """The inverse of `to_dict`.

        Raises:
            KeyError: something is missing.
            TypeError: something is of another kind.
            ValueError: likewise.
        """
        plain = Plain(data)
        flat = plain.scalars("values")
        return cls(
            number=plain.whole("number"),
            kind=plain.choice("kind", TrialKind),
            state=plain.choice("state", TrialState),
            values=values_of(flat) if flat else None,
            start=plain.text("scenario", ""),
            accuracy=plain.maybe("accuracy"),
            loss=plain.maybe("loss"),
            temperature=plain.maybe("temperature") or 1.0,
            seconds=plain.maybe("seconds"),
            tap=plain.maybe_whole("tap"),
            frozen=plain.maybe_whole("frozen"),
            frozen_share=plain.maybe("frozen_share"),
            steps=plain.maybe_whole("steps"),
            planned_steps=plain.maybe_whole("planned_steps"),
            train_accuracy=plain.maybe("train_accuracy"),
            members=members_from_list(plain.rows("members")) if "members" in plain else (),
            also=plain.wholes("also", ()),
            audit=plain.text("audit", ""),
            curve=curve_from_list(plain.rows("curve")),
            notes=plain.texts("notes", ()),
            reason=plain.text("reason"),
            ended=plain.maybe("ended"),
        )


def values_of(flat: Mapping[str, Scalar]) -> TrialValues:
    """The values of a trial as a file has them, by key path.

    Raises:
        ValueError: gradient steps are described in part only.
        TypeError: a text stands in place of a number, or the other way round.
    """
    try:
        values = TrialValues.from_flat(flat)
    except KeyError as error:
        raise ValueError(f"the values of a trial are incomplete: {error.args[0]}") from error
    for part in fields(values):
        section = getattr(values, part.name)
        if is_dataclass(section):
            for one in fields(section):
                _check_kind(f"{part.name}.{one.name}", getattr(section, one.name), str(one.type))
    return values


def _check_kind(key: str, value: object, annotation: str) -> None:
    kinds = annotation.split(" | ")
    if value is None and "None" in kinds:
        return
    if "bool" in kinds and not isinstance(value, bool):
        raise TypeError(f"{key} is {short(value)}, neither true nor false")
    if "str" in kinds and not isinstance(value, str):
        raise TypeError(f"{key} is {short(value)}, no text")
    if {"int", "float"} & {*kinds} and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise TypeError(f"{key} is {short(value)}, no number")


def probe_number(stages: Sequence[int], *, views: int = 1, mirrored: bool = False) -> int:
    """The number of a probe tells what it reads: three digits for each stage, so -4, or -4007 for stages 4 and 7.

    Args:
        stages: ascending.
        views: of each image that it learnt from; more than one stand before the stages, as 500 and their number.
        mirrored: whether it reads mirror images, too; 999 before the stages.
    """
    number = 0
    for part in (*([_MIRRORED] if mirrored else []), *([_VIEWS + views] if views > 1 else []), *stages):
        number = number * _PLACES + part
    return -number


def probe_stages(number: int) -> tuple[int, ...]:
    """The stages that a probe of this number reads, ascending."""
    return tuple(part for part in _parts(number) if part < _VIEWS)


def is_plain_probe(number: int) -> bool:
    """Whether a probe reads the clean view of an image only and learnt from nothing else."""
    return all(part < _VIEWS for part in _parts(number))


def _parts(number: int) -> list[int]:
    parts: list[int] = []
    rest = -number
    while rest:
        rest, part = divmod(rest, _PLACES)
        parts.insert(0, part)
    return parts


def stages_said(stages: Sequence[int]) -> str:
    """`stage 4`, `stages 4 and 7`, `stages 1, 4 and 7`."""
    *others, last = map(str, stages)
    return f"stages {', '.join(others)} and {last}" if others else f"stage {last}"


def trial_name(number: int) -> str:
    """What a trial is called; a probe by the stages that it reads."""
    if number >= 0:
        return f"trial {number}"
    if number == SOUP:
        return "model soup"
    marks = [part for part in _parts(number) if part > _VIEWS]
    views = [f" on {mark - _VIEWS} views" for mark in marks if mark != _MIRRORED]
    mirrored = [" with mirror images"] if _MIRRORED in marks else []
    return "".join([f"probe at {stages_said(probe_stages(number))}", *views, *mirrored])


def members_to_list(members: Sequence[Member]) -> list[list[int]]:
    """Members of an average as rows of trial and seed."""
    return [[member.trial, member.seed] for member in members]


def members_from_list(rows: Sequence[Sequence[object]]) -> tuple[Member, ...]:
    """The inverse of `members_to_list`.

    Raises:
        TypeError: something is no number.
        ValueError: likewise, or a row is of another length.
    """
    members = []
    for row in rows:
        trial, seed = (finite(value) for value in row)
        members.append(Member(int(trial or 0), int(seed or 0)))
    return tuple(members)


def curve_to_list(curve: tuple[CurvePoint, ...]) -> list[list[float]]:
    """A learning curve as rows of epoch, steps, seconds (to a millisecond) and accuracy (to six digits)."""
    return [[now.epoch, now.steps, round(now.seconds, 3), round(now.accuracy, 6)] for now in curve]


def curve_from_list(rows: Sequence[Sequence[object]]) -> tuple[CurvePoint, ...]:
    """The inverse of `curve_to_list`; rows without seconds or accuracy are left out.

    Raises:
        TypeError: something is no number.
        ValueError: likewise, or a row is of another length.
    """
    points = []
    for row in rows:
        if len(row) != _COLUMNS:
            raise ValueError(f"a point of a learning curve has {len(row)} numbers in place of {_COLUMNS}")
        epoch, steps, seconds, accuracy = map(finite, row)
        if seconds is not None and accuracy is not None:
            points.append(CurvePoint(int(epoch or 0), int(steps or 0), seconds, accuracy))
    return tuple(points)
