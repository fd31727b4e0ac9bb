import numpy as np

from advisor.data.sampling import sample_rows, stratified_order


def draw(labels, most):
    labels = np.asarray(labels)
    rows, kinds = sample_rows(np.arange(len(labels)) + 1000, labels, most, 0)
    assert (labels[rows - 1000] == kinds).all()
    assert len(set(rows.tolist())) == len(rows)
    return rows, kinds


def test_every_prefix_is_stratified():
    _, kinds = draw(np.repeat(np.arange(4), 100), 200)
    for n in (20, 60, 200):
        assert np.ptp(np.bincount(kinds[:n], minlength=4)) <= 2


def test_a_class_is_spread_over_the_whole_order():
    labels = np.repeat([0, 1], [90, 10])
    order = stratified_order(labels, np.random.default_rng(0))
    assert sorted(order.tolist()) == list(range(100))
    assert np.diff(np.flatnonzero(labels[order] == 1)).max() <= 12


def test_a_rare_class_is_not_lost_among_ten_thousand():
    _, kinds = draw(np.repeat([0, 1, 2], [10_000, 3, 30]), 1000)
    assert len(kinds) == 1000
    assert np.bincount(kinds)[1:].tolist() == [3, 8]


def test_of_very_many_classes_a_part_is_taken_whole():
    rows, kinds = draw(np.repeat(np.arange(3000), 6), 800)
    present, counts = np.unique(kinds, return_counts=True)
    assert len(present) == 100
    assert (counts == 6).all()
    assert len(rows) == 600


def test_all_are_taken_where_there_is_room():
    rows, _ = draw(np.repeat(np.arange(50), 3), 2000)
    assert len(rows) == 150
