"""The scikit-learn interface."""

import copy
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import draw
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

import advisor
from advisor import AdvisorClassifier
from advisor.errors import DatasetError, UsageError


@pytest.fixture
def images():
    """36 images of three kinds as one array, and their labels."""
    return np.stack([np.asarray(draw(kind, seed)) for kind in range(3) for seed in range(12)]), np.repeat(
        [30, 7, 12], 12
    )


@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable", "check_estimator_repr", "check_no_attributes_set_in_init",
        "check_parameters_default_constructible", "check_get_params_invariance", "check_set_params",
        "check_valid_tag_types", "check_mixin_order",
        "check_estimator_tags_renamed",
    ],
)  # fmt: skip
def test_what_scikit_learn_asks_of_any_estimator(check):
    getattr(estimator_checks, check)("AdvisorClassifier", AdvisorClassifier())


def test_it_learns_predicts_and_survives_pickling(tiny, images):
    X, y = images
    model = AdvisorClassifier(backbone=tiny, recipe="small-similar", budget="60s", trials=1, device="cpu")
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert model.fit(X, y) is model
    assert model.classes_.tolist() == [7, 12, 30]
    assert model.score(X, y) > 0.8
    probabilities = model.predict_proba(X[:5])
    assert probabilities.shape == (5, 3)
    sharper = copy.copy(model)
    ours = {**model.bundle_.config["advisor"], "temperature": 3 * model.bundle_.temperature}
    sharper.bundle_ = replace(model.bundle_, config={**model.bundle_.config, "advisor": ours})
    cubes = probabilities**3  # as `advisor predict` does with the temperature of the bundle
    np.testing.assert_allclose(sharper.predict_proba(X[:5]), cubes / cubes.sum(1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (model.predict(X[:5]) == model.classes_[probabilities.argmax(1)]).all()
    assert 0 <= model.test_interval_[0] <= model.test_accuracy_ <= model.test_interval_[1] <= 1
    again = pickle.loads(pickle.dumps(model))  # noqa: S301 - its own
    np.testing.assert_allclose(again.predict_proba(X[:5]), probabilities, atol=1e-6)
    assert not hasattr(clone(model), "bundle_")


def test_without_a_recipe_it_asks_for_advice(tiny, images):
    X, y = images
    model = AdvisorClassifier(backbone=tiny, budget="60s", trials=1, device="cpu").fit(list(X), y.astype(str))
    assert model.recommendation_["verdict"]["scenario"] in {1, 2, 3, 4}
    assert model.classes_.tolist() == ["12", "30", "7"]


def test_paths_pictures_and_floats_are_images_too(tiny, images, tmp_path):
    X, y = images
    model = AdvisorClassifier(backbone=tiny, recipe="small-similar", budget="60s", trials=1, device="cpu").fit(X, y)
    draw(0, 1).save(tmp_path / "one.png")
    same = [draw(0, 1), str(tmp_path / "one.png"), np.asarray(draw(0, 1)), np.asarray(draw(0, 1)) / 255]
    found = model.predict_proba(same)
    np.testing.assert_allclose(found, np.broadcast_to(found[0], found.shape), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda X, y: (X, y[:-1]), UsageError, "36 images and labels of shape (35,)"),
        (lambda X, y: (X.astype(int), y), DatasetError, "type int64"),
        (lambda X, y: (np.concatenate([X, X], axis=3), y), DatasetError, "shape (40, 48, 6)"),
        (lambda X, y: (["nowhere.png"] * 36, y), DatasetError, "`nowhere.png` cannot be read"),
        (lambda X, y: (X, np.zeros(36)), DatasetError, "only one class"),
    ],
)
def test_what_is_wrong_with_images_or_labels_is_said(tiny, images, change, error, words):
    X, y = change(*images)
    with pytest.raises(error, match=re.escape(words)):
        AdvisorClassifier(backbone=tiny, recipe="small-similar", device="cpu").fit(X, y)


def test_everything_experimental_is_on_its_page():
    page = (Path(__file__).parents[2] / "docs" / "plugins" / "stability.md").read_text()
    marked = {
        name: getattr(advisor, name) for name in advisor.__all__ if hasattr(getattr(advisor, name), "__experimental__")
    }
    assert marked
    assert re.findall(r"\| `advisor\.(\w+)` \| (\S+) \|", page) == [(n, t.__experimental__) for n, t in marked.items()]
    assert all("it may change in any release" in thing.__doc__ for thing in marked.values())


def test_pictures_of_every_mode_one_image_alone_and_none_at_all(tiny, images):
    X, y = images
    made = AdvisorClassifier(backbone=tiny, recipe="small-similar", budget="60s", trials=1, device="cpu")
    model = made.set_params(random_state=np.random.RandomState(3)).fit(X, y)
    modes = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F", "YCbCr")
    assert model.predict([Image.new(mode, (9, 7)) for mode in modes]).shape == (len(modes),)
    for one in (X[0], "photo.jpg", draw(0, 1)):
        with pytest.raises(DatasetError, match="This is one image"):
            model.predict(one)
    with pytest.raises(DatasetError, match="Image 1 is an array of shape"):
        model.predict([X[0], np.zeros((0, 8, 3), np.uint8)])
    with pytest.raises(DatasetError, match="Image 0, of mode HSV"):
        model.predict([Image.new("HSV", (9, 7))])


