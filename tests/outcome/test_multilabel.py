"""Images with several labels, from a table to predictions."""

import json

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image, ImageDraw
from sklearn.metrics import average_precision_score

import advisor
from advisor.advice import priors
from advisor.cli.main import main
from advisor.data.views import clean_view
from advisor.errors import UsageError
from advisor.outcome.pilot import pilot
from advisor.outcome.plans import chosen_plan
from advisor.plugins import load_catalog
from advisor.recipe import Plan, Range, Recipe, load_plan, plan_to_toml
from advisor.task import MultiLabel
from advisor.tuning.storage import open_ledger

SHAPES = {"ball": ((200, 30, 40), "ellipse"), "box": ((40, 60, 210), "rectangle"), "bar": ((30, 160, 60), "bar")}


def paint(names, rng):
    """A gray image with one shape of each name."""
    image = Image.fromarray(rng.integers(90, 150, (72, 72, 3), np.uint8))
    brush = ImageDraw.Draw(image)
    for name in names:
        colour, shape = SHAPES[name]
        x, y = rng.integers(2, 40, 2)
        box = (x, y, x + 28, y + (8 if shape == "bar" else 28))
        (brush.ellipse if shape == "ellipse" else brush.rectangle)(box, fill=colour)
    return image


@pytest.fixture
def table(tmp_path):
    """80 images with none to three shapes, and a table of their tags."""
    rng = np.random.default_rng(0)
    lines = ["path,tags"]
    for number in range(80):
        own = [name for name, share in zip(SHAPES, (0.5, 0.4, 0.25), strict=True) if rng.random() < share]
        paint(own, rng).save(tmp_path / f"{number:03d}.png")
        lines.append(f"{number:03d}.png,{'|'.join(own)}")
    (tmp_path / "shapes.csv").write_text("\n".join(lines))
    return tmp_path / "shapes.csv"


def plan(table, **changes):
    values = {
        "features.tap": 1.0, "head.name": "sigmoid", "freeze.depth": Range(0.0, 1.0, start=0.4),
        "optimizer.lr": Range(1e-4, 1e-3, log=True, start=3e-4), "train.epochs": 2, "train.batch_size": 16,
        "search.trials": 3, "search.budget": "60s", "search.folds": 1, "search.seeds": 2,
    }  # fmt: skip
    return Plan(Recipe("test", values={**values, **{k.replace("__", "."): v for k, v in changes.items()}}),
                str(table), "tiny")  # fmt: skip


def test_from_the_table_to_predictions(tiny, table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["recommend", str(table), "--backbone", "tiny", "--json", "--no-report"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["probes"]["metric"] == "mean average precision"
    assert found["dataset"]["per_class"].keys() == SHAPES.keys()
    assert {entry["name"] for entry in found["classes"]} == set(SHAPES)
    assert any("--pilot" in reason for reason in found["verdict"]["reasons"])
    assert load_plan("advisor.toml", load_catalog()).recipe.get("head.name") == "sigmoid"

    assert main(["tune", "--budget", "15s", "--trials", "2", "--runs", "runs", "--no-report"]) == 0
    page = capsys.readouterr().out
    assert "mean average precision" in page
    best = tmp_path / "runs" / "shapes" / "best"
    report = json.loads((best / "report.json").read_text())
    assert report["metric"] == "map"
    assert report["dataset"]["several_labels"]
    assert set(report["test_per_class"]["ball"]) == {"average_precision", "effective", "images"}
    low, high = report["test_interval_95"]
    assert low < report["test_accuracy"] < high or report["test_accuracy"] == high == 1

    model = advisor.load(best)
    assert model.task == MultiLabel(tuple(sorted(SHAPES)))
    config = best / "config.json"
    text = config.read_text()
    config.write_text(text.replace('"multilabel"', '"several"'))  # as before 0.1
    assert advisor.load(best).task == model.task
    config.write_text(text)
    frame = advisor.predict(best, [str(table)])
    truth = pd.read_csv(table)["tags"].fillna("")
    hits = np.array([[name in row.split("|") for name in SHAPES] for row in truth])
    chances = frame[[f"p({name})" for name in SHAPES]].to_numpy()
    assert average_precision_score(hits, chances) > hits.mean() + 0.2
    assert ((chances >= 0.5).sum(1) == [len(said.split("|")) if said else 0 for said in frame["label"]]).all()
    assert chances.sum(1).max() > 1  # each label has a probability of its own

    assert main(["predict", str(best), str(table), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["label"] == frame["label"][0]
    again = timm.create_model(f"local-dir:{best}", pretrained=True).eval() if model.timm_loads_it else model.network
    pixels = torch.randint(0, 255, (2, 70, 70, 3), dtype=torch.uint8)
    images = clean_view(pixels, model.input)
    with torch.inference_mode():
        torch.testing.assert_close(again(images), model.network(images), rtol=1e-4, atol=1e-4)


def test_a_trained_network_is_judged_by_the_precision_of_its_test_images(tiny, table, tmp_path, monkeypatch):
    monkeypatch.setattr("advisor.tuning.study.Search._add_probes", lambda self: None)
    result = advisor.tune(plan(table, freeze__depth=0.4, search__trials=1), runs=tmp_path / "runs", device="cpu")
    assert result.record.metric == "map"
    assert result.record.winner.kind == "trial"
    assert result.record.validation_seeds == 2
    with open_ledger("", "", result.folder) as ledger:
        image_scores = ledger.image_scores(result.record.winner.number, result.record.validation_images)
    assert result.validation == pytest.approx(image_scores.mean())
    assert result.record.test_balanced is None
    dataset = advisor.open_dataset(str(table))
    assert not dataset.task.exclusive
    rows = pd.read_json(result.best / "report.json", typ="series")["test_per_class"]
    mean = np.mean([entry["average_precision"] for entry in rows.values()])
    assert result.test == pytest.approx(mean, abs=1e-4)


def test_folds_other_heads_and_the_pilot(tiny, table, tmp_path, monkeypatch):
    monkeypatch.setattr(priors, "LEAST_STEPS", 8)  # of a training; more would only take longer
    folded = advisor.tune(plan(table, search__folds=3, head__name="mlp", freeze__depth=1.0, search__seeds=1),
                          runs=tmp_path / "runs", device="cpu")  # fmt: skip
    assert folded.record.folds == 3
    assert folded.record.validation_images == 80 - folded.record.test_images
    found = pilot(advisor.recommend(str(table), backbone="tiny", device="cpu"), device="cpu")
    assert found.verdict.pilot.judged_on > 0


def test_heads_of_one_label_are_refused_and_other_recipes_suited(tiny, table, tmp_path):
    with pytest.raises(UsageError, match=r"`svm` learns one label an image") as refused:
        advisor.tune(plan(table, head__name="svm"), runs=tmp_path / "runs", device="cpu")
    assert "mlp, ridge, sigmoid" in "".join(refused.value.ways)
    (tmp_path / "advisor.toml").write_text(plan_to_toml(plan(table)))
    other, name, _ = chosen_plan(str(tmp_path / "advisor.toml"), recipe="lp-ft")
    assert other.recipe.get("head.name") == "sigmoid"
    assert name == "shapes-lp-ft"


def test_several_backbones_are_compared_by_precision(tiny, install, table):
    from conftest import TINY

    install("other", TINY.format(name="other", architecture="test_efficientnet"))
    found = advisor.recommend(str(table), backbones=["tiny", "other"], device="cpu")
    assert len(found.backbones) == 2
    assert not found.curve.task.exclusive
