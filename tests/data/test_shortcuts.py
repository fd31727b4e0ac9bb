import numpy as np
import pandas as pd

from advisor.data.shortcuts import find_shortcuts


def frame(n=60, **columns):
    rng = np.random.default_rng(0)
    base = {
        "label": np.arange(n) % 2,
        "split": "train",
        "width": rng.integers(200, 400, n),
        "height": rng.integers(200, 400, n),
        "mode": "RGB",
        "format": "JPEG",
        "family": np.arange(n),
    }
    return pd.DataFrame(base | columns)


def test_nothing_is_claimed_of_sizes_that_tell_nothing():
    assert find_shortcuts(frame()) == ()


def test_a_size_a_mode_and_a_format_that_give_the_class_away_are_named():
    label = np.arange(60) % 2
    sizes = find_shortcuts(frame(width=np.where(label, 640, 500)))
    assert [(s.property, s.accuracy, s.chance) for s in sizes] == [("image size", 1.0, 0.5)]
    (mode,) = find_shortcuts(frame(mode=np.where(label, "L", "RGB")))
    assert mode.property == "colour mode"
    (kind,) = find_shortcuts(frame(format=np.where(label, "PNG", "JPEG")))
    assert kind.property == "file format"


def test_the_test_part_is_left_alone_and_tiny_sets_say_nothing():
    label = np.arange(60) % 2
    split = np.where(np.arange(60) < 40, "train", "test")
    width = np.where((np.arange(60) >= 40) & (label == 1), 999, 300)
    assert find_shortcuts(frame(width=width, height=300, split=split)) == ()
    assert find_shortcuts(frame(n=10, mode=["L", "RGB"] * 5)) == ()


def test_the_accuracy_is_the_mean_over_classes_and_names_the_best_told():
    label = np.repeat([0, 1, 2], 30)
    (found,) = find_shortcuts(frame(n=90, label=label, width=300, height=300, mode=np.where(label == 1, "L", "RGB")))
    assert found.chance == 1 / 3
    assert abs(found.accuracy - 2 / 3) < 0.1  # the gray class always, the other two half of the time together
    assert 1 in found.classes[:2]


def test_at_most_five_classes_are_named():
    label = np.repeat(np.arange(8), 10)
    (found,) = find_shortcuts(frame(n=80, label=label, width=100 + 50 * label, height=300))
    assert len(found.classes) == 5
    assert found.accuracy > 0.8


def test_the_order_of_images_does_not_matter_to_what_is_found():
    label = np.arange(60) % 2
    table = frame(width=np.where(label, 640, 500), mode=np.where(label, "L", "RGB"))
    shuffled = table.sample(frac=1, random_state=0).reset_index(drop=True)
    assert {one.property for one in find_shortcuts(table)} == {one.property for one in find_shortcuts(shuffled)}


def test_a_class_of_one_image_leaves_nothing_to_cross_validate():
    label = np.array([0] * 30 + [1] * 29 + [2])
    assert find_shortcuts(frame(label=label, width=np.where(label, 640, 500))) == ()


def test_one_property_for_all_gives_nothing_away():
    assert find_shortcuts(frame(width=300, height=200, mode="RGB", format="JPEG")) == ()


def test_a_shape_alone_may_give_the_class_away():
    label = np.arange(60) % 2
    rng = np.random.default_rng(1)
    width = rng.integers(200, 2000, 60)
    (found,) = find_shortcuts(frame(width=width, height=np.where(label, 2 * width, width // 2)))
    assert found.property == "image size"
    assert found.accuracy > 0.95
