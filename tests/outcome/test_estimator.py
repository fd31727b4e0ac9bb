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
        (lambda X, y: (X[:, :, :, :2], y), DatasetError, "shape (40, 48, 2)"),
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
