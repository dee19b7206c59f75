"""Exact attention."""

import math

import keras
from keras import ops

from .. import checks
from ..base import register
from ..ops.chunked import chunk_size, chunked_attention
from ..ops.dense import attend, both, masked_softmax, past, scores
from ..ops.fused import fused_attention
from ..ops.precision import promote
from .base import Kernel

WHOLE = 2048  # tokens up to which all weights are kept for the gradient


@register
class Softmax(Kernel):
    """`softmax(q k^T / sqrt(width)) v`; time O(tokens^2), memory O(tokens^2) or, in chunks, O(tokens).

    >>> q, k, v = keras.random.normal((3, 2, 4, 64, 8))
    >>> tuple(Softmax(causal=True)(q, k, v).shape)
    (2, 4, 64, 8)

    Args:
        dropout: rate of dropping attention weights while training, in [0, 1). Dropped weights are all kept: memory
            O(tokens^2) while training.
        chunk: queries whose weights are computed at once, in memory linear in the tokens; not together with `dropout`. `None`
            keeps all weights up to 2,048 tokens, which is faster, and cuts the queries beyond. Without effect where a
            `bias` is given, which is as large as the weights.
        causal: whether token `i` sees the keys up to `i` only, the first key being that of the first token, so that no output
            depends on later tokens. All scores are computed none the less.

    On torch, and on JAX for 16-bit inputs on a GPU, the backend's fused routine, linear in memory too, is used where neither bias
    nor dropout is. That routine, and chunks on TensorFlow, cannot be differentiated twice.

    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1, and section 3.2.3 (`causal`); chunks: Rabe and Staats 2021,
    arXiv:2112.05682.
    """

    dense = True

    def __init__(self, dropout: float = 0.0, chunk: int | None = None, causal: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.dropout = checks.rate("dropout", dropout)
        self.chunk = chunk if chunk is None else checks.integer("chunk", chunk)
        if chunk is not None and dropout > 0.0:
            raise ValueError(f"`chunk` and `dropout` exclude each other. Received: chunk={chunk}, dropout={dropout}.")
        if not isinstance(causal, bool):
            raise TypeError(f"`causal` must be True or False. Received: causal={causal!r}.")
        self.causal = causal
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def call(self, q, k, v, mask=None, bias=None, training=None):
        if mask is not None:
            mask = ops.expand_dims(mask, -2)
        if self.dropout and training:
            return self._dropped(q, k, v, mask, bias)
        out = None
        if bias is None:
            out = fused_attention(*(ops.cast(x, self.compute_dtype) for x in (q, k, v)), mask, self.causal)
        if out is None:
            out = self._exact(promote(q), promote(k), promote(v), mask, bias)
        return ops.cast(out, self.compute_dtype)

    def _exact(self, q, k, v, mask, bias):
        chunk = None if bias is not None else self._chunk(q.shape[-2], k.shape[-2])
        if chunk is None:
            return attend(q, k, v, self._seen(q, k, mask), bias)
        return chunked_attention(q, k, v, mask, chunk, self.causal)

    def _seen(self, q, k, mask, first=0):
        """`mask` without what is later than each token, the first one being token `first`."""
        return both(mask, past(ops.shape(q)[-2], ops.shape(k)[-2], first) if self.causal else None)

    def _chunk(self, tokens, keys) -> int | None:
        if tokens is None or keys is None or (self.chunk is None and tokens * keys <= WHOLE**2):
            return None
        chunk = self.chunk or chunk_size(keys)
        return chunk if chunk < tokens else None

    def _dropped(self, q, k, v, mask, bias):
        weights = self._weights(q, k, mask, bias)
        weights = self.drop(ops.cast(weights, self.compute_dtype), training=True)
        return ops.matmul(weights, ops.cast(v, self.compute_dtype))

    def _weights(self, q, k, mask, bias, first=0):
        s = scores(promote(q), promote(k))  # (..., heads, n, keys)
        return masked_softmax(s if bias is None else s + bias, self._seen(q, k, mask, first))

    def factors(self, q, k, mask=None, bias=None, rows=slice(None)):
        q, bias, first = chosen(q, bias, rows)
        return {"weights": self._weights(q, k, None if mask is None else ops.expand_dims(mask, -2), bias, first)}

    def multiply_adds(self, q_shape, k_shape, v_shape):
        return 2 * math.prod(q_shape) * k_shape[-2]


def chosen(q, bias, rows: slice):
    """The queries `rows`, their part of a bias, and which query is the first of them."""
    return q[..., rows, :], None if bias is None else bias[..., rows, :], rows.indices(q.shape[-2])[0]
