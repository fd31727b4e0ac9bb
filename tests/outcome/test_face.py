"""Three lines of Python, and what they show in a notebook."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import advisor
from advisor.errors import BundleError
from advisor.testing.samples import own_cache, tiny_images, tiny_network


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Images, their recommendation, and the result of tuning it."""
    home = tmp_path_factory.mktemp("face")
    folder = tiny_images(home / "<b>shapes & co")
    with own_cache(home):
        found = advisor.recommend(str(folder), backbone=tiny_network(home / "network"), device="cpu")
        result = advisor.tune(found, runs=home / "runs", trials=1, budget="60s", device="cpu")
    return folder, found, result


def test_the_best_of_a_result_predicts(done):
    folder, _, result = done
    one = folder / "across" / "00.png"
    frame = result.best.predict(one)
    pd.testing.assert_frame_equal(frame, advisor.predict(result.best, [one]))
    assert frame["label"].tolist() == ["across"]
    assert len(result.best.predict([folder], limit=3)) == 3
    assert result.best.load().classes == ("across", "blobs", "down")


def test_the_best_of_a_result_is_a_path(done):
    best = done[2].best
    assert isinstance(best, advisor.TunedModel)
    assert isinstance(best, Path)
    assert os.fspath(best) == str(best)
    assert best == best.path == done[2].folder / "best"
    assert hash(best) == hash(best.path)
    assert type(best.path) is type(best / "report.json") is type(Path())
    assert (best / "report.json").is_file()
    assert pickle.loads(pickle.dumps(best)) == best  # noqa: S301 - our own bytes


def test_a_folder_without_a_model_says_so(tmp_path):
    with pytest.raises(BundleError, match="is not a tuned model"):
        advisor.TunedModel(tmp_path).predict("photo.jpg")


def test_frames_hold_the_plain_data(done):
    _, found, result = done
    frame = found.curve.frame
    assert frame["accuracy"].tolist() == [point.accuracy for point in found.curve.points]
    assert frame.index.tolist() == [1, 2, 3, 4, 5]
    ways = found.ways
    assert ways.index.tolist() == ["1", "2", "3", "4", "lp-ft"]
    assert ways["probability"].sum() == pytest.approx(1)
    assert ways.index[ways["recommended"]].tolist() == [found.verdict.strategy.value]
    assert (ways["seconds"] > 0).all()
    assert ways["expected"].between(ways["low"], ways["high"]).all()
    predictions = result.predictions
    assert len(predictions) == result.record.test_images
    assert (predictions["label"] == predictions["predicted"]).mean() == pytest.approx(result.test)


def test_notebooks_show_both(done):
    _, found, result = done
    shown = found._repr_html_()
    assert f"Scenario {found.verdict.scenario}:" in shown
    assert shown.count("<tr>") == 6
    assert "&lt;b&gt;shapes &amp; co, 72 images" in shown
    assert "<b>" not in shown
    shown = result._repr_html_()
    assert f"Test accuracy {result.test:.3f}" in shown
    assert f"{result.probe_accuracy:.3f}" in shown
    assert "<b>" not in shown
    assert "No test images were kept apart." in replace(result, record=replace(result.record, test=None))._repr_html_()
