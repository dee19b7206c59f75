"""Patches that see half a patch beyond their border."""

import keras
from keras import ops

from .. import checks
from ..base import Layer, register
from ..ops.shifts import shift_and_concatenate
from .embeds import check_patch

SHIFTS = 5  # the map and its four diagonal neighbours


class _Merged(Layer):
    """Shift, concatenate, cut into squares, normalise, project."""

    def _build_map(self, rows, columns, channels, patch):
        self.cut = patch
        width = SHIFTS * channels * patch[0] * patch[1]
        self.layer_norm = keras.layers.LayerNormalization(epsilon=self.norm_epsilon, name="norm", dtype=self.dtype_policy)
        self.projection = keras.layers.Dense(self.dim, name="projection", dtype=self.dtype_policy)
        shape = (None, rows // patch[0], columns // patch[1], width)
        self.layer_norm.build(shape)
        self.projection.build(shape)

    def _merge(self, x):
        (rows, columns, channels), (high, wide) = x.shape[1:], self.cut
        x = shift_and_concatenate(x, max(1, min(self.cut) // 2))
        x = ops.reshape(x, (-1, rows // high, high, columns // wide, wide, SHIFTS * channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return self.projection(self.layer_norm(ops.reshape(x, (-1, rows // high, columns // wide, high * wide * x.shape[-1]))))

    def _products(self, rows, columns, channels) -> int:
        return rows * columns * SHIFTS * channels * self.dim


@register
class ShiftedPatchEmbedding(_Merged):
    """Shifted patch tokenisation: `(batch, H, W, channels) -> (batch, H / patch, W / patch, dim)`.

    The image and four copies of it, moved diagonally by half a patch (at least a pixel), are cut into patches together, so
    that each patch sees half a patch beyond its border; then a layer normalisation and one linear map.

    >>> images = keras.random.uniform((2, 32, 32, 3), 0, 255)
    >>> tuple(ShiftedPatchEmbedding(dim=64, patch=4)(images).shape)
    (2, 8, 8, 64)

    Args:
        dim: width of a token.
        patch: side of a patch in pixels, or `(rows, columns)`; it must divide the image.
        norm_epsilon: of the normalisation.

    Raises:
        ValueError: at build, if the patch does not divide the image.

    Source: Lee et al. 2021, arXiv:2112.13492, section 3.1; values in a patch by row, column, channel, as released.
    """

    def __init__(self, dim: int = 64, patch=4, norm_epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.patch = checks.pair("patch", patch)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)

    def build(self, image_shape):
        check_patch(self.patch, image_shape[1:3])
        self._build_map(*image_shape[1:], self.patch)
        self.built = True

    def call(self, image):
        return self._merge(image)

    def multiply_adds(self, image_shape):
        return self._products(*image_shape)


@register
class ShiftedPatchReduction(_Merged):
    """Shifted patch tokenisation of a grid: `(batch, prefix + rows * columns, channels) -> (batch, prefix + tokens, dim)`.

    Squares of 2 x 2 tokens and of their diagonal neighbours become one token each, `ceil(rows / 2) * ceil(columns / 2)` in all;
    tokens in front go through a dense layer. An odd side is padded with zeros. `out_grid` is the grid afterwards.

    >>> tokens = keras.random.normal((2, 1 + 8 * 8, 32))
    >>> tuple(ShiftedPatchReduction(dim=64, grid=(8, 8), prefix=1)(tokens).shape)
    (2, 17, 64)

    Args:
        dim: width of the tokens afterwards.
        grid: `(rows, columns)` before.
        prefix: tokens in front.
        norm_epsilon: of the normalisation.

    Source: Lee et al. 2021, arXiv:2112.13492, section 3.1, pooling layer.
    """

    def __init__(self, dim: int, grid, prefix: int = 0, norm_epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.grid = checks.pair("grid", grid)
        self.prefix = checks.integer("prefix", prefix, 0)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)
        self.out_grid = tuple(-(-side // 2) for side in self.grid)

    def build(self, x_shape):
        self._build_map(*(2 * side for side in self.out_grid), x_shape[-1], (2, 2))
        if self.prefix:
            self.front = keras.layers.Dense(self.dim, name="front", dtype=self.dtype_policy)
            self.front.build((x_shape[0], self.prefix, x_shape[-1]))
        self.built = True

    def call(self, x):
        (rows, columns), (high, wide), channels = self.grid, self.out_grid, x.shape[-1]
        front, x = x[:, : self.prefix], ops.reshape(x[:, self.prefix :], (-1, rows, columns, channels))
        if rows % 2 or columns % 2:
            x = ops.pad(x, ((0, 0), (0, rows % 2), (0, columns % 2), (0, 0)))
        x = ops.reshape(self._merge(x), (-1, high * wide, self.dim))
        return ops.concatenate([self.front(front), x], axis=1) if self.prefix else x

    def multiply_adds(self, x_shape):
        channels = x_shape[-1]
        return self._products(*(2 * side for side in self.out_grid), channels) + self.prefix * channels * self.dim
