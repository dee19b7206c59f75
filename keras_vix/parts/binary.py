"""Parts of binary networks: products of two values each, and the full-precision scales and shifts between them.

Shifts, slopes and scales are applied in float32 under every policy, so that a sign is that of the sum, not of its rounding.
"""

import math

import keras
from keras import ops

from .. import checks
from ..base import Layer, register
from ..ops import binary
from ..ops.precision import promote
from .norms import make_norm
from .positions import LearnedPosition


def fan_in():
    """Uniform in `+-1/sqrt(fan_in)`."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


@register
class BinarySign(Layer):
    """`sign(x + bias)`, a number for each channel: `(..., dim) -> same`, every number -1 or 1 (or 0, where it is 0).

    The derivative is `2 - 2 |x + bias|` from -1 to 1, and 0 beyond. The bias starts at 0.

    Source: Liu et al. 2020, arXiv:2003.03488, section 4.2; the slope: Liu et al. 2018, arXiv:1808.00278.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def build(self, x_shape):
        self.bias = self.add_weight(name="bias", shape=x_shape[-1:], initializer="zeros")
        self.built = True

    def call(self, x):
        return ops.cast(binary.sign(promote(x) + self.bias), self.compute_dtype)

    def compute_output_shape(self, x_shape):
        return x_shape

    def stand_alone(self):
        return [self.bias]


@register
class RPReLU(Layer):
    """`PReLU(x - bias_before) + bias_after`, all three with a number for each channel: `(..., dim) -> same`.

    Slopes start at 0.25, biases at 0.

    Source: Liu et al. 2020, arXiv:2003.03488, section 4.2.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def build(self, x_shape):
        self.bias_before = self.add_weight(name="bias_before", shape=x_shape[-1:], initializer="zeros")
        self.slope = self.add_weight(name="slope", shape=x_shape[-1:], initializer=keras.initializers.Constant(0.25))
        self.bias_after = self.add_weight(name="bias_after", shape=x_shape[-1:], initializer="zeros")
        self.built = True

    def call(self, x):
        x = promote(x) - self.bias_before
        return ops.cast(ops.where(x > 0.0, x, x * self.slope) + self.bias_after, self.compute_dtype)

    def compute_output_shape(self, x_shape):
        return x_shape


@register
class Affine(Layer):
    """`gamma * x + beta`, a number of each for each channel: `(..., dim) -> same`.

    Args:
        start: of `gamma`; `beta` starts at 0.
    """

    def __init__(self, start: float = 0.1, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.start = checks.number("start", start, 0.0, 10.0)

    def build(self, x_shape):
        self.gamma = self.add_weight(name="gamma", shape=x_shape[-1:], initializer=keras.initializers.Constant(self.start))
        self.beta = self.add_weight(name="beta", shape=x_shape[-1:], initializer="zeros")
        self.built = True

    def call(self, x):
        return ops.cast(promote(x) * self.gamma + self.beta, self.compute_dtype)

    def compute_output_shape(self, x_shape):
        return x_shape

    def scalings(self, x_shape):
        return math.prod(x_shape)

    def stand_alone(self):
        return [self.gamma, self.beta]


@register
class BinaryDense(Layer):
    """`sign(x + bias) W`, where each unit's weights are one number or its negative: `(..., dim) -> (..., units)`; no other bias.

    `W` is `mean |V| * sign(V - mean V)` of the trained `V`, means over each unit's weights. The gradient passes to `V - mean V`
    unchanged where its size is at most 1. `V` starts uniform in `+-1/sqrt(dim)`.

    Args:
        units: width afterwards.

    Source: Le and Li 2023, arXiv:2306.16678.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.units = checks.integer("units", units)

    def build(self, x_shape):
        self.sign = BinarySign(name="sign", dtype=self.dtype_policy)
        self.sign.build(x_shape)
        self.kernel = self.add_weight(name="kernel", shape=(x_shape[-1], self.units), initializer=fan_in())
        self.built = True

    def call(self, x):
        return ops.matmul(self.sign(x), ops.cast(binary.binary_weights(self.kernel), self.compute_dtype))

    def compute_output_shape(self, x_shape):
        return (*x_shape[:-1], self.units)

    def multiply_adds(self, x_shape):
        return math.prod(x_shape) * self.units

    def binary_multiply_adds(self, x_shape):
        return self.multiply_adds(x_shape)


