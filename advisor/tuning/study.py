"""The Optuna study: probes as floor, the scenarios' recipes first, a budget that is kept, leaders judged again."""

from __future__ import annotations

import hashlib
import json
import math
import time
import zlib
from typing import TYPE_CHECKING, Any

import optuna

from advisor.errors import AdvisorError, BackboneError, RunError
from advisor.tuning.confirm import Choice, ScoredTrial, choose, leaders, pack, to_confirm
from advisor.tuning.context import ContextPool, TrialContext, folds_of, most_folds, rows_of
from advisor.tuning.loop import OutOfTimeError, TrialFailedError
from advisor.tuning.record import facts, reason_of, scored_trial_of
from advisor.tuning.sampling import pick_pruner, pick_sampler
from advisor.tuning.space import BACKBONE, SearchSpace, Values
from advisor.tuning.starts import Starts, is_start
from advisor.tuning.storage import fail_stale_trials, fingerprint, open_study, owner
from advisor.tuning.trial import Finished, Progressed, head_params, run_folds, run_trial
from advisor.tuning.weights import KeptWeights
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from advisor.network.transfer import TransferNetwork
    from advisor.recipe import Plan, Recipe

PROBE = "probe"
_ORIGIN = (BACKBONE, "features.weights", "features.input_size")  # which network, before anything is done to it
_States = optuna.trial.TrialState
_FOLDED_BELOW = 1000  # images that may be trained on; fewer validate poorly in one part (method.md section 6)
_MOST_FOR_FOLDS = 0.2  # of the budget that the recommended trial may take in all its folds
_CONFIRM_SHARE = 0.3  # of the budget at most for judging the leaders again
_REPEATS = 8  # trials in a row that had been run before; then there is nothing new to try


