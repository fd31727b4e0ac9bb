import json
from dataclasses import replace

import pytest

import advisor
from advisor.advice import priors
from advisor.advice.forecast import Expected
from advisor.advice.planning import first_of, recipes_by_strategy, usable_recipes
from advisor.advice.recommend import replan
from advisor.data.pixels import PixelStore
from advisor.data.splitting import split_dataset
from advisor.errors import DatasetError
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.recipe import Range, parse_plan, plan_to_toml
from advisor.strategy import Strategy


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
    def expecting(head, tune, strategy):
        expected = {way: Expected(tune if way.fine_tunes else head, 0, 1) for way in Strategy}
        rival = Strategy.LAST_LAYER if strategy.fine_tunes else Strategy.TUNE_SIMILAR
        return replace(found, verdict=replace(found.verdict, expected=expected, strategy=strategy, rival=rival)).flips[
            -1
        ]

    assert expecting(0.8, 0.9, Strategy.TUNE_SIMILAR).startswith("less than ")
    assert expecting(0.8, 0.9, Strategy.TUNE_SIMILAR).endswith("expected 0.80 against 0.90)")
    assert expecting(0.8, 0.81, Strategy.LAST_LAYER).endswith("to spare for an expected gain of 1.0 points: fine-tune")
    assert expecting(0.8, 0.7, Strategy.LAST_LAYER) == found.verdict.flips[-1]


def test_every_part_of_a_recommendation_tells_of_the_same_way(found):
    """The starred row, the plan's evidence, the data frame and the cost are those of one strategy."""
    verdict = found.verdict
    (row,) = [row for row in found.way_rows if row.recommended]
    assert row.strategy is verdict.strategy
    assert row.expected is verdict.forecast
    assert row.cost.recipe == found.plan.recipe.name
    assert found.plan.evidence["strategy"] == verdict.strategy.value
    assert found.plan.evidence["expected"]["accuracy"] == round(verdict.forecast.accuracy, 4)
    assert found.ways.index[found.ways["recommended"]].tolist() == [verdict.strategy.value]


def test_the_recipe_of_the_verdicts_strategy_is_what_the_plan_runs(found):
    """In scenario 1 with an earlier layer to read, the plan is that of scenario 1 with its tap moved."""
    recipes = usable_recipes(load_catalog(), Silent(), found.curve.task)
    moved = replace(
        found.verdict, scenario=1, strategy=Strategy.EARLIER_LAYER, rival=Strategy.TUNE_SIMILAR, tap_stage=2
    )
    planned = recipes_by_strategy(
        recipes, moved, found.curve, found.family, found.start_lr, found.profile.splits["train"], found.sizes,
        found.times.training,
    )  # fmt: skip
    assert planned[Strategy.EARLIER_LAYER].name == "small-similar"
    assert first_of(planned[Strategy.EARLIER_LAYER].get("features.tap")) == found.curve.points[1].tap
    assert first_of(planned[Strategy.EARLIER_LAYER].get("freeze.depth")) == 1.0
    assert set(planned) == set(Strategy)
    again = replan(found, moved, catalog=load_catalog(), progress=Silent())
    assert again.plan.recipe == planned[Strategy.EARLIER_LAYER]
    assert again.plan.evidence["expected"]["accuracy"] == round(moved.forecast.accuracy, 4)
    assert again.cost.ways[Strategy.EARLIER_LAYER].recipe == "small-similar"


def test_the_same_seed_gives_the_same_advice(found, tiny, tiny_folder):
    again = advisor.recommend(str(tiny_folder), backbone=tiny)
    # The time that a training takes is measured anew, so sentences and starting points may differ.
    assert again.verdict.expected[Strategy.LAST_LAYER] == found.verdict.expected[Strategy.LAST_LAYER]
    assert again.verdict.probabilities == found.verdict.probabilities
    assert again.distance == found.distance
    assert again.curve.frame.equals(found.curve.frame)
    assert again.plan.digest == found.plan.digest


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


def test_a_network_with_batchnorm_and_few_classes_is_judged_by_its_own_statistics(install, tiny_folder):
    from conftest import TINY

    few = TINY.format(name="few", architecture="test_resnet").replace(
        "pretrained=False)", "pretrained=False, num_classes=10)"
    )
    install("few", few)
    install("many", TINY.format(name="many", architecture="test_resnet"))
    few, many = (advisor.recommend(str(tiny_folder), backbone=name) for name in ("few", "many"))
    assert few.distance.borrowed == ""
    assert set(few.distance.votes) == set(many.distance.votes) == {"late"}
    assert few.distance.votes["late"] == pytest.approx(many.distance.votes["late"], abs=0.01)  # other draws of one kind
    assert not any("BatchNorm" in reason for reason in few.verdict.reasons)
    assert any("scrambled copies of the images are the yardstick" in reason for reason in few.verdict.reasons)


def test_a_transformer_without_batchnorm_gets_a_smaller_learning_rate(install, tiny_folder):
    from conftest import TINY

    install("vit", TINY.format(name="vit", architecture="test_vit").replace("size=64", "size=160"))
    found = advisor.recommend(str(tiny_folder), backbone="vit")
    assert found.distance.borrowed == "lite0"
    assert found.distance.late is not None
    assert any("those lite0 was trained on" in reason for reason in found.verdict.reasons)
    assert not found.distance.calibrated
    assert set(found.distance.votes) == set(found.distance.vote_intervals) == {"late", "gain", "kurtosis"}
    family = priors.FAMILIES["transformer"]
    assert found.plan.recipe.get("optimizer.lr").first in (family.similar, family.different)
    assert found.plan.recipe.get("optimizer.layer_decay") == family.bottom
