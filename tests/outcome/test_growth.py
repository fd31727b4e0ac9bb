"""A training that goes on at a larger input, from the search to what is taken home."""

import json

import pytest

import advisor
from advisor.errors import RunError
from advisor.outcome.eject import eject
from advisor.outcome.run import Machine
from advisor.recipe import Choices, Plan, Range, Recipe, load_plan
from advisor.records.folder import read_run
from advisor.report.page.documents import to_markdown
from advisor.report.run.page import run_screen
from advisor.tuning.study import Search

VALUES = {
    "head.name": "linear", "freeze.depth": 0.4, "features.input_size": Choices((32, 48), 32), "optimizer.lr": 1e-4,
    "train.steps": Range(6, 12, log=True, start=6), "train.batch_size": 16, "train.augment": "none",
    "search.trials": 2, "search.budget": "120s", "search.folds": 1, "search.seeds": 1,
}  # fmt: skip


def test_a_training_grows_in_a_run_and_the_model_reads_the_larger_input(tiny, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(Search, "_add_probes", lambda _search: None)
    plan = Plan(Recipe("test", values=VALUES), str(tiny_folder), tiny)
    result = advisor.tune(plan, runs=tmp_path / "runs", device="cpu")
    board = result.trials.set_index("trial")
    assert board.loc[0, "features.input_size"] == 32
    assert board.loc[1, "train.grow_from"] == "32:6"
    assert board.loc[1, "scenario"] == "trial 0, larger than 32"
    assert board.loc[1, "features.input_size"] == 48
    if result.record.winner.number != 1:  # of equals the one with the lower loss is handed over
        monkeypatch.setattr(Search, "scored_trials", _without_first(Search.scored_trials))
        result = advisor.tune(plan, runs=tmp_path / "runs", device="cpu")
    assert result.record.winner.number == 1
    assert result.record.winner.refitted
    assert json.loads((result.best / "config.json").read_text())["pretrained_cfg"]["input_size"] == [3, 48, 48]
    assert "begun at 32 pixels, gone on with at 48" in to_markdown(run_screen(read_run(result.folder)))
    again = load_plan(result.best / "best.toml", advisor.plugins.load_catalog())
    assert again.recipe.values["train.grow_from"] == "32:6"
    with pytest.raises(RunError, match=r"train\.grow_from = 32:6"):
        eject(result.folder, tmp_path / "train.py")
    explanation = advisor.explain(result.folder, budget="60s", machine=Machine("cpu"))
    assert set(explanation.curve["way"]) == {"winner", "from-scratch"}


def _without_first(scored_trials):
    return lambda search: [one for one in scored_trials(search) if one.number != 0]
