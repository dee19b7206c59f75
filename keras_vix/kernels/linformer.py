"""Attention over projected tokens."""

import math

import keras
import numpy as np
from keras import ops

from .. import checks
from ..base import register
from ..ops.dense import masked_softmax, scores
from ..ops.precision import promote
from .base import Kernel

SHARING = ("none", "head", "kv", "layer")
INITIALISERS = ("uniform", "pool", "identity")


@register
class Linformer(Kernel):
    """`softmax(q (E k)^T / sqrt(width)) (F v)` with `E`, `F` of `m x tokens`; time and memory O(tokens * m).

    Args:
        m: number of projected tokens, 1 to the number of keys.
        share: which heads and layers share a projection. `none`: `E` and `F` for every head; `head`: `E` and `F` for all
            heads; `kv`: one for keys and values; `layer`: one for the whole model, handed to `call` as `projection`.
        start: initial projections. `uniform` in `+-1/sqrt(m)`; `pool` averages `m` nearly equal runs of tokens, a warm start
            for weights trained with exact attention; `identity` for `m` = tokens, where the kernel equals exact attention.
        dropout: rate of dropping attention weights while training.

    The number of tokens is fixed at build. Masked keys and values are zeroed *before* the projection, which makes the
    result that of the shorter sequence; masking the projected scores would mean nothing. It has no causal form, it is not
    equivariant to a permutation of the tokens, and rotary positions lose their relative property in it.

    Raises:
        ValueError: at build, if the number of keys is unknown or smaller than `m`.

    Source: Wang et al. 2020, arXiv:2006.04768, eq. 7 and section 4 (sharing). Differs: `kv` shares one projection and keeps
    both keys and values; some public code reuses the keys as values under that name.
    """

    def __init__(self, m: int = 64, share: str = "head", start: str = "uniform", dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.m = checks.integer("m", m)
        self.share = checks.choice("share", share, SHARING)
        self.start = checks.choice("start", start, INITIALISERS)
        self.dropout = checks.rate("dropout", dropout)
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, q_shape, k_shape, v_shape):
        self.tokens = k_shape[-2]
        check_rank(self.m, self.tokens, self.start)
        shape = (k_shape[-3], self.m, self.tokens) if self.share == "none" else (self.m, self.tokens)
        names = {"none": ("e", "f"), "head": ("e", "f"), "kv": ("e",), "layer": ()}[self.share]
        own = [self.add_weight(name=name, shape=shape, initializer=projection_start(self.start)) for name in names]
        self.e, self.f = (own * 2)[:2] if own else (None, None)
        self.built = True

    def call(self, q, k, v, mask=None, projection=None):
        if (self.share == "layer") != (projection is not None):
            raise ValueError(
                f"A projection is given to `call` if, and only if, share='layer'. Received: share={self.share!r}, "
                f"projection={'none' if projection is None else 'given'}; see `TokenProjection`."
            )
        if k.shape[-2] != self.tokens:
            raise ValueError(f"Linformer was built for {self.tokens} tokens. Received: tokens={k.shape[-2]}.")
        if mask is not None:
            k, v = (ops.where(ops.expand_dims(mask, -1), x, ops.zeros_like(x)) for x in (k, v))
        e, f = (projection, projection) if self.share == "layer" else (self.e, self.f)
        k, v = (_project(x, p, self.compute_dtype) for x, p in ((k, e), (v, f)))
        weights = masked_softmax(scores(promote(q), promote(k)))  # (..., heads, n, m)
        return ops.einsum("...nk,...kd->...nd", self.drop(ops.cast(weights, self.compute_dtype)), v)

    def multiply_adds(self, q_shape, k_shape, v_shape):
        return 2 * self.m * (math.prod(q_shape) + math.prod(k_shape))


def check_rank(m: int, tokens: int | None, start: str = "uniform") -> None:
    """The number of projected tokens fits the number of tokens, which must be known."""
    if tokens is None:
        raise ValueError("Linformer needs a fixed number of tokens. Received: tokens=None; give a full input shape.")
    if m > tokens or (start == "identity" and m != tokens):
        wanted = "m = tokens" if start == "identity" else "1 <= m <= tokens"
        raise ValueError(f"Linformer with start={start!r} needs {wanted}. Received: m={m}, tokens={tokens}.")


def projection_start(start: str):
    """An initialiser of `(..., m, tokens)` projections: `uniform`, `pool` or `identity`."""

    def initialise(shape, dtype=None):
        m, tokens = shape[-2:]
        if start == "uniform":
            return keras.initializers.RandomUniform(-(m**-0.5), m**-0.5)(shape, dtype=dtype)
        if start == "pool":
            rows = (np.arange(tokens) * m // tokens)[None] == np.arange(m)[:, None]
            rows = rows / rows.sum(1, keepdims=True)
        else:
            rows = np.eye(m)
        return ops.convert_to_tensor(np.broadcast_to(rows, shape), dtype=dtype)

    return initialise


def _project(x, projection, dtype):
    return ops.einsum("...kn,...nd->...kd", ops.cast(projection, dtype), ops.cast(x, dtype))
