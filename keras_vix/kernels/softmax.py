"""Exact attention."""

import math

import keras
from keras import ops

from .. import checks
from ..base import register
from ..ops.dense import masked_softmax, scores
from ..ops.precision import promote
from .base import Kernel


@register
class Softmax(Kernel):
    """`softmax(q k^T / sqrt(width)) v`; time and memory O(tokens^2).

    Args:
        dropout: rate of dropping attention weights while training, in [0, 1).

    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1.
    """

    def __init__(self, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.dropout = checks.rate("dropout", dropout)
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def call(self, q, k, v, mask=None, bias=None):
        s = scores(promote(q), promote(k))  # (..., heads, n, keys)
        if bias is not None:
            s = s + bias
        weights = masked_softmax(s, None if mask is None else ops.expand_dims(mask, -2))
        weights = self.drop(ops.cast(weights, self.compute_dtype))
        return ops.einsum("...nk,...kd->...nd", weights, ops.cast(v, self.compute_dtype))

    def multiply_adds(self, q_shape, k_shape, v_shape):
        return 2 * math.prod(q_shape) * k_shape[-2]
