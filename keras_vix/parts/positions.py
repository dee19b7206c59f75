"""Positions: how a token knows where it is."""

import keras
import numpy as np
from keras import ops

from .. import checks
from ..base import TOKENS, Layer, register
from ..ops import rotary
from ..ops.precision import promote


@register
class LearnedPosition(Layer):
    """A learned vector for each token, those in front included: `(batch, n, dim) -> same`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> position = LearnedPosition()
    >>> tuple(position(tokens).shape)
    (2, 64, 32)
    >>> [tuple(weight.shape) for weight in position.weights]
    [(64, 32)]

    Args:
        position_std: standard deviation of the start. 0.02, as published, is small beside an embedded patch (by Glorot's
            rule sqrt(2 * 16 / (16 + 64)) = 0.63 for 4 x 4 gray patches of unit variance and 64 channels): the
            tokens have hardly a place until the table has grown, which costs a small model its first epochs.
        prefix: tokens in front.
        place_prefix: whether they have a vector too; `False` leaves them as they are.

    Source: Dosovitskiy et al. 2021, arXiv:2010.11929, eq. 1.
    """

    input_axes = TOKENS

    def __init__(self, position_std: float = 0.02, prefix: int = 0, place_prefix: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.position_std = checks.number("position_std", position_std, 0.0, 100.0)
        self.prefix = checks.integer("prefix", prefix, 0)
        self.place_prefix = place_prefix

    def build(self, x_shape):
        self.input_sizes = (None, *x_shape[1:])
        init = keras.initializers.RandomNormal(stddev=self.position_std)
        self.still = 0 if self.place_prefix else self.prefix
        self.table = self.add_weight(name="table", shape=(x_shape[1] - self.still, x_shape[2]), initializer=init)
        self.built = True

    def call(self, x):
        table = ops.cast(self.table, x.dtype)
        return ops.concatenate([x[:, : self.still], x[:, self.still :] + table], axis=1) if self.still else x + table

    def stand_alone(self):
        return [self.table]


@register
class SinCosPosition(Layer):
    """Fixed sines and cosines of row and column: `(batch, prefix + rows * columns, dim) -> same`; no weights.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(SinCosPosition(grid=(8, 8))(tokens).shape)
    (2, 64, 32)

    Args:
        grid: `(rows, columns)`; `(1, n)` for a plain sequence uses one half of the channels only for the column.
        base: longest wavelength over 2 pi, > 1.
        prefix: tokens in front that stand for no place and stay as they are.

    Raises:
        ValueError: at build, if the width is no multiple of 4 or the tokens are not those of the grid.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5, one half of the channels for each axis.
    """

    input_axes = TOKENS

    def __init__(self, grid, base: float = 10_000.0, prefix: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.grid = checks.pair("grid", grid)
        self.prefix = checks.integer("prefix", prefix, 0)
        self.base = checks.number("base", base, 1.0 + 1e-9, 1e12)

    def build(self, x_shape):
        tokens, dim = x_shape[1:]
        self.input_sizes = (None, tokens, dim)
        if dim % 4 or tokens != self.prefix + self.grid[0] * self.grid[1]:
            raise ValueError(
                "Sine positions need a width that is a multiple of 4 and prefix + rows * columns tokens. "
                f"Received: width={dim}, tokens={tokens}, prefix={self.prefix}, grid={self.grid}."
            )
        turn = rotary.angles(places(self.grid), dim, self.base)
        table = np.concatenate([np.sin(turn), np.cos(turn)], axis=-1)
        self.table = np.concatenate([np.zeros((self.prefix, dim)), table]).astype("float32")
        self.built = True

    def call(self, x):
        return x + ops.convert_to_tensor(self.table, dtype=x.dtype)


@register
class SinusoidPosition(Layer):
    """Fixed sines and cosines of the place in the sequence, tokens in front included: `(batch, n, dim) -> same`; no weights.

    Channel `2 i` of token `t` has `sin(t / base^(2 i / dim))` added, channel `2 i + 1` the cosine.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(SinusoidPosition()(tokens).shape)
    (2, 64, 32)

    Args:
        base: longest wavelength over 2 pi, > 1.

    Raises:
        ValueError: at build, if the width is odd.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
    """

    input_axes = TOKENS

    def __init__(self, base: float = 10_000.0, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.base = checks.number("base", base, 1.0 + 1e-9, 1e12)

    def build(self, x_shape):
        tokens, dim = x_shape[1:]
        self.input_sizes = (None, tokens, dim)
        if dim % 2:
            raise ValueError(f"Sines and cosines in turn need an even width. Received: width={dim}.")
        turn = rotary.angles(np.arange(tokens)[:, None], dim, self.base)
        self.table = np.stack([np.sin(turn), np.cos(turn)], axis=-1).reshape(tokens, dim).astype("float32")
        self.built = True

    def call(self, x):
        return x + ops.convert_to_tensor(self.table, dtype=x.dtype)

    def constants(self):
        return self.table.size


@register
class RotaryEmbedding(Layer):
    """Turn the feature pairs of queries or keys by their token's place: `(..., n, width) -> same`; no weights.

    Products of turned queries and keys depend on the difference of their places only. With Performer features it acts
    before the feature map, which then estimates the kernel of the turned vectors; the deterministic maps are not invariant to
    a turn, so their scores do not become relative, and neither do those of Linformer, which mixes positions.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> rope = RotaryEmbedding(axes=2, grid=(8, 8))
    >>> tuple(Attention(num_heads=4, rope=rope)(tokens).shape)
    (2, 64, 32)

    Args:
        axes: 1, the place in the sequence, or 2, row and column, one half of the width for each.
        grid: `(rows, columns)` of the tokens; needed for two axes.
        prefix: tokens in front that stand for no place and are not turned.
        turn_prefix: whether they are turned too, as the first places of the sequence; one axis only.
        base: of the geometric series of rates, > 1.
        pairing: `half`, the first half of an axis' part with the second, or `interleaved`, neighbours. Weights trained with one
            do not fit the other.

    Raises:
        ValueError: at build, if the width is no multiple of `2 * axes`, or there are more tokens than places.

    Source: Su et al. 2021, arXiv:2104.09864, eq. 15; two axes as one half of the head for each.
    """

    def __init__(
        self,
        axes: int = 1,
        grid=None,
        prefix: int = 0,
        base: float = 10_000.0,
        pairing: str = "half",
        turn_prefix: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.axes = checks.integer("axes", axes, 1, 2)
        self.grid = grid if grid is None else checks.pair("grid", grid)
        if axes == 2 and grid is None:
            raise ValueError("Two axes need a grid. Received: axes=2, grid=None.")
        self.prefix = checks.integer("prefix", prefix, 0)
        self.base = checks.number("base", base, 1.0 + 1e-9, 1e12)
        self.pairing = checks.choice("pairing", pairing, ("half", "interleaved"))
        self.turn_prefix = turn_prefix
        if turn_prefix and axes == 2:
            raise ValueError("Tokens in front have no row and column. Received: turn_prefix=True, axes=2; use axes=1.")

    def build(self, x_shape):
        tokens, width = x_shape[-2:]
        if width % (2 * self.axes):
            raise ValueError(f"The width must be a multiple of {2 * self.axes}. Received: width={width}, axes={self.axes}.")
        if tokens is None or (self.axes == 2 and tokens != self.prefix + self.grid[0] * self.grid[1]):
            raise ValueError(
                f"Rotary positions need prefix + rows * columns tokens. "
                f"Received: tokens={tokens}, prefix={self.prefix}, grid={self.grid}."
            )
        still = 0 if self.turn_prefix else self.prefix
        place = places(self.grid) if self.axes == 2 else np.arange(tokens - still)[:, None]
        turn = rotary.angles(place, width, self.base)
        turn = np.concatenate([np.zeros((still, width // 2)), turn])
        self.cos, self.sin = np.cos(turn).astype("float32"), np.sin(turn).astype("float32")
        self.built = True

    def call(self, x):
        tokens = x.shape[-2]
        if tokens is None or tokens > len(self.cos):
            raise ValueError(f"There are {len(self.cos)} places. Received: tokens={tokens}.")
        cos, sin = (ops.convert_to_tensor(table[:tokens]) for table in (self.cos, self.sin))
        return ops.cast(rotary.rotate(promote(x), cos, sin, self.axes, self.pairing), self.compute_dtype)

    def compute_output_shape(self, x_shape):
        return x_shape


def places(grid) -> np.ndarray:
    """Row and column of each token of a grid, row by row: `(rows * columns, 2)`."""
    return np.stack(np.meshgrid(*map(np.arange, grid), indexing="ij"), -1).reshape(-1, 2)
