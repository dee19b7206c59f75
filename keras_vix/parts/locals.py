"""Convolutions that stand in front of the attention of a block, and carry a pyramid from stage to stage."""

import keras
from keras import ops

from .. import checks
from ..base import Layer, make_seed, register
from ..ops.precision import promote
from ..primitives.norms import make_norm


@register
class InvertedResidual(Layer):
    """Parallel dilated convolutions of a widened map, with a shortcut: `(batch, rows * columns, channels) -> (batch, n, dim)`.

    `shortcut(x) + drop_path(excite(contract(convolutions(expand(norm(x))))))`, with GELU after `expand` and after each
    convolution. With a stride, squares of `local_stride` tokens are averaged first, on both ways; the shortcut is a dense
    layer where the width changes. `n` is the number of tokens of `out_grid`, the grid afterwards.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> block = InvertedResidual(dim=64, grid=(8, 8), local_stride=2)
    >>> tuple(block(tokens).shape)
    (2, 16, 64)
    >>> block.out_grid
    (4, 4)

    Args:
        dim: width of the tokens afterwards.
        grid: `(rows, columns)` before.
        local_stride: 1, or by how much the grid shrinks on both axes.
        local_kernel: side of the convolutions, odd.
        local_dilations: one depth-wise convolution for each; the outputs of all stand side by side.
        local_expansion: hidden channels of each convolution as a multiple of `dim`.
        local_squeeze: by how much the vector that excites the channels is narrower than `dim`; `None` for no excitation.
        drop_path: rate of leaving the branch out for a whole sample while training, in [0, 1).
        norm_epsilon: of the layer normalisation.
        seed: of the dropped paths.

    A grid that the stride does not divide repeats its last row or column.

    Source: Ibtehaz et al. 2024, ACC-ViT, arXiv:2403.04200 (atrous inverted residual convolution); squeeze and excitation: Hu et
    al. 2018, arXiv:1709.01507. How the convolutions are joined, where the squeeze stands and how the grid shrinks is a reading of
    the text, not a published setting; one layer normalisation in front, no batch normalisation.
    """

    def __init__(
        self,
        dim: int,
        grid,
        local_stride: int = 1,
        local_kernel: int = 3,
        local_dilations=(1, 2, 3),
        local_expansion: int = 4,
        local_squeeze: int | None = 4,
        drop_path: float = 0.0,
        norm_epsilon: float = 1e-5,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.grid = checks.pair("grid", grid)
        self.local_stride = checks.integer("local_stride", local_stride)
        self.local_kernel = checks.odd("local_kernel", local_kernel)
        self.local_dilations = tuple(checks.integer("local_dilations", d) for d in local_dilations)
        if not self.local_dilations:
            raise ValueError(f"`local_dilations` must hold one or more. Received: local_dilations={local_dilations}.")
        self.local_expansion = checks.integer("local_expansion", local_expansion)
        self.local_squeeze = local_squeeze if local_squeeze is None else checks.integer("local_squeeze", local_squeeze, 1, dim)
        self.drop_path = checks.rate("drop_path", drop_path)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)
        self.seed = make_seed(seed if seed is None else checks.seed("seed", seed))
        self.out_grid = tuple(-(-side // self.local_stride) for side in self.grid)

    def build(self, x_shape):
        batch, _, channels = x_shape
        tokens, hidden = self.out_grid[0] * self.out_grid[1], self.local_expansion * self.dim
        self.layer_norm = make_norm("layer", self.norm_epsilon, self, "norm", x_shape)
        self.expand = self._dense("expand", hidden, (batch, tokens, channels), "gelu")
        self.convolutions = [self._convolution(dilation, (batch, *self.out_grid, hidden)) for dilation in self.local_dilations]
        self.contract = self._dense("contract", self.dim, (batch, tokens, len(self.local_dilations) * hidden))
        if self.local_squeeze is not None:
            self.narrow = self._dense("squeeze", self.dim // self.local_squeeze, (batch, self.dim), "gelu")
            self.excite = self._dense("excite", self.dim, (batch, self.dim // self.local_squeeze), "sigmoid")
        self.shortcut = None if channels == self.dim else self._dense("shortcut", self.dim, (batch, tokens, channels))
        self.drop = keras.layers.Dropout(self.drop_path, noise_shape=(None, 1, 1), seed=self.seed, dtype=self.dtype_policy)
        self.built = True

    def _dense(self, name, units, shape, activation=None):
        dense = keras.layers.Dense(units, activation, name=name, dtype=self.dtype_policy)
        dense.build(shape)
        return dense

    def _convolution(self, dilation, shape):
        conv = keras.layers.DepthwiseConv2D(
            self.local_kernel,
            padding="same",
            dilation_rate=dilation,
            activation="gelu",
            data_format="channels_last",
            name=f"dilated{dilation}",
            dtype=self.dtype_policy,
        )
        conv.build(shape)
        return conv

    def call(self, x):
        y = self.expand(self._shrink(self.layer_norm(x)))
        y = ops.reshape(y, (-1, *self.out_grid, y.shape[-1]))
        y = ops.concatenate([conv(y) for conv in self.convolutions], axis=-1)
        y = self.contract(ops.reshape(y, (-1, self.out_grid[0] * self.out_grid[1], y.shape[-1])))
        if self.local_squeeze is not None:
            mean = ops.cast(ops.mean(promote(y), axis=1, keepdims=True), self.compute_dtype)
            y = y * self.excite(self.narrow(mean))
        x = self._shrink(x)
        return (x if self.shortcut is None else self.shortcut(x)) + self.drop(y)

    def _shrink(self, x):
        """Means of squares of `local_stride` tokens."""
        if (step := self.local_stride) == 1:
            return x
        (rows, columns), (high, wide), channels = self.grid, self.out_grid, x.shape[-1]
        x = ops.reshape(x, (-1, rows, columns, channels))
        x = ops.concatenate([x, *[x[:, -1:]] * (high * step - rows)], axis=1)
        x = ops.concatenate([x, *[x[:, :, -1:]] * (wide * step - columns)], axis=2)
        squares = ops.reshape(promote(x), (-1, high, step, wide, step, channels))
        return ops.cast(ops.reshape(ops.mean(squares, axis=(2, 4)), (-1, high * wide, channels)), self.compute_dtype)

    def multiply_adds(self, x_shape):
        channels, dim, ways = x_shape[-1], self.dim, len(self.local_dilations)
        hidden, tokens = self.local_expansion * dim, self.out_grid[0] * self.out_grid[1]
        products = hidden * (channels + ways * (self.local_kernel**2 + dim)) + (channels * dim if channels != dim else 0)
        return tokens * products + (0 if self.local_squeeze is None else 2 * dim * (dim // self.local_squeeze))


@register
class LocalPerception(Layer):
    """Each token plus a depth-wise convolution of its neighbourhood: `(batch, prefix + rows * columns, dim) -> same`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(LocalPerception(grid=(8, 8))(tokens).shape)
    (2, 64, 32)

    Args:
        grid: `(rows, columns)`.
        local_kernel: side of the convolution in tokens, odd.
        prefix: tokens in front of the grid, which stay as they are.

    Outside the grid are zeros, so that tokens also learn how far they are from the border.

    Source: Guo et al. 2022, CMT, arXiv:2107.06263, section 3.2 (local perception unit); the same sum stands for positions in
    Chu et al. 2021, arXiv:2102.10882.
    """

    def __init__(self, grid, local_kernel: int = 3, prefix: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.grid = checks.pair("grid", grid)
        self.local_kernel = checks.odd("local_kernel", local_kernel)
        self.prefix = checks.integer("prefix", prefix, 0)

    def build(self, x_shape):
        if x_shape[1] not in (None, found := self.prefix + self.grid[0] * self.grid[1]):
            received = f"grid={self.grid}, prefix={self.prefix}, {x_shape[1]} tokens"
            raise ValueError(f"`grid` and `prefix` make {found} tokens. Received: {received}.")
        self.convolution = keras.layers.DepthwiseConv2D(
            self.local_kernel, padding="same", data_format="channels_last", name="convolution", dtype=self.dtype_policy
        )
        self.convolution.build((x_shape[0], *self.grid, x_shape[-1]))
        self.built = True

    def call(self, x):
        tokens = x[:, self.prefix :] if self.prefix else x
        near = self.convolution(ops.reshape(tokens, (-1, *self.grid, x.shape[-1])))
        tokens = tokens + ops.reshape(near, (-1, self.grid[0] * self.grid[1], x.shape[-1]))
        return ops.concatenate([x[:, : self.prefix], tokens], axis=1) if self.prefix else tokens

    def compute_output_shape(self, x_shape):
        return x_shape

    def multiply_adds(self, x_shape):
        return self.grid[0] * self.grid[1] * x_shape[-1] * self.local_kernel**2
