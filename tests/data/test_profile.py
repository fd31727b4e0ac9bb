"""What a dataset is made of, counted from its table alone."""

import json

import numpy as np
import pytest
from tables import dataset

from advisor.data.profile import profile_dataset


def test_images_are_counted_by_class_and_by_part():
    profile = profile_dataset(dataset([0, 0, 0, 1, 1, 2], splits=["train", "val", "test", "train", "test", "train"]))
    assert profile.images == 6
    assert profile.per_class == {"a": 3, "b": 2, "c": 1}
    assert profile.splits == {"train": 3, "val": 1, "test": 2}
    assert sum(profile.splits.values()) == sum(profile.per_class.values()) == profile.images
    assert profile.imbalance == 3.0
    assert not profile.multilabel
    assert profile.task.classes == ("a", "b", "c")


def test_the_mean_per_class_is_harmonic_and_of_what_may_be_trained_on():
    splits = ["train"] * 4 + ["test"] * 4 + ["train"] * 2 + ["val"] * 2 + ["train"]
    profile = profile_dataset(dataset([0] * 8 + [1] * 4 + [2], splits=splits))
    assert profile.per_class_train == pytest.approx(3 / (1 / 4 + 1 / 4 + 1 / 1))
    assert profile.per_class_train <= np.mean([4, 4, 1])


def test_a_class_that_is_only_tested_does_not_divide_by_nothing():
    profile = profile_dataset(dataset([0, 0, 1, 1, 2], splits=["train", "train", "train", "train", "test"]))
    assert profile.per_class_train == pytest.approx(2.0)


def test_sizes_are_percentiles_and_small_images_are_noted():
    profile = profile_dataset(dataset([0] * 50 + [1] * 50, width=np.arange(50, 150), height=300))
    assert profile.width == (54, 99, 144)
    assert profile.height == (300, 300, 300)
    assert profile.notes == ("a note", "46 of 100 images are under 96 pixels; the network sees them enlarged")
    assert profile_dataset(dataset([0, 1])).notes == ("a note",)


def test_modes_and_formats_are_counted_the_commonest_first():
    profile = profile_dataset(dataset([0, 1, 2], mode=["L", "RGB", "RGB"], format=["PNG", "JPEG", "PNG"]))
    assert list(profile.modes.items()) == [("RGB", 2), ("L", 1)]
    assert profile.formats == {"PNG": 2, "JPEG": 1}


def test_copies_are_listed_with_those_that_contradict_or_leak():
    profile = profile_dataset(
        dataset(
            [0, 0, 1, 1, 2, 2],
            content=["same", "same", "x", "x", "y", "z"],
            splits=["train", "train", "train", "test", "train", "train"],
            duplicate_group=[0, 0, 1, 1, 2, 2],
        )
    )
    assert profile.duplicates == (("0.png", "1.png"), ("2.png", "3.png"))
    assert profile.near_duplicates == (("4.png", "5.png"),)  # different files that show the same
    assert profile.conflicting == ()
    assert profile.leaking == (("2.png", "3.png"),)


def test_a_copy_with_another_label_is_a_conflict_in_either_kind():
    columns = {"content": ["s", "s", "x", "y"], "duplicate_group": [0, 0, 1, 1]}
    profile = profile_dataset(dataset([0, 1, 0, 1], **columns))
    assert profile.conflicting == (("0.png", "1.png"), ("2.png", "3.png"))


def test_without_a_search_for_near_copies_none_are_claimed():
    assert profile_dataset(dataset([0, 1, 2])).near_duplicates == ()


def test_several_labels_an_image_count_under_each_and_have_no_shortcuts():
    labels = [(0, 1), (1,), (), (0,)] * 10
    profile = profile_dataset(dataset(labels, classes=("a", "b"), width=[640, 500, 500, 640] * 10))
    assert profile.multilabel
    assert profile.per_class == {"a": 20, "b": 20}
    assert profile.images == 40
    assert profile.shortcuts == ()


def test_labels_that_differ_in_order_alone_are_no_conflict():
    profile = profile_dataset(dataset([(0, 1), (0, 1), (0,), (1,)], classes=("a", "b"), content=["s", "s", "t", "t"]))
    assert profile.conflicting == (("2.png", "3.png"),)


def test_a_profile_is_plain_data_and_passes_on_what_was_known():
    profile = profile_dataset(dataset([0, 1, 2]))
    plain = json.loads(json.dumps(profile.to_dict()))
    assert plain["broken"] == [["x.png", "it is empty"]]
    assert (plain["ignored"], plain["reading"], plain["digest"]) == (["readme.md"], ["Read as folders."], "digest")
