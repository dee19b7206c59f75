"""Batches of the named augmentations: labels, seeds, repeats."""

import numpy as np
import pytest

from keras_vix.data import POLICIES, Split, batches
from keras_vix.facts import DATASETS

NEW = [name for name, policy in POLICIES.items() if policy.operations != "none"]


@pytest.fixture
def split():
    x = np.random.default_rng(0).integers(0, 256, (21, 12, 10, 3), dtype=np.uint8)
    return Split(x, np.arange(21, dtype=np.int32) % 5)


@pytest.mark.parametrize("name", NEW)
def test_pixels_and_shares(split, name):
    x, y = batches(split, 8, augment=name, facts=DATASETS["cifar10"])[2]
    assert x.shape == (5, 12, 10, 3) and x.dtype == np.float32 and x.min() >= 0 and x.max() <= 255
    if POLICIES[name].mixes:
        assert y.shape == (5, 10) and y.dtype == np.float32
        np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)
    else:
        assert y.dtype == np.int32


@pytest.mark.parametrize("name", ["medium2", "deit", "small"])
def test_a_batch_depends_on_its_seed_epoch_and_number_alone(split, name):
    one, same, other = (batches(split, 8, shuffle=True, augment=name, seed=seed) for seed in (1, 1, 2))
    ahead = batches(split, 8, shuffle=True, augment=name, seed=1, workers=2)
    for index in (2, 0, 2):
        for first, second, third in zip(one[index], same[index], ahead[index]):
            assert np.array_equal(first, second) and np.array_equal(first, third)
    assert not np.array_equal(one[0][0], other[0][0])
    before = same[0]
    same.on_epoch_end()
    assert not np.array_equal(before[0], same[0][0])


def test_classes_and_colours_are_read_off_the_split_unless_given(split):
    assert batches(split, 8, augment="medium2")[0][1].shape == (8, 5)
    assert batches(split, 8, augment="medium2", facts=DATASETS["cifar100"])[0][1].shape == (8, 100)
    with pytest.raises(ValueError, match="labels in 0..9"):
        batches(Split(split.x, split.y + 9), 8, augment="medium2", facts=DATASETS["cifar10"])
    with pytest.raises(TypeError, match="facts=3"):
        batches(split, 8, facts=3)


@pytest.mark.parametrize("whole, images", [(False, 21), (True, 63)])
def test_repeats(split, whole, images):
    source = batches(Split(split.x, np.arange(21)), 8, shuffle=True, repeats=3, repeat_all=whole)
    drawn = np.concatenate([source[index][1] for index in range(len(source))])
    assert len(drawn) == source.images == images and len(source) == -(-images // 8)
    assert (drawn.reshape(-1, 3) == drawn[::3, None]).all()
    assert len(set(drawn)) == images // 3


def test_repeated_images_are_changed_anew(split):
    x = batches(split, 3, augment="inception", repeats=3)[0][0]
    assert not np.array_equal(x[0], x[1]) and not np.array_equal(x[1], x[2])


def test_repeats_must_be_a_number(split):
    with pytest.raises(ValueError, match="repeats=0"):
        batches(split, 8, repeats=0)
