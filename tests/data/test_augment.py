"""Policies, the warp against a loop over pixels, and what may be flipped."""

import dataclasses
import math

import numpy as np
import pytest

from keras_vix.data import POLICIES, Policy, augment, policy_for
from keras_vix.facts import DATASETS

IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], float)


def rng():
    return np.random.default_rng(7)


def images(n=5, h=6, w=9, c=2):
    return np.random.default_rng(1).integers(0, 256, (n, h, w, c), dtype=np.uint8)


def loop(x, maps):
    """The warp once more, a pixel at a time, in float64."""
    n, h, w, c = x.shape
    out = np.zeros(x.shape)
    for b in range(n):
        for i in range(h):
            for j in range(w):
                centred = np.array([i - (h - 1) / 2, j - (w - 1) / 2, 1.0])
                row = min(max(maps[b, 0] @ centred + (h - 1) / 2, 0), h - 1)
                column = min(max(maps[b, 1] @ centred + (w - 1) / 2, 0), w - 1)
                top, left = math.floor(row), math.floor(column)
                for k, weight_k in ((top, 1 - (row - top)), (top + 1, row - top)):
                    for m, weight_m in ((left, 1 - (column - left)), (left + 1, column - left)):
                        out[b, i, j] += weight_k * weight_m * x[b, min(k, h - 1), min(m, w - 1)].astype(float)
    return out


@pytest.mark.parametrize("shape", [(5, 6, 9, 2), (3, 8, 8, 1), (2, 1, 4, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_warp_against_a_loop(shape, dtype):
    x = images(*shape).astype(dtype)
    maps = IDENTITY + rng().uniform(-0.6, 0.6, (shape[0], 2, 3))
    np.testing.assert_allclose(augment.warp(x, maps), loop(x, maps), atol=0.02)


def test_warp_in_many_chunks_equals_one(monkeypatch):
    x = images(11)
    maps = IDENTITY + rng().uniform(-0.2, 0.2, (11, 2, 3))
    whole = augment.warp(x, maps)
    monkeypatch.setattr(augment, "CHUNK", 100)
    assert (augment.warp(x, maps) == whole).all()


@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (3, 32, 32, 3), (2, 7, 10, 2)])
def test_identity_returns_the_image_bit_for_bit(shape):
    x = images(*shape)
    assert (augment.warp(x, np.tile(IDENTITY, (shape[0], 1, 1))) == x).all()


def test_a_quarter_turn_moves_corners():
    x = np.zeros((1, 4, 4, 1), np.float32)
    x[0, 0, 0] = 1  # top left
    turned = augment.warp(x, np.array([[[0, -1, 0], [1, 0, 0]]]))
    # result(i, j) = source(-j, i): the top left corner is found at row r, column c with -c = -1.5, r = -1.5.
    assert np.argwhere(turned[0, :, :, 0] > 0.5).tolist() == [[0, 3]]


def test_turns_zooms_and_shifts_stay_inside_the_policy():
    maps = augment.draw_warps(Policy(rotate=0.02, zoom=0.2, shift=0.25), rng(), (4000, 8, 16, 1))
    scale = np.sqrt(maps[:, 0, 0] ** 2 + maps[:, 0, 1] ** 2)
    angle = np.arctan2(maps[:, 1, 0], maps[:, 1, 1])
    assert 0.8 <= scale.min() < 0.81 and 1.19 < scale.max() <= 1.2
    assert 0.99 < np.abs(angle).max() / (0.02 * 2 * np.pi) <= 1
    assert 1.9 < np.abs(maps[:, 0, 2]).max() <= 2 and 3.9 < np.abs(maps[:, 1, 2]).max() <= 4
    np.testing.assert_allclose(maps[:, 0, 0], maps[:, 1, 1])


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("down, right", [(0, 0), (2, -3), (-1, 4), (9, 9)])
def test_move_against_padding_and_cropping(flip, down, right):
    x = images(1)
    source = x[0, :, ::-1] if flip else x[0]
    padded = np.pad(source, ((9, 9), (9, 9), (0, 0)), mode="edge")
    expected = padded[9 - down : 9 - down + 6, 9 - right : 9 - right + 9]
    moved = augment.move(x, np.array([flip]), np.array([down]), np.array([right]))
    assert moved.dtype == np.uint8
    assert (moved[0] == expected).all()


def test_jumps_reach_four_pixels_of_thirty_two_and_no_further():
    _, down, right = augment.draw_moves(POLICIES["cifar"], rng(), (2000, 32, 32, 3))
    assert sorted(set(down)) == sorted(set(right)) == list(range(-4, 5))


@pytest.mark.parametrize("name", POLICIES)
def test_flips_only_where_the_policy_says_so(name):
    # A ramp from left to right: small turns cannot turn it round, a mirror does.
    x = np.tile(np.linspace(0, 255, 32, dtype=np.float32)[None, None, :, None], (400, 32, 1, 1))
    out = augment.apply(x, POLICIES[name], rng())
    mirrored = (out[:, 16, 2, 0] > out[:, 16, 29, 0]).mean()
    assert (0.4 < mirrored < 0.6) if POLICIES[name].flip else mirrored == 0


@pytest.mark.parametrize("name", DATASETS)
def test_each_data_set_has_a_policy_that_keeps_its_classes(name):
    facts = DATASETS[name]
    assert not POLICIES[policy_for(facts)].flip or facts.flip


@pytest.mark.parametrize("flip, expected", [(True, "cifar"), (False, "mnist")])
def test_policy_of_an_unlisted_set(flip, expected):
    assert policy_for(dataclasses.replace(DATASETS["cifar10"], name="tiny", flip=flip)) == expected


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_results_are_new_float32_images_within_the_range_of_their_pixels(name, dtype):
    x = images(20, 28, 28, 1).astype(dtype)
    before = x.copy()
    out = augment.apply(x, POLICIES[name], rng())
    assert out.dtype == np.float32 and out.shape == x.shape
    assert x.min() <= out.min() and out.max() <= x.max()
    assert (x == before).all() and not np.shares_memory(x, out)
    assert ((out == x).all()) == (name == "none")


def test_equal_generators_give_equal_images():
    x = images(20, 32, 32, 3)
    first, second = (augment.apply(x, POLICIES["reference_cifar"], rng()) for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"zoom": 1.0}, ValueError, "zoom=1.0"),
        ({"rotate": -0.1}, ValueError, "rotate=-0.1"),
        ({"shift": float("nan")}, ValueError, "shift=nan"),
        ({"jump": "far"}, TypeError, "jump='far'"),
        ({"flip": 1}, TypeError, "flip=1"),
    ],
)
def test_nonsense_policies_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        Policy(**arguments)
