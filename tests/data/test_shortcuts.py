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
