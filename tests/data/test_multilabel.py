"""Several labels an image: found, split in proportion, counted."""

import numpy as np
import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from advisor.data.dataset import open_dataset
from advisor.data.multilabel import draw_jointly, keep_labels
from advisor.data.profile import profile_dataset
from advisor.data.splitting import split_dataset
from advisor.errors import DatasetError, PluginError
from advisor.plugins import load_catalog

FORMAT = """
from pathlib import Path
from advisor import hookimpl
from advisor.types import DatasetFormat, Listing

def open_list(location):
    folder = Path(location.removeprefix("tags:"))
    rows = [line.split(" ") for line in (folder / "list.txt").read_text().splitlines()]
    return Listing("tags", [row[0] for row in rows], [{labels} for row in rows],
                   lambda path: (folder / path).read_bytes(), splits=[row[1] for row in rows])

@hookimpl
def advisor_datasets():
    yield DatasetFormat("tags", lambda location: float(location.startswith("tags:")), open_list, "tags:folder")
"""
TUPLES = "tuple(row[2:])"


@pytest.fixture
def tagged(install, tmp_path):
    """Writes images of noise with the given labels and splits; the location."""

    def write(labels, splits=None, source=TUPLES):
        install("tags", FORMAT.replace("{labels}", source))
        rng = np.random.default_rng(0)
        lines = []
        for number, own in enumerate(labels):
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(tmp_path / f"{number:03d}.png")
            lines.append(" ".join([f"{number:03d}.png", splits[number] if splits else "", *own]))
        (tmp_path / "list.txt").write_text("\n".join(lines))
        return f"tags:{tmp_path}"

    return write


def opened(location):
    return open_dataset(location, catalog=load_catalog())


def random_labels(count, seed=0):
    rng = np.random.default_rng(seed)
    return [[name for name, share in zip("abcd", (0.8, 0.4, 0.2, 0.06), strict=True) if rng.random() < share]
            for _ in range(count)]  # fmt: skip


def test_every_label_is_split_in_proportion(tagged):
    dataset = split_dataset(opened(tagged(random_labels(300))))
    assert not dataset.task.exclusive
    shares = {part: dataset.truth(dataset.rows(part)).mean(0) for part in ("train", "val", "test")}
    whole = dataset.truth(dataset.rows("train", "val", "test")).mean(0)
    for part, size in (("train", 192), ("val", 48), ("test", 60)):
        assert abs(len(dataset.rows(part)) - size) <= 3
        np.testing.assert_allclose(shares[part], whole, atol=0.035)  # an image more or less of fifty
    again = split_dataset(opened(dataset.location))
    assert again.frame.equals(dataset.frame)
    assert not split_dataset(opened(dataset.location), seed=1).frame["split"].equals(dataset.frame["split"])


def test_a_profile_counts_every_label(tagged):
    labels = [["a"], ["a", "b"], [], ["b"]] * 6
    found = profile_dataset(split_dataset(opened(tagged(labels))))
    assert found.multilabel
    assert found.per_class == {"a": 12, "b": 12}
    assert found.imbalance == 1
    assert "6 images have several labels, 6 none" in found.notes


def test_labels_on_too_few_images_or_on_all_are_named_or_left_out(tagged):
    labels = [["a", "all", "once"], *([["a", "all"], ["b", "all"], ["all"]] * 5)]
    location = tagged(labels)
    with pytest.raises(DatasetError, match=r"2 of 4 labels are on, or missing from, .*`all` \(0\), `once` \(1\)"):
        split_dataset(opened(location))
    kept = split_dataset(opened(location), skip_small_classes=True)
    assert kept.classes == ("a", "b")
    assert len(kept.frame) == 16  # images stay; only the labels go
    assert kept.frame["labels"].tolist()[:4] == [(0,), (0,), (1,), ()]


def test_given_parts_are_kept(tagged):
    labels = [["a"], ["b"], ["a", "b"], []] * 5
    dataset = split_dataset(opened(tagged(labels, ["train"] * 12 + ["test"] * 8)))
    assert dataset.frame["split"].tolist()[12:] == ["test"] * 8
    assert set(dataset.frame["split"]) == {"train", "val", "test"}


