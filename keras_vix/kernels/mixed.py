"""Exact attention with scores that are scaled, mixed or masked otherwise."""

import math

import keras
from keras import ops

from .. import checks
from ..base import register
from ..ops.dense import apart, masked_softmax, outer
from ..ops.precision import promote
from .base import Kernel
from .softmax import chosen


class _Weighted(Kernel):
    """Exact attention by its matrix of weights; subclasses mix the heads before and after the softmax."""

    dense = True

    def build(self, q_shape, k_shape, v_shape):
        self.heads, self.width = q_shape[-3], q_shape[-1]
        if self.learned_scale:
            start = keras.initializers.Constant(self.width**-0.5)
            self.scale = self.add_weight(name="scale", shape=(self.heads,), initializer=start)
        self.drop = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        self.built = True

    def call(self, q, k, v, mask=None, bias=None, training=None):
        weights = self.drop(ops.cast(self._weights(q, k, mask, bias, q.shape[-2]), self.compute_dtype), training=training)
        return ops.matmul(weights, ops.cast(v, self.compute_dtype))

    def _weights(self, q, k, mask, bias, tokens, first=0):
        """Weights in float32 of the queries from `first` on, of `tokens` in all."""
        q, k, keys = promote(q), promote(k), k.shape[-2]
        scale = ops.cast(self.scale, q.dtype)[:, None, None] if self.learned_scale else self.width**-0.5
        s = self.before(outer(q * scale, k))
        s = s if bias is None else s + bias
        seen = None if mask is None else ops.expand_dims(mask, -2)
        others = seen
        if not self.diagonal and tokens == keys > 1:
            others = apart(q.shape[-2], keys, first)
            others = others if seen is None else ops.logical_and(others, seen)
        weights = self.after(masked_softmax(s, others))
        if seen is not None:  # a mixing with a bias gives weight to every key
            weights = weights * ops.cast(seen, weights.dtype)
        return weights

    def factors(self, q, k, mask=None, bias=None, rows=slice(None)):
        tokens = q.shape[-2]
        q, bias, first = chosen(q, bias, rows)
        return {"weights": self._weights(q, k, mask, bias, tokens, first)}

    def before(self, s):
        return s

    def after(self, weights):
        return weights

    def multiply_adds(self, q_shape, k_shape, v_shape):
        return 2 * math.prod(q_shape) * k_shape[-2]

    def stand_alone(self):
        return list(self.trainable_weights)


@register
class LSA(_Weighted):
    """Locality self-attention: `softmax(scale_h q k^T, without each token's own key) v`; time and memory O(tokens^2).

    >>> q, k, v = keras.random.normal((3, 2, 4, 64, 8))
    >>> tuple(LSA()(q, k, v).shape)
    (2, 4, 64, 8)

    Args:
        learned_scale: whether each head's scale is learned, from `1 / sqrt(width)`.
        diagonal: whether a token sees itself. Where queries and keys differ in number, or there is only one, it does anyhow.
        dropout: rate of dropping attention weights while training, in [0, 1).

    Source: Lee et al. 2021, arXiv:2112.13492, section 3.2, whose temperature is the inverse of the scale here.
    """

    def __init__(self, learned_scale: bool = True, diagonal: bool = False, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.learned_scale, self.diagonal = learned_scale, diagonal
        self.dropout = checks.rate("dropout", dropout)


@register
class TalkingHeads(_Weighted):
    """Exact attention whose heads are mixed before and after the softmax; time O(heads * tokens^2), memory O(tokens^2).

    >>> q, k, v = keras.random.normal((3, 2, 4, 64, 8))
    >>> tuple(TalkingHeads()(q, k, v).shape)
    (2, 4, 64, 8)

    Args:
        mix_bias: whether the mixings have a bias.
        mix_std: standard deviation of the start of the matrices.
        learned_scale, diagonal, dropout: as in `LSA`; keys are left out after the first mixing.

    Source: Shazeer et al. 2020, arXiv:2003.02436, as in Touvron et al. 2021, arXiv:2103.17239, section 4.
    """

    def __init__(
        self,
        mix_bias: bool = True,
        mix_std: float = 0.02,
        learned_scale: bool = False,
        diagonal: bool = True,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.mix_bias, self.learned_scale, self.diagonal = mix_bias, learned_scale, diagonal
        self.mix_std = checks.number("mix_std", mix_std, 0.0, 100.0)
        self.dropout = checks.rate("dropout", dropout)

    def build(self, q_shape, k_shape, v_shape):
        super().build(q_shape, k_shape, v_shape)
        start = keras.initializers.RandomNormal(stddev=self.mix_std)
        self.mixings = [
            self.add_weight(name=name, shape=(self.heads, self.heads), initializer=start)
            for name in ("mix_scores", "mix_weights")
        ]
        names = ("mix_scores_bias", "mix_weights_bias") if self.mix_bias else ()
        self.biases = [self.add_weight(name=name, shape=(self.heads,), initializer="zeros") for name in names]
        self.built = True

    def before(self, s):
        return self._mix(0, s)

    def after(self, weights):
        return self._mix(1, weights)

    def _mix(self, place: int, s):
        shape, (tokens, keys) = ops.shape(s), s.shape[-2:]
        mixing = ops.transpose(ops.cast(self.mixings[place], s.dtype))
        flat = ops.reshape(s, (*shape[:-3], self.heads, tokens * keys))
        mixed = ops.reshape(ops.matmul(mixing, flat), shape)
        return mixed + ops.cast(self.biases[place], s.dtype)[:, None, None] if self.mix_bias else mixed

    def multiply_adds(self, q_shape, k_shape, v_shape):
        mixings = 2 * self.heads * math.prod(q_shape[:-1]) * k_shape[-2]
        return super().multiply_adds(q_shape, k_shape, v_shape) + mixings
