"""Reductions: how a stage shrinks the grid."""

import keras
from keras import ops

from .. import checks
from ..base import Layer, register


@register
class PatchMerging(Layer):
    """Four neighbours into one token: `(batch, rows * columns, channels) -> (batch, ceil(rows / 2) * ceil(columns / 2), dim)`.

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