@pytest.mark.parametrize("source", ["list(row[2:])", "(tuple(row[2:]) if row[0] < '003' else 'a')", "(1, 2)"])
def test_labels_of_another_kind_are_refused(tagged, source):
    with pytest.raises(PluginError, match=r"among (tuples of|its) labels"):
        opened(tagged([["a"], ["b"]] * 4, source=source))


def test_the_digest_knows_the_labels(tagged):
    first = opened(tagged([["a"], ["a", "b"]] * 4)).digest
    assert opened(tagged([["a"], ["b"]] * 4)).digest != first


# -- the draw itself


truths = st.integers(0, 10_000).map(
    lambda seed: np.random.default_rng(seed).random((60, 4)) < np.random.default_rng(seed + 1).uniform(0.05, 0.9, 4)
)


def family_of(seed, count=60, families=30):
    return np.array([f"f{number:02d}" for number in np.random.default_rng(seed).integers(0, families, count)])


@given(truths, st.integers(0, 99), st.floats(0.05, 0.6))
@settings(max_examples=40)
def test_a_draw_is_some_of_the_families_and_its_seed_repeats_it(truth, seed, share):
    family = family_of(seed)
    one, again = (draw_jointly(family, truth, share, np.random.default_rng(seed)) for _ in range(2))
    assert one == again
    assert one < set(family.tolist())


@given(truths, st.integers(0, 99), st.floats(0.1, 0.5))
@settings(max_examples=40)
def test_a_label_of_several_families_is_on_both_sides_where_it_drew_first(truth, seed, share):
    family = family_of(seed)
    chosen = np.isin(family, list(draw_jointly(family, truth, share, np.random.default_rng(seed))))
    first = int(truth.sum(0).argmin())  # the rarest draws before anything is taken or left
    if len(set(family[truth[:, first]].tolist())) >= 2:
        assert truth[chosen, first].any()
        assert truth[~chosen, first].any()


def test_without_families_the_share_of_every_label_is_met():
    truth = np.random.default_rng(0).random((400, 3)) < (0.5, 0.3, 0.1)
    family = np.array([f"{i:03d}" for i in range(400)])
    chosen = np.isin(family, list(draw_jointly(family, truth, 0.2, np.random.default_rng(0))))
    np.testing.assert_allclose(truth[chosen].sum(0) / truth.sum(0), 0.2, atol=0.05)


def test_the_names_of_families_do_not_matter_to_their_number():
    truth = np.eye(4, dtype=bool).repeat(10, axis=0)
    family = np.array([f"{i:02d}" for i in range(40)])
    drawn = [len(draw_jointly(np.array(names), truth, 0.2, np.random.default_rng(3)))
             for names in (family, [f"x{name}" for name in family])]  # fmt: skip
    assert drawn[0] == drawn[1] == 8


def test_one_large_family_is_not_taken_for_a_small_share():
    truth = np.ones((100, 1), bool)
    family = np.array(["large"] * 80 + [f"{i}" for i in range(20)])
    for seed in range(5):
        assert draw_jointly(family, truth, 0.1, np.random.default_rng(seed)) != {"large"}


def test_kept_labels_are_renumbered_in_the_order_asked_for():
    from advisor.task import MultiLabel

    frame = tables.dataset([(0, 1), (2,), (), (0, 2)], classes=("a", "b", "c")).frame
    kept = keep_labels(frame, [2, 0], MultiLabel(("c", "a")))
    assert kept["labels"].map(sorted).tolist() == [[1], [0], [], [0, 1]]
    assert kept["label"].tolist()[2] == -1
    assert frame["labels"].tolist() == [(0, 1), (2,), (), (0, 2)]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_one_family_of_a_label_is_left_however_large_the_share(count):
    truth, family = np.ones((count, 1), bool), np.array([f"{i}" for i in range(count)])
    drawn = draw_jointly(family, truth, 0.99, np.random.default_rng(0))
    assert len(drawn) == count - 1
    assert len(draw_jointly(family[:1], truth[:1], 0.99, np.random.default_rng(0))) <= 1
