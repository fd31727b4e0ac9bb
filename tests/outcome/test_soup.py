"""An average of trainings that is handed over: a bundle like any other, told as what it is."""

import json
from dataclasses import replace

import pytest
import timm
import torch
from safetensors.torch import load_file

import advisor
from advisor.errors import RunError
from advisor.outcome.eject import eject
from advisor.outcome.run import Machine
from advisor.recipe import Plan, Range, Recipe
from advisor.records.folder import read_run
from advisor.records.run import RunRecord
from advisor.records.trial import SOUP
from advisor.report.page.documents import to_markdown
from advisor.report.run.page import run_screen
from advisor.tuning.study import Search

VALUES = {
    "head.name": "linear", "freeze.depth": 0.4, "optimizer.lr": Range(1e-4, 1e-3, log=True, start=3e-4),
    "train.steps": 12, "train.batch_size": 16, "search.trials": 2, "search.budget": "120s", "search.folds": 1,
    "search.seeds": 3,
}  # fmt: skip


@pytest.fixture
def averaged(monkeypatch, tiny, tiny_folder, tmp_path):
    """A run that hands over its average, whatever else stands above it."""
    choice = Search.choice

    def soup(search):
        given = choice(search)
        (chosen,) = [rival for rival in given.rivals if rival.number == SOUP]
        return replace(given, chosen=chosen)

    monkeypatch.setattr(Search, "choice", soup)
    monkeypatch.setattr(Search, "_add_probes", lambda _search: None)  # so that trainings lead and are judged again
    plan = Plan(Recipe("test", values=VALUES), str(tiny_folder), "tiny")
    return advisor.tune(plan, runs=tmp_path / "runs", device="cpu")


def test_an_average_is_handed_over_like_any_model_and_told_everywhere(averaged):
    record, folder = averaged.record, averaged.folder
    assert record.winner.number == SOUP
    members = record.winner.members
    assert len(members) >= 2
    assert not record.winner.refitted
    assert RunRecord.from_dict(json.loads((averaged.best / "report.json").read_text())).winner == record.winner
    # Timm alone loads it, and its weights are the mean of those that were kept.
    theirs = timm.create_model(f"local-dir:{averaged.best}", pretrained=True).eval()
    files = [
        next(folder.glob(f"weights/*-trial-{one.trial}{f'-seed-{one.seed}' if one.seed else ''}.safetensors"))
        for one in members
    ]
    name = "conv1.0.weight"
    mean = torch.stack([load_file(file)[f"trunk.{name}"].double() for file in files]).mean(0)
    torch.testing.assert_close(theirs.state_dict()[name].double(), mean, atol=1e-6, rtol=1e-5)
    ours = advisor.load(averaged.best)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours.network(images), theirs(images), rtol=1e-3, atol=1e-2)
    names = " and ".join(member.name for member in members)
    card = (averaged.best / "README.md").read_text()
    assert "model soup" in card
    assert members[-1].name in card
    screen = to_markdown(run_screen(read_run(folder)))
    assert f"An average won: the weights of {names}" in screen
    assert "model soup" in screen
    report = (folder / "report.html").read_text() if (folder / "report.html").is_file() else screen
    assert "average of fine-tunings" in report or "model soup" in report
    assert (averaged.trials["kind"] == "soup").sum() == 1


def test_an_average_is_explained_by_its_first_member_and_is_no_script(averaged, tmp_path):
    with pytest.raises(RunError, match="averages the weights of trial"):
        eject(averaged.folder, tmp_path / "train.py")
    explanation = advisor.explain(averaged.folder, budget="60s", machine=Machine("cpu"))
    assert explanation.trial == averaged.record.winner.members[0].trial
    words = to_markdown(run_screen(read_run(averaged.folder)))
    assert "model soup" in words


def test_running_again_judges_no_average_twice(averaged, tiny_folder, tmp_path):
    plan = Plan(Recipe("test", values=VALUES), str(tiny_folder), "tiny")
    again = advisor.tune(plan, runs=tmp_path / "runs", name=averaged.folder.name, device="cpu")
    assert again.record.winner.members == averaged.record.winner.members
    assert again.test == averaged.test
