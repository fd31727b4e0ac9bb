"""Why a run's winner won: what mattered between trials, what each value is worth, and what pretraining is worth."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from advisor.advice.planning import first_of
from advisor.data.cache import disk_errors, write_whole
from advisor.errors import BackboneError, RunError
from advisor.outcome.run import Machine, chosen_plan, open_contexts, open_search, sole_user
from advisor.plugins import Catalog, load_catalog
from advisor.progress import Progress, Silent
from advisor.recipe import for_multilabel, load_recipe
from advisor.tuning.confirm import paired
from advisor.tuning.importance import importances
from advisor.tuning.loop import OutOfTimeError, TrialFailedError
from advisor.tuning.space import BACKBONE
from advisor.tuning.trial import run_trial
from advisor.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.tuning.confirm import ScoredTrial
    from advisor.tuning.space import Values
    from advisor.tuning.study import Search

SCRATCH = "from-scratch"
_SCRATCH_FACTOR = 8  # times the winner's steps at most; random weights need several times as many


@dataclass(frozen=True)
class Ablation:
    """The winner with one value changed.

    Attributes:
        key: that was changed.
        winner: its value in the winner.
        other: what it was changed to.
        gain: accuracy of the winner less that of the changed trial, 0..1.
        gain_se: paired standard error of that over the validation images.
    """

    key: str
    winner: Any
    other: Any
    gain: float
    gain_se: float


@dataclass(frozen=True)
class Explanation:
    """Why a winner won.

    Attributes:
        trial: the winner's number.
        importances: share of the differences between trials that each searched value explains.
        ablations: by size of the gain.
        left_out: what the time did not allow, with the reason.
        curve: accuracy on the validation images against steps, `way` is `winner` or `from-scratch`.
        winner_steps: after which the winner had the best accuracy that from-scratch reached; None if never, or if no
            such curve was made. A head that was fitted in closed form has it before the first step.
        scratch_steps: after which from-scratch had it.
    """

    trial: int
    importances: Mapping[str, float]
    ablations: tuple[Ablation, ...]
    left_out: tuple[str, ...]
    curve: pd.DataFrame
    winner_steps: int | None
    scratch_steps: int | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "trial": self.trial,
            "importances": dict(self.importances),
            "ablations": [asdict(entry) for entry in self.ablations],
            "left_out": list(self.left_out),
            "curve": json.loads(self.curve.to_json(orient="records")),
            "winner_steps": self.winner_steps,
            "scratch_steps": self.scratch_steps,
        }


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
    with (
        disk_errors(folder),
        sole_user(folder),
        open_search(contexts, plan, folder, budget=parse_duration(budget), trials=1, storage=machine.storage) as search,
    ):
        if not search.has_result:
            raise RunError(f"`{folder}` has no finished trial.", hint=f"advisor tune --resume {folder.name}")
        winner = search.choice().chosen
        weights = importances(search.study)
        left_out: list[str] = []
        ablations = _ablations(search, winner, weights, deadline, left_out)
        curve = _curve(search, winner, deadline, left_out)
        reached = _reached(curve)
        found = Explanation(winner.number, weights, ablations, tuple(left_out), curve, *reached)
        write_whole(folder / "explanation.json", json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
        write_whole(folder / "curve.csv", curve.to_csv(index=False))
    return found


def _ablations(
    search: Search, winner: ScoredTrial, weights: Mapping[str, float], deadline: float, left_out: list[str]
) -> tuple[Ablation, ...]:
    """The values that mattered most first, as many as the time allows."""
    values = dict(winner.values)
    keys = sorted((key for key in search.space.searched() if key in values), key=lambda key: -weights.get(key, 0.0))
    found = []
    with search.context.progress.task("Changing one value", len(keys)) as advance:
        for key in keys:
            other = search.space.other_value(key, values[key])
            changed = search.space.completed({**values, key: other})
            if changed == values:
                continue
            try:
                done = search.judge(changed, seed=search.seed_of(winner.values), deadline=deadline)
            except (OutOfTimeError, TrialFailedError, BackboneError) as error:
                left_out.append(f"{key} = {other}: {_first_line(error)}")
                continue
            gain, se = paired(winner.image_scores[0] - done.image_scores, search.sample_weight)
            found.append(Ablation(key, values[key], other, gain, se))
            advance(1)
    return tuple(sorted(found, key=lambda entry: -entry.gain))


def _curve(search: Search, winner: ScoredTrial, deadline: float, left_out: list[str]) -> pd.DataFrame:
    """Accuracy against steps of the winner and of the same network from random weights, on one validation part."""
    rows: list[dict[str, Any]] = []
    values = dict(winner.values)
    ways: dict[str, Values] = {"winner": values, SCRATCH: _from_scratch(search, winner)}
    for name, asked in ways.items():
        try:
            context = search.fold_contexts(asked)[0]
            done = run_trial(context, asked, seed=search.seed_of(winner.values), deadline=deadline)
        except (OutOfTimeError, TrialFailedError, BackboneError) as error:
            left_out.append(f"the curve of {name}: {_first_line(error)}")
            continue
        if done.steps == 0:
            rows.append({"way": name, "epoch": 0, "steps": 0, "seconds": 0.0, "accuracy": done.accuracy})
        rows += [{"way": name, **asdict(now)} for now in done.curve]
    return pd.DataFrame(rows, columns=["way", "epoch", "steps", "seconds", "accuracy"])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _from_scratch(search: Search, winner: ScoredTrial) -> Values:
    """The recipe `from-scratch` on the winner's network, for several times the winner's steps."""
    recipe = load_recipe(SCRATCH, search.context.catalog)
    if search.context.prepared.dataset.multilabel:
        recipe = for_multilabel(recipe, search.context.catalog)
    fixed = {key: first_of(value) for key, value in recipe.values.items()}
    values = search.space.completed({
        **fixed,
        "features.input_size": winner.values["features.input_size"],
        BACKBONE: winner.values.get(BACKBONE, search.context.backbone.name),
    })  # fmt: skip
    epochs = int(winner.values.get("train.epochs") or 0)
    return {**values, **fixed, "train.epochs": max(int(str(fixed["train.epochs"])), _SCRATCH_FACTOR * epochs)}


def _reached(curve: pd.DataFrame) -> tuple[int | None, int | None]:
    """Steps after which the winner, and from-scratch, first had the best accuracy that from-scratch reached."""
    scratch, winner = (curve[curve["way"] == way] for way in (SCRATCH, "winner"))
    if scratch.empty:
        return None, None
    best = scratch["accuracy"].max()
    there = winner[winner["accuracy"] >= best]
    first = scratch[scratch["accuracy"] >= best]
    return (None if there.empty else int(there["steps"].iloc[0])), int(first["steps"].iloc[0])
