"""Windows on a token grid: partition, its inverse, and the constant tables that go with them."""

import numpy as np
from keras import ops


def to_windows(x, grid, window, num_heads: int = 1, rate: int = 1):
    """Cut a map into windows and heads in one transpose.

    `(batch, rows, columns, num_heads * width) -> (batch, windows, num_heads, window tokens, width)`, windows and the
    tokens in them row by row. `grid` must be a multiple of `window * rate`. With a `rate` above 1 a window holds every `rate`-th
    row and column of a larger one; those of equal row modulo `rate` come together, then those of equal column.
    """
    (rows, columns), (high, wide) = grid, window
    width = x.shape[-1] // num_heads
    # the batch is joined with the rows of windows, and the columns within a rate with the heads: no more than seven axes move
    x = ops.reshape(x, (-1, high, rate, columns // (wide * rate), wide, rate * num_heads, width))
    x = ops.transpose(x, (0, 2, 3, 5, 1, 4, 6))
    return ops.reshape(x, (-1, (rows // high) * (columns // wide), num_heads, high * wide, width))


def from_windows(x, grid, window, rate: int = 1):
    """The inverse of `to_windows`.

    `(batch, windows, num_heads, window tokens, width) -> (batch, rows, columns, num_heads * width)`.
    """
    (rows, columns), (high, wide) = grid, window
    num_heads, width = x.shape[2], x.shape[4]
    x = ops.reshape(x, (-1, rate, columns // (wide * rate), rate * num_heads, high, wide, width))
    x = ops.transpose(x, (0, 4, 1, 2, 5, 3, 6))
    return ops.reshape(x, (-1, rows, columns, num_heads * width))


def pad_grid(x, padding):
    """Zeros round a map: `padding` is `((top, bottom), (left, right))` in tokens."""
    return ops.pad(x, ((0, 0), *padding, (0, 0)))


def crop_grid(x, padding):
    """Take `pad_grid`'s zeros off again."""
    (top, bottom), (left, right) = padding
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right, :]


def window_view(table: np.ndarray, window, rate: int = 1) -> np.ndarray:
    """`(rows, columns) -> (windows, window tokens)`: a constant table cut as `to_windows` cuts a map."""
    rows, columns = table.shape
    high, wide = window
    cut = table.reshape(rows // (high * rate), high, rate, columns // (wide * rate), wide, rate).transpose(0, 2, 3, 5, 1, 4)
    return cut.reshape(-1, high * wide)


def shift_mask(grid, window, shift) -> np.ndarray:
    """Which pairs of tokens of a rolled grid were neighbours before the roll: `(windows, tokens, tokens)` of bool.

    Source: Liu et al. 2021, arXiv:2103.14030, section 3.2 and figure 4 (cyclic shift): nine regions, cut at `-window`
    and `-shift` on each axis; a pair in one window may attend if its regions are the same.
    """
    axes = [np.searchsorted([size - w, size - s], np.arange(size), side="right") if s else np.zeros(size, int)
            for size, w, s in zip(grid, window, shift)]
    regions = window_view(axes[0][:, None] * 3 + axes[1][None, :], window)
    return regions[:, :, None] == regions[:, None, :]


def relative_index(window) -> np.ndarray:
    """Row of the bias table for each pair of window tokens: `(tokens, tokens)` of int.

    Source: arXiv:2103.14030, section 3.2: `(row offset + rows - 1) * (2 columns - 1) + (column offset + columns - 1)`.
    """
    high, wide = window
    place = np.stack(np.meshgrid(np.arange(high), np.arange(wide), indexing="ij"), -1).reshape(-1, 2)
    offset = place[:, None] - place[None] + (high - 1, wide - 1)
    return offset[..., 0] * (2 * wide - 1) + offset[..., 1]


def neighbours(grid, window) -> tuple[np.ndarray, np.ndarray]:
    """The window round each token of a grid, clipped at the border.

    Returns `index` and `valid`, each `(tokens, window tokens)`: the places of the neighbours in the token list (0 where
    the neighbour lies off the grid) and whether they lie on it. `window` is odd on both axes.
    """
    (rows, columns), (high, wide) = grid, window
    place = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1).reshape(-1, 1, 2)
    reach = np.stack(np.meshgrid(np.arange(high) - high // 2, np.arange(wide) - wide // 2, indexing="ij"), -1)
    there = place + reach.reshape(1, -1, 2)
    valid = ((there >= 0) & (there < (rows, columns))).all(-1)
    return np.where(valid, there[..., 0] * columns + there[..., 1], 0), valid
