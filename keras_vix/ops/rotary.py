"""Rotary position embedding: a table of angles, and the turn of feature pairs by them."""

import numpy as np
from keras import ops


def angles(positions: np.ndarray, width: int, base: float) -> np.ndarray:
    """`(tokens, axes) -> (tokens, width / 2)`: the angle of each feature pair, in radians, in float64.

    The pairs are dealt to the axes in equal parts; pair `i` of an axis turns by `position * base ** (-2 i / (width / axes))`.

    Source: Su et al. 2021, arXiv:2104.09864, section 3.2.2; several axes: one half of the head for rows, one for columns.
    """
    axes = positions.shape[1]
    pairs = width // axes // 2
    rates = base ** (-np.arange(pairs, dtype="float64") / pairs)
    return (positions.astype("float64")[:, :, None] * rates).reshape(len(positions), axes * pairs)


def rotate(x, cos, sin, axes: int, pairing: str):
    """Turn each feature pair of `x` `(..., tokens, width)` by the angles of `cos`, `sin` `(tokens, width / 2)`.

    `pairing` says which features make a pair within an axis' part: `half` (the first half with the second) or
    `interleaved` (neighbours). Checkpoints of the two are not interchangeable.
    """
    shape = ops.shape(x)
    pairs = shape[-1] // axes // 2
    split, place = ((axes, 2, pairs), -2) if pairing == "half" else ((axes, pairs, 2), -1)
    x = ops.reshape(x, (*shape[:-1], *split))
    a, b = (x[..., 0, :], x[..., 1, :]) if pairing == "half" else (x[..., 0], x[..., 1])
    table = (*cos.shape[:-1], axes, pairs)
    cos, sin = ops.reshape(cos, table), ops.reshape(sin, table)
    return ops.reshape(ops.stack([a * cos - b * sin, a * sin + b * cos], axis=place), shape)
