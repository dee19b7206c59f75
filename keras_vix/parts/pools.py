"""Pools: how tokens become one vector, or one for each of several heads."""

import math

import keras
from keras import ops

from .. import checks
from ..base import Layer, register
from ..ops.dense import NEVER
from ..ops.precision import promote


class Pool(Layer):
    """What takes a mask of tokens and leaves none behind."""

    def compute_mask(self, *inputs, **masks):
        """None: there are no tokens left."""
        return None


@register
class MeanPool(Pool):
    """Mean of the tokens that stand for a place: `(batch, prefix + n, dim) -> (batch, dim)`.

    Called as `layer(x, mask=None)`; `mask` is boolean `(batch, prefix + n)`, true for the tokens that take part.

    Args:
        prefix: tokens in front that are left out.
    """

    def __init__(self, prefix: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.prefix = checks.integer("prefix", prefix, 0)

    def call(self, x, mask=None):
        x = promote(x[:, self.prefix :])
        if mask is None:
            return ops.cast(ops.mean(x, axis=1), self.compute_dtype)
        present = ops.cast(ops.expand_dims(mask[:, self.prefix :], -1), x.dtype)
        total = ops.sum(ops.where(present > 0, x, 0.0), axis=1)
        return ops.cast(total / ops.maximum(ops.sum(present, axis=1), 1.0), self.compute_dtype)


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
class SequencePool(Pool):
    """A learned weighted mean of all tokens: `(batch, n, dim) -> (batch, dim)`.

    Called as `layer(x, mask=None)`, as `MeanPool`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(SequencePool()(tokens).shape)
    (2, 32)

    Source: Hassani et al. 2021, arXiv:2104.05704, section 3.3.
    """

    def build(self, x_shape):
        self.score = keras.layers.Dense(1, name="score", dtype=self.dtype_policy)
        self.score.build(x_shape)
        self.built = True

    def call(self, x, mask=None):
        scores, x = promote(self.score(x)), promote(x)
        if mask is None:
            return ops.cast(ops.sum(ops.softmax(scores, axis=1) * x, axis=1), self.compute_dtype)
        present = ops.expand_dims(mask, -1)
        weights = ops.softmax(ops.where(present, scores, NEVER), axis=1)
        return ops.cast(ops.sum(ops.where(present, weights * x, 0.0), axis=1), self.compute_dtype)

    def multiply_adds(self, x_shape):
        return 2 * math.prod(x_shape)


@register
class FlattenPool(Pool):
    """All tokens side by side: `(batch, n, dim) -> (batch, n * dim)`.

    Called as `layer(x, mask=None)`; a token where `mask`, `(batch, n)`, is false counts as 0.

    Args:
        flat_scale: a constant factor, > 0. The head then has `n` times as many inputs as behind a mean, all of which one step
            of an optimiser such as Adam moves by about the learning rate: without a factor its logits move `n` times as far.
    """

    def __init__(self, flat_scale: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.flat_scale = checks.number("flat_scale", flat_scale, 1e-6, 1e3)

    def call(self, x, mask=None):
        x = x if mask is None else ops.where(ops.expand_dims(mask, -1), x, ops.zeros_like(x))
        return ops.reshape(x, (-1, x.shape[1] * x.shape[2])) * self.flat_scale
