"""Layers of binary networks: products of two values each, and the full-precision scales and shifts between them.

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


def fan_in():
    """Uniform in `+-1/sqrt(fan_in)`."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


@register
class BinarySign(Layer):
    """`sign(x + bias)`, a number for each channel: `(..., dim) -> same`, every number -1 or 1 (or 0, where it is 0).

    The derivative is `2 - 2 |x + bias|` from -1 to 1, and 0 beyond. The bias starts at 0.

    >>> ops.convert_to_numpy(BinarySign()(ops.array([[-0.3, 0.0, 2.0]]))).tolist()
    [[-1.0, 0.0, 1.0]]

    Source: Liu et al. 2020, arXiv:2003.03488, section 4.2; the slope: Liu et al. 2018, arXiv:1808.00278.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def build(self, x_shape):
        self.bias = self.add_weight(name="bias", shape=x_shape[-1:], initializer="zeros")
        self.built = True

    def call(self, x):
        return ops.cast(binary.sign(promote(x, self.bias) + self.bias), self.compute_dtype)

    def compute_output_shape(self, x_shape):
        return x_shape

    def stand_alone(self):
        return [self.bias]


@register
class RPReLU(Layer):
    """`PReLU(x - bias_before) + bias_after`, all three with a number for each channel: `(..., dim) -> same`.

    Slopes start at 0.25, biases at 0.

    >>> ops.convert_to_numpy(RPReLU()(ops.array([[-2.0, 2.0]]))).tolist()
    [[-0.5, 2.0]]

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
        x = promote(x, self.slope) - self.bias_before
        return ops.cast(ops.where(x > 0.0, x, x * self.slope) + self.bias_after, self.compute_dtype)

    def compute_output_shape(self, x_shape):
        return x_shape


@register
class Affine(Layer):
    """`gamma * x + beta`, a number of each for each channel: `(..., dim) -> same`.

    >>> ops.convert_to_numpy(Affine(start=0.5)(ops.array([[1.0, 2.0]]))).tolist()
    [[0.5, 1.0]]

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
        return ops.cast(promote(x, self.gamma) * self.gamma + self.beta, self.compute_dtype)

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

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(BinaryDense(units=48)(tokens).shape)
    (2, 64, 48)

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

    >>> maps = keras.random.normal((2, 8, 8, 32))
    >>> tuple(BinaryConv2D(filters=64)(maps).shape)
    (2, 4, 4, 64)

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

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(BinaryProjection(units=64)(tokens).shape)
    (2, 64, 64)

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
