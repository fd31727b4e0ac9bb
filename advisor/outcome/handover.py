"""The end of a run: the winner judged once on the test images, and everything that a person takes home."""

from __future__ import annotations

import json
import math
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from advisor.data.cache import write_whole
from advisor.network.stages import TOKENS
from advisor.notebook import card, paragraph, table
from advisor.outcome.bundle import CARD, save_bundle
from advisor.outcome.card import model_card
from advisor.outcome.evidence import predictions_of, write_evidence
from advisor.outcome.tuned import TunedModel
from advisor.recipe import Plan, plan_to_toml
from advisor.records.plain import rounded
from advisor.records.run import (
    BackboneRecord,
    ChoiceRecord,
    DatasetRecord,
    PluginRecord,
    RivalRecord,
    RunRecord,
    SearchRecord,
    WinnerRecord,
)
from advisor.task.interval import family_count
from advisor.tuning.importance import importances
from advisor.tuning.judging import score
from advisor.tuning.space import frozen_recipe
from advisor.tuning.trial import predict_logits
from advisor.units import show_duration, show_images

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from advisor.network.transfer import TransferNetwork
    from advisor.outcome.opened import OpenRun
    from advisor.task import ClassScore
    from advisor.tuning.confirm import Choice, ScoredTrial
    from advisor.tuning.context import TrialContext
    from advisor.tuning.network_runner import NetworkRunner
    from advisor.tuning.study import Search


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        folder: of the run.
        best: the model: a path of the bundle's folder that can `predict`.
        record: every figure, as in `best/report.json`.
        trials: table of all trials, best first, as in `leaderboard.csv`.
        importances: share of the differences between trials that each searched value explains.
        timm_loads_it: whether timm alone can load the bundle.
    """

    folder: Path
    best: TunedModel
    record: RunRecord
    trials: pd.DataFrame
    importances: Mapping[str, float]
    timm_loads_it: bool

    @property
    def test(self) -> float | None:
        """Score on the untouched test images, every image counting the same; None when there are none."""
        return self.record.test

    @property
    def test_interval(self) -> tuple[float, float]:
        """95 % interval of `test`."""
        return self.record.test_interval

    @property
    def validation(self) -> float:
        """Of the winner on the validation images, over all its seeds; optimistic, since it was chosen by it."""
        return self.record.validation

    @property
    def probe_accuracy(self) -> float | None:
        """Of the best closed-form probe there, the floor; None without one."""
        return self.record.probe

    @property
    def ended(self) -> str:
        """`trials`, `time`, `exhausted` or `interrupted`."""
        return self.record.search.ended

    @property
    def all_failed(self) -> bool:
        """Whether trials were run and every one failed, so that only the probe stands."""
        searched = self.trials.loc[self.trials["kind"] == "trial", "state"]
        return len(searched) > 0 and bool((searched == "FAIL").all())

    @property
    def predictions(self) -> pd.DataFrame:
        """What the model says of every test image, as in `predictions.csv`."""
        return pd.read_csv(self.folder / "predictions.csv", keep_default_na=False)

    def _repr_html_(self) -> str:
        """For notebooks: the honest figure, the floor, the way that won, and how to use it."""
        record = self.record
        low, high = record.test_interval
        figure = record.task.test_metric_name
        title = "No test images were kept apart."
        if record.test is not None:
            title = (
                f"Test {figure} {record.test:.3f} (95 % interval {low:.3f} to {high:.3f}, "
                f"{show_images(record.test_images, record.test_independent)})"
            )
        if record.beats_guessing is False:
            title += f": not clearly better than guessing, which gives {record.guessing:.3f}"
        rows: list[tuple[str, str]] = [("validation, chosen by it", f"{record.validation:.3f}")]
        if record.probe is not None:
            rows.append(("validation, best closed-form probe", f"{record.probe:.3f}"))
        if record.test_balanced is not None:
            rows.append(("test, mean over the classes", f"{record.test_balanced:.3f}"))
        rows += [
            ("winner", f"{record.winner.name}, head {record.winner.values.head.name}"),
            ("time", f"{show_duration(record.search.seconds)}, {(self.trials['kind'] == 'trial').sum()} trials"),
            ("model", str(self.best)),
        ]
        return card(
            title,
            table(("what", "figure"), rows),
            paragraph("result.best.predict(['photo.jpg']) uses it."),
        )

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON: the record, and what the run's folder holds."""
        return {
            "folder": str(self.folder),
            "best": str(self.best),
            **self.record.to_dict(),
            "timm_loads_it": self.timm_loads_it,
            "importances": rounded(dict(self.importances)),
            "trials": json.loads(self.trials.to_json(orient="records")),
            "ended": self.ended,
            "seconds": rounded(self.record.search.seconds),
        }


