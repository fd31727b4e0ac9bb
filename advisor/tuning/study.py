"""The search: probes as floor, the scenarios' recipes first, a budget that is kept, leaders judged again."""

from __future__ import annotations

import json
import math
import time
import zlib
from typing import TYPE_CHECKING

import optuna

from advisor.errors import AdvisorError, BackboneError, RunError
from advisor.progress import Progress, Silent
from advisor.recipe import Choices
from advisor.records.trial import TrialKind, TrialState, is_plain_probe, probe_stages
from advisor.tuning.confirm import ScoredTrial, choose, leaders, to_confirm
from advisor.tuning.failures import HopelessError, OutOfTimeError, TrialFailedError, reason_of
from advisor.tuning.followups import FollowUps
from advisor.tuning.runner import REFIT
from advisor.tuning.sampling import pick_sampler
from advisor.tuning.soup import MOST_MEMBERS, candidates_of, look_for_average
from advisor.tuning.starts import Starts
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from advisor.recipe import Recipe
    from advisor.recipe.values import TrialValues
    from advisor.records.trial import CurvePoint, TrialRecord
    from advisor.tuning.confirm import Choice
    from advisor.tuning.finished import Finished
    from advisor.tuning.ledger import Ledger
    from advisor.tuning.runner import TrialRunner
    from advisor.tuning.space import SearchSpace

_FOLDS = "folds"
_FOLDED_BELOW = 1000  # images that may be trained on; fewer validate poorly in one part (method.md section 6)
_MOST_FOR_VIEWS = 0.1  # of the budget that a probe may take to read further views of the images
_MOST_FOR_FOLDS = 0.2  # of the budget that the first training may take in all its folds
_KEPT = 5  # trainings whose models are kept, for handing over one of them or their average
_REPEATS = 8  # trials in a row that had been run before; then there is nothing new to try


