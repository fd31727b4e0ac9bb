"""Pictures that are not square: what was trained on is what every form of the model reads, for every fit."""

import json

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import timm
import torch
from ejected import alike, lint, run
from pictures import wide_images
from PIL import Image, ImageOps

import advisor
from advisor.data.decode import decode_for
from advisor.data.views import clean_view
from advisor.outcome.eject import eject
from advisor.outcome.estimator import AdvisorClassifier
from advisor.outcome.export import export_hub_folder, export_onnx, export_timm_folder
from advisor.types import FITS

FROZEN = {"freeze.depth": 1.0, "head.name": "ridge"}


@pytest.fixture
def wide(tmp_path):
    return wide_images(tmp_path / "wide")


@pytest.mark.parametrize("fit", FITS)
def test_every_form_reads_pictures_as_the_training_did(tuned, wide, tmp_path, fit):
    best = tuned(wide, **FROZEN, **{"features.fit": fit})
    bundle = advisor.load(best)
    assert bundle.input.fit == bundle.config["advisor"]["input"]["fit"] == fit
    assert f'fit = "{fit}"' in (best / "best.toml").read_text()
    known = bundle.config["pretrained_cfg"]
    assert known["crop_mode"] == {"crop": "center", "squash": "squash", "pad": "border"}[fit]
    assert known["crop_pct"] == (0.9 if fit == "crop" else 1.0)
    tested = pd.read_csv(best.parent / "predictions.csv")
    files = [wide / path for path in tested["path"]]
    predicted = advisor.predict(best, files, device="cpu")
    scores = predicted.filter(like="p(").to_numpy()
    # The run read pixels that were kept; of small pictures these are enlarged on the device.
    own = [row[f"p({label})"] for label, (_, row) in zip(tested["label"], predicted.iterrows(), strict=True)]
    np.testing.assert_allclose(own, tested["own"], atol=0.02)

    session = onnxruntime.InferenceSession(export_onnx(best, tmp_path / "m.onnx", images=4).path)
    for file, row in zip(files, scores, strict=True):
        pixels = np.asarray(ImageOps.exif_transpose(Image.open(file)))[None]
        np.testing.assert_allclose(session.run(None, {"images": pixels})[0][0], row, atol=1e-5)
    assert {"crop": "central square", "squash": "both sides", "pad": "borders"}[fit] in (
        session.get_modelmeta().custom_metadata_map["input"]
    )

    alone = timm.create_model(
        f"local-dir:{export_timm_folder(best, tmp_path / 'alone', images=4).path}", pretrained=True
    ).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(alone))
    for file, row in zip(files, scores, strict=True):
        image = transform(ImageOps.exif_transpose(Image.open(file)))[None]
        view = clean_view(torch.from_numpy(decode_for(file.read_bytes(), bundle.input).copy())[None], bundle.input)
        if fit != "crop":  # timm resizes all and then crops, which rounds otherwise
            torch.testing.assert_close(image, view, atol=2.01 / 255 / 0.22, rtol=0)
        with torch.inference_mode():
            np.testing.assert_allclose(bundle.probabilities(alone(view))[0].numpy(), row, atol=1e-4)
            np.testing.assert_allclose(bundle.probabilities(alone(image))[0].numpy(), row, atol=0.04)

    card = (export_hub_folder(best, tmp_path / "card", images=4).path / "README.md").read_text()
    assert {"crop": "middle of a picture", "squash": "one length", "pad": "borders"}[fit] in card
    report = json.loads((best / "report.json").read_text())
    made = eject(best, tmp_path / "train.py", device="cpu")
    lint(made.script)
    assert alike(run(made.script)[0], report["test_accuracy"], report["test_images"])


@pytest.mark.parametrize("fit", ["squash", "pad"])
def test_a_training_sees_whole_pictures_too(tuned, wide, tmp_path, fit):
    changed = {"freeze.depth": 0.4, "train.epochs": 16, "optimizer.lr": 1e-3, "features.cache": "views"}
    best = tuned(wide, **changed, **{"features.fit": fit, "train.augment": "crop", "features.views": 2})
    report = json.loads((best / "report.json").read_text())
    tested = pd.read_csv(best.parent / "predictions.csv")
    predicted = advisor.predict(best, [wide / path for path in tested["path"]], device="cpu")
    np.testing.assert_allclose(predicted["probability"], tested["probability"], atol=0.03)
    made = eject(best, tmp_path / "train.py", device="cpu")
    lint(made.script)
    # Three classes, of which the middle of a picture shows nothing.
    assert report["test_accuracy"] > 0.6
    assert run(made.script)[0] > 0.6


def test_the_estimator_reads_arrays_as_files_are_read(tiny, wide, tmp_path):
    recipe = tmp_path / "whole.toml"
    recipe.write_text(
        'schema = 1\nname = "whole"\n[features]\nfit = "pad"\n[head]\nname = "ridge"\n[freeze]\ndepth = 1.0\n'
        "[search]\ntrials = 1\nfolds = 1\nseeds = 1\n"
    )
    files = sorted(wide.rglob("*.png"))
    arrays = [np.asarray(ImageOps.exif_transpose(Image.open(file))) for file in files]
    labels = [file.parent.name for file in files]
    model = AdvisorClassifier(backbone=tiny, recipe=str(recipe), budget="30s", device="cpu").fit(arrays, labels)
    assert model.bundle_.input.fit == "pad"
    answers = model.predict_proba(arrays)
    np.testing.assert_allclose(answers, model.predict_proba(files), atol=1e-6)
    assert (model.classes_[answers.argmax(1)] == labels).mean() > 0.8
