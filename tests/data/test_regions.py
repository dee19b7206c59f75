"""Crops, erased rectangles and mixtures."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_vix.data import POLICIES, Policy, augment, regions

SIZE = (40, 30)


def kit(seed=0):
    return augment.NumpyKit(np.random.default_rng(seed))


def test_rectangles_keep_area_and_aspect():
    tall, broad = regions.rectangles(kit(), 20_000, SIZE, (0.08, 0.6), 4 / 3)
    area, aspect = tall * broad / 1200, tall / broad
    assert 0.08 <= area.min() < 0.085 and 0.58 < area.max() <= 0.6001
    assert 0.75 <= aspect.min() < 0.76 and 1.32 < aspect.max() <= 1.3334
    assert abs(np.log(aspect).mean()) < 0.02  # even on a logarithmic scale
    assert tall.max() <= 40 and broad.max() <= 30


def test_crops_stay_inside_and_reach_every_edge():
    maps = regions.crops(kit(), 5000, SIZE, 0.08)
    for axis, side in enumerate(SIZE):
        scale, middle = maps[:, axis, axis], maps[:, axis, 2]
        assert (maps[:, axis, 1 - axis] == 0).all() and 0 < scale.min() and scale.max() <= 1
        far = np.abs(middle) + scale * side / 2
        assert far.max() <= side / 2 + 1e-4 and np.quantile(far, 0.9) > 0.45 * side


def test_a_quarter_of_the_images_is_erased_in_one_rectangle():
    x = np.full((4000, 20, 30, 1), 300, np.float32)  # a value that noise cannot have
    out = regions.erase(kit(), x.copy(), POLICIES["deit"], np.float32([0.4]), np.float32([0.2]))
    hidden = out[..., 0] != 300
    erased = hidden.any((1, 2))
    assert abs(erased.mean() - 0.25) < 0.03
    rows, columns = hidden.any(2)[erased].sum(1), hidden.any(1)[erased].sum(1)
    assert (hidden[erased].sum((1, 2)) == rows * columns).all()
    assert 0.01 < (rows * columns / 600).min() and (rows * columns / 600).max() < 0.36
    noise = out[hidden[..., None]]
    assert abs(noise.mean() / 255 - 0.4) < 0.01 and abs(noise.std() / 255 - 0.2) < 0.01 and noise.min() >= 0 and noise.max() <= 255
    plain = regions.erase(kit(), x.copy(), POLICIES["small"], np.float32([0.4]), np.float32([0.2]))
    assert set(np.unique(plain)) == {np.float32(102), np.float32(300)}


def mixed(policy, seed, n=6, size=16):
    """Images of one number each, mixed, with labels of their own."""
    x = np.tile(np.arange(n, dtype=np.float32)[:, None, None, None], (1, size, size, 1))
    return regions.mix(kit(seed), x, np.eye(n, dtype=np.float32), policy)


@pytest.mark.parametrize("policy", [Policy(mixup=0.5), Policy(cutmix=1.0), POLICIES["deit"], POLICIES["small"]])
def test_shares_of_labels_are_shares_of_pixels(policy):
    shares = []
    for seed in range(200):
        x, y = mixed(policy, seed)
        np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)
        np.testing.assert_allclose(x.mean((1, 2, 3)), y @ np.arange(6), atol=1e-5)
        shares.append(y[0, 0])
        if not policy.mixup:
            assert np.isin(x[0], (0, 5)).all()
    assert np.std(shares) > 0.1
    untouched = np.mean(np.array(shares) == 1)
    assert (untouched > 0.4) if policy.mix == 0.5 else untouched < 0.1


def test_cutmix_serves_half_of_the_batches():
    cut = sum(len(np.unique(mixed(POLICIES["deit"], seed)[0][0])) == 2 for seed in range(400))
    assert 150 < cut < 230  # some rectangles are empty


def test_smoothing_before_mixing_or_after_it_is_the_same():
    policy, n, s = Policy(mixup=0.8), 6, 0.1
    rows = np.eye(n, dtype=np.float32)
    smoothed = (1 - s) * rows + s / n
    x = np.zeros((n, 2, 2, 1), np.float32)
    before = regions.mix(kit(1), x, smoothed, policy)[1]
    after = (1 - s) * regions.mix(kit(1), x, rows, policy)[1] + s / n
    np.testing.assert_allclose(before, after, atol=1e-6)
    assert 0.02 < before[0, 0] < 0.98


def test_one_hot():
    np.testing.assert_array_equal(regions.one_hot(kit(), np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
    rows = np.array([[0.25, 0.75]])
    np.testing.assert_array_equal(regions.one_hot(kit(), rows, 3), rows)


def test_a_policy_survives_its_config():
    for policy in POLICIES.values():
        assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(policy)) == policy


@pytest.mark.parametrize(
    "fields, error, words",
    [
        ({"operations": "timm"}, ValueError, "operations='timm'"),
        ({"erase": 1.5}, ValueError, "erase=1.5"),
        ({"mixup": -1}, ValueError, "mixup=-1"),
        ({"black": 1}, TypeError, "black=1"),
        ({"magnitude": "9"}, TypeError, "magnitude='9'"),
    ],
)
def test_nonsense_is_refused(fields, error, words):
    with pytest.raises(error, match=words):
        dataclasses.replace(POLICIES["deit"], **fields)
