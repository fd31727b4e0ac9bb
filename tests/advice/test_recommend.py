import json
from dataclasses import replace

import pytest

import advisor
from advisor.advice.forecast import Expected
from advisor.data.dataset import split_dataset
from advisor.data.pixels import PixelStore
from advisor.errors import DatasetError
from advisor.plugins import load_catalog
from advisor.recipe import Range, parse_plan, plan_to_toml


@pytest.fixture
def found(tiny, tiny_folder):
    return advisor.recommend(str(tiny_folder), backbone=tiny)


def test_a_recommendation_is_complete_and_serialisable(found):
    assert found.verdict.scenario in (1, 2, 3, 4)
    assert len(found.curve.points) == 5
    assert found.curve.best.accuracy > 0.8  # stripes and blobs are easy even for random weights
    assert found.curve.images == 57  # test images take no part
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["distance"]["late"]["se"] >= 0
    assert plain["cost"]["forward_ms"] > 0


def test_the_plan_starts_where_the_measurements_say(found):
    plan = found.plan
    assert parse_plan(plan_to_toml(plan), "x", load_catalog()) == plan
    tap = plan.recipe.get("features.tap")
    if isinstance(tap, Range):
        assert tap.first == found.curve.points[found.verdict.tap_stage - 1].tap
    assert plan.digest == found.profile.digest


def test_a_budget_would_flip_the_verdict_where_accuracy_speaks_for_more_time(found):
    def expecting(head, tune, scenario):
        expected = {
            way: Expected(value, 0, 1) for way, value in zip(("1", "2", "3", "4"), (head, tune) * 2, strict=True)
        }
        return replace(found, verdict=replace(found.verdict, expected=expected, scenario=scenario)).flips[-1]

    assert expecting(0.8, 0.9, 2).startswith("less than ")
    assert expecting(0.8, 0.9, 2).endswith("expected 0.80 against 0.90)")
    assert expecting(0.8, 0.81, 1).endswith("to spend on an expected +1.0 points: fine-tune")
    assert expecting(0.8, 0.7, 1) == found.verdict.flips[-1]


def test_the_same_seed_gives_the_same_advice(found, tiny, tiny_folder):
    again = advisor.recommend(str(tiny_folder), backbone=tiny)
    assert again.verdict == found.verdict
    assert again.distance == found.distance
    assert again.plan == found.plan


def test_no_test_image_is_looked_at(tiny, tiny_folder, monkeypatch):
    seen = []
    original = PixelStore.batch
    monkeypatch.setattr(PixelStore, "batch", lambda self, rows: seen.extend(rows.tolist()) or original(self, rows))
    advisor.recommend(str(tiny_folder), backbone=tiny)
    split = split_dataset(advisor.open_dataset(str(tiny_folder)))
    assert not set(seen) & set(split.rows("test").tolist())
    assert set(seen) == set(split.rows("train", "val").tolist())


def test_images_limits_what_is_passed_through_the_network(tiny, tiny_folder):
    found = advisor.recommend(str(tiny_folder), backbone=tiny, images=20)
    assert found.curve.images == 20
    assert found.size.images == 57


def test_too_few_images_are_refused_in_words(tiny, tmp_path):
    from conftest import draw

    for name, kind in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        for seed in range(4):
            draw(kind, seed).save(tmp_path / name / f"{seed}.png")
    with pytest.raises(DatasetError, match="too few to measure"):
        advisor.recommend(str(tmp_path), backbone=tiny)


def test_a_transformer_without_batchnorm_gets_a_smaller_learning_rate(install, tiny_folder):
    from conftest import TINY

    install("vit", TINY.format(name="vit", architecture="test_vit").replace("size=64", "size=160"))
    found = advisor.recommend(str(tiny_folder), backbone="vit")
    assert found.distance.borrowed == "lite0"
    assert found.distance.late is not None
    assert any("borrows" in reason for reason in found.verdict.reasons)
    assert set(found.distance.votes) == set(found.distance.vote_intervals) == {"late", "gain", "kurtosis"}
    assert found.plan.recipe.get("optimizer.lr").first in (3e-5 * 0.5, 3e-5 * 2)