class Search:
    """One search over one study; `begin` it before anything else is asked of it.

    Args:
        recipe: what may vary, and how long to search.
        space: the recipe over the networks at hand.
        ledger: remembers the trials.
        runner: runs them.
        scenarios: recipes whose starting points are tried, too.
        seed: of the plan.
        budget: seconds of the whole search, for choosing folds and sampler.
        trials: that may be run, for the same.
        worker: 0 for the process that owns the run, 1 … for its helpers.
        progress: told how far things are.
        clock: seconds that only grow; deadlines are on it.
    """

    def __init__(
        self,
        recipe: Recipe,
        space: SearchSpace,
        ledger: Ledger,
        runner: TrialRunner,
        *,
        scenarios: Sequence[Recipe] = (),
        seed: int = 0,
        budget: float = math.inf,
        trials: int = 20,
        worker: int = 0,
        progress: Progress | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.recipe = recipe
        self.space = space
        self.ledger = ledger
        self.runner = runner
        self.starts = Starts(space, runner, recipe.name, scenarios)
        self._follow_ups = FollowUps(space, self.starts, runner)
        self.seed = seed
        self.budget = budget
        self.worker = worker
        self.progress = progress or Silent()
        self.seeds = recipe.whole("search.seeds")
        self._trials = trials
        self._clock = clock
        self._said_deeper = False
        self._sampler: optuna.samplers.BaseSampler
        self._anywhere: optuna.samplers.BaseSampler

    def begin(self) -> None:
        """Settle what all trials share, end what a killed process left running, and choose the sampler."""
        if self.worker == 0:
            if self.ledger.setting(_FOLDS) is None:
                self.ledger.settle(_FOLDS, self._pick_folds())
            self.ledger.fail_stale_trials()
            if not self.ledger.ended():
                self.runner.drop_all_but([])
        # A resumed study must not draw the same candidates again, nor two workers the same.
        seed = self.seed + len(self.ledger.study.trials) + 7919 * self.worker
        start = self.space.start()
        expected = min(self._trials, self.budget / max(self.starts.cost(start) * self.folds, 1e-9))
        self._sampler = pick_sampler(seed, expected, len(self.space.searched()))
        self._anywhere = optuna.samplers.RandomSampler(seed)

    @property
    def folds(self) -> int:
        """Parts of the cross-validation; 1 is a single validation part. Kept in the study, so equal for all trials."""
        return int(self.ledger.setting(_FOLDS) or 1)

    @property
    def sample_weight(self) -> NDArray[np.float64]:
        """(n,) what each validation image counts."""
        return self.runner.sample_weight(self.folds)

    @property
    def families(self) -> NDArray[np.int64]:
        """(n,) equal for validation images that go together."""
        return self.runner.families(self.folds)

    def run(  # noqa: C901 - one way out per kind of ending
        self, *, trials: int, deadline: float, on_trial: Callable[[TrialRecord], None] = lambda _record: None
    ) -> str:
        """Search until there are enough trials or the time is up.

        Args:
            trials: finished, pruned or failed ones, those of earlier sessions included.
            deadline: on the clock.
            on_trial: told about each trial when it ends, those of other workers included.

        Returns:
            Why the search ended: `trials`, `time` or `exhausted` (nothing new to try).

        Raises:
            KeyboardInterrupt: after the running trial has been marked as interrupted.
        """
        if self.worker == 0 and self.space.allows_pretrained:
            self._add_probes()
        told = {record.number for record in self.ledger.searched()}
        if scored_trials := self.scored_trials():
            on_trial(leaders(scored_trials, self.sample_weight, 1)[0].record)  # what trials have to beat
        head_only, repeats = False, 0
        while len(self.ledger.searched()) + self.ledger.running() < trials:
            last = deadline - self._reserve()
            if not head_only and self._clock() >= last and self.space.allows_head_only:
                head_only = True  # heads cost next to nothing, and what is left of the time goes to them
            if self._clock() >= (deadline if head_only else last):
                return "time"
            if repeats >= _REPEATS:
                return "exhausted"
            if self.worker == 0 and not head_only:
                self._propose(self._left(last))
            # A Gaussian process learns nothing from what was pruned, and asks for it again.
            trial = self.ledger.ask(self._anywhere if repeats else self._sampler)
            try:
                fresh = self._one(trial, deadline if head_only else last, head_only=head_only)
            except OutOfTimeError as error:
                self.ledger.drop(trial, TrialKind.OUT_OF_TIME, f"no time left: {error}")
                if self._freeze_more(trial, error, last):
                    continue
                if head_only or not self.space.allows_head_only:
                    return "time"
                head_only = True
                self._say_heads_only(error)
                continue
            except KeyboardInterrupt:
                self.ledger.drop(trial, TrialKind.INTERRUPTED, "interrupted")
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
            if not rival.deterministic and again not in self.ledger.further_seeds(rival.number)
        ]
        with self.progress.task("Judging the best again", len(work)) as advance:
            for rival, again in work:
                if self._clock() + rival.seconds > deadline - self._reserve():
                    continue
                seed = self.seed_of(rival.values, again)
                try:
                    finished = self.judge(rival.values, seed=seed, deadline=deadline, again=again)
                except (OutOfTimeError, TrialFailedError, HopelessError) as error:
                    self.progress.say(f"Trial {rival.number} could not be judged again: {error}")
                    continue
                self.ledger.add_seed(rival.number, again, finished.image_scores)
                if self.folds == 1 and not rival.head_only:
                    self.runner.keep(rival.number, finished, again)
                advance(1)

    def average(self, deadline: float) -> None:
        """Look for an average of the best trainings that is better than each, as far as the time allows.

        In cross-validation there is none: the models of its folds are not handed over, and each member would have to be
        trained again on all images.
        """
        if self.folds > 1:
            return
        scored_trials, weight = self.scored_trials(), self.sample_weight
        candidates = candidates_of(scored_trials, weight, self.runner.members(), self.ledger.further_seeds)
        if len(candidates) < 2 or candidates == self.ledger.average_of():
            return
        last = deadline - self._refit_seconds()
        look_for_average(self.ledger, self.runner, candidates, deadline=last, clock=self._clock, say=self.progress.say)

    def judge(self, values: TrialValues, *, seed: int, deadline: float, again: int = 0) -> Finished:
        """A trial on the study's validation images that is no part of the study; `again` draws other folds.

        Raises:
            OutOfTimeError: it does not fit.
            TrialFailedError: it has no score.
        """
        return self.runner.run(values, folds=self.folds, seed=seed, deadline=deadline, draw=again)

    def scored_trials(self) -> list[ScoredTrial]:
        """Every finished trial with a score, once each."""
        return [self._scored(record) for record in self.ledger.records() if record.scored and self._at_hand(record)]

    def choice(self) -> Choice:
        """Which trial is handed over.

        Raises:
            RunError: nothing has finished.
        """
        scored_trials = [one for one in self.scored_trials() if not one.is_probe or self.runner.can_hand_over(one.tap)]
        if not scored_trials:
            reasons = [record.reason for record in self.ledger.ended() if record.reason]
            raise RunError(
                f"No trial has finished{': ' + reasons[-1] if reasons else ''}.",
                ways=["give more time", "change what the plan fixes, under another --name"],
                hint="advisor tune --budget 1h",
            )
        return choose(
            scored_trials, self.sample_weight, seeds=self.seeds, families=self.families, cost=self._preferred_cost()
        )

    def _preferred_cost(self) -> Callable[[ScoredTrial], float] | None:
        """What the plan prefers a cheap model by; None where it prefers the most accurate one."""
        prefer = self.recipe.text("search.prefer")
        if prefer == "accurate":
            return None
        if prefer == "fast":
            return lambda one: self.runner.footprint(one.values).seconds
        return lambda one: self.runner.footprint(one.values).size

    @property
    def has_result(self) -> bool:
        """Whether anything has finished."""
        return any(record.state is TrialState.COMPLETE for record in self.ledger.records())

    def seed_of(self, values: TrialValues, again: int = 0) -> int:
        """Of a training, so that the same values give the same model in whichever run; `again` for further seeds."""
        # What is kept and what is computed anew makes no other model.
        text = json.dumps({**values.to_flat(), "again": again, "features.cache": ""}, sort_keys=True)
        return (self.seed + zlib.crc32(text.encode())) % 2**32

    def _one(self, trial: optuna.Trial, deadline: float, *, head_only: bool) -> bool:
        """Run one trial and record what came of it; False where an earlier one had the same values."""
        began = self._clock()
        reported = -1

        def report(now: CurvePoint) -> None:
            nonlocal reported
            if now.steps > reported:  # every fold begins anew, and Optuna takes a step once
                trial.report(now.accuracy, now.steps)  # for those who look at the study with Optuna's own tools
                reported = now.steps

        try:
            values, before = self._suggested(trial, head_only=head_only)
            if (earlier := self._earlier(values)) is not None:
                self.ledger.repeat(trial, values, earlier)
                return False
            self.ledger.begin(trial, values)
            if before is None:  # what grows was known to fit, less what is trained already
                self.starts.require_time(values, self._left(deadline))
            finished = self.runner.run(
                values, folds=self.folds, seed=self.seed_of(values), deadline=deadline, report=report,
                grows=before.number if before else None,
            )  # fmt: skip
        except HopelessError as error:
            self.ledger.prune(trial, str(error), self._clock() - began)
        except OutOfTimeError:
            raise
        except Exception as error:
            if isinstance(error, AdvisorError) and not isinstance(error, BackboneError):
                raise  # a full disk, say: no other values would fare better
            # One bad set of values must not end the study.
            self.ledger.fail(trial, reason_of(error), self._clock() - began)
        else:
            # Trained again, what grew takes what came before, too.
            earlier_seconds = (before.seconds or 0.0) if before else 0.0
            self.ledger.complete(trial, finished, self._clock() - began + earlier_seconds)
            self._keep_leaders(trial.number, finished)
        return True

    def _suggested(self, trial: optuna.Trial, *, head_only: bool) -> tuple[TrialValues, TrialRecord | None]:
        """Values of a trial, and the trial whose training it goes on with, if any."""
        values, grows = self.space.suggest(trial, head_only=head_only), self.ledger.grows(trial)
        if grows is None or head_only:
            return values, None
        before = self.ledger.record(grows)
        assert before.values is not None
        return before.values.grown(values.features.input_size, values.steps[1].steps, before.steps or 0), before

    def _propose(self, seconds: float) -> None:
        """Enqueue what is tried next, unless that is the sampler's; `seconds` are left for it in each fold."""
        if not self._follow_ups.enqueue(self.ledger, self.scored_trials(), self.sample_weight, seconds):
            self._say_deeper(self.starts.enqueue_next(self.ledger, seconds))

    def _left(self, deadline: float) -> float:
        """Seconds for a training in each fold, so that one on all images fits behind it."""
        return (deadline - self._clock()) / (self.folds + REFIT)

    def _earlier(self, values: TrialValues) -> TrialRecord | None:
        """A trial of the same values that ended, however it did."""
        for record in self.ledger.records():
            if record.state.finished and record.kind.judged and record.values == values:
                return record
        return None

    def _freeze_more(self, trial: optuna.Trial, error: OutOfTimeError, deadline: float) -> bool:
        """After a training that did not fit: whether to go on with another, more of it frozen or another start."""
        start, values = self.ledger.start_of(trial), self.ledger.values_of(trial)
        if self.starts.enqueue_deeper(self.ledger, values, start, error, self._left(deadline)) or start:
            self._say_deeper(error.seconds)
            return True
        return False

    def _reserve(self) -> float:
        """Seconds to leave for what comes after the search: averages, and training the winner on all images."""
        tuned = [one for one in self.scored_trials() if not one.head_only][:1] if self.folds == 1 else []
        averages = sum(MOST_MEMBERS * self.runner.judging_seconds(one.values) for one in tuned)
        return averages + self._refit_seconds()

    def _at_hand(self, record: TrialRecord) -> bool:
        """Whether the weights of all members of an average are still kept; what is no average needs none."""
        return not record.members or set(record.members) <= set(self.runner.members())

    def _scored(self, record: TrialRecord) -> ScoredTrial:
        count, soup = len(self.sample_weight), record.kind is TrialKind.SOUP
        # An average is handed over without the validation images, where those were drawn from the training images.
        forgoes = soup and not self.runner.given_validation
        return ScoredTrial(
            record,
            self.ledger.image_scores(record.number, count),
            linear=record.values is not None and self.runner.is_linear(record.values.head.name),
            # With one validation part a closed form gives the same under every seed, and so does an average.
            deterministic=record.steps == 0 and self.folds == 1 and (record.tap == record.frozen or soup),
            tried=self.ledger.tried_averages(count) if soup else None,
            unlearnt=count / max(1, self.runner.images) if forgoes else 0.0,
        )

    def _refit_seconds(self) -> float:
        """Seconds to leave for training the winner on all images, the validation images among them."""
        tuned = [one for one in leaders(self.scored_trials(), self.sample_weight) if not one.head_only]
        return max((REFIT * one.seconds / self.folds for one in tuned), default=0.0)

    def _add_probes(self) -> None:
        """The closed-form probe at every stage and at the best together: finished trials that cost next to nothing."""
        known = {record.number for record in self.ledger.records() if record.kind is TrialKind.PROBE}
        for number, values in self.runner.probes().items():
            if number not in known:
                self._judge_probe(number, values)
        if not any(len(probe_stages(number)) > 1 for number in known):
            together = self.runner.probe_of_several(self._best_probe().tap)
            if together is not None:
                self._judge_probe(*together)
        augment = self.recipe.get("train.augment")
        kind = str(augment.first if isinstance(augment, Choices) else augment)
        for number, values in self.runner.variants(self._best_probe().values, kind).items():
            if number not in known and self._affords_views(values):
                self._judge_probe(number, values)

    @property
    def may_mirror(self) -> bool:
        """Whether a probe on mirror images is tried; if it wins, the test images are read twice."""
        last = next(iter(self.runner.probes().values()))
        return self.space.allows_pretrained and any(
            map(self._affords_views, self.runner.variants(last, "none").values())
        )

    def _affords_views(self, values: TrialValues) -> bool:
        return self.runner.seconds(values) <= _MOST_FOR_VIEWS * self.budget

    def _best_probe(self) -> ScoredTrial:
        """Of those that read the clean view of an image and learnt from it."""
        plain = [one for one in self.scored_trials() if one.is_probe and is_plain_probe(one.number)]
        return leaders(plain, self.sample_weight, 1)[0]

    def _judge_probe(self, number: int, values: TrialValues) -> None:
        began = self._clock()
        finished = self.runner.run(values, folds=self.folds, seed=self.seed, deadline=math.inf)
        self.ledger.add_probe(number, values, finished, self._clock() - began)

    def _keep_leaders(self, number: int, finished: Finished) -> None:
        """Keep the models of the best trainings; what a closed form fits, and what is fitted again, need no file."""
        if finished.steps == 0 or self.folds > 1:
            return
        trained = [one for one in self.scored_trials() if not one.deterministic]
        ahead = [one.number for one in leaders(trained, self.sample_weight, _KEPT)]
        if number in ahead:
            self.runner.keep(number, finished)
        self.runner.drop_all_but(ahead)

    def _tell_new(self, told: set[int], on_trial: Callable[[TrialRecord], None]) -> set[int]:
        """Tell of the trials that ended since, those of other workers included; all that ended by now."""
        ended = self.ledger.searched()  # what was not begun, and what was known already, is no news
        for record in ended:
            if record.number not in told:
                on_trial(record)
        return {record.number for record in ended}

    def _say_deeper(self, whole: float | None) -> None:
        """Once, that a training of so many seconds has no room, and which budget has."""
        if whole is None or self._said_deeper:
            return
        self._said_deeper = True
        # Two of them, beside training the winner on all images; at any rate more than there was.
        minutes = max(math.ceil((2 * self.folds + REFIT) * whole / 60), math.floor(self.budget / 60) + 1)
        self.progress.say(
            f"One training from the recipe's start takes about {show_duration(self.folds * whole)}, more than is left, "
            f"so a cheaper one is tried: a smaller input, or more stages frozen. --budget {minutes}m leaves room."
        )

    def _say_heads_only(self, reason: OutOfTimeError) -> None:
        self.progress.say(
            f"No more fine-tuning fits into the budget ({reason}). The rest of the time goes to classifiers on frozen "
            "features; --budget gives more."
        )

    def _pick_folds(self) -> int:
        asked, most = self.recipe.whole("search.folds"), self.runner.most_folds
        if asked > most:
            self.progress.say(f"The smallest class is too small for {asked} folds; {most} are used.")
        if asked:
            return min(asked, most)
        if self.runner.images >= _FOLDED_BELOW or self.runner.given_validation:
            return 1
        start = self.starts.first_training()
        return min(most, next((k for k in (5, 3) if k * start <= _MOST_FOR_FOLDS * self.budget), 1))