def leaderboard(search: Search) -> pd.DataFrame:
    """One row per trial that has ended, best first."""
    weight = search.sample_weight
    means = {one.number: one.accuracy(weight) for one in search.scored_trials() if len(one.image_scores) > 1}
    frame = pd.DataFrame([
        {
            "trial": record.number,
            "kind": record.kind.value,
            "state": record.state.value,
            "scenario": record.start,
            "validation_accuracy": rounded(record.accuracy),
            "seeds_mean": rounded(means.get(record.number)),
            "validation_loss": rounded(record.loss),
            "seconds": rounded(record.seconds),
            "tap": record.tap,
            "frozen": record.frozen,
            "steps": record.steps,
            "audit": record.audit[:12],
            "reason": record.reason,
            "notes": "; ".join(record.notes),
            **(record.values.to_flat() if record.values else {}),
        }
        for record in search.ledger.records()
        if record.state.finished
    ])  # fmt: skip
    return frame.sort_values(
        ["validation_accuracy", "validation_loss"], ascending=[False, True], na_position="last", kind="stable"
    )


def hand_over(
    opened: OpenRun, ended: str, began: float, *, budget: float, trials: int, deadline: float = math.inf
) -> Result:
    """Judge the winner once on the test images and write everything a person takes home.

    Args:
        opened: the run.
        ended: why the search ended; see `Search.run`.
        began: when the session began, on `time.monotonic`.
        budget: seconds that it was given.
        trials: that it was allowed.
        deadline: on `time.monotonic`, until which the winner may learn from the validation images, too.
    """
    plan, folder, search, runner = opened.plan, opened.folder, opened.search, opened.runner
    choice = search.choice()
    winner = choice.chosen
    context = runner.contexts.of(winner.values)
    network, refitted = runner.network(
        winner, folds=search.folds, seed=search.seed_of(winner.values), deadline=deadline, tell=search.progress.say
    )
    dataset, held = context.prepared.dataset, context.rows("test")
    logits = _test_logits(context, winner, network) if len(held) else torch.zeros(0, len(dataset.classes))
    board = leaderboard(search)
    probes = board.loc[board["kind"] == "probe", "validation_accuracy"]
    tested = _tested(context, logits)
    families = search.families
    floor = max((one for one in search.scored_trials() if one.is_probe),
                key=lambda one: one.accuracy(search.sample_weight, 1), default=None)  # fmt: skip

    def interval(scored_trial: ScoredTrial | None) -> tuple[float, float] | None:
        """Of a validation figure; none of a balanced one, whose images count differently."""
        if scored_trial is None or context.metric == "balanced":
            return None
        return context.task.interval(scored_trial.mean(), families)

    record = RunRecord(
        dataset=DatasetRecord(
            plan.location,
            dataset.digest,
            not context.task.exclusive,
            context.prepared.profile.splits,
            tuple(dataset.classes),
        ),
        backbone=_backbone(context),
        recipe=plan.recipe.name,
        scenario=plan.recipe.scenario,
        advice=plan.evidence,
        seed=plan.seed,
        device=str(context.device),
        search=SearchRecord(budget, trials, ended, time.monotonic() - began, len(search.ledger.searched())),
        winner=WinnerRecord(
            winner.number, winner.record.kind, winner.trained, winner.values, refitted, winner.record.members
        ),
        choice=_choice(choice, search, runner),
        metric=context.metric,
        validation=winner.accuracy(search.sample_weight),
        validation_seeds=len(winner.image_scores),
        folds=search.folds,
        validation_images=len(search.sample_weight),
        probe=float(probes.max()) if len(probes) else None,
        test=tested.score,
        test_interval=tested.interval,
        test_balanced=tested.balanced,
        test_images=len(held),
        temperature=winner.temperature,
        per_class=tested.per_class,
        versions=versions(),
        plugins=tuple(PluginRecord(p.name, p.distribution, p.version, p.status) for p in context.catalog.met),
        test_independent=tested.independent,
        validation_independent=family_count(families, len(families)),
        validation_interval=interval(winner),
        probe_interval=interval(floor),
    )
    loads = _write_bundle(opened, winner, network, record)
    write_whole(folder / "leaderboard.csv", board.to_csv(index=False))
    weights = importances(search.ledger.comparable())
    probabilities = context.task.probabilities(logits.float(), winner.temperature).numpy()
    stages = tuple(stage.name for stage in context.stages.stages)
    predictions = predictions_of(dataset, held, probabilities)
    write_evidence(opened, predictions, context.prepared.pixels, weights, stages)
    return Result(folder, TunedModel(folder / "best"), record, board, weights, loads)


