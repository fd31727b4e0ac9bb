"""What a run leaves for those who look closer: every test image, and the worst mistakes as pictures."""

import base64
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made import judged
from PIL import Image

from advisor.outcome.evidence import _mistakes, predictions_of
from advisor.records.evidence import read_predictions
from advisor.task import MultiLabel, SingleLabel

CLASSES = ("auk", "bee", "cat")


class Images:
    """A table of images and their labels, of a task."""

    def __init__(self, task, labels):
        self.task, self.labels = task, labels
        self.frame = pd.DataFrame({"row": range(len(labels)), "path": [f"{n}.png" for n in range(len(labels))]})

    def targets(self, rows):
        return self.labels[rows]

    def families(self, rows):
        return rows // 2


class Pixels:
    """Gray squares, the brighter the later."""

    def batch(self, rows):
        return np.stack([np.full((16, 16, 3), 10 * int(row), np.uint8) for row in rows])


PROBABILITIES = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])


def predictions(rows=(0, 1, 2)):
    rows = np.array(rows)
    return predictions_of(Images(SingleLabel(CLASSES), np.array([0, 1, 2])), rows, PROBABILITIES[rows])


def test_each_image_has_its_label_and_what_is_said_of_it():
    frame = predictions()
    assert list(frame.columns) == ["row", "path", "label", "predicted", "probability", "own", "family"]
    assert frame["family"].tolist() == [0, 0, 1]
    assert frame["predicted"].tolist() == ["auk", "cat", "cat"]
    assert frame["probability"].tolist() == [0.9, 0.5, 0.8]
    assert frame["own"].tolist() == [0.9, 0.3, 0.8]


def test_rows_come_in_the_order_in_which_they_are_asked_for():
    assert predictions((2, 0))["path"].tolist() == ["2.png", "0.png"]


def test_without_test_images_there_is_an_empty_table():
    frame = predictions_of(Images(SingleLabel(CLASSES), np.zeros(0, np.int64)), np.zeros(0, np.int64), np.zeros((0, 3)))
    assert len(frame) == 0
    assert "own" in frame.columns


def test_several_labels_stand_between_bars():
    labels = np.array([[True, True, False], [False, False, False]])
    frame = predictions_of(
        Images(MultiLabel(CLASSES), labels), np.array([0, 1]), np.array([[0.9, 0.8, 0.1], [0.2, 0.1, 0.1]])
    )
    assert frame["label"].tolist() == ["auk|bee", ""]
    assert frame["predicted"].tolist() == ["auk|bee", ""]


def test_predictions_come_back_from_their_file(tmp_path):
    frame = predictions()
    frame.loc[0, "path"] = 'odd, "name"\nof two lines.png'
    frame.drop(columns="row").to_csv(tmp_path / "predictions.csv", index=False)
    images = read_predictions(tmp_path / "predictions.csv")
    assert images[0].path == 'odd, "name"\nof two lines.png'
    assert [one.right for one in images] == [True, False, True]
    assert images[1] == replace(judged("bee", "cat", 0.5, 0.3, "1.png"), family="0")
    frame.drop(columns=["row", "family"]).to_csv(tmp_path / "old.csv", index=False)
    assert read_predictions(tmp_path / "old.csv")[1] == judged("bee", "cat", 0.5, 0.3, "1.png")


@pytest.mark.parametrize("text", ["path,label\na,b\n", "path,label,predicted,probability,own\na,b,c,high,0.1\n"])
def test_a_damaged_file_is_an_error_that_a_report_knows(tmp_path, text):
    (tmp_path / "predictions.csv").write_text(text)
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_predictions(tmp_path / "predictions.csv")


def test_the_worst_mistakes_come_first_with_their_pictures():
    frame = pd.DataFrame({
        "row": range(4), "path": list("abcd"), "label": ["auk"] * 4, "predicted": ["bee", "auk", "bee", "cat"],
        "probability": [0.6, 0.9, 0.99, 0.8], "own": [0.3, 0.9, 0.001, 0.1],
    })  # fmt: skip
    found = _mistakes(frame, Pixels())
    assert [one.image.path for one in found] == ["c", "d", "a"]
    picture = Image.open(io.BytesIO(base64.b64decode(found[0].picture.removeprefix("data:image/jpeg;base64,"))))
    assert picture.size == (128, 128)
    assert abs(picture.getpixel((64, 64))[0] - 20) < 6  # the third image


def test_of_many_mistakes_the_worst_24_are_kept():
    frame = pd.DataFrame({
        "row": [0] * 40, "path": [f"{n}" for n in range(40)], "label": "auk", "predicted": "bee", "probability": 0.9,
        "own": [n / 100 for n in range(40)],
    })  # fmt: skip
    found = _mistakes(frame, Pixels())
    assert [one.image.path for one in found] == [f"{n}" for n in range(24)]
    assert _mistakes(frame.head(0), Pixels()) == ()