class Search:
    """One study in one run folder.

    Args:
        contexts: what all trials share.
        plan: what to search.
        folder: of the run; holds `study.db` and `weights/`.
        scenarios: recipes whose starting points are tried, too.
        budget: seconds of the whole search, for choosing folds, sampler and pruner.
        trials: that may be run, for the same.
        storage: an Optuna URL; a file in the folder by default.
        worker: 0 for the process that owns the run, 1 … for its helpers.

    Raises:
        RunError: the folder holds the run of another dataset or of another plan; the storage cannot be used.
    """

    def __init__(
        self,
        contexts: ContextPool,
        plan: Plan,
        folder: Path,
        *,
        scenarios: Sequence[Recipe] = (),
        budget: float = math.inf,
        trials: int = 20,
        storage: str = "",
        worker: int = 0,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.contexts = contexts
        self.plan = plan
        self.folder = folder
        self.worker = worker
        self._shared = bool(storage)
        self.budget = budget
        first = contexts.first
        self.space = SearchSpace(
            plan.recipe, first.stages, first.catalog,
            backbones=plan.backbones, backbone=plan.backbone, stages_of=contexts.stages_of,
        )  # fmt: skip
        self.origin: Values = {key: value for key, value in self.space.start().items() if key in _ORIGIN}
        if self.space.allows_pretrained:
            self.origin["features.weights"] = "pretrained"
        self.context = contexts.context(self.origin)
        self.starts = Starts(self.space, self.context, plan.recipe.name, scenarios)
        self._said_deeper = False
        self._folded: dict[tuple[int, int], list[TrialContext]] = {}
        self.weights = KeptWeights(folder / "weights", self._key())
        name = f"advisor-{self._key()}" if storage else "advisor"
        # Probes are kept apart: a sampler compares trials by the values they share, and probes have none.
        self.study, self.probes, self.close = open_study(storage, name, folder)
        self.seeds = int(str(plan.recipe.get("search.seeds")))
        if worker == 0:
            self._claim()
            self.fail_stale_trials()
            if not self.study.trials:
                self.weights.drop_all_but([])
        contexts.folded = self.folds > 1
        # A resumed study must not draw the same candidates again, nor two workers the same.
        seed = plan.seed + len(self.study.trials) + 7919 * worker
        start = self.starts.cost(self.space.start())
        expected = min(trials, budget / max(start * self.folds, 1e-9))
        self._sampler = pick_sampler(seed, expected, len(self.space.searched()))
        self._anywhere = optuna.samplers.RandomSampler(seed)
        one_epoch = self.space.start() | {"freeze.depth": 0.0, "train.epochs": 1}
        self.study.pruner = pick_pruner(trials, self.starts.cost(one_epoch))

    @property
    def folds(self) -> int:
        """Parts of the cross-validation; 1 is a single validation part. Kept in the study, so equal for all trials."""
        return int(self.study.user_attrs["folds"])

    @property
    def sample_weight(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(n,) what each validation image counts."""
        return self.context.sample_weight(self.judged_rows)

    @property
    def judged_rows(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(n,) the validation images, ascending; with folds all that may be trained on."""
        return rows_of(self.fold_contexts(self.origin))

    def run(  # noqa: C901 - one way out per kind of ending
        self, *, trials: int, deadline: float, on_trial: Callable[[optuna.trial.FrozenTrial], None]
    ) -> str:
        """Search until there are enough trials or the time is up.

        Args:
            trials: finished, pruned or failed ones, those of earlier sessions included.
            deadline: on `time.monotonic`.
            on_trial: told about each trial when it ends, those of other workers included.

        Returns:
            Why the search ended: `trials`, `time` or `exhausted` (nothing new to try).

        Raises:
            KeyboardInterrupt: after the running trial has been marked as interrupted.
        """
        began = time.monotonic()
        if self.worker == 0 and self.space.allows_pretrained:
            self._add_probes()
        told = {trial.number for trial in self._finished()}
        if scored_trials := self.scored_trials():
            on_trial(self.trial(leaders(scored_trials, self.sample_weight, 1)[0].number))  # what trials have to beat
        head_only, repeats = False, 0
        while self._used() < trials:
            last = deadline - (0.0 if head_only else self._reserve(deadline - began))
            if time.monotonic() >= last:
                return "time"
            if repeats >= _REPEATS:
                return "exhausted"
            if self.worker == 0 and not head_only:
                whole = self.starts.enqueue_next(self.study, (last - time.monotonic()) / self.folds)
                self._say_deeper(whole)
            # A Gaussian process learns nothing from what was pruned, and asks for it again.
            self.study.sampler = self._anywhere if repeats else self._sampler
            trial = self.study.ask()
            trial.set_user_attr("owner", owner())
            try:
                fresh = self._one(trial, last, head_only=head_only)
            except OutOfTimeError as error:
                self._drop(trial, "out of time", f"no time left: {error}")
                left = (last - time.monotonic()) / self.folds
                if self.starts.enqueue_deeper(self.study, trial, error, left) or is_start(trial):
                    self._say_deeper(error.seconds)
                    continue
                if head_only or not self.space.allows_head_only:
                    return "time"
                head_only = True
                self._say_heads_only(error)
                continue
            except KeyboardInterrupt:
                self._drop(trial, "interrupted", "interrupted")
                raise
            repeats = 0 if fresh else repeats + 1
            told = self._tell_new(told, on_trial)
        return "trials"

    def confirm(self, deadline: float) -> None:
        """Judge the leaders under further seeds, as far as the time allows; nothing is judged twice."""
        scored_trials = self.scored_trials()
        work = [
            (rival, again)
            for again in range(1, self.seeds)
            for rival in to_confirm(scored_trials, self.sample_weight)
            if not rival.deterministic and str(again) not in self.study.user_attrs.get(f"again-{rival.number}", {})
        ]
        with self.context.progress.task("Judging the best again", len(work)) as advance:
            for rival, again in work:
                if time.monotonic() + rival.seconds > deadline:
                    continue
                try:
                    finished = self.judge(
                        dict(rival.values), seed=self.seed_of(rival.values, again), deadline=deadline, again=again
                    )
                except (OutOfTimeError, TrialFailedError) as error:
                    self.context.progress.say(f"Trial {rival.number} could not be judged again: {error}")
                    continue
                key = f"again-{rival.number}"
                self.study.set_user_attr(
                    key, {**self.study.user_attrs.get(key, {}), str(again): pack(finished.image_scores)}
                )
                advance(1)

    def fail_stale_trials(self) -> None:
        """End the trials of processes that are no more; call it when no other process of this machine is at work."""
        fail_stale_trials(self.study, shared=self._shared)

    def judge(self, values: Values, *, seed: int, deadline: float, again: int = 0) -> Finished:
        """A trial on the study's validation images that is no part of the study; `again` draws other folds.

        Raises:
            OutOfTimeError: it does not fit.
            TrialFailedError: it has no score.
        """
        return run_folds(self.fold_contexts(values, again), values, seed=seed, deadline=deadline)

    def scored_trials(self) -> list[ScoredTrial]:
        """Every finished trial with a score, once each."""
        count = len(self.sample_weight)
        found = []
        attrs = self.study.user_attrs
        for number, trial in self.everything():
            own = trial.user_attrs
            if trial.state != _States.COMPLETE or own["kind"] not in (PROBE, "trial"):
                continue
            again = attrs.get(f"again-{number}", {})
            kind = self.context.catalog.head(own["values"]["head.name"])
            found.append(scored_trial_of(number, own, again, count, linear=kind.linear, folds=self.folds))
        return found

    def choice(self) -> Choice:
        """Which trial is handed over.

        Raises:
            RunError: nothing has finished.
        """
        scored_trials = [scored_trial for scored_trial in self.scored_trials() if self._can_cut(scored_trial)]
        if not scored_trials:
            reasons = [trial.user_attrs["reason"] for trial in self.study.trials if trial.user_attrs.get("reason")]
            raise RunError(
                f"No trial has finished{': ' + reasons[-1] if reasons else ''}.",
                ways=["give more time", "change what the plan fixes, under another --name"],
                hint="advisor tune --budget 1h",
            )
        return choose(scored_trials, self.sample_weight, seeds=self.seeds)

    def searched(self) -> list[optuna.trial.FrozenTrial]:
        """Trials that used up one of the allowed number: all but the probes, repeats and those cut off."""
        return [trial for trial in self._finished() if trial.user_attrs.get("kind") == "trial"]

    @property
    def has_result(self) -> bool:
        """Whether anything has finished."""
        return any(trial.state == _States.COMPLETE for _, trial in self.everything())

    def everything(self) -> list[tuple[int, optuna.trial.FrozenTrial]]:
        """Numbers and trials, probes first; that of a probe is negative and tells its tap."""
        probes = [(-int(trial.user_attrs["tap"]), trial) for trial in self.probes.get_trials(deepcopy=False)]
        return [*probes, *((trial.number, trial) for trial in self.study.get_trials(deepcopy=False))]

    def trial(self, number: int) -> optuna.trial.FrozenTrial:
        """A trial or probe by its number."""
        return dict(self.everything())[number]

    def seed_of(self, values: Mapping[str, Any], again: int = 0) -> int:
        """Of a training, so that the same values give the same model in whichever run; `again` for further seeds."""
        # What is kept and what is computed anew makes no other model.
        text = json.dumps({**values, "again": again, "features.cache": ""}, sort_keys=True)
        return (self.plan.seed + zlib.crc32(text.encode())) % 2**32

    def network(self, chosen: ScoredTrial) -> TransferNetwork:
        """The chosen model: from its kept weights, or fitted again; after cross-validation on all trainable images."""
        values = dict(chosen.values)
        context = self.contexts.context(values)
        kept = None if chosen.deterministic or self.folds > 1 else self.weights.load(chosen.number)
        if kept is not None:
            kind = context.catalog.head(values["head.name"])
            width = context.standardise(chosen.tap, tokens=kind.tokens).mean.numel()
            head = kind.create(width, context.classes, **head_params(values))
            network = context.build(chosen.tap, head, tokens=kind.tokens)
            network.load_state_dict(kept, strict=True)
            return network.eval()
        if self.folds > 1:
            context = context.divided(self.judged_rows, self.judged_rows[:0])
        if chosen.trained < 1:
            values["train.epochs"] = max(1, round(chosen.trained * values["train.epochs"]))
        finished = run_trial(context, values, seed=self.seed_of(chosen.values), deadline=math.inf)
        return finished.network().eval()

    def _tell_new(self, told: set[int], on_trial: Callable[[optuna.trial.FrozenTrial], None]) -> set[int]:
        """Tell of the trials that ended since, those of other workers included; all that ended by now."""
        done = self._finished()
        for trial in done:
            if trial.number not in told:
                on_trial(trial)
        return {trial.number for trial in done}

    def _say_deeper(self, whole: float | None) -> None:
        """Once, that a training of so many seconds has no room, and which budget has."""
        if whole is None or self._said_deeper:
            return
        self._said_deeper = True
        # Three of them, beside judging the leaders again.
        minutes = math.ceil(3 * self.folds * whole / (1 - _CONFIRM_SHARE) / 60)
        self.context.progress.say(
            f"A training as the recipe begins takes about {show_duration(self.folds * whole)} here, and there is not "
            f"that much time: more stages are frozen where that helps. --budget {minutes}m has room for it and others."
        )

    def _say_heads_only(self, reason: OutOfTimeError) -> None:
        self.context.progress.say(
            f"No further fine-tuning fits into the budget ({reason}); what is left goes to classifiers on frozen "
            "features. --budget gives more."
        )

    def _finished(self) -> list[optuna.trial.FrozenTrial]:
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished()]

    def _one(self, trial: optuna.Trial, deadline: float, *, head_only: bool) -> bool:
        """Run one trial and record what came of it; False where an earlier one had the same values."""
        began = time.monotonic()
        protected = "scenario" in trial.user_attrs  # the scenarios' recipes are never pruned
        step = 0

        def report(now: Progressed) -> None:
            nonlocal step
            # Depths differ in cost, so rungs are seconds, not epochs.
            step = max(step + 1, math.ceil(now.seconds))
            trial.report(now.accuracy, step)
            if not protected and trial.should_prune():
                raise optuna.TrialPruned

        try:
            values = self.space.suggest(trial, head_only=head_only)
            if (earlier := self._earlier(values)) is not None:
                trial.set_user_attr("kind", "repeat")
                trial.set_user_attr("values", values)
                trial.set_user_attr("reason", f"the same values as trial {earlier.number}")
                # A pruned trial holds its last figure as its value, and none may be told of another.
                same = earlier.values if earlier.state == _States.COMPLETE else None
                self.study.tell(trial, same, earlier.state)
                return False
            trial.set_user_attr("kind", "trial")
            trial.set_user_attr("values", values)
            self.starts.require_time(values, (deadline - time.monotonic()) / self.folds)
            finished = run_folds(
                self.fold_contexts(values), values, seed=self.seed_of(values), deadline=deadline, report=report
            )
        except optuna.TrialPruned:
            trial.set_user_attr("seconds", time.monotonic() - began)
            trial.set_user_attr("reason", "behind earlier trials after the same time")
            self.study.tell(trial, state=_States.PRUNED)
        except OutOfTimeError:
            raise
        except Exception as error:
            if isinstance(error, AdvisorError) and not isinstance(error, BackboneError):
                raise  # a full disk, say: no other values would fare better
            # One bad set of values must not end the study.
            trial.set_user_attr("kind", "trial")
            trial.set_user_attr("seconds", time.monotonic() - began)
            trial.set_user_attr("reason", reason_of(error))
            self.study.tell(trial, state=_States.FAIL)
        else:
            for name, value in facts(finished, time.monotonic() - began).items():
                trial.set_user_attr(name, value)
            self.study.tell(trial, finished.accuracy)
            self._keep_leaders(trial.number, finished)
        return True

    def _earlier(self, values: Values) -> optuna.trial.FrozenTrial | None:
        """A trial of the same values that ended, however it did."""
        for _, trial in self.everything():
            own = trial.user_attrs
            if trial.state.is_finished() and own.get("values") == values and own["kind"] in (PROBE, "trial"):
                return trial
        return None

    def _drop(self, trial: optuna.Trial, kind: str, reason: str) -> None:
        trial.set_user_attr("kind", kind)
        trial.set_user_attr("reason", reason)
        self.study.tell(trial, state=_States.FAIL)

    def _used(self) -> int:
        """Trials that are done, and those that other workers are at."""
        return len(self.searched()) + len(self.study.get_trials(deepcopy=False, states=(_States.RUNNING,)))

    def _reserve(self, whole: float) -> float:
        """Seconds to leave for judging the leaders again and, after cross-validation, for the final fit."""
        most = _CONFIRM_SHARE * whole
        scored_trials = self.scored_trials()
        tuned = [scored_trial for scored_trial in scored_trials if not scored_trial.head_only]
        if not tuned:
            # Nothing is known yet of what a fine-tuning costs; a recipe of heads alone costs next to nothing.
            return 0.0 if self.starts.cost(self.space.start()) == 0 else most
        ahead = [
            scored_trial
            for scored_trial in leaders(scored_trials, self.sample_weight)
            if not scored_trial.deterministic
        ]
        done = {s.number: len(self.study.user_attrs.get(f"again-{s.number}", {})) for s in ahead}
        # What would not fit is not judged again, and needs no time left for it.
        again = sum(s.seconds * (self.seeds - 1 - done[s.number]) for s in ahead if s.seconds < most)
        final = max((s.seconds / max(1, self.folds - 1) for s in ahead if self.folds > 1), default=0.0)
        return min(again, most) + final

    def fold_contexts(self, values: Values, again: int = 0) -> list[TrialContext]:
        """The folds of a trial's images on the network that its values ask for; `again` draws other folds."""
        context = self.contexts.context(values)
        key = (id(context), again)
        if key not in self._folded:
            self._folded[key] = folds_of(context, self.folds, self.plan.seed + again)
        return self._folded[key]

    def _add_probes(self) -> None:
        """The closed-form probe at every stage: finished trials that cost next to nothing."""
        stages = self.context.stages
        known = {-number for number, _ in self.everything() if number < 0}
        for tap in (tap for tap in range(len(stages), 0, -1) if tap not in known):
            values: Values = {
                **self.origin, "features.tap": tap / len(stages),
                "freeze.depth": 1.0, "freeze.batchnorm": "eval", "head.name": "ridge", "head.init": PROBE,
                "train.balance": "auto",
            }  # fmt: skip
            began = time.monotonic()
            finished = run_folds(self.fold_contexts(values), values, seed=self.plan.seed, deadline=math.inf)
            attrs = {"kind": PROBE, "values": values, **facts(finished, time.monotonic() - began)}
            self.probes.add_trial(optuna.trial.create_trial(value=finished.accuracy, user_attrs=attrs))

    def _can_cut(self, scored_trial: ScoredTrial) -> bool:
        """Whether the network can be cut at a trial's tap; some cannot be traced, and none needs it at the last."""
        if scored_trial.kind != PROBE or scored_trial.tap == len(self.context.stages):
            return True
        return self.context.segments is not None

    def _keep_leaders(self, number: int, finished: Finished) -> None:
        """Keep the weights of the best trainings; what a closed form fits, and what is fitted again, need no file."""
        if finished.steps == 0 or self.folds > 1:
            return
        ahead = [
            scored_trial.number
            for scored_trial in leaders([s for s in self.scored_trials() if not s.deterministic], self.sample_weight)
        ]
        if number in ahead:
            self.weights.keep(number, finished.network())
        self.weights.drop_all_but(ahead)

    def _key(self) -> str:
        """Equal for equal data and equal plans, on whatever machine."""
        text = f"{self.context.prepared.dataset.digest}|{fingerprint(self.plan)}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _claim(self) -> None:
        """Refuse a folder whose run is of other data or another plan; settle what all its trials must share."""
        mine = {"digest": self.context.prepared.dataset.digest, "plan": fingerprint(self.plan)}
        theirs = self.study.user_attrs
        for name, what in (
            ("digest", "another dataset, or this one before it changed"),
            ("plan", "another plan"),
        ):
            if theirs.get(name, mine[name]) != mine[name]:
                raise RunError(
                    f"`{self.folder}` holds a run of {what}.",
                    ways=[
                        "go on with the plan that it was started with: --resume",
                        "start a new run under another name",
                        f"move or delete {self.folder}",
                    ],
                    hint=f"advisor tune --name {self.folder.name}-2",
                )
        for name, value in {**mine, "folds": self._pick_folds()}.items():
            if name not in theirs:
                self.study.set_user_attr(name, value)

    def _pick_folds(self) -> int:
        asked = int(str(self.plan.recipe.get("search.folds")))
        context = self.context
        images = len(context.rows("train")) + len(context.rows("val"))
        most = most_folds(context)
        if asked > most:
            context.progress.say(f"{asked} folds are too many for the smallest class; {most} are made.")
        if asked:
            return min(asked, most)
        if images >= _FOLDED_BELOW or not context.prepared.dataset.val_drawn:
            return 1
        start = self.starts.cost(self.space.start())
        return min(most, next((k for k in (5, 3) if k * start <= _MOST_FOR_FOLDS * self.budget), 1))
