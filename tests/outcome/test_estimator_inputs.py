"""From whatever a person has in memory to the bytes of an image file, and what is refused; nothing is trained."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import png
from PIL import Image

from advisor.errors import DatasetError, UsageError
from advisor.outcome.estimator import AdvisorClassifier, _encoded, _file_of, _picture


def opened(data):
    return Image.open(io.BytesIO(data))


def back(values):
    return np.asarray(opened(_file_of(_picture(np.asarray(values), 0))))


BYTES = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


@pytest.mark.parametrize("values", [BYTES, BYTES[..., 0], BYTES[..., 0] > 30], ids=["colour", "gray", "bool"])
def test_bytes_go_through_unchanged(values):
    np.testing.assert_array_equal(back(values), values)


def test_floats_of_colour_are_shares_of_255():
    np.testing.assert_array_equal(back(BYTES / 255), BYTES)
    np.testing.assert_array_equal(back((BYTES / 255).astype(np.float16)), BYTES)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float32", "float64", "float16"])
def test_deep_gray_keeps_its_depth(dtype):
    values = (np.arange(20).reshape(4, 5) * 30).astype(dtype)
    assert np.array_equal(back(values).astype(float), values.astype(float))


@pytest.mark.parametrize("channels", [2, 4])
def test_a_last_channel_is_opacity(channels):
    values = np.full((3, 3, channels), 7, np.uint8)
    assert opened(_file_of(_picture(values, 0))).mode == {2: "LA", 4: "RGBA"}[channels]


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((4, 5), np.int64), np.zeros((4, 5), np.complex64), np.zeros((4, 5), object), np.zeros(4, np.uint8),
        np.zeros((4, 5, 5), np.uint8), np.zeros((4, 5, 1), np.uint8), np.zeros((0, 5), np.uint8),
        np.zeros((4, 5, 3), np.int32), np.full((4, 5, 3), 7.5), np.full((4, 5, 3), np.nan), np.full((4, 5, 3), -0.1),
        np.zeros((2, 4, 5, 3), np.uint8), np.zeros((), np.uint8), np.array("text"),
    ],
    ids=lambda values: f"{values.dtype}{values.shape}",
)  # fmt: skip
def test_what_is_no_image_is_refused_with_its_shape_and_type(values):
    with pytest.raises(DatasetError) as caught:
        _picture(values, 7)
    assert f"Image 7 is an array of shape {values.shape} and type {values.dtype}" in caught.value.message
    assert caught.value.hint


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from(["uint8", "uint16", "float32"]))
@settings(max_examples=30, deadline=None)
def test_any_size_keeps_its_height_and_width(height, width, dtype):
    assert back(np.zeros((height, width), dtype)).shape == (height, width)


def test_slices_of_arrays_that_are_not_in_order_are_read():
    np.testing.assert_array_equal(back(BYTES[::-1, ::2]), BYTES[::-1, ::2])


@pytest.mark.parametrize("one", ["a.png", Image.new("RGB", (4, 4)), BYTES], ids=["path", "image", "array"])
def test_one_image_is_no_list_of_them(one):
    with pytest.raises(DatasetError, match="This is one image"):
        list(_encoded(one))


def test_paths_images_and_arrays_may_stand_beside_each_other(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    parts = list(_encoded([tmp_path / "a.png", str(tmp_path / "a.png"), Image.new("L", (4, 4)), BYTES]))
    assert parts[0] == parts[1] == png()
    assert [opened(part).mode for part in parts] == ["RGB", "RGB", "L", "RGB"]


def test_a_path_of_nothing_is_named(tmp_path):
    with pytest.raises(DatasetError, match="No such file") as caught:
        list(_encoded([tmp_path / "gone.png"]))
    assert str(tmp_path / "gone.png") in caught.value.message


def test_an_open_image_is_its_own_file_until_it_is_changed(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    with Image.open(tmp_path / "a.jpg") as image:
        assert _file_of(image) == data
        image.load()
        assert opened(_file_of(image)).format == "PNG"


def test_an_image_on_its_side_is_turned_upright():
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(buffer, "JPEG", exif=exif)
    image = opened(buffer.getvalue())
    image.load()
    assert opened(_file_of(image)).size == (4, 8)


def test_none_at_all_is_nothing():
    assert list(_encoded([])) == []


@pytest.mark.parametrize(
    ("labels", "words"),
    [(["a"], "2 images and labels of shape (1,)"), ([["a"], ["b"]], "labels of shape (2, 1)"), ("ab", "labels of shape ()"),
     (["a", None], "1 of 2 images have no label"), ([1.0, float("nan")], "1 of 2 images have no label")],
)  # fmt: skip
def test_labels_that_are_none_are_refused_before_anything_is_done(labels, words):
    with pytest.raises(UsageError) as caught:
        AdvisorClassifier(backbone="no-such").fit([BYTES, BYTES], labels)
    assert words in caught.value.message


def test_its_parameters_are_scikit_learns_and_nothing_is_predicted_before_a_fit():
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError

    made = AdvisorClassifier(budget="1m", random_state=3)
    assert clone(made).get_params() == made.get_params()
    with pytest.raises(NotFittedError):
        made.predict([BYTES])
