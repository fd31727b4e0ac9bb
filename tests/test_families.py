"""Copies and patients from the images to the figures: what is said is true of images that nobody has seen."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

import advisor
from advisor.recipe import Plan, Recipe
from advisor.report.page.console import Terminal
from advisor.report.page.terminal import to_terminal
from advisor.report.recommendation import recommendation_screen


def photograph(seed, side=96):
    """Soft coloured clouds, each its own."""
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8))
    fine = rng.normal(0, 12, (side, side, 3))
    soft = np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1)))
    return Image.fromarray((soft + fine).clip(0, 255).astype(np.uint8))


@pytest.fixture
def copied(tmp_path):
    """60 photographs in three JPEG qualities, their labels drawn by lot."""
    lots = np.random.default_rng(5).permutation(np.arange(60) % 2)
    for number, lot in enumerate(lots):
        place = tmp_path / "lots" / "ab"[lot]
        place.mkdir(parents=True, exist_ok=True)
        for quality in (95, 80, 60):
            photograph(number).save(place / f"{number}-{quality}.jpg", quality=quality)
    return tmp_path / "lots"


def test_copies_with_labels_drawn_by_lot_are_not_learnable(copied, tiny):
    advice = advisor.recommend(str(copied), backbone=tiny)
    assert (advice.profile.images, advice.profile.independent) == (180, 60)
    assert not advice.verdict.learnable
    assert advice.curve.best.accuracy < 0.75
    assert advice.curve.best.se > 0.05
    assert advice.size.images == 3 * advice.size.independent == advice.curve.images
    plain = json.loads(json.dumps(advice.to_dict()))
    assert (plain["probes"]["images"], plain["probes"]["independent"]) == (3 * plain["probes"]["independent"],
                                                                         advice.size.independent)  # fmt: skip
    assert plain["dataset"]["independent"] == 60
    assert plain["size"]["independent"] == advice.size.independent
    out = Terminal(wraps=True, file=io.StringIO(), width=100)
    to_terminal(recommendation_screen(advice, plan="advisor.toml"), out)
    text = re.sub(r"\s+", " ", out.file.getvalue())
    assert "180 images, 60 independent" in text
    assert f"{advice.size.images} images to train on, {advice.size.independent} of them independent" in text


def test_a_run_on_copies_says_how_many_pictures_its_figures_rest_on(copied, tiny, tmp_path):
    values = {"features.tap": 1.0, "head.name": "linear", "freeze.depth": 1.0, "search.folds": 1, "search.seeds": 1}
    plan = Plan(Recipe("test", values=values), str(copied), tiny)
    result = advisor.tune(plan, runs=tmp_path / "runs", name="run", trials=1, budget="60s", device="cpu")
    record = result.record
    assert record.test_images == 3 * record.test_independent
    assert record.validation_images == 3 * record.validation_independent
    low, high = record.test_interval
    assert high - low > 0.4  # twelve pictures say little
    assert low < 0.5 < high
    assert record.validation_interval[0] < record.validation < record.validation_interval[1]
    assert f"{record.test_images} images, {record.test_independent} independent" in result._repr_html_()
    card = (result.best / "README.md").read_text("utf-8")
    assert f"{record.test_images} images, {record.test_independent} independent, used for nothing else" in card
    predictions = (result.folder / "predictions.csv").read_text("utf-8").splitlines()
    assert predictions[0].split(",")[-1] == "family"
    assert len({line.rsplit(",", 1)[1] for line in predictions[1:]}) == record.test_independent


PATCHES, SIDE = 4, 96  # of an image, and their width and height in pixels


def patients(source: Path, into: Path, *, classes: list[str], images: slice, by_lot: bool) -> str:
    """Several patches of each image as a table in which the image is the patient; its location."""
    rng, lines = np.random.default_rng(1), ["path,label,patient"]
    for name in classes:
        for file in sorted((source / "train" / name).glob("*"))[images]:
            whole = Image.open(file).convert("RGB")
            label = classes[rng.integers(len(classes))] if by_lot else name
            for patch in range(PATCHES):
                left, top = (int(rng.integers(0, side - SIDE + 1)) for side in whole.size)
                place = into / f"{name}-{file.stem}-{patch}.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                whole.crop((left, top, left + SIDE, top + SIDE)).save(place)
                lines.append(f"{place.name},{label},{name}-{file.stem}")
    (into / "patches.csv").write_text("\n".join(lines))
    return f"{into / 'patches.csv'}?group=patient"


@pytest.mark.real
def test_patches_of_images_with_labels_drawn_by_lot_are_not_learnable(shared_data, tmp_path):
    source = shared_data / "clothing_small"
    classes = ["dress", "hat"]
    location = patients(source, tmp_path, classes=classes, images=slice(0, 24), by_lot=True)
    advice = advisor.recommend(location)
    assert advice.profile.images == 48 * PATCHES
    assert 44 <= advice.profile.independent <= 48  # some photographs are near copies of each other
    assert not advice.verdict.learnable
    blind = advisor.recommend(location.replace("group=patient", "group="))
    assert blind.curve.best.accuracy > advice.curve.best.accuracy + 0.1  # each patch is told by its neighbours


@pytest.mark.real
def test_what_is_said_of_patients_holds_for_others(shared_data, tmp_path):
    source = shared_data / "clothing_small"
    classes = ["dress", "hat", "pants", "shoes"]
    location = patients(source, tmp_path / "seen", classes=classes, images=slice(0, 16), by_lot=False)
    advice = advisor.recommend(location)
    assert advice.profile.images == 64 * PATCHES
    assert 60 <= advice.profile.independent <= 64
    assert advice.size.per_class == pytest.approx(advice.size.independent / 4, rel=0.1)
    plan = Plan(Recipe("test", values={"head.name": "logistic", "freeze.depth": 1.0}), location, "lite0")
    result = advisor.tune(plan, runs=tmp_path / "runs", name="run", trials=1, budget="2m", device="cpu")
    record = result.record
    assert PATCHES * record.test_independent <= record.test_images <= (PATCHES + 1) * record.test_independent
    patients(source, tmp_path / "fresh", classes=classes, images=slice(20, 40), by_lot=False)
    fresh = [line.split(",") for line in (tmp_path / "fresh" / "patches.csv").read_text().splitlines()[1:]]
    table = advisor.predict(result.best, [str(tmp_path / "fresh" / name) for name, *_ in fresh])
    reached = float(np.mean([said == label for said, (_, label, _) in zip(table["label"], fresh, strict=True)]))
    low, high = record.test_interval
    assert low <= reached <= high
    assert abs(advice.curve.best.accuracy - reached) < 4 * advice.curve.best.se
    assert advice.verdict.forecast.low <= reached <= advice.verdict.forecast.high
