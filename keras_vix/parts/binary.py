"""Parts of binary networks: the feed-forward part and the reduction, made of the layers of `primitives.binary`."""

import math

import keras
from keras import ops

from .. import checks
from ..base import Layer, register
from ..ops.precision import promote
from ..primitives.binary import BinaryConv2D, BinaryProjection, RPReLU, check_grid, make_affine, shortcut
from ..primitives.norms import make_norm
from .positions import LearnedPosition

BRANCHES = ((3, 1), (1, 3), (5, 1), (1, 5))


@register
class BinaryMLP(Layer):
    """Two binary projections on each token, and means of its neighbours beside them: `(batch, prefix + n, dim) -> same`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(BinaryMLP(mlp_dim=128, grid=(8, 8))(tokens).shape)
    (2, 64, 32)

    Args:
        mlp_dim: width of the hidden layer, a multiple of `dim`.
        grid: `(rows, columns)` of the tokens after the first `prefix`; only the branches ask for it.
        prefix: tokens in front, which have no neighbours and no branches.
        branches: whether means over 3 x 1, 1 x 3, 5 x 1 and 1 x 5 places, zeros beyond the border counted, are added, each times
            a learned scale and with a learned shift for each channel.
        branch_start: of these scales; from 0 the branches start silent.
        mlp_affine: start of a learned scale, with a shift, on the projections' output; `None` for neither.
        norm_epsilon: of the batch normalisations.

    Raises:
        ValueError: at build, if `mlp_dim` is no multiple of the width, or the token count is not `prefix + rows * columns`.

    Source: Le and Li 2023, arXiv:2306.16678. The paper has no token in front beside branches.
    """

    def __init__(
        self,
        mlp_dim: int = 128,
        grid=None,
        prefix: int = 0,
        branches: bool = True,
        branch_start: float = 0.0,
        mlp_affine: float | None = 0.1,
        norm_epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.mlp_dim = checks.integer("mlp_dim", mlp_dim)
        self.grid = checks.pair("grid", grid) if branches else grid
        self.prefix = checks.integer("prefix", prefix, 0)
        self.branches = branches
        self.branch_start = checks.number("branch_start", branch_start, 0.0, 10.0)
        self.mlp_affine = mlp_affine if mlp_affine is None else checks.number("mlp_affine", mlp_affine, 0.0, 10.0)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)

    def build(self, x_shape):
        tokens, dim = x_shape[1:]
        if self.mlp_dim % dim:
            raise ValueError(f"`mlp_dim` must be a multiple of the width. Received: mlp_dim={self.mlp_dim}, width={dim}.")
        if self.branches:
            check_grid(tokens, self.prefix, self.grid)
        self.expand = BinaryProjection(self.mlp_dim, self.norm_epsilon, name="expand", dtype=self.dtype_policy)
        self.contract = BinaryProjection(dim, self.norm_epsilon, name="contract", dtype=self.dtype_policy)
        self.expand.build(x_shape)
        self.contract.build((*x_shape[:-1], self.mlp_dim))
        self.affine = make_affine(self, self.mlp_affine, "affine", x_shape)
        sizes = BRANCHES if self.branches else ()
        self.means = [make_affine(self, self.branch_start, f"mean{high}x{wide}", x_shape) for high, wide in sizes]
        self.built = True

    def call(self, x, training=None):
        out = self.contract(self.expand(x, training=training), training=training)
        out = out if self.affine is None else self.affine(out)
        return out + self._neighbours(x) if self.branches else out

    def _neighbours(self, x):
        """The sum of the branches, 0 for tokens in front."""
        board = ops.reshape(promote(x[:, self.prefix :]), (-1, *self.grid, x.shape[-1]))
        parts = [affine(ops.cast(mean(board, size), x.dtype)) for affine, size in zip(self.means, BRANCHES)]
        total = ops.reshape(parts[0] + parts[1] + parts[2] + parts[3], (-1, x.shape[1] - self.prefix, x.shape[-1]))
        return ops.concatenate([ops.zeros_like(x[:, : self.prefix]), total], axis=1) if self.prefix else total

    def compute_output_shape(self, x_shape):
        return x_shape

    def multiply_adds(self, x_shape):
        return 2 * math.prod(x_shape) * self.mlp_dim

    def binary_multiply_adds(self, x_shape):
        return self.multiply_adds(x_shape)

    def scalings(self, x_shape):
        tokens, dim = x_shape
        own = 0 if self.affine is None else tokens * dim
        return own + len(self.means) * (tokens - self.prefix) * dim


