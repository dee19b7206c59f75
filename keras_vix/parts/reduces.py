"""Reductions: how a stage shrinks the grid."""

import keras
from keras import ops

from .. import checks
from ..base import Layer, register
from ..primitives.norms import NORM_LAYERS, make_norm


@register
class PatchMerging(Layer):
    """Four neighbours into one token: `(batch, rows * columns, channels) -> (batch, ceil(rows / 2) * ceil(columns / 2), dim)`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> merge = PatchMerging(dim=64, grid=(8, 8))
    >>> tuple(merge(tokens).shape)
    (2, 16, 64)
    >>> merge.out_grid
    (4, 4)

    Args:
        dim: width of the merged tokens.
        grid: `(rows, columns)` before.
        merge_norm: whether the joined neighbours are normalised before the linear map, which has no bias.
        norm_epsilon: of that normalisation.

    An odd side is padded with zeros. `out_grid` is the grid afterwards.

    Source: Liu et al. 2021, arXiv:2103.14030, section 3.1; neighbours joined in the order (0, 0), (1, 0), (0, 1), (1, 1).
    """

    def __init__(self, dim: int, grid, merge_norm: bool = True, norm_epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.grid = checks.pair("grid", grid)
        self.merge_norm = merge_norm
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)
        self.out_grid = tuple(-(-side // 2) for side in self.grid)

    def build(self, x_shape):
        joined = (*x_shape[:-1], 4 * x_shape[-1])
        if self.merge_norm:
            self.layer_norm = keras.layers.LayerNormalization(epsilon=self.norm_epsilon, name="norm", dtype=self.dtype_policy)
            self.layer_norm.build(joined)
        self.projection = keras.layers.Dense(self.dim, use_bias=False, name="projection", dtype=self.dtype_policy)
        self.projection.build(joined)
        self.built = True

    def call(self, x):
        (rows, columns), (high, wide), channels = self.grid, self.out_grid, x.shape[-1]
        x = ops.reshape(x, (-1, rows, columns, channels))
        if rows % 2 or columns % 2:
            x = ops.pad(x, ((0, 0), (0, rows % 2), (0, columns % 2), (0, 0)))
        x = ops.reshape(x, (-1, high, 2, wide, 2, channels))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 4, 2, 5)), (-1, high * wide, 4 * channels))
        return self.projection(self.layer_norm(x) if self.merge_norm else x)

    def multiply_adds(self, x_shape):
        return self.out_grid[0] * self.out_grid[1] * 4 * x_shape[-1] * self.dim


