"""Nyström attention against a direct computation, and its landmarks."""

import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import Nystrom, Softmax
from keras_vix.kernels.nystrom import convolve, even, landmarks
from keras_vix.ops.inverse import pseudo_inverse

from ..laws import run


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def direct(q, k, v, m):
    """One sample and head in float64 with NumPy's own pseudo-inverse."""
    q, k, v = (x.astype("float64") for x in (q, k, v))
    means = [np.stack([part.mean(0) for part in np.array_split(x, m)]) for x in (q, k)]
    d = np.sqrt(q.shape[1])
    left, middle, right = softmax(q @ means[1].T / d), softmax(means[0] @ means[1].T / d), softmax(means[0] @ k.T / d)
    return left @ np.linalg.pinv(middle) @ right @ v


@pytest.mark.parametrize("tokens, m", [(12, 4), (13, 4), (7, 5)])
def test_equals_a_direct_computation(tokens, m):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((2, 3, tokens, 16)).astype("float32") for _ in range(3))
    out = run(Nystrom(m, iterations=20), q, k, v)
    expected = np.stack([np.stack([direct(q[b, h], k[b, h], v[b, h], m) for h in range(3)]) for b in range(2)])
    assert np.abs(out - expected).max() <= 2e-3 * max(1, np.abs(expected).max())  # some landmark matrices are nearly singular


def test_landmarks_are_means_of_nearly_equal_runs():
    x = np.arange(7, dtype="float32").reshape(1, 1, 7, 1)
    found, alive = landmarks(ops.convert_to_tensor(x), even(7, 3))
    assert alive is None
    assert ops.convert_to_numpy(found).ravel().tolist() == [1.0, 3.5, 5.5]
    mask = np.array([[[1, 0, 1, 0, 0, 1, 1]]], bool)
    found, alive = landmarks(ops.convert_to_tensor(x), even(7, 3), ops.convert_to_tensor(mask))
    assert ops.convert_to_numpy(found).ravel().tolist() == [1.0, 0.0, 5.5]
    assert ops.convert_to_numpy(alive).ravel().tolist() == [True, False, True]


def test_the_inverse_converges_and_samples_do_not_meet():
    rng = np.random.default_rng(1)
    a = softmax(rng.standard_normal((3, 16, 16))).astype("float32")
    found = ops.convert_to_numpy(pseudo_inverse(ops.convert_to_tensor(a), 20))
    assert np.abs(a @ found @ a - a).max() <= 1e-3
    worse = a.copy()
    worse[1] *= 50
    assert np.array_equal(ops.convert_to_numpy(pseudo_inverse(ops.convert_to_tensor(worse), 20))[0], found[0])


def test_constant_values_stay_nearly_constant_at_unit_scale():
    rng = np.random.default_rng(1)
    q, k = (rng.standard_normal((2, 2, 64, 32)).astype("float32") for _ in range(2))
    ones = np.ones_like(q)
    for iterations, tolerance in ((6, 2e-2), (12, 5e-3)):
        assert np.abs(run(Nystrom(16, iterations), q, k, ones) - 1).max() <= tolerance


def test_the_convolution_adds_neighbouring_values():
    rng = np.random.default_rng(1)
    q, k, v = (rng.standard_normal((1, 2, 6, 3)).astype("float32") for _ in range(3))
    kernel = Nystrom(3, convolution=3)
    out = run(kernel, q, k, v)
    taps = ops.convert_to_numpy(kernel.residual)
    plain = run(Nystrom(3), q, k, v)
    for h in range(2):
        for n in range(6):
            extra = sum(taps[i, h] * v[0, h, n + i - 1] for i in range(3) if 0 <= n + i - 1 < 6)
            assert np.abs(out[0, h, n] - plain[0, h, n] - extra).max() <= 1e-5


@pytest.mark.parametrize(
    "options, words", [({"m": 0}, "m"), ({"iterations": 0}, "1 to 50"), ({"iterations": 100}, "1 to 50"), ({"convolution": 4}, "odd")]
)
def test_wrong_arguments(options, words):
    with pytest.raises(ValueError, match=words):
        Nystrom(**options)


def test_more_landmarks_than_tokens():
    with pytest.raises(ValueError, match="m=9, tokens=8"):
        Nystrom(9).build((None, 2, 8, 4), (None, 2, 8, 4), (None, 2, 8, 4))


def test_runs_from_the_front_are_those_of_padded_tokens():
    assert Nystrom(m=64, runs="front")._sizes(1025) == (5,) + (17,) * 60
    assert Nystrom(m=64, runs="front")._sizes(1024) == (16,) * 64 == Nystrom(m=64)._sizes(1024)
    assert Nystrom(m=64, runs="front")._sizes(17) == (1,) * 17


def test_runs_from_the_front_equal_masked_padding():
    """Seven tokens, padded in front to eight and masked there, four landmarks."""
    rng = np.random.default_rng(0)
    q, k, v = (0.5 * rng.standard_normal((2, 2, 7, 4)).astype("float32") for _ in range(3))
    padded = [np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0))) for x in (q, k, v)]
    mask = np.arange(8)[None, None] >= 1
    front = Nystrom(m=4, iterations=20, runs="front")(q, k, v)
    even_runs = Nystrom(m=4, iterations=20)(*padded, mask=np.broadcast_to(mask, (2, 1, 8)))
    assert np.abs(np.array(front) - np.array(even_runs)[:, :, 1:]).max() <= 1e-5


def test_multiply_adds_are_of_what_runs():
    shape = (2, 12, 8)
    assert Nystrom(4, 6).multiply_adds(shape, shape, shape) == 2 * (6 * 4 * 4**3 + 4 * 4 * 8 + 4 * 8 * (4 * 12 + 4))
    for m in (12, 64):  # exact attention
        assert Nystrom(m, 6, 3).multiply_adds(shape, shape, shape) == Softmax().multiply_adds(shape, shape, shape) + 3 * 2 * 12 * 8


@pytest.mark.parametrize("tokens", [5, 32, 65])
@pytest.mark.parametrize("size", [1, 3, 33])
def test_the_convolution_is_one(tokens, size):
    rng = np.random.default_rng(1)
    v, taps = rng.standard_normal((2, 3, tokens, 4)), rng.standard_normal((size, 3))
    reach = size // 2
    ringed = np.pad(v, ((0, 0), (0, 0), (reach, reach), (0, 0)))
    wanted = sum(taps[i][:, None, None] * ringed[:, :, i : i + tokens] for i in range(size))
    found = convolve(ops.convert_to_tensor(v.astype("float32")), ops.convert_to_tensor(taps.astype("float32")))
    assert np.abs(ops.convert_to_numpy(found) - wanted).max() <= 1e-4
