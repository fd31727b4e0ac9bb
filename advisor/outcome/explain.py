"""Why a run's winner won: what mattered between trials, what each value is worth, and what pretraining is worth."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.advice.planning import first_of
from advisor.data.cache import disk_errors, write_whole
from advisor.errors import BackboneError, RunError
from advisor.outcome.plans import chosen_plan
from advisor.outcome.run import Machine, open_contexts, open_run, sole_user
from advisor.plugins import Catalog, load_catalog
from advisor.progress import Progress, Silent
from advisor.recipe import for_task, load_recipe
from advisor.recipe.values import BACKBONE, TrialValues
from advisor.records.evidence import Ablation, Explanation
from advisor.records.folder import EXPLANATION
from advisor.records.trial import CurvePoint
from advisor.task.interval import paired
from advisor.tuning.failures import HopelessError, OutOfTimeError, TrialFailedError
from advisor.tuning.importance import importances
from advisor.tuning.trial import run_trial
from advisor.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.outcome.opened import OpenRun
    from advisor.tuning.confirm import ScoredTrial
    from advisor.tuning.study import Search

WINNER, SCRATCH = "winner", "from-scratch"
_SCRATCH_FACTOR = 8  # times the winner's steps at most; random weights need several times as many


def explain(
    run: str | Path,
    *,
    budget: str = "10m",
    machine: Machine | None = None,
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> Explanation:
    """Compare a run's winner with itself, one value changed at a time, and with the same network from random weights.

    Writes `explanation.json` and `curve.csv` into the run's folder. Changed trials are judged on the images and under
    the seed that the winner was judged on, so differences are paired.

    Args:
        run: folder of a run that `tune` has finished, or its name in `runs`.
        budget: for the trainings; what does not fit is left out and named.
        machine: what may be used of it.
        catalog: the installed plugins by default.
        progress: told how far things are.

    Raises:
        RunError: there is no such run, or it has no winner.
    """
    deadline = time.monotonic() + parse_duration(budget)
    catalog, progress = catalog or load_catalog(), progress or Silent()
    machine = machine or Machine()
    folder = Path(run) if (Path(run) / "plan.toml").is_file() else Path("runs") / run
    plan, *_ = chosen_plan(resume=folder.name, runs=str(folder.parent), catalog=catalog)
    contexts = open_contexts(plan, machine, catalog, progress)
    seconds = parse_duration(budget)
    with (
        disk_errors(folder),
        sole_user(folder),
        open_run(contexts, plan, folder, budget=seconds, trials=1, storage=machine.storage) as opened,
    ):
        search = opened.search
        if not search.has_result:
            raise RunError(f"`{folder}` has no finished trial.", hint=f"advisor tune --resume {folder.name}")
        winner = search.choice().chosen
        weights = importances(search.ledger.comparable())
        left_out: list[str] = []
        ablations = _ablations(search, winner, weights, deadline, left_out)
        curves = _curves(opened, winner, deadline, left_out)
        explanation = Explanation(winner.number, weights, ablations, tuple(left_out), curves, *_reached(curves))
        write_whole(folder / EXPLANATION, json.dumps(explanation.to_dict(), indent=2, ensure_ascii=False))
        write_whole(folder / "curve.csv", explanation.curve.to_csv(index=False))
    return explanation


def _ablations(
    search: Search, winner: ScoredTrial, weights: Mapping[str, float], deadline: float, left_out: list[str]
) -> tuple[Ablation, ...]:
    """The values that mattered most first, as many as the time allows."""
    flat = winner.values.to_flat()
    keys = sorted((key for key in search.space.searched() if key in flat), key=lambda key: -weights.get(key, 0.0))
    ablations = []
    with search.progress.task("Changing one value", len(keys)) as advance:
        for key in keys:
            changed = search.space.with_other(winner.values, key)
            if changed is None:
                continue
            other, values = changed
            try:
                done = search.judge(values, seed=search.seed_of(winner.values), deadline=deadline)
            except (OutOfTimeError, TrialFailedError, HopelessError, BackboneError) as error:
                left_out.append(f"{key} = {other}: {_first_line(error)}")
                continue
            gain, se = paired(winner.image_scores[0] - done.image_scores, search.sample_weight, search.families)
            ablations.append(Ablation(key, flat[key], other, gain, se))
            advance(1)
    return tuple(sorted(ablations, key=lambda entry: -entry.gain))


def _curves(
    opened: OpenRun, winner: ScoredTrial, deadline: float, left_out: list[str]
) -> dict[str, tuple[CurvePoint, ...]]:
    """Accuracy against steps of the winner and of the same network from random weights, on one validation part."""
    curves: dict[str, tuple[CurvePoint, ...]] = {}
    search = opened.search
    for name, values in ((WINNER, winner.values), (SCRATCH, _from_scratch(opened, winner))):
        try:
            context = opened.runner.fold_contexts(values, search.folds)[0]
            done = run_trial(context, values, seed=search.seed_of(winner.values), deadline=deadline)
        except (OutOfTimeError, TrialFailedError, HopelessError, BackboneError) as error:
            left_out.append(f"the curve of {name}: {_first_line(error)}")
            continue
        fitted = (CurvePoint(0, 0, 0.0, done.accuracy),) if done.steps == 0 else ()
        curves[name] = (*fitted, *done.curve)
    return curves


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _from_scratch(opened: OpenRun, winner: ScoredTrial) -> TrialValues:
    """The recipe `from-scratch` on the winner's network, for several times the winner's steps."""
    context, space = opened.runner.context, opened.search.space
    recipe = for_task(load_recipe(SCRATCH, context.catalog), context.task, context.catalog)
    fixed = {key: first_of(value) for key, value in recipe.values.items()}
    flat = {
        **fixed,
        "features.input_size": winner.values.features.input_size,
        "features.fit": winner.values.features.fit,
        BACKBONE: winner.values.backbone or context.backbone.name,
    }
    values = TrialValues.from_flat({**space.completed(flat).to_flat(), **fixed})
    _, train = values.steps
    images = len(context.rows("train"))
    steps = winner.values.train.length(images) if winner.values.train else 0
    return replace(values, train=replace(train, steps=max(train.length(images), _SCRATCH_FACTOR * steps), epochs=0))


def _reached(curves: Mapping[str, tuple[CurvePoint, ...]]) -> tuple[int | None, int | None]:
    """Steps after which the winner, and from-scratch, first had the best accuracy that from-scratch reached."""
    scratch = curves.get(SCRATCH, ())
    if not scratch:
        return None, None
    best = max(point.accuracy for point in scratch)

    def first(curve: tuple[CurvePoint, ...]) -> int | None:
        return next((point.steps for point in curve if point.accuracy >= best), None)

    return first(curves.get(WINNER, ())), first(scratch)
