"""Attention whose queries, keys and values see the neighbours on the grid first."""

import keras
from keras import ops

from .. import checks
from ..base import TOKENS, Layer, register
from ..kernels import Kernel
from .attention import Attention, check_mask


@register
class ConvAttention(Layer):
    """Attention after depth-wise convolutions of the grid: `(batch, rows * columns, dim) -> (batch, rows * columns, dim)`.

    Called as `layer(x, mask=None)`; `mask` is boolean `(batch, rows * columns)`, true for the tokens that take part: the others
    are zeros to the convolutions too, and in no statistics. A convolution, without bias, and a batch normalisation make the
    tokens of the queries, and another pair those of keys and values; then attention as usual.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(ConvAttention(num_heads=4, grid=(8, 8), kv_stride=2)(tokens).shape)
    (2, 64, 32)

    Args:
        num_heads, key_dim, kernel, use_bias, out_dropout, qkv_bias: as in `Attention`.
        grid: `(rows, columns)` of the tokens, which come row by row.
        conv_size: side of the convolutions, odd.
        kv_stride: step of the convolution for keys and values; above 1 there are fewer of them.
        conv_epsilon: of the batch normalisations.

    Raises:
        ValueError: at build, for a token count other than `rows * columns`; for a mask together with a stride.

    Source: Wu et al. 2021, arXiv:2103.15808, section 3.2.
    """

    input_axes = TOKENS

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        grid=None,
        conv_size: int = 3,
        kv_stride: int = 1,
        kernel: Kernel | None = None,
        use_bias: bool = True,
        out_dropout: float = 0.0,
        qkv_bias: bool | None = False,
        conv_epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_heads, self.key_dim, self.out_dropout = num_heads, key_dim, out_dropout
        self.use_bias, self.qkv_bias = use_bias, qkv_bias
        self.grid = checks.pair("grid", grid)
        self.conv_size = checks.odd("conv_size", conv_size)
        self.kv_stride = checks.integer("kv_stride", kv_stride)
        self.conv_epsilon = checks.number("conv_epsilon", conv_epsilon, 1e-12, 1.0)
        self.attention = Attention(
            num_heads, key_dim, kernel, None, use_bias, out_dropout, qkv_bias, name="attention", dtype=self.dtype_policy
        )
        self.kernel = self.attention.kernel

    def build(self, x_shape):
        if x_shape[1] != self.grid[0] * self.grid[1]:
            raise ValueError(f"The token count must be rows * columns. Received: tokens={x_shape[1]}, grid={self.grid}.")
        channels = x_shape[-1]
        self.attention.check(x_shape, (x_shape[0], self._keys(), channels))
        self.input_sizes = (None, *x_shape[1:])
        ringed = (x_shape[0], *(side + self.conv_size - 1 for side in self.grid), channels)
        self.seen = []
        for name, stride in (("query", 1), ("key_value", self.kv_stride)):
            conv = keras.layers.DepthwiseConv2D(
                self.conv_size, stride, use_bias=False, data_format="channels_last", name=f"{name}_conv", dtype=self.dtype_policy
            )
            norm = keras.layers.BatchNormalization(
                momentum=0.9, epsilon=self.conv_epsilon, name=f"{name}_norm", dtype=self.dtype_policy
            )
            conv.build(ringed)
            norm.build(conv.compute_output_shape(ringed))
            self.seen.append((conv, norm))
        (self.query_conv, self.query_norm), (self.key_conv, self.key_norm) = self.seen
        self.attention.build(x_shape, (x_shape[0], self._keys(), channels))
        self.built = True

    def _keys(self) -> int:
        rows, columns = (-(-side // self.kv_stride) for side in self.grid)
        return rows * columns

    def call(self, x, mask=None, training=None):
        x, mask = self._present(x, mask)
        return self.attention(*self._surroundings(x, mask, training), mask=mask, training=training)

    def _present(self, x, mask):
        """Tokens, 0 where they do not take part, and their mask."""
        mask = check_mask(mask, x.shape[1], x.shape[0])
        if mask is not None:
            if self.kv_stride > 1:
                raise ValueError(f"A mask of tokens is none of keys with a stride. Received: a mask, kv_stride={self.kv_stride}.")
            x = ops.where(ops.expand_dims(mask, -1), x, ops.zeros_like(x))
        return x, mask

    def project(self, x):
        """As `Attention.project`, of tokens that all take part."""
        return self.attention.project(*self._surroundings(x))

    def map_parts(self, x, mask=None):
        """As `Attention.map_parts`; with a stride the keys are those of the smaller grid."""
        x, mask = self._present(x, mask)
        return self.attention.map_parts(*self._surroundings(x, mask), mask=mask)

    def _surroundings(self, x, mask=None, training=None):
        """Tokens that have seen their neighbours: those of the queries, and those of keys and values."""
        reach, channels = self.conv_size // 2, x.shape[-1]
        board = ops.pad(ops.reshape(x, (-1, *self.grid, channels)), ((0, 0), (reach, reach), (reach, reach), (0, 0)))
        alive = None if mask is None else ops.reshape(mask, (-1, *self.grid))
        query = self.query_norm(self.query_conv(board), training=training, mask=alive)
        value = self.key_norm(self.key_conv(board), training=training, mask=alive)
        return tuple(ops.reshape(y, (-1, n, channels)) for y, n in ((query, x.shape[1]), (value, self._keys())))

    def compute_output_shape(self, x_shape):
        return x_shape

    def multiply_adds(self, x_shape):
        keys = (self._keys(), x_shape[-1])
        convolutions = self.conv_size**2 * x_shape[-1] * (x_shape[0] + keys[0])
        return convolutions + self.attention.multiply_adds(x_shape, keys)
