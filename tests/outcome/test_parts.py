"""Trainings of some parameters only, from the plan to what is taken home."""

import pytest
import timm
import torch
from conftest import TINY
from ejected import lint
from ejected import run as run_script

import advisor
from advisor.errors import RunError
from advisor.outcome.eject import eject
from advisor.recipe import Choices, Plan, Range, Recipe
from advisor.records.folder import read_run
from advisor.report.page.documents import to_markdown
from advisor.report.run.page import run_screen
from advisor.tuning.study import Search

VALUES = {
    "head.name": "linear", "freeze.depth": 0.5, "optimizer.lr": 1e-2, "optimizer.weight_decay": 0.0, "train.steps": 12,
    "train.batch_size": 16, "search.trials": 1, "search.budget": "120s", "search.folds": 1, "search.seeds": 1,
}  # fmt: skip


@pytest.fixture
def transformer(install, monkeypatch):
    """A small real transformer, and runs in which trials alone compete."""
    install("vit", TINY.format(name="small", architecture="test_vit").replace("size=64", "size=160"))
    monkeypatch.setattr(Search, "_add_probes", lambda _search: None)
    return "small"


def start():
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return timm.create_model("test_vit", pretrained=False).eval()


def moved(best):
    """What timm alone loads from the bundle, and the names of the trunk's parameters that are not as they began."""
    plain = timm.create_model(f"local-dir:{best}", pretrained=True).eval()
    before = start().state_dict()
    state = plain.state_dict()
    return plain, {name for name in state if name in before and not name.startswith("head")
                   and not torch.allclose(state[name], before[name], rtol=0, atol=1e-7)}  # fmt: skip


@pytest.mark.parametrize(("parts", "words"), [
    ("lora", "low-rank updates of the attention (LoRA)"), ("bias", "the biases of"),
])  # fmt: skip
def test_only_those_parameters_move_and_the_bundle_is_plain(transformer, tiny_folder, tmp_path, parts, words):
    plan = Plan(Recipe("test", values={**VALUES, "train.parts": parts}), str(tiny_folder), transformer)
    result = advisor.tune(plan, runs=tmp_path / "runs", device="cpu")
    assert result.timm_loads_it
    assert result.record.winner.values.parts == parts
    assert result.record.winner.values.train.lora_rank == (8 if parts == "lora" else None)
    (row,) = result.trials.to_dict("records")
    assert row["audit"]
    plain, names = moved(result.best)
    assert names
    if parts == "lora":
        assert all(name.endswith(("attn.qkv.weight", "attn.proj.weight")) for name in names)
        before = start().state_dict()
        for name in names:
            assert torch.linalg.matrix_rank(plain.state_dict()[name] - before[name], rtol=1e-3) <= 8
    else:
        assert all(name.endswith("bias") for name in names)
    images = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(advisor.load(result.best).network(images), plain(images), rtol=1e-3, atol=1e-2)
    assert words in to_markdown(run_screen(read_run(result.folder)))
    assert f'parts = "{parts}"' in (result.best / "best.toml").read_text()
    if parts == "lora":
        with pytest.raises(RunError, match=r"low-rank updates of the attention"):
            eject(result.folder, tmp_path / "train.py", device="cpu")
    else:
        made = eject(result.folder, tmp_path / "train.py", device="cpu")
        lint(made.script)
        assert 0 <= run_script(made.script)[0] <= 1


def test_where_low_rank_updates_are_searched_the_recipe_for_them_is_tried(transformer, tiny_folder, tmp_path):
    values = {
        **VALUES, "train.parts": Choices(("all", "lora", "bias")), "search.trials": 6,
        "optimizer.lr": Range(1e-4, 1e-2, log=True, start=1e-4),
    }  # fmt: skip
    plan = Plan(Recipe("test", values=values), str(tiny_folder), transformer)
    result = advisor.tune(plan, runs=tmp_path / "runs", device="cpu")
    starts = result.trials.set_index("scenario")["train.parts"].to_dict()
    assert (starts["test"], starts["lora"]) == ("all", "lora")


def test_a_network_without_attention_says_so_and_the_search_goes_on(tiny, tiny_folder, tmp_path):
    plan = Plan(Recipe("test", values={**VALUES, "train.parts": "lora"}), str(tiny_folder), tiny)
    result = advisor.tune(plan, runs=tmp_path / "runs", device="cpu")
    (row,) = result.trials[result.trials["kind"] == "trial"].to_dict("records")
    assert row["state"] == "FAIL"
    assert "no attention" in row["reason"]
    assert result.record.winner.is_probe
