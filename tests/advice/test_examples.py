import numpy as np
from conftest import clouds
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.advice.examples import find_examples


def test_what_lies_far_from_its_class_is_odd_and_what_lies_in_its_middle_typical():
    features, labels = clouds([30, 30], 3.0)
    features[7] = features[labels == 1].mean(0)  # looks like the other class
    paths = [f"{i}.png" for i in range(60)]
    one, other = find_examples(features, labels[:, None] == [0, 1], paths, ["a", "b"])
    assert (one.name, other.name) == ("a", "b")
    assert one.odd[0] == "7.png"
    assert len(one.typical) == len(one.odd) == 4
    assert not {*one.typical} & {*one.odd}
    assert {*other.typical, *other.odd} <= {*paths[30:]}


def test_length_alone_makes_no_image_odd():
    features, labels = clouds([20, 20], 3.0)
    middle = features.mean(0)
    longer = features.copy()
    # The typical image answers three times as strongly; standardising moves a little with it, its direction does not.
    longer[0] = middle + 3 * (features[labels == 0].mean(0) - middle)
    assert (
        find_examples(longer, labels[:, None] == [0, 1], [str(i) for i in range(40)], ["a", "b"])[0].typical[0] == "0"
    )


def test_small_classes_share_their_images():
    features, _ = clouds([6], 1.0)
    labels = np.array([0, 0, 0, 1, 2, 2])
    found = find_examples(features, labels[:, None] == range(4), list("abcdef"), ["x", "y", "z", "none"])
    assert [(len(e.typical), len(e.odd)) for e in found] == [(2, 1), (1, 0), (1, 1), (0, 0)]


def test_images_with_several_labels_stand_under_each():
    features, labels = clouds([10, 10], 3.0)
    truth = np.stack([labels == 0, np.ones(20, bool)], axis=1)
    found = find_examples(features, truth, [str(i) for i in range(20)], ["some", "all"], each=20)
    assert len(found[0].typical + found[0].odd) == 10
    assert len(found[1].typical + found[1].odd) == 20


@given(st.integers(0, 300), st.integers(1, 6))
@settings(max_examples=30)
def test_no_image_is_both_and_every_one_is_of_its_class(seed, each):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 25)
    features = rng.normal(size=(25, 6)).astype(np.float32)
    paths = [f"{label}-{i}" for i, label in enumerate(labels)]
    for label, found in enumerate(
        find_examples(features, labels[:, None] == range(3), paths, ["0", "1", "2"], each=each)
    ):
        shown = [*found.typical, *found.odd]
        assert len(set(shown)) == len(shown) == min(2 * each, int((labels == label).sum()))
        assert len(found.typical) - len(found.odd) in {0, 1}
        assert all(path.startswith(f"{label}-") for path in shown)


def test_features_that_say_nothing_give_examples_all_the_same():
    found = find_examples(np.ones((4, 3), np.float32), np.ones((4, 1), bool), list("abcd"), ["x"])
    assert sorted(found[0].typical + found[0].odd) == list("abcd")
