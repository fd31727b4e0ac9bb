"""Which way pictures that are not square become squares."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made import recommendation
from pictures import ends, wide_images

import advisor
from advisor.advice.fits import FitComparison, FitPoint, compare_fits, median_shape
from advisor.advice.planning import adapt_recipe
from advisor.advice.recommend import replan
from advisor.data.prepare import prepare
from advisor.network.opening import open_network
from advisor.network.transfer import pick_device
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.recipe import parse_plan, plan_to_toml
from advisor.report.page.blocks import Table
from advisor.report.recommendation.measured import fits_blocks


def points(squash, pad, error=0.01):
    return (
        FitPoint("crop", 0.7, 0.0, 0.0),
        FitPoint("squash", 0.7 + squash, squash, error),
        FitPoint("pad", 0.7 + pad, pad, error),
    )


@pytest.mark.parametrize(
    ("squash", "pad", "chosen"),
    [
        (0.031, 0.012, "squash"),
        (0.012, 0.031, "pad"),
        (0.009, 0.0, "crop"),
        (-0.02, -0.03, "crop"),
        (0.011, 0.009, "squash"),
    ],
)
def test_whole_pictures_must_lead_by_more_than_a_standard_error(squash, pad, chosen):
    assert FitComparison(400, 1.8, points(squash, pad)).chosen.fit == chosen


def test_the_sentence_says_shape_loss_and_paired_difference():
    assert FitComparison(400, 1.8, points(0.031, 0.012, 0.009)).sentence == (
        "the pictures are not square (median 1.8 : 1), and the centre square leaves out 44 % of each; in the probe, "
        "squashed is 3.1 ± 0.9 points better and padded 1.2 ± 0.9 points better, so they are squashed"
    )
    said = FitComparison(400, 2.0, points(-0.02, 0.0)).sentence
    assert "leaves out 50 % of each" in said
    assert said.endswith(
        "squashed is 2.0 ± 1.0 points worse and padded 0.0 ± 1.0 points better, so they are cut to their middle"
    )


def test_lying_and_standing_pictures_have_one_shape():
    frame = pd.DataFrame({"width": [100, 50, 60], "height": [50, 100, 60]})
    assert median_shape(frame) == 2.0


def test_of_square_pictures_nothing_is_said(tiny, tiny_folder):
    found = advisor.recommend(str(tiny_folder), backbone=tiny)
    assert found.fits is None
    assert found.to_dict()["fits"] is None
    assert "features.fit" not in found.plan.recipe.values
    assert not any("square" in reason for reason in found.verdict.reasons)
    assert fits_blocks(found) == ()


def test_where_the_class_is_at_the_ends_whole_pictures_are_planned(tiny, tmp_path):
    folder = wide_images(tmp_path / "wide")
    found = advisor.recommend(str(folder), backbone=tiny)
    fits = found.fits
    assert fits.shape == 3.0
    assert fits.chosen.fit in {"squash", "pad"}
    assert fits.chosen.gain > 0.2
    assert found.curve.best.accuracy > fits.points[0].accuracy + 0.2  # all that follows reads whole pictures
    assert found.plan.recipe.values["features.fit"] == fits.chosen.fit
    assert parse_plan(plan_to_toml(found.plan), "x", load_catalog()) == found.plan
    assert any("leaves out 67 % of each" in reason for reason in found.verdict.reasons)
    assert json.loads(json.dumps(found.to_dict()))["fits"]["chosen"] == fits.chosen.fit
    (table,) = fits_blocks(found)
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["crop", "squash", "pad"]
    again = replan(found, replace(found.verdict, reasons=("another",)), catalog=load_catalog(), progress=Silent())
    assert again.verdict.reasons == ("another", fits.sentence)
    assert again.plan.recipe.values["features.fit"] == fits.chosen.fit


def test_copies_and_parts_do_not_depend_on_the_fit_and_neither_does_the_distance(tiny, tmp_path):
    catalog = load_catalog()
    backbone, folder = catalog.backbone(tiny), str(wide_images(tmp_path / "wide"))
    frames = []
    for fit in ("crop", "pad"):
        spec = replace(backbone.input, fit=fit)
        prepared = prepare(folder, spec, catalog=catalog, seed=0, progress=Silent())
        frames.append(prepared.dataset.frame)
        assert prepared.at(backbone.input, Silent()).pixels == prepared.squares
    pd.testing.assert_frame_equal(*frames)
    network = open_network(backbone, pick_device("cpu"))
    from advisor.advice.inspection import inspect

    distances = []
    for fit in ("crop", "pad"):
        card = replace(backbone, input=replace(backbone.input, fit=fit))
        whole = prepared.at(card.input, Silent())
        seen = inspect(whole, card, network, catalog=catalog, images=60, seed=0, progress=Silent()).measured
        distances.append(seen.distance)
    assert distances[0].to_dict() == distances[1].to_dict()


def test_too_few_images_are_left_to_what_says_so(tiny, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "few" / name).mkdir(parents=True)
        for seed in range(5):
            ends(name == "b", seed).save(tmp_path / "few" / name / f"{seed}.png")
    catalog = load_catalog()
    backbone = catalog.backbone(tiny)
    prepared = prepare(str(tmp_path / "few"), backbone.input, catalog=catalog, seed=0, progress=Silent())
    network = open_network(backbone, pick_device("cpu"))
    assert compare_fits(prepared, backbone, network, images=100, seed=0, progress=Silent()) is None


def test_a_recipe_that_says_the_fit_keeps_it():
    found = recommendation()
    recipe, fits = found.plan.recipe, FitComparison(400, 1.8, points(0.05, 0.0))
    arguments = (found.verdict, found.curve, found.family, 1e-3, 500, None, found.times.training, fits)
    assert adapt_recipe(recipe, *arguments).values["features.fit"] == "squash"
    own = recipe.with_values({"features.fit": "crop"})
    assert adapt_recipe(own, *arguments).values["features.fit"] == "crop"


def test_several_backbones_are_compared_on_what_the_shapes_ask_for(tiny, tmp_path):
    found = advisor.recommend(str(wide_images(tmp_path / "wide")), backbones=(tiny,))
    assert found.backbones[0].accuracy == pytest.approx(found.curve.best.accuracy)
    assert found.backbones[0].accuracy > found.fits.points[0].accuracy + 0.2
    assert np.isfinite(found.backbones[0].se)
