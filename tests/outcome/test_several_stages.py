"""Heads that read several stages at once, from a plan and from the search's own offer to what is handed over."""

import json
import math
from datetime import datetime

import pandas as pd
import pytest
import torch

import advisor
from advisor.errors import BundleError, RunError
from advisor.outcome.bundle import load, load_backbone
from advisor.outcome.eject import eject
from advisor.outcome.export import export_timm_folder
from advisor.recipe import Choices, Plan, Recipe
from advisor.records.folder import read_run
from advisor.records.trial import is_plain_probe, probe_stages
from advisor.report.page.documents import to_markdown
from advisor.report.run.page import run_page

HEAD = {"head.name": "ridge", "freeze.depth": 1.0, "search.folds": 1, "search.seeds": 1, "search.trials": 1}


def tune(folder, tmp_path, name="run", **values):
    plan = Plan(Recipe("test", values={**HEAD, **values}), str(folder), "tiny")
    return advisor.tune(plan, runs=tmp_path / "runs", name=name, budget="60s", device="cpu")


def test_every_search_tries_the_best_stages_together_once(tiny, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("advisor.tuning.study._MOST_FOR_VIEWS", math.inf)  # however slow the machine is
    values = {"search.folds": 3, "head.name": Choices(("ridge", "linear"))}
    for _ in range(2):  # the second goes on with the first
        result = tune(tiny_folder, tmp_path, **values)
        probes = result.trials[result.trials["kind"] == "probe"]
        plain = sorted(number for number in probes["trial"] if is_plain_probe(number))
        assert plain[-5:] == [-5, -4, -3, -2, -1]
        (together,) = plain[:-5]
        assert len(probe_stages(together)) > 1
        assert len(probes) == 8  # those that read further views, too
    run = read_run(result.folder)
    record = next(trial for trial in run.trials if trial.number == together)
    assert record.stages_read == probe_stages(record.number)
    assert sorted(name for name in (trial.name for trial in run.trials) if "view" in name or "mirror" in name)
    alone = {record.stages_read[0]: record.accuracy for record in run.trials if record.number < 0}
    assert record.tap in alone or record.also[0] in alone


def test_the_head_that_is_handed_over_reads_the_stages_of_the_plan(tiny, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("advisor.tuning.study.Search._add_probes", lambda self: None)
    result = tune(tiny_folder, tmp_path, **{"features.also": "0.2 0.6"})
    best = result.folder / "best"
    config = json.loads((best / "config.json").read_text())["advisor"]
    assert (config["also"], config["tap"]) == ([1, 3], 5)
    model = load(best)
    assert not model.timm_loads_it
    assert model.network.also == (1, 3)
    images = sorted(tiny_folder.rglob("*.png"))
    told = advisor.predict(best, images, device="cpu")
    assert (told["label"] == [image.parent.name for image in images]).mean() > 0.8
    tested = pd.read_csv(result.folder / "predictions.csv")
    again = told.set_index("path").loc[[str(tiny_folder / path) for path in tested["path"]]]

    assert (again["label"].to_numpy() == tested["predicted"].to_numpy()).all()
    page = to_markdown(run_page(read_run(result.folder), made=datetime.now().astimezone()))
    assert "reads stages 1, 3 and 5 of 5" in page


def test_a_training_reads_them_too_and_its_kept_weights_are_those(tiny, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("advisor.tuning.study.Search._add_probes", lambda self: None)
    values = {"features.tap": 0.8, "features.also": "0.4", "freeze.depth": 0.5, "train.epochs": 1, "head.name": "linear",
              "features.cache": "views"}  # fmt: skip
    result = tune(tiny_folder, tmp_path, **values)
    trial = result.trials.iloc[0]
    assert (trial["state"], trial["tap"], trial["frozen"]) == ("COMPLETE", 4, 2)
    assert trial["steps"] > 0
    assert "keeps none" in trial["notes"]
    assert load(result.folder).network.also == (2,)


def test_a_model_of_several_stages_is_a_backbone_again(tuned, tiny_folder):
    best = tuned(tiny_folder, **{**HEAD, "features.tap": 0.8, "features.also": "0.4"})
    whole, backbone = load(best).network, load_backbone(best).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(backbone(images), whole(images), atol=1e-5, rtol=1e-4)
        pooled = backbone.forward_head(backbone.forward_features(images), pre_logits=True)
        torch.testing.assert_close(pooled, whole.features(images))
        backbone.reset_classifier(7)
        assert backbone(images).shape == (2, 7)


def test_they_can_be_searched(tiny, tiny_folder, tmp_path):
    choices = {"features.also": Choices(("", "0.4", "0.2 0.6")), "search.trials": 3}
    result = tune(tiny_folder, tmp_path, **choices)
    trials = result.trials[result.trials["kind"] != "probe"]
    assert set(trials["features.also"]) <= {"", "0.4", "0.2 0.6"}
    assert len(set(trials["features.also"])) > 1


def test_mirrored_answers_are_handed_over_and_timm_is_refused_with_a_way_out(tuned, tiny_folder, tmp_path, capsys):
    best = tuned(tiny_folder, **{**HEAD, "features.mirrored": True})
    model = load(best)
    assert model.network.mirrored
    assert not model.timm_loads_it
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(model.network(images), model.network(images.flip(-1)), atol=1e-5, rtol=1e-4)
        backbone = load_backbone(best).eval()
        torch.testing.assert_close(backbone(images), model.network(images), atol=1e-5, rtol=1e-4)
    with pytest.raises(BundleError, match="mean over an image and its mirror image") as refused:
        export_timm_folder(best, tmp_path / "t")
    assert "--to onnx" in str(refused.value)
    with pytest.raises(RunError, match="mean over an image and its mirror image"):
        eject(best, tmp_path / "train.py", device="cpu")


def test_a_head_on_views_is_handed_over_as_any_other_and_said(tuned, tiny_folder, tmp_path):
    best = tuned(tiny_folder, **{**HEAD, "features.cache": "views", "features.views": 3, "train.augment": "flip_crop"})
    assert load(best).timm_loads_it
    page = to_markdown(run_page(read_run(best.parent), made=datetime.now().astimezone()))
    assert "learnt from 3 views of each image" in page
    with pytest.raises(RunError, match="several views of each image"):
        eject(best, tmp_path / "train.py", device="cpu")
