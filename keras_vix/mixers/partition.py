"""Cutting a map into windows, shifted or not."""

import numpy as np
from keras import ops

from .. import checks
from ..base import Layer, register
from ..ops import grids
from ..ops.shifts import turn


@register
class ShiftedWindow(Layer):
    """Cut a map into windows: `(batch, rows, columns, dim) -> (batch, windows, window tokens, dim)`; `reverse` undoes it.

    It has no weights. After a call or `build`, `windows` is their number, `allowed` tells which pairs of tokens in a window may
    see each other (`(windows, tokens, tokens)`, or `None` for all of them) and `valid` which tokens are not padding
    (`(windows, tokens)`, or `None`).

    >>> maps = keras.random.normal((2, 8, 8, 32))
    >>> windows = ShiftedWindow(grid=(8, 8), window=4, shift=2)
    >>> tuple(windows(maps).shape)
    (2, 4, 16, 32)
    >>> tuple(windows.reverse(windows(maps)).shape)
    (2, 8, 8, 32)

    Args:
        grid: `(rows, columns)`.
        window: side of a window, or `(rows, columns)`.
        shift: how far the windows are moved, or `(rows, columns)`; `0 <= shift < window`.
        roll: whether a shift rolls the map, so that border windows hold strips of opposite borders that `allowed` keeps apart;
            otherwise the map is padded, and border windows are part padding.
        rate: distance of neighbours in a window: above 1 it is cut of every `rate`-th row and column. Without a shift.

    A grid that `window * rate` does not divide is padded at the bottom right.

    Source: Liu et al. 2021, arXiv:2103.14030, section 3.2, figure 4; `rate`: Ibtehaz et al. 2024, arXiv:2403.04200.
    """

    def __init__(self, grid, window, shift=0, roll: bool = True, rate: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.grid = checks.pair("grid", grid)
        self.window = checks.pair("window", window)
        self.shift = checks.pair("shift", shift, 0)
        self.roll = roll
        self.rate = checks.integer("rate", rate)
        if any(s >= w for w, s in zip(self.window, self.shift)):
            raise ValueError(f"`shift` must be smaller than `window`. Received: shift={shift}, window={window}.")
        if rate > 1 and any(self.shift):
            raise ValueError(f"`rate` and `shift` exclude each other. Received: rate={rate}, shift={shift}.")
        self._plan()

    def _plan(self):
        """Constant geometry: padding, padded grid, number of windows, and the two tables."""
        rolled = self.roll and any(self.shift)
        before = [0 if self.roll else (w - s) % w for w, s in zip(self.window, self.shift)]
        after = [-(size + b) % (w * self.rate) for size, w, b in zip(self.grid, self.window, before)]
        self.padding = tuple(zip(before, after))
        self.padded = tuple(size + b + a for size, b, a in zip(self.grid, before, after))
        self.windows = int(np.prod([size // w for size, w in zip(self.padded, self.window)]))
        self.allowed = grids.shift_mask(self.padded, self.window, self.shift) if rolled else None
        self.valid = self.places() >= 0 if self.padded != self.grid else None

    def places(self) -> np.ndarray:
        """Which token of the grid, row by row, each window token is, -1 for padding: `(windows, window tokens)`."""
        table = np.pad(np.arange(self.grid[0] * self.grid[1]).reshape(self.grid), self.padding, constant_values=-1)
        if self.roll and any(self.shift):
            table = np.roll(table, [-s for s in self.shift], axis=(0, 1))
        return grids.window_view(table, self.window, self.rate)

    def call(self, x):
        return self.split(x)[:, :, 0]

    def split(self, x, num_heads: int = 1):
        """`(batch, rows, columns, num_heads * width) -> (batch, windows, num_heads, window tokens, width)`."""
        if self.padded != self.grid:
            x = grids.pad_grid(x, self.padding)
        if self.roll and any(self.shift):
            x = turn(x, *(-s for s in self.shift))
        return grids.to_windows(x, self.padded, self.window, num_heads, self.rate)

    def reverse(self, x):
        """`(batch, windows, num_heads, window tokens, width)`, or without heads, back to `(batch, rows, columns, dim)`."""
        x = grids.from_windows(x if len(x.shape) == 5 else ops.expand_dims(x, 2), self.padded, self.window, self.rate)
        if self.roll and any(self.shift):
            x = turn(x, *self.shift)
        return grids.crop_grid(x, self.padding) if self.padded != self.grid else x