@dataclass(frozen=True)
class _Tested:
    """What the test images say."""

    score: float | None
    interval: tuple[float, float]
    balanced: float | None
    per_class: tuple[ClassScore, ...]
    independent: int = 0


def _tested(context: TrialContext, logits: Tensor) -> _Tested:
    task, rows = context.task, context.rows("test")
    if not len(rows):
        return _Tested(None, task.interval(np.zeros(0)), None, ())
    score(logits, context.labels("test"))  # refuses answers that are no numbers
    targets, families = context.prepared.dataset.targets(rows), context.prepared.dataset.families(rows)
    image_scores = task.image_scores(logits.float().numpy(), targets, families)
    per_class = task.per_class(logits.numpy(), targets, families)
    balanced = sum(one.value for one in per_class) / len(per_class) if task.exclusive else None
    return _Tested(
        float(image_scores.mean()), task.interval(image_scores, families), balanced, per_class,
        family_count(families, len(rows)),
    )  # fmt: skip


def _choice(choice: Choice, search: Search, runner: NetworkRunner) -> ChoiceRecord:
    prefer = search.recipe.text("search.prefer")

    def record(rival: ScoredTrial) -> RivalRecord:
        footprint = None if prefer == "accurate" else runner.footprint(rival.values)
        return RivalRecord(
            rival.number, rival.record.kind, rival.accuracy(search.sample_weight),
            rival.accuracy(search.sample_weight, 1), len(rival.image_scores),
            *((footprint.seconds, footprint.size) if footprint else (None, None)),
        )  # fmt: skip

    return ChoiceRecord(
        chosen=choice.chosen.number,
        best=choice.best.number,
        behind=choice.behind,
        behind_se=choice.behind_se,
        optimism=choice.optimism,
        sure=choice.sure,
        unsure=choice.unsure,
        rivals=tuple(map(record, choice.rivals)),
        prefer=prefer,
    )


def _backbone(context: TrialContext) -> BackboneRecord:
    weights = context.backbone.weights
    return BackboneRecord(
        context.backbone.name, weights.source, weights.sha256, weights.licence, weights.trained_on
    )  # fmt: skip


def _write_bundle(opened: OpenRun, winner: ScoredTrial, network: TransferNetwork, record: RunRecord) -> bool:
    """Write the model with its recipe, report and card; whether timm alone can load it."""
    plan, best = opened.plan, opened.folder / "best"
    context = opened.runner.contexts.of(winner.values)
    best_plan = Plan(
        recipe=frozen_recipe(plan.recipe, winner.values),
        location=plan.location,
        backbone=context.backbone.name,
        digest=record.dataset.digest,
        seed=plan.seed,
        skip_small_classes=plan.skip_small_classes,
        ranges=context.prepared.dataset.ranges,
    )
    provenance = {
        "trial": winner.number, "kind": record.winner.kind.value, "validation_accuracy": rounded(record.validation),
        "test_accuracy": rounded(record.test), **record.versions,
    }  # fmt: skip
    kind = context.catalog.head(winner.values.head.name)
    loads = save_bundle(
        best,
        network,
        backbone=context.backbone,
        head=kind.name,
        head_params=winner.values.head.params,
        head_is_linear=kind.linear,
        task=record.task,
        temperature=winner.temperature,
        ranges=context.prepared.dataset.ranges,
        texts={
            "best.toml": plan_to_toml(best_plan, provenance=provenance),
            "report.json": json.dumps(record.to_dict(), indent=2, ensure_ascii=False),
        },
    )
    config = json.loads((best / "config.json").read_text("utf-8"))
    place = f"local-dir:{best.as_posix()}"
    write_whole(best / CARD, model_card(config, record, title=f"{opened.folder.name}, tuned", place=place))
    return loads


def _test_logits(context: TrialContext, winner: ScoredTrial, network: TransferNetwork) -> Tensor:
    """Logits of the test images; a head alone reads kept features, so a resumed run computes them once."""
    rows = context.rows("test")
    if not winner.head_only or network.codes == TOKENS:
        with context.progress.task("Testing", len(rows)) as advance:
            return predict_logits(network, context, rows, advance)
    raw = context.raw_features("test", network.reading)
    with torch.inference_mode():
        logits: Tensor = network.head.cpu()(network.standardise.cpu()(raw))
    return logits


def versions() -> dict[str, str]:
    """Versions of everything a result depends on."""
    packages = (
        "transfer-advisor",
        "torch",
        "torchvision",
        "timm",
        "optuna",
        "numpy",
        "scikit-learn",
        "pillow",
    )
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
