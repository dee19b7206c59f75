"""How a tensor of a public checkpoint is turned into a weight here."""

from collections.abc import Callable

import numpy as np


def turn(x: np.ndarray, steps, shape: tuple[int, ...], heads: int | None) -> np.ndarray:
    """The tensor after all steps, for a weight of that shape in a layer of so many heads.

    Raises:
        ValueError: the tensor cannot be turned so; whether the result fits is not asked.
    """
    for step in steps:
        x = TURNS[step](x, shape, heads)
    return x


def third(place: int) -> Callable:
    """One of queries, keys and values that stand one below the other: `(3 inner, ...) -> (inner, ...)`."""
    return lambda x, shape, heads: np.split(x, 3)[place]


def transposed(x, shape, heads):
    """`(out, in) -> (in, out)`."""
    return np.transpose(x, (1, 0))


def channels_last(x, shape, heads):
    """`(out, in, rows, columns) -> (rows, columns, in, out)`."""
    return np.transpose(x, (2, 3, 1, 0))


def depthwise(x, shape, heads):
    """`(in * multiplier, 1, rows, columns)`, a group for each channel that comes in, `-> (rows, columns, in, multiplier)`."""
    rows, columns, channels, multiplier = shape
    groups = exactly(x, (channels * multiplier, 1, rows, columns)).reshape(channels, multiplier, rows, columns)
    return np.transpose(groups, (2, 3, 0, 1))


def unbatched(x, shape, heads):
    """`(1, ...) -> (...)`."""
    return np.squeeze(x, 0)


def map_last(x, shape, heads):
    """`(dim, rows, columns) -> (rows, columns, dim)`."""
    return np.transpose(x, (1, 2, 0))


def flat(x, shape, heads):
    """`(1, 1, 1, channels) -> (channels,)`, and `(channels,)` as it is."""
    return x.reshape(x.shape[-1:])


def split_heads(x, shape, heads):
    """`(dim, heads, width) -> (dim, heads * width)`."""
    return exactly(x, (x.shape[0], heads, shape[1] // heads)).reshape(x.shape[0], -1)


def split_heads_bias(x, shape, heads):
    """`(heads, width) -> (heads * width,)`."""
    return exactly(x, (heads, shape[0] // heads)).reshape(-1)


def split_heads_out(x, shape, heads):
    """`(heads, width, dim) -> (heads * width, dim)`."""
    return exactly(x, (heads, shape[0] // heads, x.shape[-1])).reshape(-1, x.shape[-1])


def exactly(x, shape):
    """The tensor, whose shape must be that."""
    if x.shape != shape:
        raise ValueError(f"The tensor must be of shape {shape}. Received: shape={x.shape}.")
    return x


TURNS = {
    "first": third(0),
    "second": third(1),
    "last": third(2),
    "transposed": transposed,
    "channels_last": channels_last,
    "depthwise": depthwise,
    "unbatched": unbatched,
    "map_last": map_last,
    "flat": flat,
    "heads": split_heads,
    "heads_bias": split_heads_bias,
    "heads_out": split_heads_out,
}