def test_a_second_fit_that_fails_leaves_the_first_model_and_missing_labels_are_said(tiny, images):
    X, y = images
    model = AdvisorClassifier(backbone=tiny, recipe="small-similar", budget="60s", trials=1, device="cpu").fit(X, y)
    before = model.predict(X[:4])
    with pytest.raises(DatasetError, match="only one class"):
        model.fit(X, ["a"] * len(X))
    np.testing.assert_array_equal(model.predict(X[:4]), before)
    for labels in ([None, *y[1:].astype(str)], [float("nan"), *y[1:]]):
        with pytest.raises(UsageError, match="1 of 36 images have no label"):
            model.fit(X, labels)


def in_every_mode():
    """The same soft picture in every mode in which Pillow writes files, and what the file is saved with."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize(
        (80, 60), Image.Resampling.BICUBIC
    )
    gray = picture.convert("L")
    levels, opacity = np.asarray(gray), Image.fromarray(np.linspace(0, 255, 4800).reshape(60, 80).astype(np.uint8))
    with_alpha = [picture.copy(), gray.copy()]
    for image in with_alpha:
        image.putalpha(opacity)
    plain = {
        "1": picture.convert("1"), "L": gray, "RGB": picture, "RGBA": with_alpha[0], "LA": with_alpha[1],
        "CMYK": picture.convert("CMYK"), "I;16": Image.fromarray(levels.astype(np.uint16) * 16),
        "I": Image.fromarray(levels.astype(np.int32) * 5 - 200), "F": Image.fromarray(levels.astype(np.float32) / 7 + 250),
    }  # fmt: skip
    return [(image, {}) for image in plain.values()] + [(picture.quantize(16), {"transparency": 3})]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_a_path_its_open_image_and_its_array_are_the_same_image(form, tmp_path):
    """In every mode and orientation: pixels equal bit for bit, so that probabilities are."""
    from advisor.data.decode import decode_square
    from advisor.outcome.estimator import _encoded

    compared = 0
    for image, options in in_every_mode():
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = orientation
            path = tmp_path / f"{image.mode.replace(';', '')}{orientation}.{form.lower()}"
            try:
                image.save(path, form, exif=exif, **options)
            except OSError:
                continue  # not a mode of this format
            with Image.open(path) as lazy, Image.open(path) as loaded:
                loaded.load()
                given = [path, lazy, loaded, str(path)]
                if orientation == 1 and loaded.mode not in {"P", "CMYK"}:  # arrays of these do not say what they mean
                    given.append(np.asarray(loaded))
                first, *others = (decode_square(data, 48, in_full=True) for data in _encoded(given))
            for other in others:
                np.testing.assert_array_equal(other, first, err_msg=path.name)
            compared += 1
    assert compared >= 16


def test_probabilities_of_a_large_photo_on_its_side_are_those_of_its_open_image_and_array(tiny, images, tmp_path):
    X, y = images
    model = AdvisorClassifier(backbone=tiny, recipe="small-similar", budget="60s", trials=1, device="cpu").fit(X, y)
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = draw(1, 5, (900, 640)).convert("RGB")
    photo.save(tmp_path / "side.jpg", exif=exif)
    photo.save(tmp_path / "up.jpg")
    for name in ("side.jpg", "up.jpg"):
        with Image.open(tmp_path / name) as lazy, Image.open(tmp_path / name) as loaded:
            loaded.load()
            given = [tmp_path / name, lazy, loaded, *([np.asarray(loaded)] if name == "up.jpg" else [])]
            probabilities = model.predict_proba(given)
        np.testing.assert_allclose(probabilities, np.broadcast_to(probabilities[0], probabilities.shape), atol=1e-6)


def test_sixteen_bit_arrays_are_scaled_as_the_images_that_were_learnt(tiny, images, tmp_path):
    X, y = images
    deep = np.asarray([np.asarray(Image.fromarray(x).convert("L")) for x in X]).astype(np.uint16) * 16
    model = AdvisorClassifier(backbone=tiny, recipe="small-similar", budget="60s", trials=1, device="cpu").fit(deep, y)
    assert model.bundle_.ranges.uint16.high == 4095
    dim = deep[0] // 8  # alone it would be taken for a 9-bit image
    Image.fromarray(dim).save(tmp_path / "dim.png")
    as_bytes = (dim // 16).astype(np.uint8)
    probabilities = model.predict_proba([dim, tmp_path / "dim.png", as_bytes])
    np.testing.assert_allclose(probabilities[1], probabilities[0], atol=1e-6)
    np.testing.assert_allclose(probabilities[2], probabilities[0], atol=0.02)
