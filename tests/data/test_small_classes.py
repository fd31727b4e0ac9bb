"""Classes too small to divide: refused with their numbers, or left out."""

import numpy as np
import pytest
from tables import dataset

from advisor.data.small_classes import handle_small
from advisor.errors import DatasetError


def handled(data, *, need=3, skip=False):
    frame = data.frame.assign(family=data.frame["content"])
    return handle_small(data, frame, need=need, skip=skip)


def refused(data, **values):
    with pytest.raises(DatasetError) as error:
        handled(data, **values)
    return error.value


def test_large_enough_classes_are_left_alone():
    data = dataset([0] * 3 + [1] * 3 + [2] * 3, splits=[""] * 9)
    frame, classes = handled(data)
    assert classes == ("a", "b", "c")
    assert len(frame) == 9


def test_a_small_class_is_named_with_its_images_and_the_ways_out():
    error = refused(dataset([0] * 5 + [1] * 5 + [2] * 2, splits=[""] * 12))
    assert error.message.startswith("1 of 3 classes")
    assert "fewer than 3 different readable images" in error.message
    assert error.message.endswith("to split: `c` (2).")
    assert "leave those classes out with --skip-small-classes" in error.ways
    assert any("repair the 1 unreadable files, for example x.png: it is empty" in way for way in error.ways)


def test_without_unreadable_files_none_are_to_be_repaired():
    error = refused(dataset([0] * 5 + [1] * 5 + [2] * 2, splits=[""] * 12, broken=()))
    assert not any("repair" in way for way in error.ways)


def test_many_small_classes_are_named_in_part():
    classes = tuple(f"class{i}" for i in range(9))
    error = refused(dataset([i for i in range(9) for _ in range(2)], splits=[""] * 18, classes=classes))
    assert error.message.count("(2)") == 5
    assert error.message.endswith("….")


def test_copies_count_once():
    data = dataset([0] * 4 + [1] * 4, splits=[""] * 8, classes=("a", "b"), content=["s"] * 4 + list("wxyz"))
    assert "`a` (1)" in refused(data).message


@pytest.mark.parametrize("middle", [0, 1, 2])
def test_what_is_left_is_numbered_anew(middle):
    counts = [4, 4, 4]
    counts[middle] = 1
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    frame, classes = handled(dataset(labels, splits=[""] * len(labels)), skip=True)
    assert classes == tuple(name for place, name in enumerate("abc") if place != middle)
    assert frame["label"].tolist() == [0] * 4 + [1] * 4
    assert frame["label"].dtype == np.int64
    assert frame.index.tolist() == list(range(8))
    assert set(frame["path"]) == {f"{i}.png" for i, label in enumerate(labels) if label != middle}


def test_one_class_that_remains_is_not_enough():
    error = refused(dataset([0] * 5 + [1] * 2 + [2] * 2, splits=[""] * 9), skip=True)
    assert "a classifier needs two" in error.message
    assert "cannot make small ones do" in error.hint


def test_a_class_that_stands_only_in_the_test_part_has_its_own_words():
    data = dataset([0] * 3 + [1] * 3 + [2] * 2, splits=["train"] * 6 + ["test", "val"])
    error = refused(data)
    assert "There are no images to train on of 1 of the 3 classes: `c` (" in error.message
    assert "1 in test" in error.message
    assert "1 in val" in error.message
    assert "move images of them to the training part" in error.ways


def test_leaving_out_what_the_test_part_holds_leaves_nothing_to_test_on():
    data = dataset([0] * 3 + [1] * 3 + [2] * 2, splits=["train"] * 6 + ["test", "test"])
    error = refused(data, skip=True)
    assert "Without the classes left out, `c`, no images to test on remain." in error.message


def test_a_label_of_several_is_taken_off_and_its_images_stay():
    labels = [(0,), (0, 1), (0, 1), (1,), (0, 2), ()]
    frame, classes = handled(dataset(labels, splits=[""] * 6), need=2, skip=True)
    assert classes == ("a", "b")
    assert frame["labels"].tolist() == [(0,), (0, 1), (0, 1), (1,), (0,), ()]
    assert len(frame) == 6
