"""Records made by hand, so that pages, charts and errors are tested in milliseconds: no image, no network, no study."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
from PIL import Image

from advisor.advice import priors
from advisor.advice.backbones import BackboneRow
from advisor.advice.cost import Cost, WayCost
from advisor.advice.distance import Distance, Estimate
from advisor.advice.examples import Examples
from advisor.advice.forecast import Expected, Training
from advisor.advice.health import ConfusedClasses, Suspect
from advisor.advice.inspection import ClassAdvice
from advisor.advice.labels import LabelCurve
from advisor.advice.probe import ProbeCurve, ProbePoint
from advisor.advice.recommendation import Recommendation
from advisor.advice.scenario import Size, Verdict
from advisor.advice.timetable import Offer, Timetable
from advisor.data.profile import DatasetProfile
from advisor.recipe import Choices, Plan, Range, Recipe
from advisor.recipe.values import TrialValues
from advisor.records.evidence import EvidenceRecord, ForecastRecord, JudgedImage
from advisor.records.folder import read_run
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
from advisor.records.trial import CurvePoint, TrialKind, TrialRecord, TrialState
from advisor.strategy import Strategy
from advisor.task import ClassScore, SingleLabel
from advisor.types import Weights

FLAT = {
    "head.name": "linear", "freeze.depth": 0.5, "optimizer.name": "adamw", "optimizer.lr": 1e-3,
    "optimizer.lr_ratio": 10.0, "optimizer.weight_decay": 0.01, "train.epochs": 4, "train.batch_size": 32,
    "train.warmup": 0.1, "train.label_smoothing": 0.0, "train.mixup": 0.0, "train.ema": 0.0,
}  # fmt: skip
VALUES = TrialValues.from_flat(FLAT)
HEAD_ONLY = TrialValues.from_flat({"head.name": "ridge", "freeze.depth": 1.0, "freeze.batchnorm": "eval"})
PHOTO = "data:image/png;base64,iVBORw0KGgo="


def curve_of(*accuracies, seconds=2.0):
    """A training judged after every epoch."""
    return tuple(CurvePoint(n, 10 * n, seconds * n, value) for n, value in enumerate(accuracies, 1))


def trial(number=0, accuracy=0.8, **changes):
    """A fine-tuning that went well, unless told otherwise."""
    usual = TrialRecord(
        number, TrialKind.TRIAL, TrialState.COMPLETE, VALUES, "", accuracy, 0.5, 1.0, 8.0, 8, 4, 0.5, 40, 40, "same",
        curve_of(0.5, 0.7, accuracy or 0.0), (), "", 1_000.0 + number,
    )  # fmt: skip
    return replace(usual, **changes)


def probe(tap=8, accuracy=0.7, **changes):
    """A closed-form classifier at a stage."""
    usual = TrialRecord(
        -tap, TrialKind.PROBE, TrialState.COMPLETE, HEAD_ONLY, "", accuracy, 0.6, 1.0, 0.5, tap, tap, 1.0, 0, 0, "same",
        (), (), "", 900.0 - tap,
    )  # fmt: skip
    return replace(usual, **changes)


def run_record(**changes):
    """A run over three classes whose trial 1 won."""
    usual = RunRecord(
        dataset=DatasetRecord("./birds", "d1g357", False, {"train": 60, "val": 20, "test": 20}, ("auk", "bee", "cat")),
        backbone=BackboneRecord("lite0", "a file", "00ff", "Apache-2.0", "ImageNet-1k"),
        recipe="lp-ft",
        scenario=2,
        advice={},
        seed=3,
        device="cpu",
        search=SearchRecord(600.0, 20, "trials", 123.4, 7),
        winner=WinnerRecord(1, TrialKind.TRIAL, 1.0, VALUES),
        choice=ChoiceRecord(1, 1, 0.0, 0.0, 0.012, 2, 0, (RivalRecord(0, TrialKind.TRIAL, 0.8, 0.82, 2),)),
        metric="accuracy",
        validation=0.85,
        validation_seeds=2,
        folds=1,
        validation_images=20,
        probe=0.7,
        test=0.8,
        test_interval=(0.584, 0.919),
        test_balanced=0.79,
        test_images=20,
        temperature=1.1,
        per_class=(ClassScore("auk", 7, 1.0), ClassScore("bee", 7, 0.857143), ClassScore("cat", 6, 0.5)),
        versions={"python": "3.11", "torch": "2.6"},
        plugins=(PluginRecord("core", "transfer-advisor", "0.1", "active"),),
    )
    return replace(usual, **changes)


def evidence_record(*trials, **changes):
    """What is told beside the figures."""
    usual = EvidenceRecord(
        stages=tuple(f"blocks.{n}" for n in range(8)),
        trials=trials or (probe(), trial(0, 0.8), trial(1, 0.85)),
        importances={"optimizer.lr": 0.6, "freeze.depth": 0.4},
        mistakes=(),
        forecast=ForecastRecord(0.82, 0.75, 0.9),
    )
    return replace(usual, **changes)


def judged(label, predicted, probability=0.9, own=None, path="a.png"):
    """A test image."""
    right = label == predicted
    return JudgedImage(path, label, predicted, probability, probability if right else 0.05 if own is None else own)


def run_folder(folder, record=None, evidence=None, tested=None, explained=None):
    """Write what a run leaves, and read it as its report does."""
    best = folder / "best"
    best.mkdir(parents=True, exist_ok=True)
    (best / "report.json").write_text(json.dumps((record or run_record()).to_dict()), "utf-8")
    (folder / "evidence.json").write_text(json.dumps((evidence or evidence_record()).to_dict()), "utf-8")
    if tested is not None:
        with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["path", "label", "predicted", "probability", "own"])
            table.writerows([one.path, one.label, one.predicted, one.probability, one.own] for one in tested)
    if explained is not None:
        (folder / "explanation.json").write_text(json.dumps(explained.to_dict()), "utf-8")
    return read_run(folder)


def profile(**changes):
    """Ninety images in three classes, with nothing odd about them."""
    usual = DatasetProfile(
        name="birds", location="/home/me/birds", digest="d1g357", images=90,
        splits={"train": 54, "val": 18, "test": 18}, independent=90,
        independent_splits={"train": 54, "val": 18, "test": 18}, independent_trainable=72, multilabel=False, per_class={"auk": 40, "bee": 30, "cat": 20},
        per_class_train=22.0, imbalance=2.0, width=(100, 200, 300), height=(90, 180, 270),
        modes={"RGB": 88, "L": 2}, formats={"JPEG": 90}, duplicates=(), near_duplicates=(), conflicting=(), leaking=(),
        shortcuts=(), broken=(), ignored=(), reading=(), notes=(),
    )  # fmt: skip
    return replace(usual, **changes)


def distance(**changes):
    """Images that are nearer to the source than not."""
    usual = Distance(
        256, Estimate(0.02, 0.002), Estimate(0.03, 0.003), Estimate(0.06, 0.004), 0.3, Estimate(0.9, 0.05), None,
        {"late": 0.2, "gain": 0.3}, {"late": (0.1, 0.35), "gain": (0.15, 0.5)}, 0.25, (0.12, 0.41),
    )  # fmt: skip
    return replace(usual, **changes)


def point(stage, accuracy, *, last=0.8, tied=False, name=""):
    """A probe at a stage."""
    return ProbePoint(
        stage, name or f"blocks.{stage}", stage / 4, 16 * stage, accuracy, 0.02, accuracy - last, 0.015, tied,
        accuracy - 0.1, 1.0,
    )  # fmt: skip


def probe_curve(*accuracies, **changes):
    """Probes at every stage, input side first."""
    accuracies = accuracies or (0.5, 0.7, 0.75, 0.8)
    points = tuple(point(n, value, last=accuracies[-1]) for n, value in enumerate(accuracies, 1))
    usual = ProbeCurve(72, 72, 0.4, SingleLabel(("auk", "bee", "cat")), "mean", points, (), (), np.zeros(0, np.int64))
    return replace(usual, **changes)


def verdict(**changes):
    """Scenario 1 by its usual way."""
    expected = {
        Strategy.LAST_LAYER: Expected(0.80, 0.74, 0.86), Strategy.TUNE_SIMILAR: Expected(0.81, 0.70, 0.90),
        Strategy.EARLIER_LAYER: Expected(0.78, 0.71, 0.85), Strategy.TUNE_DIFFERENT: Expected(0.79, 0.68, 0.89),
        Strategy.LP_FT: Expected(0.805, 0.72, 0.88),
    }  # fmt: skip
    usual = Verdict(
        1, Strategy.LAST_LAYER, Strategy.TUNE_SIMILAR, 0.05, {1: 0.6, 2: 0.15, 3: 0.2, 4: 0.05}, expected, 3, True, 4,
        ("there are few images", "They look like photographs."), ("three times the labels",), None,
    )  # fmt: skip
    return replace(usual, **changes)


def cost():
    """Seconds and bytes of each way."""
    ways = {
        Strategy.LAST_LAYER: WayCost("a-recipe", 3.0, 0), Strategy.TUNE_SIMILAR: WayCost("a-recipe", 400.0, 1_500_000_000),
        Strategy.EARLIER_LAYER: WayCost("a-recipe", 2.0, 0), Strategy.TUNE_DIFFERENT: WayCost("a-recipe", 9000.0, 1_500_000_000),
        Strategy.LP_FT: WayCost("a-recipe", 500.0, 1_200_000_000),
    }  # fmt: skip
    return Cost(12.0, 40.0, ways, 31.0)


def times(**changes):
    """A classifier in three seconds, fine-tuning in seven minutes."""
    expected = verdict().expected
    usual = Timetable(
        (
            Offer(Strategy.LAST_LAYER, None, 3.0, expected[Strategy.LAST_LAYER]),
            Offer(Strategy.EARLIER_LAYER, None, 3.0, expected[Strategy.EARLIER_LAYER]),
            Offer(Strategy.TUNE_SIMILAR, Training(480, 96), 400.0, expected[Strategy.TUNE_SIMILAR]),
        )
    )
    return replace(usual, **changes)


def plan(**values):
    """A plan that begins with a frozen network."""
    usual = {
        "features.tap": 1.0, "freeze.depth": Range(0.0, 1.0, start=0.5), "head.name": Choices(("linear", "ridge")),
        "optimizer.lr": Range(1e-5, 1e-3, log=True, start=1e-4), "train.steps": 480, "train.epochs": 10,
    }  # fmt: skip
    return Plan(Recipe("small-similar", values={**usual, **values}), "/home/me/birds", "lite0")


def recommendation(**changes):
    """Everything that `advisor recommend` finds out about ninety images."""
    usual = Recommendation(
        profile=profile(),
        backbone="lite0",
        weights=Weights(source="a/b/lite0.safetensors", licence="Apache-2.0", trained_on="ImageNet-1k"),
        size=Size(72, 22.0, 0.1, 72),
        distance=distance(),
        curve=probe_curve(),
        labels=LabelCurve(((18, 0.6), (36, 0.7), (72, 0.8)), 0.9, 0.84, (0.81, 0.87), None, (1.4, 0.45, 0.1)),
        classes=(
            ClassAdvice("auk", 32, 0.9, Estimate(0.05, 0.004)),
            ClassAdvice("bee", 24, 0.8, Estimate(0.08, 0.005)),
            ClassAdvice("cat", 16, 0.4, None),
        ),
        suspects=(Suspect("cat/9.png", "cat", "bee", 0.93), Suspect("auk/1.png", "auk", "bee", 0.71)),
        confusions=(ConfusedClasses("cat", "bee", 0.5, 8),),
        verdict=verdict(),
        plan=plan(),
        start_lr=1e-4,
        family=priors.FAMILIES["batchnorm"],
        sizes=None,
        times=times(),
        cost=cost(),
        examples=(Examples("auk", ("auk/1.png",), ("auk/2.png",)), Examples("cat", ("cat/1.png",), ())),
    )
    return replace(usual, **changes)


def backbone_row(name, accuracy, **changes):
    """A network that was compared with others."""
    usual = BackboneRow(name, accuracy, 0.01, "blocks.5", False, 75.5, 1, 4.7, 12.0, 0.3, "MIT", "ImageNet-1k")
    return replace(usual, **changes)


def drawn_rows(chart):
    """Every row of data that a chart draws; Altair keeps them beside the layers, or in one of them."""
    spec = chart.spec
    inline = [layer["data"] for layer in spec["layer"] if "data" in layer] + [spec.get("data", {})]
    kept = [*spec.get("datasets", {}).values(), *(data["values"] for data in inline if "values" in data)]
    return [row for rows in kept for row in rows]


def head_only_trial(number, accuracy=0.7, frozen=8, **changes):
    """A classifier that was fitted on frozen features."""
    closed = {"values": HEAD_ONLY, "tap": frozen, "frozen": frozen, "steps": 0, "planned_steps": 0, "curve": ()}
    return trial(number, accuracy, **{**closed, **changes})


def png(side=8, mode="RGB"):
    """The bytes of an image file."""
    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, "PNG")
    return file.getvalue()
