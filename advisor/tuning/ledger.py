"""What a study remembers of its trials. Nothing else knows the names of Optuna's attributes."""

from __future__ import annotations

import base64
import os
import socket
import time
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import optuna

from advisor.recipe.values import TrialValues
from advisor.records.trial import (
    SOUP,
    Member,
    TrialKind,
    TrialRecord,
    TrialState,
    curve_from_list,
    curve_to_list,
    members_from_list,
    members_to_list,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from advisor.tuning.finished import Finished
    from advisor.types import Scalar

_States = optuna.trial.TrialState
_SCORES, _OLD_SCORES = "image_scores", "credit"
_AGAIN = "again-{}"  # of a trial by number, under further seeds
_AVERAGE = "soup"  # of trainings' weights; no trial of the study, since it has no parameters to learn from


class Ledger:
    """The study of a run and, apart, that of its closed-form probes.

    A sampler compares trials by the values they share, and probes have none; so they are no trials of the study.

    Args:
        study: of the search.
        probes: of the probes.
        shared: whether processes of other machines may be at work on it.
    """

    def __init__(self, study: optuna.Study, probes: optuna.Study, *, shared: bool = False) -> None:
        self.study = study
        self._probes = probes
        self._shared = shared
        self._done: dict[int, TrialRecord] = {}  # ended trials, which never change again
        self._scores: dict[int, str] = {}  # of those that have any, packed

    # What all trials of the study share

    def setting(self, name: str) -> str | int | None:
        """Something that was settled for all trials."""
        return cast("str | int | None", self.study.user_attrs.get(name))

    def settle(self, name: str, value: str | int) -> None:
        """Settle something for all trials; what is settled stays."""
        if self.setting(name) is None:
            self.study.set_user_attr(name, value)

    # Reading

    def records(self) -> list[TrialRecord]:
        """Every trial, probes first, an average of trainings last."""
        probes = [self._record(_probe_number(trial), trial) for trial in self._all(self._probes)]
        average = self._average()
        soup = [_read_attributes(SOUP, average, TrialState.COMPLETE, average["accuracy"])] if average else []
        return [*probes, *(self._record(trial.number, trial) for trial in self._all(self.study)), *soup]

    def record(self, number: int) -> TrialRecord:
        """A trial by its number; that of a probe is negative.

        Raises:
            KeyError: there is none.
        """
        return {record.number: record for record in self.records()}[number]

    def ended(self) -> list[TrialRecord]:
        """Trials of the search that have ended, however they did."""
        return [record for record in self.records() if record.number >= 0 and record.state.finished]

    def searched(self) -> list[TrialRecord]:
        """Ended trials that used up one of the allowed number: no probes, no repeats, none that was cut off."""
        return [record for record in self.ended() if record.kind is TrialKind.TRIAL]

    def running(self) -> int:
        """Trials that some process is at."""
        return len(self.study.get_trials(deepcopy=False, states=(_States.RUNNING,)))

    def image_scores(self, number: int, count: int) -> NDArray[np.float64]:
        """(seeds, count) what each validation image adds to the score of a trial, under its first and further seeds.

        Raises:
            KeyError: there is no such trial, or it has no score.
        """
        if number == SOUP:
            return unpack(self._average()[_SCORES], count)[None]
        if number not in self._scores:
            self.records()
        own = self._scores[number]
        return np.stack([unpack(text, count) for text in (own, *self._again(number).values())])

    def further_seeds(self, number: int) -> tuple[int, ...]:
        """Seeds beyond the first under which a trial was judged."""
        return tuple(self._again(number))

    def average_of(self) -> tuple[Member, ...]:
        """Trainings among which the last average was looked for, the best first; empty where none was."""
        return members_from_list(self._average_state().get("candidates", ()))

    def tried_averages(self, count: int) -> NDArray[np.float64]:
        """(k, count) scores of all averages that were judged in looking for the last one."""
        packed = self._average_state().get("tried", ())
        return np.stack([unpack(text, count) for text in packed]) if packed else np.zeros((0, count))

    def comparable(self) -> list[optuna.trial.FrozenTrial]:
        """Completed trials of the search in Optuna's own form, once each, for what learns from their parameters."""
        wanted = {record.number for record in self.searched() if record.state is TrialState.COMPLETE}
        return [trial for trial in self._all(self.study) if trial.number in wanted]

    # Starting points

    def enqueue(self, params: Mapping[str, Scalar], start: str, grows: int | None = None) -> None:
        """Try these parameters next.

        Args:
            params: by key path.
            start: the recipe whose starting point they are, or what else they come from.
            grows: number of the trial whose training goes on at their input size.
        """
        growth = {} if grows is None else {"grows": grows}
        self.study.enqueue_trial(dict(params), user_attrs={**({"scenario": start} if start else {}), **growth})

    def grows(self, trial: optuna.Trial) -> int | None:
        """Number of the trial whose training this one goes on with; None where it begins anew."""
        return cast("int | None", trial.user_attrs.get("grows"))

    def grown(self) -> set[int]:
        """Trials whose training another one goes on with, or went on with until the time was up."""
        kinds = ((trial.user_attrs.get("grows"), trial.user_attrs.get("kind")) for trial in self._all(self.study))
        return {number for number, kind in kinds if number is not None and kind != TrialKind.INTERRUPTED}

    def tried_starts(self) -> list[Mapping[str, Scalar]]:
        """Parameters that were enqueued and not cut off."""
        return [
            trial.system_attrs["fixed_params"]
            for trial in self._all(self.study)
            if "fixed_params" in trial.system_attrs
            and trial.user_attrs.get("kind") not in (TrialKind.INTERRUPTED, TrialKind.OUT_OF_TIME)
        ]

    # Writing

    def ask(self, sampler: optuna.samplers.BaseSampler) -> optuna.Trial:
        """The next trial, marked as this process's own."""
        self.study.sampler = sampler
        trial = self.study.ask()
        trial.set_user_attr("owner", _owner())
        return trial

    def begin(self, trial: optuna.Trial, values: TrialValues) -> None:
        """A trial has its values."""
        trial.set_user_attr("kind", TrialKind.TRIAL)
        trial.set_user_attr("values", values.to_flat())

    def start_of(self, trial: optuna.Trial) -> str:
        """The recipe whose starting point a trial is; empty where the sampler drew it."""
        return str(trial.user_attrs.get("scenario", ""))

    def values_of(self, trial: optuna.Trial) -> TrialValues | None:
        """A trial's values, once it has any."""
        flat = trial.user_attrs.get("values")
        return TrialValues.from_flat(flat) if flat else None

    def complete(self, trial: optuna.Trial, finished: Finished, seconds: float) -> None:
        """A trial has a score."""
        for name, value in _facts(finished, seconds).items():
            trial.set_user_attr(name, value)
        self.study.tell(trial, finished.accuracy)

    def repeat(self, trial: optuna.Trial, values: TrialValues, earlier: TrialRecord) -> None:
        """A trial has the values of an earlier one, and so its score."""
        trial.set_user_attr("kind", TrialKind.REPEAT)
        trial.set_user_attr("values", values.to_flat())
        trial.set_user_attr("reason", f"the same values as trial {earlier.number}")
        # A pruned trial holds its last figure as its value, and none may be told of another.
        same = earlier.accuracy if earlier.state is TrialState.COMPLETE else None
        self.study.tell(trial, same, getattr(_States, earlier.state.value))

    def prune(self, trial: optuna.Trial, reason: str, seconds: float) -> None:
        """A trial was stopped for being behind."""
        self._end(trial, TrialKind.TRIAL, reason, _States.PRUNED, seconds)

    def fail(self, trial: optuna.Trial, reason: str, seconds: float) -> None:
        """A trial came to no score."""
        self._end(trial, TrialKind.TRIAL, reason, _States.FAIL, seconds)

    def drop(self, trial: optuna.Trial, kind: TrialKind, reason: str) -> None:
        """A trial was cut off, and does not count."""
        self._end(trial, kind, reason, _States.FAIL)

    def add_probe(self, number: int, values: TrialValues, finished: Finished, seconds: float) -> None:
        """A closed-form probe, which is no trial of the search; its number is negative."""
        attrs = {"kind": TrialKind.PROBE, "number": number, "values": values.to_flat(), **_facts(finished, seconds)}
        self._probes.add_trial(optuna.trial.create_trial(value=finished.accuracy, user_attrs=attrs))

    def add_seed(self, number: int, seed: int, image_scores: NDArray[np.float64]) -> None:
        """A trial was judged under a further seed, from 1."""
        known = self.study.user_attrs.get(_AGAIN.format(number), {})
        self.study.set_user_attr(_AGAIN.format(number), {**known, str(seed): pack(image_scores)})

    def settle_average(self, candidates: Sequence[Member], tried: Sequence[NDArray[np.float64]]) -> None:
        """No average of these trainings is better than the best of them."""
        self.study.set_user_attr(_AVERAGE, _looked(candidates, tried))

    def add_average(
        self, values: TrialValues, finished: Finished, seconds: float, members: Sequence[Member],
        candidates: Sequence[Member], tried: Sequence[NDArray[np.float64]],
    ) -> None:  # fmt: skip
        """The average of some trainings, in place of an earlier one.

        Args:
            values: of the first member.
            finished: the average, judged.
            seconds: that it took to judge all that were tried.
            members: whose weights it averages.
            candidates: among whom they were looked for.
            tried: (n,) scores of each average that was judged.
        """
        own = {
            "kind": TrialKind.SOUP, "values": values.to_flat(), "accuracy": finished.accuracy,
            "members": members_to_list(members), "ended": time.time(), **_facts(finished, seconds),
        }  # fmt: skip
        self.study.set_user_attr(_AVERAGE, {**_looked(candidates, tried), **own})

    def fail_stale_trials(self) -> None:
        """End the trials that a killed process left running.

        Where other machines may be at work, only trials of processes of this machine that are no more are ended.
        """
        for trial in self.study.get_trials(states=(_States.RUNNING,)):
            if self._shared and not _has_ended(str(trial.user_attrs.get("owner", ""))):
                continue
            for name, value in (("kind", TrialKind.INTERRUPTED), ("reason", "the process ended")):
                self.study._storage.set_trial_user_attr(trial._trial_id, name, value)  # noqa: SLF001
            self.study.tell(trial.number, state=_States.FAIL)

    def _end(
        self, trial: optuna.Trial, kind: TrialKind, reason: str, state: optuna.trial.TrialState,
        seconds: float | None = None,
    ) -> None:  # fmt: skip
        trial.set_user_attr("kind", kind)
        trial.set_user_attr("reason", reason)
        if seconds is not None:
            trial.set_user_attr("seconds", seconds)
        self.study.tell(trial, state=state)

    def _average_state(self) -> dict[str, Any]:
        """What is known of averages, whether or not one was kept."""
        return dict(self.study.user_attrs.get(_AVERAGE, {}))

    def _average(self) -> dict[str, Any]:
        """The average that is kept; empty where none is."""
        state = self._average_state()
        return state if "members" in state else {}

    def _all(self, study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
        return study.get_trials(deepcopy=False)

    def _again(self, number: int) -> dict[int, str]:
        packed: dict[str, str] = self.study.user_attrs.get(_AGAIN.format(number), {})
        return {int(seed): text for seed, text in sorted(packed.items())}

    def _record(self, number: int, trial: optuna.trial.FrozenTrial) -> TrialRecord:
        if number not in self._done:
            record = _read(number, trial)
            if not record.state.finished:
                return record
            self._done[number] = record
            packed = trial.user_attrs.get(_SCORES, trial.user_attrs.get(_OLD_SCORES))
            if packed is not None:
                self._scores[number] = packed
        return self._done[number]


def _probe_number(trial: optuna.trial.FrozenTrial) -> int:
    """Of a probe; studies of earlier versions know its tap only."""
    own = trial.user_attrs
    return int(own["number"]) if "number" in own else -int(own["tap"])


def _facts(finished: Finished, seconds: float) -> dict[str, object]:
    """A finished trial as attributes of a study."""
    return {
        _SCORES: pack(finished.image_scores),
        "validation_loss": finished.loss,
        "temperature": finished.temperature,
        "seconds": seconds,
        "tap": finished.tap,
        "also": list(finished.also),
        "frozen": finished.frozen,
        "frozen_share": finished.frozen_share,
        "steps": finished.steps,
        "planned_steps": finished.planned_steps,
        "train_accuracy": finished.train_accuracy,
        "audit": finished.audit,
        "notes": list(finished.notes),
        "curve": curve_to_list(finished.curve),
    }


def _looked(candidates: Sequence[Member], tried: Sequence[NDArray[np.float64]]) -> dict[str, object]:
    """Among which trainings an average was looked for, and what was judged."""
    return {"candidates": members_to_list(candidates), "tried": [pack(scores) for scores in tried]}


def _read(number: int, trial: optuna.trial.FrozenTrial) -> TrialRecord:
    """The inverse of what the methods of `Ledger` write."""
    accuracy = trial.values[0] if trial.values else None
    ended = {"ended": trial.datetime_complete.timestamp()} if trial.datetime_complete else {}
    return _read_attributes(number, {**trial.user_attrs, **ended}, TrialState(trial.state.name), accuracy)


def _read_attributes(
    number: int, own: Mapping[str, Any], state: TrialState, accuracy: float | None
) -> TrialRecord:  # fmt: skip
    flat = own.get("values")
    return TrialRecord(
        number=number,
        kind=TrialKind(own.get("kind", TrialKind.TRIAL)),
        state=state,
        values=TrialValues.from_flat(flat) if flat else None,
        start=str(own.get("scenario", "")),
        accuracy=accuracy,
        loss=own.get("validation_loss"),
        temperature=own.get("temperature", 1.0),
        seconds=own.get("seconds"),
        tap=own.get("tap"),
        frozen=own.get("frozen"),
        frozen_share=own.get("frozen_share"),
        steps=own.get("steps"),
        planned_steps=own.get("planned_steps"),
        train_accuracy=own.get("train_accuracy"),
        also=tuple(own.get("also", ())),
        audit=own.get("audit", ""),
        curve=curve_from_list(own.get("curve", ())),
        notes=tuple(own.get("notes", ())),
        reason=own.get("reason", ""),
        ended=own.get("ended"),
        members=members_from_list(own.get("members", ())),
    )


def pack(image_scores: NDArray[np.float64]) -> str:
    """Scores (n,) as text, for a study's attributes: a bit an image where they are 0 or 1, else four bytes."""
    if np.isin(image_scores, (0.0, 1.0)).all():
        return base64.b64encode(np.packbits(image_scores.astype(bool)).tobytes()).decode()
    return base64.b64encode(image_scores.astype("<f4").tobytes()).decode()


def unpack(text: str, count: int) -> NDArray[np.float64]:
    """The inverse of `pack`, (count,)."""
    data = base64.b64decode(text)
    if len(data) == 4 * count:
        return np.frombuffer(data, "<f4").astype(np.float64)
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count).astype(np.float64)


def _owner() -> str:
    """This process, as a trial that it runs is marked."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _has_ended(owner: str) -> bool:
    host, _, process = owner.rpartition(":")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