def mean(board, size):
    """Mean over `size` places round each of a map `(batch, rows, columns, dim)`, those beyond the border being 0."""
    reach = [(side // 2,) * 2 for side in size]
    return ops.average_pool(ops.pad(board, ((0, 0), *reach, (0, 0))), size, 1, data_format="channels_last")


@register
class BinaryMerging(Layer):
    """Four neighbours into one token, with its place: `(batch, rows * columns, channels) -> (batch, rows * columns / 4, dim)`.

    With `y` the batch-normalised grid and positions learned for the grid afterwards: `RPReLU(BatchNorm(BinaryConv2D(y)) + s) +
    positions`, `s` being the means of 2 x 2 places, side by side as often as `dim` needs.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> merge = BinaryMerging(dim=64, grid=(8, 8))
    >>> tuple(merge(tokens).shape)
    (2, 16, 64)
    >>> merge.out_grid
    (4, 4)

    Args:
        dim: width of the tokens afterwards, a multiple of the width before.
        grid: `(rows, columns)` before, both even.
        merge_binary: `False` takes a convolution of full precision: `BatchNorm(Conv2D(y)) + positions`, for any `dim`.
        norm_epsilon: of the batch normalisations.

    `out_grid` is the grid afterwards.

    Raises:
        ValueError: for an odd side; at build, if `dim` is no multiple of the width.

    Source: Le and Li 2023, arXiv:2306.16678; of full precision in BinaryViT*.
    """

    def __init__(self, dim: int, grid, merge_binary: bool = True, norm_epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.grid = checks.pair("grid", grid)
        self.merge_binary = merge_binary
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)
        if any(side % 2 for side in self.grid):
            raise ValueError(f"`grid` must have even sides to be halved. Received: grid={self.grid}.")
        self.out_grid = tuple(side // 2 for side in self.grid)

    def build(self, x_shape):
        channels, policy = x_shape[-1], self.dtype_policy
        if self.merge_binary and self.dim % channels:
            raise ValueError(f"`dim` must be a multiple of the width before. Received: dim={self.dim}, width={channels}.")
        board, less = (None, *self.grid, channels), (None, self.out_grid[0] * self.out_grid[1], self.dim)
        self.first_norm = make_norm("batch", self.norm_epsilon, self, "first_norm", x_shape)
        if self.merge_binary:
            self.conv = BinaryConv2D(self.dim, name="conv", dtype=policy)
            self.activation = RPReLU(name="activation", dtype=policy)
            self.activation.build(less)
        else:
            options = {"use_bias": False, "data_format": "channels_last", "name": "conv", "dtype": policy}
            self.conv = keras.layers.Conv2D(self.dim, 2, 2, **options)
        self.conv.build(board)
        self.batch_norm = make_norm("batch", self.norm_epsilon, self, "norm", less)
        self.position = LearnedPosition(name="position", dtype=policy)
        self.position.build(less)
        self.built = True

    def call(self, x, training=None):
        y = ops.reshape(self.first_norm(x, training=training), (-1, *self.grid, x.shape[-1]))
        out = self.batch_norm(self._tokens(self.conv(y)), training=training)
        if self.merge_binary:
            means = ops.cast(ops.average_pool(promote(y), 2, 2, data_format="channels_last"), y.dtype)
            out = self.activation(out + shortcut(self._tokens(means), self.dim))
        return self.position(out)

    def _tokens(self, board):
        return ops.reshape(board, (-1, self.out_grid[0] * self.out_grid[1], board.shape[-1]))

    def compute_output_shape(self, x_shape):
        return (x_shape[0], self.out_grid[0] * self.out_grid[1], self.dim)

    def multiply_adds(self, x_shape):
        return math.prod(x_shape) * self.dim

    def binary_multiply_adds(self, x_shape):
        return self.multiply_adds(x_shape) if self.merge_binary else 0
