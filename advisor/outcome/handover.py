"""The end of a run: the winner judged once on the test images, and everything that a person takes home."""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from advisor.data.cache import write_whole
from advisor.network.precision import average_precisions
from advisor.network.stages import TOKENS
from advisor.notebook import card, paragraph, table
from advisor.outcome.bundle import CARD, calibrated, save_bundle
from advisor.outcome.card import model_card
from advisor.outcome.evidence import predictions_of, write_evidence
from advisor.outcome.interval import normal, wilson
from advisor.outcome.tuned import TunedModel
from advisor.recipe import Plan, plan_to_toml
from advisor.tuning.importance import importances
from advisor.tuning.judging import score
from advisor.tuning.space import frozen_recipe
from advisor.tuning.study import PROBE
from advisor.tuning.trial import head_params, predict_logits
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from advisor.network.transfer import TransferNetwork
    from advisor.tuning.confirm import Choice, ScoredTrial
    from advisor.tuning.context import TrialContext
    from advisor.tuning.study import Search


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        folder: of the run.
        best: the model: a path of the bundle's folder that can `predict`.
        winner: the trial that is handed over.
        choice: what it was compared with.
        metric: of all validation figures: `accuracy`, `balanced`, or `map`, the mean average precision of images that
            may have several labels.
        probe_accuracy: of the best closed-form probe on the validation images, the floor; None without one.
        validation: of the winner there, over all its seeds; optimistic, since it was chosen by it.
        folds: of the cross-validation; 1 is a single validation part.
        test: accuracy (mean average precision) on the untouched test images; None when there are none.
        test_interval: 95 %: Wilson's; by the jackknife error for mean average precision.
        test_balanced: mean over the classes of their recall on the test images; None of several labels.
        test_images: how many.
        timm_loads_it: whether timm alone can load the bundle.
        trials: table of all trials, best first, as in `leaderboard.csv`.
        importances: share of the differences between trials that each searched value explains.
        ended: `trials`, `time`, `exhausted` or `interrupted`.
        seconds: this session.
    """

    folder: Path
    best: TunedModel
    winner: ScoredTrial
    choice: Choice
    metric: str
    probe_accuracy: float | None
    validation: float
    folds: int
    test: float | None
    test_interval: tuple[float, float]
    test_balanced: float | None
    test_images: int
    timm_loads_it: bool
    trials: pd.DataFrame
    importances: Mapping[str, float]
    ended: str
    seconds: float

    @property
    def all_failed(self) -> bool:
        """Whether trials were run and every one failed, so that only the probe stands."""
        searched = self.trials.loc[self.trials["kind"] == "trial", "state"]
        return len(searched) > 0 and bool((searched == "FAIL").all())

    @property
    def none_fitted(self) -> bool:
        """Whether the budget left no room for any trial but the probe."""
        return not (self.trials["kind"] == "trial").any()

    @property
    def predictions(self) -> pd.DataFrame:
        """What the model says of every test image, as in `predictions.csv`."""
        return pd.read_csv(self.folder / "predictions.csv", keep_default_na=False)

    def _repr_html_(self) -> str:
        """For notebooks: the honest figure, the floor, the way that won, and how to use it."""
        low, high = self.test_interval
        figure = "mean average precision" if self.metric == "map" else "accuracy"
        title = "No test images were kept apart."
        if self.test is not None:
            title = f"Test {figure} {self.test:.3f} (95 % interval {low:.3f} to {high:.3f}, {self.test_images} images)"
        rows: list[tuple[str, str]] = [("validation, chosen by it", f"{self.validation:.3f}")]
        if self.probe_accuracy is not None:
            rows.append(("validation, best closed-form probe", f"{self.probe_accuracy:.3f}"))
        if self.test_balanced is not None:
            rows.append(("test, mean over the classes", f"{self.test_balanced:.3f}"))
        winner = "the closed-form probe" if self.winner.kind == PROBE else f"trial {self.winner.number}"
        rows += [
            ("winner", f"{winner}, head {self.winner.values['head.name']}"),
            ("time", f"{show_duration(self.seconds)}, {(self.trials['kind'] == 'trial').sum()} trials"),
            ("model", str(self.best)),
        ]
        return card(
            title,
            table(("what", "figure"), rows),
            paragraph("result.best.predict(['photo.jpg']) uses it."),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        found: dict[str, Any] = _rounded({
            "folder": str(self.folder),
            "best": str(self.best),
            "winner": {"number": self.winner.number, "kind": self.winner.kind, "values": dict(self.winner.values)},
            "metric": self.metric,
            "validation_accuracy": self.validation,
            "validation_folds": self.folds,
            "validation_seeds": len(self.winner.image_scores),
            "optimism_of_best": self.choice.optimism,
            "behind_best": self.choice.behind,
            "behind_best_standard_error": self.choice.behind_se,
            "probe_validation_accuracy": self.probe_accuracy,
            "test_accuracy": self.test,
            "test_interval_95": list(self.test_interval),
            "test_balanced_accuracy": self.test_balanced,
            "test_images": self.test_images,
            "timm_loads_it": self.timm_loads_it,
            "importances": dict(self.importances),
            "trials": json.loads(self.trials.to_json(orient="records")),
            "ended": self.ended,
            "seconds": self.seconds,
        })  # fmt: skip
        return found


def leaderboard(search: Search) -> pd.DataFrame:
    """One row per trial, best first."""
    rows = []
    means = {
        s.number: _rounded(s.accuracy(search.sample_weight)) for s in search.scored_trials() if len(s.image_scores) > 1
    }
    for number, trial in search.everything():
        if not trial.state.is_finished():
            continue
        attrs = trial.user_attrs
        rows.append(
            {
                "trial": number,
                "kind": attrs.get("kind", "trial"),
                "state": trial.state.name,
                "scenario": attrs.get("scenario", ""),
                "validation_accuracy": _rounded(trial.values[0]) if trial.values else None,
                "seeds_mean": means.get(number),
                "validation_loss": _rounded(attrs.get("validation_loss")),
                "seconds": _rounded(attrs.get("seconds")),
                "tap": attrs.get("tap"),
                "frozen": attrs.get("frozen"),
                "steps": attrs.get("steps"),
                "audit": str(attrs.get("audit", ""))[:12],
                "reason": attrs.get("reason", ""),
                "notes": "; ".join(attrs.get("notes", ())),
                **attrs.get("values", {}),
            }
        )
    frame = pd.DataFrame(rows)
    return frame.sort_values(
        ["validation_accuracy", "validation_loss"], ascending=[False, True], na_position="last", kind="stable"
    )


def hand_over(search: Search, folder: Path, ended: str, began: float, asked: Mapping[str, Any]) -> Result:
    """Judge the winner once on the test images and write everything a person takes home."""
    plan, progress = search.plan, search.context.progress
    choice = search.choice()
    winner = choice.chosen
    if not winner.head_only and search.folds > 1:
        progress.say("Training the winner on all images that may be trained on.")
    context = search.contexts.context(dict(winner.values))
    network = search.network(winner)
    dataset = context.prepared.dataset
    held, labels, classes = context.rows("test"), context.labels("test"), dataset.classes
    logits = torch.zeros(0, len(classes))
    test = balanced = None
    interval = wilson(0, 0)
    per_class: dict[str, dict[str, float]] = {}
    if len(held):
        logits = _test_logits(context, winner, network)
        image_scores = score(logits, labels).image_scores
        test = float(image_scores.mean())
        if context.metric == "map":
            interval = normal(image_scores)
            per_class = _precision_per_class(logits, labels, classes)
        else:
            interval = wilson(int(image_scores.sum()), len(held))
            per_class = _per_class(logits, labels, classes)
            balanced = sum(entry["recall"] for entry in per_class.values()) / len(per_class)
    board = leaderboard(search)
    probes = board.loc[board["kind"] == PROBE, "validation_accuracy"]
    validation = winner.accuracy(search.sample_weight)
    probe = float(probes.max()) if len(probes) else None
    figures = {
        "metric": context.metric,
        "validation_accuracy": validation,
        "validation_folds": search.folds,
        "validation_images": len(search.judged_rows),
        "probe_validation_accuracy": probe,
        "test_accuracy": test,
        "test_interval_95": interval,
        "test_balanced_accuracy": balanced,
        "test_images": len(held),
    }
    report = _rounded({
        "dataset": {"location": plan.location, "digest": dataset.digest, "several_labels": dataset.multilabel,
                    "splits": context.prepared.profile.splits, "classes": list(classes)},
        "backbone": {"name": context.backbone.name, **asdict(context.backbone.weights)},
        "recipe": plan.recipe.name,
        "scenario": plan.recipe.scenario,
        "advice": plan.evidence,
        "seed": plan.seed,
        "device": str(context.device),
        "search": {**asked, "ended": ended, "seconds": time.monotonic() - began, "trials_run": len(search.searched())},
        "winner": {"number": winner.number, "kind": winner.kind, "trained": winner.trained,
                   "values": dict(winner.values)},
        "choice": choice.to_dict(search.sample_weight),
        **figures,
        "temperature": winner.temperature,
        "test_per_class": per_class,
        "versions": versions(),
        "plugins": {p.name: {"distribution": p.distribution, "version": p.version, "status": p.status}
                    for p in context.catalog.met},
    })  # fmt: skip
    best_plan = Plan(
        recipe=frozen_recipe(plan.recipe, dict(winner.values)),
        location=plan.location,
        backbone=context.backbone.name,
        digest=dataset.digest,
        seed=plan.seed,
        skip_small_classes=plan.skip_small_classes,
    )
    provenance = _rounded({"trial": winner.number, "kind": winner.kind, "validation_accuracy": validation,
                           "test_accuracy": test, **versions()})  # fmt: skip
    kind = context.catalog.head(winner.values["head.name"])
    loads = save_bundle(
        folder / "best",
        network,
        backbone=context.backbone,
        head=kind.name,
        head_params=head_params(dict(winner.values)),
        head_is_linear=kind.linear,
        classes=classes,
        multilabel=dataset.multilabel,
        temperature=winner.temperature,
        texts={
            "best.toml": plan_to_toml(best_plan, provenance=provenance),
            "report.json": json.dumps(report, indent=2, ensure_ascii=False),
        },
    )
    config = json.loads((folder / "best" / "config.json").read_text("utf-8"))
    place = f"local-dir:{(folder / 'best').as_posix()}"
    write_whole(folder / "best" / CARD, model_card(config, report, title=f"{folder.name}, tuned", place=place))
    write_whole(folder / "leaderboard.csv", board.to_csv(index=False))
    weights = importances(search.study)
    probabilities = calibrated(logits, multilabel=dataset.multilabel, temperature=winner.temperature).numpy()
    seen, stages = predictions_of(dataset, held, probabilities), [stage.name for stage in context.stages.stages]
    write_evidence(folder, search, seen, context.prepared.pixels, weights, stages)
    return Result(
        folder=folder,
        best=TunedModel(folder / "best"),
        winner=winner,
        choice=choice,
        metric=context.metric,
        probe_accuracy=probe,
        validation=validation,
        folds=search.folds,
        test=test,
        test_interval=interval,
        test_balanced=balanced,
        test_images=len(held),
        timm_loads_it=loads,
        trials=board,
        importances=weights,
        ended=ended,
        seconds=time.monotonic() - began,
    )


def _test_logits(context: TrialContext, winner: ScoredTrial, network: TransferNetwork) -> Tensor:
    """Logits of the test images; a head alone reads kept features, so a resumed run computes them once."""
    rows = context.rows("test")
    if not winner.head_only or network.codes == TOKENS:
        with context.progress.task("Testing", len(rows)) as advance:
            return predict_logits(network, context, rows, advance)
    raw = context.raw_features("test", network.tap)
    with torch.inference_mode():
        logits: Tensor = network.head.cpu()(network.standardise.cpu()(raw))
    return logits


def _rounded(data: Any) -> Any:  # noqa: ANN401 - plain data of any shape
    """Numbers to six digits: what comes after says nothing."""
    if isinstance(data, float):
        return float(f"{data:.6g}")
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    return [_rounded(value) for value in data] if isinstance(data, list | tuple) else data


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


def _per_class(logits: Tensor, labels: Tensor, classes: tuple[str, ...]) -> dict[str, dict[str, float]]:
    found = {}
    for label, name in enumerate(classes):
        mine = labels == label
        if mine.any():
            recall = float((logits[mine].argmax(1) == label).float().mean())
            found[name] = {"images": int(mine.sum()), "recall": recall}
    return found


def _precision_per_class(logits: Tensor, labels: Tensor, classes: tuple[str, ...]) -> dict[str, dict[str, float]]:
    precision = average_precisions(logits.numpy(), labels.bool().numpy())
    return {
        name: {"images": int(labels[:, label].sum()), "average_precision": float(precision[label])}
        for label, name in enumerate(classes)
        if labels[:, label].any()
    }