@register
class BinaryConv2D(Layer):
    """A convolution of signs without overlap: `(batch, H, W, channels) -> (batch, H / size, W / size, filters)`; no bias.

    As `BinaryDense`, but `W` is `mean |V| * sign(V)`, the mean left in, over each filter's weights.

    Args:
        filters: channels afterwards.
        size: side of the kernel and step, in places.

    Source: Le and Li 2023, arXiv:2306.16678.
    """

    def __init__(self, filters: int, size: int = 2, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.filters = checks.integer("filters", filters)
        self.size = checks.integer("size", size)

    def build(self, x_shape):
        self.sign = BinarySign(name="sign", dtype=self.dtype_policy)
        self.sign.build(x_shape)
        shape = (self.size, self.size, x_shape[-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=fan_in())
        self.built = True

    def call(self, x):
        kernel = ops.cast(binary.binary_weights(self.kernel, center=False), self.compute_dtype)
        return ops.conv(self.sign(x), kernel, self.size, data_format="channels_last")

    def compute_output_shape(self, x_shape):
        return (x_shape[0], x_shape[1] // self.size, x_shape[2] // self.size, self.filters)

    def multiply_adds(self, x_shape):
        rows, columns, channels = x_shape
        return (rows // self.size) * (columns // self.size) * self.size**2 * channels * self.filters

    def binary_multiply_adds(self, x_shape):
        return self.multiply_adds(x_shape)


@register
class BinaryProjection(Layer):
    """`RPReLU(BatchNorm(BinaryDense(x)) + shortcut(x))`: `(batch, n, dim) -> (batch, n, units)`.

    The shortcut is `x` itself; side by side as often as a larger `units` needs; or, for a smaller one, the means of groups of
    neighbouring channels.

    Args:
        units: width afterwards, a multiple or a divisor of `dim`.
        norm_epsilon: of the batch normalisation.

    Raises:
        ValueError: at build, if neither width is a multiple of the other.

    Source: Le and Li 2023, arXiv:2306.16678.
    """

    def __init__(self, units: int, norm_epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.units = checks.integer("units", units)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)

    def build(self, x_shape):
        dim = x_shape[-1]
        if dim % self.units and self.units % dim:
            raise ValueError(f"One width must be a multiple of the other. Received: width={dim}, units={self.units}.")
        wide = (*x_shape[:-1], self.units)
        self.dense = BinaryDense(self.units, name="dense", dtype=self.dtype_policy)
        self.dense.build(x_shape)
        self.batch_norm = make_norm("batch", self.norm_epsilon, self, "norm", wide)
        self.activation = RPReLU(name="activation", dtype=self.dtype_policy)
        self.activation.build(wide)
        self.built = True

    def call(self, x, training=None):
        return self.activation(self.batch_norm(self.dense(x), training=training) + shortcut(x, self.units))

    def compute_output_shape(self, x_shape):
        return (*x_shape[:-1], self.units)

    def multiply_adds(self, x_shape):
        return self.dense.multiply_adds(x_shape)

    def binary_multiply_adds(self, x_shape):
        return self.dense.multiply_adds(x_shape)


def shortcut(x, units: int):
    """`(..., dim) -> (..., units)` without weights: channels side by side again and again, or means of neighbouring ones."""
    dim = x.shape[-1]
    if units >= dim:
        return x if units == dim else ops.concatenate([x] * (units // dim), axis=-1)
    groups = ops.reshape(promote(x), (-1, *x.shape[1:-1], units, dim // units))
    return ops.cast(ops.mean(groups, axis=-1), x.dtype)


BRANCHES = ((3, 1), (1, 3), (5, 1), (1, 5))


@register
class BinaryMLP(Layer):
    """Two binary projections on each token, and means of its neighbours beside them: `(batch, prefix + n, dim) -> same`.

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


def check_grid(tokens, prefix, grid) -> None:
    """Refuse a number of tokens other than `prefix + rows * columns`."""
    if tokens != prefix + grid[0] * grid[1]:
        raise ValueError(
            f"The token count must be prefix + rows * columns. Received: tokens={tokens}, prefix={prefix}, grid={grid}."
        )


def make_affine(owner, start, name, shape):
    """A built `Affine` under its owner's policy; `None` without a start."""
    if start is None:
        return None
    made = Affine(start, name=name, dtype=owner.dtype_policy)
    made.build(shape)
    return made


@register
class BinaryMerging(Layer):
    """Four neighbours into one token, with its place: `(batch, rows * columns, channels) -> (batch, rows * columns / 4, dim)`.

    With `y` the batch-normalised grid and positions learned for the grid afterwards: `RPReLU(BatchNorm(BinaryConv2D(y)) + s) +
    positions`, `s` being the means of 2 x 2 places, side by side as often as `dim` needs.

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
