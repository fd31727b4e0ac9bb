import pytest
import torch

import advisor
from advisor.recipe import Plan, Recipe
from advisor.testing import HeadSuite, PluginSuite
from advisor.testing.samples import tiny_images as draw_images

NAMES = ["prototype", "deep-mlp", "attention"]


@pytest.fixture
def advisor_plugins():
    return ["heads"]


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return "heads"


class TestHeads(HeadSuite):
    @pytest.fixture(params=NAMES)
    def head(self, request, advisor_catalog):
        return advisor_catalog.head(request.param)


def test_prototypes_are_the_class_means(advisor_catalog):
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(40, 6, generator=generator), torch.arange(40) % 4
    head = advisor_catalog.head("prototype")
    module = head.create(6, 4)
    head.fit(module, features, labels, shrink=0.0)
    means = torch.stack([features[labels == label].mean(0) for label in range(4)])
    nearest = torch.cdist(features, means).argmin(1)
    assert torch.equal(module(features).argmax(1), nearest)


def test_attention_starts_as_a_linear_head_on_the_mean(advisor_catalog):
    module = advisor_catalog.head("attention").create(8, 3, queries=2, dropout=0.0)
    tokens = torch.randn(5, 7, 8)
    shuffled = tokens[:, torch.randperm(7)]
    torch.testing.assert_close(module(tokens), module(shuffled))


@pytest.mark.parametrize(("tap", "depth", "cache"), [(0.6, 1.0, "auto"), (1.0, 1.0, "fresh"), (0.8, 0.5, "views")])
def test_attention_trains_is_handed_over_and_loads(advisor_catalog, tiny_network, tmp_path, tap, depth, cache):
    images = draw_images(tmp_path / "drawn", each=12)
    values = {
        "features.tap": tap, "freeze.depth": depth, "features.cache": cache, "head.name": "attention",
        "train.epochs": 4, "train.batch_size": 8, "optimizer.lr": 1e-3, "search.folds": 1, "search.seeds": 1,
    }  # fmt: skip
    plan = Plan(Recipe("attention", values=values), str(images), tiny_network)
    result = advisor.tune(plan, runs=tmp_path / "runs", trials=1, device="cpu", catalog=advisor_catalog, budget="90s")
    (row,) = result.trials[result.trials["kind"] == "trial"].to_dict("records")
    assert row["state"] == "COMPLETE", row["reason"]
    best = advisor.load_plan(result.best / "best.toml", advisor_catalog)
    assert best.recipe.get("head.name") in {"attention", "ridge"}
    frame = advisor.predict(result.best, [str(images / "across")], catalog=advisor_catalog)
    assert len(frame) == 12
    assert not frame["error"].any()
