import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

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


labels_of_any_kind = st.lists(st.integers(0, 6), min_size=1, max_size=120).map(np.array)


@given(labels_of_any_kind, st.integers(0, 2**32 - 1), st.floats(0.01, 1.0), st.integers(0, 10))
@settings(max_examples=80)
def test_an_order_is_a_permutation_that_its_seed_repeats(labels, seed, share, enough):
    one, again = (stratified_order(labels, np.random.default_rng(seed), share=share, enough=enough) for _ in range(2))
    assert sorted(one.tolist()) == list(range(len(labels)))
    np.testing.assert_array_equal(one, again)


@given(labels_of_any_kind, st.integers(0, 2**32 - 1), st.data())
@settings(max_examples=80)
def test_of_every_class_a_prefix_has_its_share_within_one_image_a_class(labels, seed, data):
    order = stratified_order(labels, np.random.default_rng(seed))
    prefix = data.draw(st.integers(0, len(labels)))
    share = prefix / len(labels)
    classes = np.unique(labels)
    for label in classes:
        expected = share * (labels == label).sum()
        drawn = (labels[order[:prefix]] == label).sum()
        # Each class's k-th image lies between k-1 and k parts of the whole, so no class is off by more than all are.
        assert abs(drawn - expected) <= len(classes) + 1


@given(labels_of_any_kind, st.integers(1, 150), st.integers(0, 1000))
@settings(max_examples=80)
def test_a_sample_is_of_different_rows_with_their_own_labels_and_no_larger_than_asked(labels, most, seed):
    rows, kinds = sample_rows(np.arange(len(labels)) + 1000, labels, most, seed)
    assert len(rows) == len(kinds) == len(set(rows.tolist())) <= max(most, 0)
    assert (labels[rows - 1000] == kinds).all()


@given(labels_of_any_kind, st.integers(1, 150), st.integers(0, 1000))
@settings(max_examples=40)
def test_nothing_is_left_out_where_there_is_room(labels, spare, seed):
    rows, _ = sample_rows(np.arange(len(labels)), labels, len(labels) + spare, seed)
    assert sorted(rows.tolist()) == list(range(len(labels)))


@given(st.integers(0, 50))
@settings(max_examples=10)
def test_another_seed_draws_others(seed):
    labels = np.repeat([0, 1], 500)
    one, other = (sample_rows(np.arange(1000), labels, 50, number)[0] for number in (seed, seed + 1))
    assert set(one.tolist()) != set(other.tolist())


def test_one_class_and_one_image_are_drawn_from_too():
    assert sample_rows(np.array([7]), np.array([3]), 10, 0)[0].tolist() == [7]
    rows, _ = sample_rows(np.arange(9), np.zeros(9, np.int64), 4, 0)
    assert len(rows) == 4


def test_of_too_many_classes_at_least_two_are_taken():
    _, kinds = sample_rows(np.arange(40), np.repeat(np.arange(20), 2), 5, 0)
    assert len(np.unique(kinds)) == 2


def test_rare_classes_come_early_where_enough_of_them_are_wanted():
    labels = np.repeat([0, 1], [1000, 10])
    order = stratified_order(labels, np.random.default_rng(0), share=0.1, enough=8)
    assert (labels[order[:101]] == 1).sum() >= 8
    plain = stratified_order(labels, np.random.default_rng(0))
    assert (labels[plain[:101]] == 1).sum() <= 2