@register
class ConvReduction(Layer):
    """A convolution of the grid: `(batch, rows * columns, channels) -> (batch, ceil(rows / s) * ceil(columns / s), dim)`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> reduce = ConvReduction(dim=64, grid=(8, 8))
    >>> tuple(reduce(tokens).shape)
    (2, 16, 64)
    >>> reduce.out_grid
    (4, 4)

    Args:
        dim: width of the tokens afterwards.
        grid: `(rows, columns)` before.
        reduce_kernel: side of the convolution, odd.
        reduce_stride: `s`; 1 leaves the grid as it is.
        reduce_norm: `layer`, `channel` or `batch`, the normalisation afterwards, or `None`.
        norm_epsilon: of that normalisation.

    The grid is ringed by zeros on all four sides. `out_grid` is the grid afterwards.

    Source: the convolutional token embedding of Wu et al. 2021, arXiv:2103.15808, section 3.1.
    """

    def __init__(
        self,
        dim: int,
        grid,
        reduce_kernel: int = 3,
        reduce_stride: int = 2,
        reduce_norm: str | None = "layer",
        norm_epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.grid = checks.pair("grid", grid)
        self.reduce_kernel = checks.odd("reduce_kernel", reduce_kernel)
        self.reduce_stride = checks.integer("reduce_stride", reduce_stride)
        self.reduce_norm = reduce_norm if reduce_norm is None else checks.choice("reduce_norm", reduce_norm, NORM_LAYERS)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)
        self.out_grid = tuple(-(-side // self.reduce_stride) for side in self.grid)

    def build(self, x_shape):
        self.conv = keras.layers.Conv2D(
            self.dim, self.reduce_kernel, self.reduce_stride, data_format="channels_last", name="conv", dtype=self.dtype_policy
        )
        self.conv.build((x_shape[0], *_ringed(self.grid, self.reduce_kernel), x_shape[-1]))
        if self.reduce_norm:
            shape = (x_shape[0], self.out_grid[0] * self.out_grid[1], self.dim)
            self.layer_norm = make_norm(self.reduce_norm, self.norm_epsilon, self, "norm", shape)
        self.built = True

    def call(self, x):
        x = self.conv(_ring(ops.reshape(x, (-1, *self.grid, x.shape[-1])), self.reduce_kernel))
        x = ops.reshape(x, (-1, self.out_grid[0] * self.out_grid[1], self.dim))
        return self.layer_norm(x) if self.reduce_norm else x

    def multiply_adds(self, x_shape):
        return self.out_grid[0] * self.out_grid[1] * self.reduce_kernel**2 * x_shape[-1] * self.dim


@register
class DepthwiseReduction(Layer):
    """A grouped convolution of the grid: `(batch, prefix + rows * columns, channels) -> (batch, prefix + tokens, dim)`.

    Each channel gives `dim / channels` channels of its own; tokens in front go through a dense layer.

    >>> tokens = keras.random.normal((2, 1 + 8 * 8, 32))
    >>> tuple(DepthwiseReduction(dim=64, grid=(8, 8), prefix=1)(tokens).shape)
    (2, 17, 64)

    Args:
        dim: width of the tokens afterwards, a multiple of the width before.
        grid: `(rows, columns)` before.
        prefix: tokens in front.
        reduce_kernel: side of the convolution, odd.
        reduce_stride: its step.
        reduce_pointwise: whether a dense layer on each token follows.

    The grid is ringed by zeros on all four sides. `out_grid` is the grid afterwards.

    Raises:
        ValueError: at build, if `dim` is no multiple of the width.

    Source: Heo et al. 2021, arXiv:2103.16302, section 3.2, which has no pointwise layer; public code and the PiX models of Jeevan
    and Sethi 2022 have one.
    """

    def __init__(
        self,
        dim: int,
        grid,
        prefix: int = 0,
        reduce_kernel: int = 3,
        reduce_stride: int = 2,
        reduce_pointwise: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.grid = checks.pair("grid", grid)
        self.prefix = checks.integer("prefix", prefix, 0)
        self.reduce_kernel = checks.odd("reduce_kernel", reduce_kernel)
        self.reduce_stride = checks.integer("reduce_stride", reduce_stride)
        self.reduce_pointwise = reduce_pointwise
        self.out_grid = tuple(-(-side // self.reduce_stride) for side in self.grid)

    def build(self, x_shape):
        channels, policy = x_shape[-1], self.dtype_policy
        if self.dim % channels:
            raise ValueError(f"`dim` must be a multiple of the width before. Received: dim={self.dim}, width={channels}.")
        self.conv = keras.layers.DepthwiseConv2D(
            self.reduce_kernel,
            self.reduce_stride,
            depth_multiplier=self.dim // channels,
            data_format="channels_last",
            name="conv",
            dtype=policy,
        )
        self.conv.build((x_shape[0], *_ringed(self.grid, self.reduce_kernel), channels))
        if self.reduce_pointwise:
            self.pointwise = keras.layers.Dense(self.dim, name="pointwise", dtype=policy)
            self.pointwise.build((x_shape[0], self.out_grid[0] * self.out_grid[1], self.dim))
        if self.prefix:
            self.front = keras.layers.Dense(self.dim, name="front", dtype=policy)
            self.front.build((x_shape[0], self.prefix, channels))
        self.built = True

    def call(self, x):
        front, x = x[:, : self.prefix], ops.reshape(x[:, self.prefix :], (-1, *self.grid, x.shape[-1]))
        x = self.conv(_ring(x, self.reduce_kernel))
        x = ops.reshape(x, (-1, self.out_grid[0] * self.out_grid[1], self.dim))
        x = self.pointwise(x) if self.reduce_pointwise else x
        return ops.concatenate([self.front(front), x], axis=1) if self.prefix else x

    def multiply_adds(self, x_shape):
        products = self.reduce_kernel**2 + (self.dim if self.reduce_pointwise else 0)
        return self.out_grid[0] * self.out_grid[1] * self.dim * products + self.prefix * x_shape[-1] * self.dim


def _ring(x, kernel: int):
    """Zeros round a map, half a kernel wide: a stride then sees the same on both sides, on every backend."""
    reach = kernel // 2
    return ops.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))


def _ringed(grid, kernel: int) -> tuple[int, int]:
    return tuple(side + kernel - 1 for side in grid)
