"""The Optuna study: the recommended recipe first, the probe as floor, a budget that is kept."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
import torch

from advisor.errors import AdvisorError, BackboneError, RunError
from advisor.network.ridge import fit_ridge
from advisor.tuning.loop import OutOfTimeError, TrialFailedError
from advisor.tuning.space import SearchSpace, Values
from advisor.tuning.trial import Finished, Workbench, head_params, run_trial, score

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.network.transfer import TransferNetwork
    from advisor.recipe import Plan

STUDY = "advisor"
PROBE = "probe"
_States = optuna.trial.TrialState
_UNTESTED_STARTUP = 4  # trials before the pruner may stop one


@dataclass(frozen=True)
class Champion:
    """The best trial of a study.

    Attributes:
        number: in the study.
        kind: `probe` or `trial`.
        accuracy: on the validation images.
        values: by key path, scalars.
    """

    number: int
    kind: str
    accuracy: float
    values: Values


class Search:
    """One study in one run folder.

    Args:
        bench: what all trials share.
        plan: what to search.
        folder: of the run; holds `study.db` and `weights/`.

    Raises:
        RunError: the folder holds the run of another dataset or of another plan.
    """

    def __init__(self, bench: Workbench, plan: Plan, folder: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.bench = bench
        self.plan = plan
        self.folder = folder
        self.space = SearchSpace(plan.recipe, bench.stages, bench.catalog)
        # Connected to by path: in a URL, a `?` or `%` in the folder's name would be taken for syntax.
        storage = optuna.storages.RDBStorage(
            "sqlite:///study.db",
            engine_kwargs={
                "creator": lambda: sqlite3.connect(folder / "study.db", timeout=60, check_same_thread=False)
            },
        )
        self.study = optuna.create_study(
            storage=storage, study_name=STUDY, load_if_exists=True, direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNTESTED_STARTUP, n_warmup_steps=1),
        )  # fmt: skip
        # A resumed study must not draw the same candidates again.
        self.study.sampler = optuna.samplers.TPESampler(seed=plan.seed + len(self.study.trials), n_startup_trials=6)
        self._claim()
        self._bury_dead()

    def run(self, *, trials: int, deadline: float, on_trial: Callable[[optuna.trial.FrozenTrial], None]) -> str:
        """Search until there are enough trials or the time is up.

        Args:
            trials: finished, pruned or failed ones, those of earlier sessions included.
            deadline: on `time.monotonic`.
            on_trial: told about each trial when it ends.

        Returns:
            Why the search ended: `trials` or `time`.

        Raises:
            KeyboardInterrupt: after the running trial has been marked as interrupted.
        """
        if not any(trial.user_attrs.get("kind") == PROBE for trial in self.study.trials):
            on_trial(self._add_probe())
        else:
            on_trial(self.study.trials[self.champion().number])  # what the trials of this session have to beat
        head_only = False
        while len(self.searched()) < trials:
            if time.monotonic() >= deadline:
                return "time"
            if not self.searched() and not self.study.get_trials(states=(_States.WAITING,)):
                self.study.enqueue_trial(self.space.start_params())
            trial = self.study.ask()
            try:
                self._one(trial, deadline, head_only=head_only)
            except OutOfTimeError as error:
                trial.set_user_attr("reason", f"no time left: {error}")
                trial.set_user_attr("kind", "out of time")
                self.study.tell(trial, state=_States.FAIL)
                if head_only or not self.space.allows_head_only:
                    return "time"
                head_only = True  # too late to fine-tune; the seconds left go to heads
                continue
            except KeyboardInterrupt:
                trial.set_user_attr("reason", "interrupted")
                trial.set_user_attr("kind", "interrupted")
                self.study.tell(trial, state=_States.FAIL)
                raise
            on_trial(self.study.trials[trial.number])
        return "trials"

    def searched(self) -> list[optuna.trial.FrozenTrial]:
        """Trials that used up one of the allowed number: all but the probe and those cut off."""
        return [
            trial
            for trial in self.study.trials
            if trial.state.is_finished() and trial.user_attrs.get("kind") == "trial"
        ]

    @property
    def has_result(self) -> bool:
        """Whether anything has finished."""
        return any(trial.state == _States.COMPLETE for trial in self.study.trials)

    def champion(self) -> Champion:
        """The most accurate trial; of equals the one with the lower validation loss, the probe before all.

        Raises:
            RunError: nothing has finished.
        """
        finished = [trial for trial in self.study.trials if trial.state == _States.COMPLETE]
        if not finished:
            raise RunError("No trial has finished.", hint="run the same command again to go on")
        best = max(
            finished,
            key=lambda t: (t.values[0], t.user_attrs["kind"] == PROBE, -t.user_attrs["validation_loss"]),
        )
        return Champion(best.number, best.user_attrs["kind"], best.values[0], dict(best.user_attrs["values"]))

    def network(self, champion: Champion) -> TransferNetwork:
        """Rebuild a champion's model from its kept weights."""
        from safetensors.torch import load_file

        tap = self.bench.stages.tap_index(champion.values["features.tap"])
        width = self.bench.features("train", tap).shape[1]
        kind = self.bench.catalog.head(champion.values["head.name"])
        head = kind.create(width, self.bench.classes, **head_params(champion.values))
        network = self.bench.build(tap, head)
        network.load_state_dict(load_file(self._weights(champion.number)), strict=True)
        return network.eval()

    def _one(self, trial: optuna.Trial, deadline: float, *, head_only: bool) -> None:
        """Run one trial and record what came of it."""
        began = time.monotonic()
        trial.set_user_attr("kind", "trial")
        protected = not self.searched()  # the recommended recipe is never pruned

        def report(epoch: int, accuracy: float) -> None:
            trial.report(accuracy, epoch)
            if not protected and trial.should_prune():
                raise optuna.TrialPruned

        try:
            values = self.space.suggest(trial, head_only=head_only)
            trial.set_user_attr("values", values)
            finished = run_trial(
                self.bench, values, seed=self.plan.seed + trial.number, deadline=deadline, report=report
            )
        except optuna.TrialPruned:
            trial.set_user_attr("seconds", time.monotonic() - began)
            trial.set_user_attr("reason", "behind the median of the earlier trials")
            self.study.tell(trial, state=_States.PRUNED)
        except OutOfTimeError:
            raise
        except Exception as error:
            if isinstance(error, AdvisorError) and not isinstance(error, BackboneError):
                raise  # a full disk, say: no other values would fare better
            # One bad set of values must not end the study.
            trial.set_user_attr("seconds", time.monotonic() - began)
            trial.set_user_attr("reason", _reason(error))
            self.study.tell(trial, state=_States.FAIL)
        else:
            self._record(trial, finished, time.monotonic() - began)
            self.study.tell(trial, finished.accuracy)

    def _record(self, trial: optuna.Trial, finished: Finished, seconds: float) -> None:
        for name, value in _facts(finished, seconds).items():
            trial.set_user_attr(name, value)
        best = [t.values[0] for t in self.study.trials if t.state == _States.COMPLETE]
        if not best or finished.accuracy >= max(best):
            self._keep(trial.number, finished.network())

    def _add_probe(self) -> optuna.trial.FrozenTrial:
        """The closed-form probe at its best stage (by leave-one-out on the training images)."""
        began = time.monotonic()
        bench = self.bench
        labels = bench.labels("train")
        fits = [
            fit_ridge(bench.features("train", tap).numpy(), labels.numpy(), bench.classes)
            for tap in range(1, len(bench.stages) + 1)
        ]
        correct = [float(fit.correct(labels.numpy()).mean()) for fit in fits]
        best_first = sorted(range(1, len(fits) + 1), key=lambda k: (-correct[k - 1], -k))
        tap = next(k for k in best_first if self._can_cut(k))
        values: Values = {
            "features.tap": tap / len(bench.stages), "freeze.depth": 1.0,
            "head.name": "ridge", "head.init": PROBE,
        }  # fmt: skip
        kind = bench.catalog.head("ridge")
        head = kind.create(bench.features("train", tap).shape[1], bench.classes)
        fit = fits[tap - 1]
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(fit.weight * fit.temperature))  # type: ignore[operator]
            head.bias.copy_(torch.from_numpy(fit.bias * fit.temperature))  # type: ignore[operator]
            accuracy, loss = score(head(bench.features("val", tap)), bench.labels("val"))
        network = bench.build(tap, head)
        network.freeze(tap, batchnorm="eval")
        finished = Finished(accuracy, loss, tap, tap, 1.0, 0, 0, network.frozen_digest(), lambda: network)
        number = len(self.study.trials)
        self._keep(number, network)
        attrs = {"kind": PROBE, "values": values, "leave_one_out": correct[tap - 1],
                 **_facts(finished, time.monotonic() - began)}  # fmt: skip
        self.study.add_trial(optuna.trial.create_trial(value=accuracy, user_attrs=attrs))
        return self.study.trials[number]

    def _can_cut(self, tap: int) -> bool:
        """Whether the network can be cut at a tap; some cannot be traced, and none needs it at the last."""
        if tap == len(self.bench.stages):
            return True
        try:
            self.bench.build(tap, torch.nn.Identity())
        except BackboneError:
            return False
        return True

    def _keep(self, number: int, network: TransferNetwork) -> None:
        """Write a model's weights, then drop those it replaces; the file appears whole or not at all."""
        from safetensors.torch import save

        from advisor.data.cache import disk_errors

        target = self._weights(number)
        with disk_errors(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(".partial")
            state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
            try:
                partial.write_bytes(save(state))
                partial.rename(target)
            finally:
                partial.unlink(missing_ok=True)

    def drop_beaten(self) -> None:
        """Delete the weights of every trial but the champion."""
        keep = self._weights(self.champion().number)
        for file in (self.folder / "weights").glob("*.safetensors"):
            if file != keep:
                file.unlink()

    def _weights(self, number: int) -> Path:
        return self.folder / "weights" / f"trial-{number}.safetensors"

    def _claim(self) -> None:
        """Refuse a folder whose run is of other data or another plan."""
        mine = {"digest": self.bench.prepared.dataset.digest, "plan": fingerprint(self.plan)}
        theirs = self.study.user_attrs
        if not theirs:
            for name, value in mine.items():
                self.study.set_user_attr(name, value)
            return
        for name, what in (
            ("digest", "another dataset, or this one before it changed"),
            ("plan", "another plan"),
        ):
            if theirs.get(name) != mine[name]:
                raise RunError(
                    f"`{self.folder}` holds a run of {what}.",
                    ways=["start a new run under another name", f"move or delete {self.folder}"],
                    hint=f"advisor tune --name {self.folder.name}-2",
                )

    def _bury_dead(self) -> None:
        """Trials that a killed process left running did not finish."""
        for trial in self.study.get_trials(states=(_States.RUNNING,)):
            self.study._storage.set_trial_user_attr(trial._trial_id, "kind", "interrupted")  # noqa: SLF001
            self.study._storage.set_trial_user_attr(trial._trial_id, "reason", "the process ended")  # noqa: SLF001
            self.study.tell(trial.number, state=_States.FAIL)


def fingerprint(plan: Plan) -> str:
    """Hash of everything in a plan that changes what a trial means; the search's length does not."""
    values = {k: repr(v) for k, v in sorted(plan.recipe.values.items()) if not k.startswith("search.")}
    text = json.dumps([values, plan.backbone, plan.seed, plan.skip_small_classes])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _facts(finished: Finished, seconds: float) -> dict[str, Any]:
    return {
        "validation_loss": finished.loss,
        "seconds": seconds,
        "tap": finished.tap,
        "frozen": finished.frozen,
        "frozen_share": finished.frozen_share,
        "steps": finished.steps,
        "planned_steps": finished.planned_steps,
        "audit": finished.audit,
    }


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else ""
    return text if isinstance(error, TrialFailedError) else f"{type(error).__name__}: {text}"
