"""Which images go together, from the split to what is counted."""

from dataclasses import replace

import numpy as np
import pytest
from tables import dataset

from advisor.data.profile import profile_dataset
from advisor.data.shortcuts import find_shortcuts
from advisor.data.splitting import split_dataset
from advisor.errors import DatasetError


def grouped(families, **changed):
    """A dataset whose images of one number are near copies."""
    labels = np.arange(len(families)) % 2 if "labels" not in changed else changed.pop("labels")
    return dataset(list(labels), classes=("a", "b"), splits=[""] * len(families), duplicate_group=families, **changed)


def test_ten_copies_of_many_photographs_are_no_drawings_that_look_alike():
    each = np.repeat(np.arange(40), 10)
    split = split_dataset(grouped(each, labels=each % 2))
    assert split.frame["family"].nunique() == 40
    assert not any("look like copies" in note for note in split.notes)
    assert (split.frame.groupby("family")["split"].nunique() == 1).all()
    profile = profile_dataset(split)
    assert (profile.images, profile.independent) == (400, 40)
    assert sum(profile.independent_splits.values()) == 40
    assert profile.independent_trainable == 40 - profile.independent_splits["test"]
    assert profile.per_class_train == pytest.approx(profile.independent_trainable / 2, rel=0.1)


def test_a_class_that_one_family_has_swallowed_is_still_split():
    chain = np.array([0] * 36 + list(range(1, 5)) + list(range(100, 140)))
    split = split_dataset(grouped(chain, labels=np.repeat([0, 1], 40)))
    assert any("look like copies" in note for note in split.notes)
    assert split.frame["family"].nunique() == 80


def test_families_are_numbers_that_agree_where_images_go_together():
    split = split_dataset(grouped(np.repeat(np.arange(20), 3), labels=np.repeat(np.arange(20) % 2, 3)))
    rows = np.random.default_rng(0).permutation(60)
    families = split.families(rows)
    assert families.dtype == np.int64
    for one in np.unique(families):
        assert len({row // 3 for row in rows[families == one].tolist()}) == 1
    assert len(np.unique(families)) == 20


def test_copies_of_too_few_photographs_are_too_few_to_divide():
    with pytest.raises(DatasetError, match="fewer than 3 different"):
        split_dataset(grouped(np.repeat([0, 1, 2, 3], 25), labels=np.repeat([0, 1, 0, 1], 25)))


def test_a_size_that_only_copies_share_gives_no_class_away():
    """Thirty patients with a camera each: every size is of one class, and none is of the class."""
    rng, family = np.random.default_rng(0), np.repeat(np.arange(30), 6)
    split = split_dataset(
        grouped(family, labels=rng.integers(0, 2, 30)[family], width=(200 + 7 * rng.permutation(30))[family])
    )
    assert find_shortcuts(split.frame) == ()
    apart = replace(split, frame=split.frame.assign(family=split.frame["content"]))
    assert [one.property for one in find_shortcuts(apart.frame)] == ["image size"]
