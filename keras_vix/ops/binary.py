"""Numbers of two values, and the slopes by which a gradient passes them.

A step has no gradient worth using, so each gets another: `value + slope * (x - x)` with the value, the slope and the second `x`
held fixed is the value, exactly, and its derivative is the slope, on every backend.

Source: Le and Li 2023, arXiv:2306.16678; the slope of the sign: Liu et al. 2018, arXiv:1808.00278.
"""

from keras import ops

SMALLEST = 1e-5  # of the step of binary probabilities: it is divided by


def with_slope(value, *pairs):
    """`value`, whose derivative by each `x` of the pairs `(x, slope)` is `slope`; all of them of one shape, or broadcasting."""
    out = ops.stop_gradient(value)
    for x, slope in pairs:
        out = out + ops.stop_gradient(slope) * (x - ops.stop_gradient(x))
    return out


def sign(x):
    """-1, 0 or 1, with `sign(0) = 0`; the derivative is `2 - 2 |x|` from -1 to 1, and 0 beyond."""
    return with_slope(ops.sign(x), (x, ops.relu(2.0 - 2.0 * ops.absolute(x))))


def binary_weights(kernel, center: bool = True):
    """`mean |W| * sign(W - mean W)` over all axes but the last, the units: two values for each unit.

    The gradient reaches `W - mean W`, unchanged, where its size is at most 1, and none reaches `mean |W|`. `center=False` leaves
    the mean in.
    """
    kernel = ops.convert_to_tensor(kernel)
    axes = tuple(range(len(kernel.shape) - 1))
    level = ops.mean(ops.absolute(kernel), axis=axes, keepdims=True)
    if center:
        kernel = kernel - ops.mean(kernel, axis=axes, keepdims=True)
    return with_slope(level * ops.sign(kernel), (kernel, ops.cast(ops.absolute(kernel) <= 1.0, kernel.dtype)))


def binary_probabilities(p, step):
    """`step * clip(round(p / step), 0, 1)`: 0 up to half a `step`, else `step`, itself a learned scalar.

    The derivative by `p` is 1 where `p / step` is from 0 to 1 and 0 elsewhere; by `step` it is `round(p / step) - p / step` there
    and 1 above. A `step` below 1e-5 counts as 1e-5, and still learns.
    """
    step = ops.convert_to_tensor(step)
    step = with_slope(ops.maximum(step, SMALLEST), (step, ops.ones_like(step)))
    ratio = ops.stop_gradient(p / step)
    inside = ops.cast(ops.logical_and(ratio >= 0.0, ratio <= 1.0), p.dtype)
    rounded = ops.clip(ops.round(ratio), 0.0, 1.0)
    slope = ops.where(ratio > 1.0, 1.0, inside * (rounded - ratio))
    return with_slope(step * rounded, (p, inside), (step, slope))
