"""Pools: how tokens become one vector, or one for each of several heads."""

import math

import keras
from keras import ops

from .. import checks
from ..base import Layer, register
from ..ops.precision import promote


@register
class MeanPool(Layer):
    """Mean of the tokens that stand for a place: `(batch, prefix + n, dim) -> (batch, dim)`.

    Args:
        prefix: tokens in front that are left out.
    """

    def __init__(self, prefix: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.prefix = checks.integer("prefix", prefix, 0)

    def call(self, x):
        return ops.cast(ops.mean(promote(x[:, self.prefix :]), axis=1), self.compute_dtype)


@register
class FirstPool(Layer):
    """The first token, that of the class: `(batch, n, dim) -> (batch, dim)`.

    Args:
        prefix: tokens in front; at least 1, or there is no class token to take.
    """

    def __init__(self, prefix: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.prefix = checks.integer("prefix", prefix)

    def call(self, x):
        return x[:, 0]


@register
class PrefixPool(Layer):
    """The tokens in front, each kept: `(batch, prefix + n, dim) -> (batch, prefix, dim)`.

    Args:
        prefix: tokens in front, at least 1.
    """

    def __init__(self, prefix: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.prefix = checks.integer("prefix", prefix)

    def call(self, x):
        return x[:, : self.prefix]


@register
class SequencePool(Layer):
    """A learned weighted mean of all tokens: `(batch, n, dim) -> (batch, dim)`.

    Source: Hassani et al. 2021, arXiv:2104.05704, section 3.3.
    """

    def build(self, x_shape):
        self.score = keras.layers.Dense(1, name="score", dtype=self.dtype_policy)
        self.score.build(x_shape)
        self.built = True

    def call(self, x):
        weights = ops.softmax(promote(self.score(x)), axis=1)
        return ops.cast(ops.sum(weights * promote(x), axis=1), self.compute_dtype)

    def multiply_adds(self, x_shape):
        return 2 * math.prod(x_shape)


@register
class FlattenPool(Layer):
    """All tokens side by side: `(batch, n, dim) -> (batch, n * dim)`.

    Args:
        flat_scale: a constant factor, > 0. The head then has `n` times as many inputs as behind a mean, all of which one step
            of an optimiser such as Adam moves by about the learning rate: without a factor its logits move `n` times as far.
    """

    def __init__(self, flat_scale: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.flat_scale = checks.number("flat_scale", flat_scale, 1e-6, 1e3)

    def call(self, x):
        return ops.reshape(x, (-1, x.shape[1] * x.shape[2])) * self.flat_scale
