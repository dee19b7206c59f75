"""Stratified choices: exact in number, fair to each class, seeded, disjoint."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from keras_vix.data import splits
from keras_vix.data.splits import Split, choose, generator, quotas

LABELS = np.repeat(np.arange(4, dtype=np.int32), [1, 7, 30, 62])


def numbered(y):
    """A split whose images carry their own position."""
    return Split(np.arange(len(y)).reshape(-1, 1, 1, 1), y)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=200), st.data())
def test_quotas_add_up_and_are_within_one_of_the_fair_share(labels, data):
    y = np.array(labels)
    count = data.draw(st.integers(0, len(y)))
    given_out, sizes = quotas(y, count), np.bincount(y)
    assert given_out.sum() == count
    assert (given_out <= sizes).all()
    assert (np.abs(given_out - sizes * count / len(y)) < 1).all()


def test_quotas_by_hand():
    # Fair shares of 10 of 100: 0.1, 0.7, 3.0, 6.2.
    assert quotas(LABELS, 10).tolist() == [0, 1, 3, 6]


@pytest.mark.parametrize("count", [0, 1, 10, 99, 100])
def test_choose_takes_exactly_its_quotas(count):
    chosen = choose(LABELS, count, generator(0, 1))
    assert np.bincount(LABELS[chosen], minlength=4).tolist() == quotas(LABELS, count).tolist()


def test_divide_keeps_every_image_once_and_the_order():
    stays, apart = splits.divide(numbered(LABELS), 25, generator(3, splits.VALIDATION))
    positions = [part.x.ravel() for part in (stays, apart)]
    assert sorted(np.concatenate(positions)) == list(range(100))
    for part, where in zip((stays, apart), positions):
        assert (np.diff(where) > 0).all()
        assert (part.y == LABELS[where]).all()


def test_the_seed_decides_and_streams_differ():
    def mask(seed, stream):
        return choose(LABELS, 25, generator(seed, stream)).tolist()

    assert mask(0, splits.LIMIT) == mask(0, splits.LIMIT)
    assert mask(0, splits.LIMIT) != mask(1, splits.LIMIT)
    assert mask(0, splits.LIMIT) != mask(0, splits.VALIDATION)


def test_take_is_at_most_what_there_is():
    assert splits.take(numbered(LABELS), 1000, generator(0, 1)).x.size == 100
    assert splits.take(numbered(LABELS), 17, generator(0, 1)).x.size == 17


@pytest.mark.parametrize("total, expected", [(1797, 360), (60000, 12000), (5, 1), (7, 2)])
def test_held_out_test_is_a_fifth_rounded_up(total, expected):
    train, test = splits.hold_out_test(numbered(np.arange(total) % 3))
    assert (len(train.y), len(test.y)) == (total - expected, expected)


def test_the_held_out_test_is_the_same_for_ever():
    first, again = (splits.hold_out_test(numbered(np.arange(40) % 3))[1].x for _ in range(2))
    assert np.array_equal(first, again)
    assert first.ravel().tolist() == [4, 6, 24, 25, 27, 28, 29, 32]


@pytest.mark.parametrize(
    "total, part, expected", [(60000, 0.1, 6000), (50000, 0.1, 5000), (1437, 0.1, 144), (4, 0.1, 1)]
)
def test_validation_is_exact(total, part, expected):
    train, validation = splits.hold_out_validation(numbered(np.arange(total) % 10), part, seed=0)
    assert (len(train.y), len(validation.y)) == (total - expected, expected)


def test_no_validation_is_none():
    assert splits.hold_out_validation(numbered(LABELS), 0.0, seed=0)[1] is None


def test_validation_leaves_something_to_train_on():
    with pytest.raises(ValueError, match="validation=0.9 of 1 training"):
        splits.hold_out_validation(numbered(np.zeros(1, int)), 0.9, seed=0)
