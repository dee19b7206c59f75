"""Binary numbers: values, and the slopes that stand for their gradients, from the formulas."""

import numpy as np
import pytest
from keras import ops

from keras_vix.ops.binary import binary_probabilities, binary_weights, sign, with_slope

from ..laws import differentiate, weighting

X = np.array([-1.5, -1.0, -0.75, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 1.5], "float32")


def test_the_value_is_exact_and_the_slope_is_the_given_one():
    x, slope = np.array([1e-7, 3.3, -1e4], "float32"), np.array([2.0, 0.0, -5.0], "float32")
    out, gradient = differentiate(lambda x: with_slope(x * x, (x, ops.convert_to_tensor(slope))), [x])
    assert np.array_equal(out, x * x)
    assert np.array_equal(gradient, slope * weighting(x.shape))


def test_sign():
    out, gradient = differentiate(sign, [X])
    assert np.array_equal(out, [-1, -1, -1, -1, 0, 0, 1, 1, 1, 1])
    assert np.array_equal(gradient, np.float32([0, 0, 0.5, 1, 2, 2, 1.5, 1, 0, 0]) * weighting(X.shape))


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (2, 2, 3, 4)])
def test_binary_weights(shape, center):
    kernel = np.random.default_rng(0).normal(0.3, 0.9, shape).astype("float32")
    out, gradient = differentiate(lambda w: binary_weights(w, center), [kernel])
    rows = kernel.reshape(-1, shape[-1]).astype("float64")
    middle = rows - rows.mean(0) if center else rows
    assert np.abs(out.reshape(rows.shape) - np.abs(rows).mean(0) * np.sign(middle)).max() <= 1e-6
    g = weighting(shape).reshape(rows.shape) * (np.abs(middle) <= 1)
    assert 0 < (np.abs(middle) <= 1).mean() < 1
    assert np.abs(gradient.reshape(rows.shape) - (g - g.mean(0) if center else g)).max() <= 1e-6
    for unit in out.reshape(rows.shape).T:
        assert len(np.unique(unit)) == 2 and unit.max() == -unit.min() > 0


def test_binary_probabilities():
    step = np.float32(0.125)
    p = step * np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 6.0], "float32")
    out, by_p, by_step = differentiate(binary_probabilities, [p, step])
    assert np.array_equal(out, step * np.float32([0, 0, 0, 1, 1, 1, 1]))
    assert np.array_equal(by_p, np.float32([1, 1, 1, 1, 1, 0, 0]) * weighting(p.shape))
    wanted = np.float32([0, -0.25, -0.5, 0.25, 0, 1, 1])
    assert abs(by_step - (wanted * weighting(p.shape)).sum()) <= 1e-6


@pytest.mark.parametrize("step", [0.0, -0.3])
def test_a_step_that_fell_too_low_is_small_and_learns(step):
    p = np.float32([0.2, 0.8])
    out, by_p, by_step = differentiate(binary_probabilities, [p, np.float32(step)])
    assert np.array_equal(out, np.float32([1e-5, 1e-5])) and not by_p.any()
    assert abs(by_step - weighting(p.shape).sum()) <= 1e-6
