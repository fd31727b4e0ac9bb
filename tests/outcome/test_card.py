"""The model card beside a handed-over model."""

import json
import re
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard
from PIL import Image

import advisor
from advisor.outcome.card import model_card, report_of
from advisor.outcome.export import export_hub_folder
from advisor.plugins import load_catalog
from advisor.recipe import load_plan, plan_to_toml


@pytest.fixture
def best(tuned, tiny_folder):
    return lambda **values: tuned(tiny_folder, **values)


def parts(best):
    return json.loads((best / "config.json").read_text()), json.loads((best / "report.json").read_text())


def test_it_says_what_the_report_says(best):
    folder = best()
    config, report = parts(folder)
    card = ModelCard((folder / "README.md").read_text())
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", pytest.approx(report["test_accuracy"], abs=1e-5))
    assert (card.data.license, card.data.library_name) == ("mit", "timm")
    low, high = report["test_interval_95"]
    assert f"| test accuracy | {report['test_accuracy']:.3f} (95 % {low:.3f} to {high:.3f}" in card.text
    assert "| class | recognised, % | 95 % interval | test images |" in card.text  # as the report says it
    for name, found in report["test_per_class"].items():
        assert re.search(
            rf"^\| {name} \| {100 * found['recall']:.1f} \| .* \| {found['images']} \|$", card.text, re.MULTILINE
        )
    assert f"| head.name | {report['winner']['values']['head.name']} |" in card.text
    assert all(name in card.text for name in config["advisor"]["classes"])
    assert "fewer than 30 images" in card.text
    assert "was not measured" in card.text  # the plan of this run was written by hand


@pytest.mark.parametrize("values", [{}, {"features.tap": 0.6}])
def test_its_lines_load_the_model(best, tiny_folder, values, capsys, tmp_path, monkeypatch):
    folder = best(**values)
    photo = next(tiny_folder.rglob("*.png"))
    Image.open(photo).save(tmp_path / "photo.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    lines = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)[1]
    exec(compile(lines, "card", "exec"), {})  # noqa: S102 - what a reader of the card would run
    said = capsys.readouterr().out
    assert any(name in said for name in parts(folder)[0]["advisor"]["classes"])
    assert ("import timm" in lines) == (not values)


@pytest.mark.parametrize(("different", "words"), [(0.9, "**The images are unlike"), (0.1, "- The images are like")])
def test_images_unlike_the_networks_own_are_a_warning(tiny, tiny_folder, tmp_path, tuned, different, words):
    best = tuned(tiny_folder)
    config, report = parts(best)[0], report_of(best)
    advice = {"probability_different": different, "scenario_probabilities": {"3": 0.75}}
    report = replace(report, scenario=3, advice=advice)
    card = model_card(config, report, title="mine", place="local-dir:mine")
    assert words in card
    assert "| scenario | 3, small and different (probability 0.75) |" in card


def test_what_was_advised_reaches_the_card(tiny, tiny_folder, tmp_path):
    found = advisor.recommend(tiny_folder, backbone="tiny", device="cpu")
    (tmp_path / "advisor.toml").write_text(plan_to_toml(found.plan))
    plan = load_plan(tmp_path / "advisor.toml", load_catalog())
    best = advisor.tune(plan, runs=tmp_path / "runs", trials=1, budget="20s", device="cpu").best
    card = (best / "README.md").read_text()
    assert f"| scenario | {found.verdict.scenario}, " in card
    assert "was not measured" not in card


def test_no_folder_of_ones_own_machine_leaves(best, tiny_folder, tmp_path):
    made = export_hub_folder(best(), tmp_path / "hub").path
    for name in ("report.json", "best.toml", "README.md", "config.json"):
        assert str(tiny_folder.parent) not in (made / name).read_text()
    assert json.loads((made / "report.json").read_text())["dataset"]["location"] == tiny_folder.name
    assert load_plan(made / "best.toml", load_catalog()).location == tiny_folder.name
