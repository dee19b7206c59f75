"""Batches: every image once an epoch, repeatable whatever draws them."""

import copy
import pickle
import time

import keras
import numpy as np
import pytest

from keras_vix.data import Batches, Policy, Split, batches

N = 50


@pytest.fixture
def split():
    """Fifty images that carry their own number in every pixel, also as label."""
    y = np.arange(N, dtype=np.int32)
    return Split(np.broadcast_to(y.astype(np.uint8)[:, None, None, None], (N, 4, 4, 1)).copy(), y)


def epoch(source):
    """The labels of one epoch, in the order given out, after a check that the images are theirs."""
    drawn = [source[i] for i in range(len(source))]
    for x, y in drawn:
        assert (x[:, 0, 0, 0] == y).all()
    return np.concatenate([y for _, y in drawn]).tolist()


@pytest.mark.parametrize(
    "size, drop, length, images",
    [(8, False, 7, 50), (8, True, 6, 48), (10, False, 5, 50), (10, True, 5, 50), (99, False, 1, 50)],
)
def test_lengths(split, size, drop, length, images):
    source = batches(split, size, drop_remainder=drop)
    assert (len(source), source.images) == (length, images)
    assert len(epoch(source)) == images


def test_in_order_unless_shuffled(split):
    assert epoch(batches(split, 8)) == list(range(N))


def test_every_image_exactly_once_an_epoch_in_a_new_order(split):
    source = batches(split, 8, shuffle=True)
    orders = []
    for _ in range(3):
        orders.append(epoch(source))
        source.on_epoch_end()
    assert all(sorted(order) == list(range(N)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_seeds_decide(split):
    one, same, other = (batches(split, 8, shuffle=True, augment=Policy(shift=0.5), seed=s) for s in (4, 4, 5))
    assert all(np.array_equal(a, b) for i in range(7) for a, b in zip(one[i], same[i]))
    assert not np.array_equal(one[0][1], other[0][1])


def test_a_batch_depends_on_neither_the_batches_before_nor_global_state():
    x = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
    source, again = (batches(Split(x, np.arange(N)), 8, augment="reference_cifar") for _ in range(2))
    first = source[3][0]
    np.random.seed(0)
    for index in (6, 0, 3, 3):
        last = again[index][0]
    assert (first == last).all()
    again.on_epoch_end()
    assert not np.array_equal(again[3][0], first)


def test_images_are_float32_on_the_byte_scale_and_labels_stay(split):
    x, y = batches(split, 8)[6]
    assert x.dtype == np.float32 and x.shape == (2, 4, 4, 1) and x.max() == 49
    assert y.dtype == np.int32


@pytest.mark.parametrize("workers", [2, 5])
def test_threads_do_not_change_a_batch_in_whatever_order_they_are_drawn(workers):
    x = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
    alone, ahead = (
        batches(Split(x, np.arange(N)), 8, shuffle=True, augment="reference_cifar", workers=count)
        for count in (1, workers)
    )
    for index in (0, 1, 2, 2, 6, 0, 3, "next epoch", 4, 5, 0):
        if index == "next epoch":
            alone.on_epoch_end()
            ahead.on_epoch_end()
            continue
        for one, other in zip(alone[index], ahead[index]):
            assert (one == other).all()


def test_batches_outside_are_refused(split):
    source = batches(split, 8)
    for index in (-1, 7):
        with pytest.raises(IndexError, match=str(index)):
            source[index]


def classifier():
    """A tiny compiled model."""
    model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(N)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


class Recorded(Batches):
    """Batches that write down what was drawn: (epoch, batch) -> labels."""

    def __init__(self, *args, **options):
        self.drawn = {}
        super().__init__(*args, **options)

    def __getitem__(self, index):
        epoch, (x, y) = self.epoch, super().__getitem__(index)
        self.drawn.setdefault(epoch, {})[index] = y.tolist()
        return x, y


@pytest.mark.parametrize("workers", [1, 2])
def test_fit_sees_each_image_once_an_epoch(split, workers):
    train = Recorded(split, 8, shuffle=True, augment="digits", workers=workers)
    validation = batches(split, 16, workers=workers)
    history = classifier().fit(train, validation_data=validation, epochs=3, verbose=0).history
    assert len(history["val_loss"]) == 3 and np.isfinite(history["loss"]).all()
    for number in (1, 2, 3):
        labels = [label for index in range(7) for label in train.drawn[number][index]]
        assert sorted(labels) == list(range(N))


class Begun(Batches):
    """Batches that write down which were begun."""

    def __init__(self, *args, **options):
        self.begun = set()
        super().__init__(*args, **options)

    def _make(self, key):
        self.begun.add(key)
        return super()._make(key)


@pytest.mark.parametrize("augment, ahead", [("flip", True), ("none", False)])
def test_batches_that_change_are_made_ahead(split, augment, ahead):
    source = Begun(split, 8, augment=augment)
    source[0]
    end = time.monotonic() + (10 if ahead else 0.2)
    while time.monotonic() < end and (0, 1) not in source.begun:
        time.sleep(0.01)
    assert ((0, 1) in source.begun) is ahead


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda source: pickle.loads(pickle.dumps(source))])
def test_a_copy_goes_on_with_threads_of_its_own(split, copied):
    source = batches(split, 8, shuffle=True, augment=Policy(shift=0.5), workers=2)
    source[0]
    again = copied(source)
    source.on_epoch_end()
    again.on_epoch_end()
    assert all(np.array_equal(a, b) for i in range(7) for a, b in zip(source[i], again[i]))


def test_training_is_the_same_with_any_number_of_workers(split):
    weights = []
    for workers in (1, 2):
        keras.utils.set_random_seed(0)
        model = classifier()
        model.fit(batches(split, 8, shuffle=True, augment="digits", workers=workers), epochs=3, verbose=0)
        weights.append([keras.ops.convert_to_numpy(weight.value) for weight in model.weights])
    for one, two in zip(*weights):
        np.testing.assert_array_equal(one, two)


PAIR = (np.zeros((6, 4, 4, 1), np.uint8), np.zeros(6, np.int32))


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: batches(PAIR, 0), ValueError, "batch_size=0"),
        (lambda: batches(PAIR, -1), ValueError, "batch_size=-1"),
        (lambda: batches(PAIR, 2.5), TypeError, "batch_size=2.5"),
        (lambda: batches(PAIR, True), TypeError, "batch_size=True"),
        (lambda: batches(PAIR, 7, drop_remainder=True), ValueError, "batch_size=7 for 6 images"),
        (lambda: batches(PAIR, 2, augment="cifer"), ValueError, "Did you mean 'cifar'"),
        (lambda: batches(PAIR, 2, augment=None), TypeError, "augment=None"),
        (lambda: batches(PAIR, 2, seed=-1), ValueError, "seed=-1"),
        (lambda: batches(PAIR, 2, workers=0), ValueError, "workers=0"),
        (lambda: batches(None, 2), TypeError, "NoneType"),
        (lambda: batches((PAIR[0], PAIR[1][:5]), 2), ValueError, r"y.shape=\(5,\)"),
        (lambda: batches((PAIR[0][0], PAIR[1]), 2), ValueError, r"x.shape=\(4, 4, 1\)"),
        (lambda: batches((PAIR[0][:0], PAIR[1][:0]), 2), ValueError, "n >= 1"),
    ],
)
def test_wrong_calls(call, error, words):
    with pytest.raises(error, match=words):
        call()
