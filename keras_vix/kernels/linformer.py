"""Attention over projected tokens."""

import math

import keras
import numpy as np
from keras import ops

from .. import checks
from ..base import register
from ..ops.precision import promote
from .base import Kernel
from .softmax import Softmax

SHARING = ("none", "head", "kv", "layer")
INITIALISERS = ("uniform", "pool", "identity")


@register
class Linformer(Kernel):
    """`softmax(q (E k)^T / sqrt(width)) (F v)` with `E`, `F` of `m x tokens`; time and memory O(tokens * m).

    >>> q, k, v = keras.random.normal((3, 2, 4, 64, 8))
    >>> tuple(Linformer(m=16)(q, k, v).shape)
    (2, 4, 64, 8)

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

    Source: Wang et al. 2020, arXiv:2006.04768, eq. 7 and section 4 (sharing). `kv` shares one projection and keeps both keys and
    values; some public code reuses the keys as values under that name, which `Attention(tie_kv=True)` does.
    """

    def __init__(self, m: int = 64, share: str = "head", start: str = "uniform", dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.m = checks.integer("m", m)
        self.share = checks.choice("share", share, SHARING)
        self.start = checks.choice("start", start, INITIALISERS)
        self.dropout = checks.rate("dropout", dropout)
        self.exact = Softmax(dropout, dtype=self.dtype_policy, name="exact")

    def check(self, q_shape, k_shape, v_shape):
        check_rank(self.m, k_shape[-2], self.start)

    def build(self, q_shape, k_shape, v_shape):
        self.check(q_shape, k_shape, v_shape)
        self.tokens = k_shape[-2]
        shape = (k_shape[-3], self.m, self.tokens) if self.share == "none" else (self.m, self.tokens)
        names = {"none": ("e", "f"), "head": ("e", "f"), "kv": ("e",), "layer": ()}[self.share]
        start = projection_start(self.start)  # float32 for `compress` too, which is called in the scope of a mixer
        own = [self.add_weight(name=name, shape=shape, initializer=start, autocast=False) for name in names]
        self.e, self.f = (own * 2)[:2] if own else (None, None)
        self.built = True

    def call(self, q, k, v, mask=None, projection=None):
        e, f = self._projections(k.shape[-2], projection)
        if mask is not None:
            k, v = (_present(x, mask) for x in (k, v))
        k, v = ops.matmul(e, promote(k)), ops.matmul(f, promote(v))  # a sum over all tokens can leave the range of float16
        return self.exact(promote(q), k, v)

    def factors(self, q, k, mask=None, projection=None, rows=slice(None)):
        """`weights` of the projected tokens, `(..., heads, n, m)`, and the `projection` of the values, `(..., m, keys)`."""
        e, f = self._projections(k.shape[-2], projection)
        if mask is not None:
            k, f = _present(k, mask), ops.where(ops.expand_dims(mask, -2), f, 0.0)
        return self.exact.factors(promote(q), ops.matmul(e, promote(k)), rows=rows) | {"projection": f}

    @property
    def compresses(self) -> bool:
        """Whether `compress` can be used: not if each head has its own projection."""
        return self.share != "none"

    @property
    def ties(self) -> bool:
        """Whether keys and values are projected alike."""
        return self.share in ("kv", "layer")

    def stand_alone(self):
        return [w for w in {id(w): w for w in (self.e, self.f)}.values() if w is not None]

    def compress(self, key, value, mask=None, projection=None):
        """Project tokens before keys and values are made of them: `E (x W + b) = (E x) W + (E 1) b`, the same at less cost.

        Returns `((key, key_sums), (value, value_sums))`: tokens `(batch, m, dim)`, to go through the layers that make keys and
        values, and how often the bias of those layers counts, `(m, 1)` or `(batch, m, 1)`.
        """
        e, f = self._projections(key.shape[-2], projection)
        sums = [_row_sums(p, mask) for p in (e, f)]
        alike = value is key
        if mask is not None:
            key = _present(key, mask)
            value = key if alike else _present(value, mask)
        key, value = promote(key), promote(value)
        if alike and f is e:
            key = value = ops.matmul(e, key)
        elif alike:
            key, value = ops.split(ops.matmul(ops.concatenate([e, f]), key), 2, axis=-2)
        else:
            key, value = ops.matmul(e, key), ops.matmul(f, value)
        key, value, *sums = (ops.cast(x, self.compute_dtype) for x in (key, value, *sums))
        return (key, sums[0]), (value, sums[1])

    def _projections(self, tokens, shared):
        if (self.share == "layer") != (shared is not None):
            raise ValueError(
                f"A projection is given to `call` if, and only if, share='layer'. Received: share={self.share!r}, "
                f"projection={'none' if shared is None else 'given'}; see `TokenProjection`."
            )
        if tokens != self.tokens:
            raise ValueError(f"Linformer was built for {self.tokens} tokens. Received: tokens={tokens}.")
        if shared is not None:
            return (promote(shared),) * 2
        e = ops.convert_to_tensor(self.e)
        return e, e if self.f is self.e else ops.convert_to_tensor(self.f)

    def multiply_adds(self, q_shape, k_shape, v_shape):
        project = self.m * (math.prod(k_shape) + math.prod(v_shape))
        return project + self.exact.multiply_adds(q_shape, (*k_shape[:-2], self.m, k_shape[-1]), v_shape)

    def compress_multiply_adds(self, key_shape, value_shape=None) -> int:
        """Multiply-adds of `compress`; without `value_shape` keys and values come of the same tokens."""
        products = 1 if value_shape is None and self.f is self.e else 2
        return products * self.m * math.prod(key_shape)


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


def _present(x, mask):
    return ops.where(ops.expand_dims(mask, -1), x, ops.zeros_like(x))


def _row_sums(projection, mask):
    """`(m, 1)`, or `(batch, m, 1)` over the tokens of each sample that take part."""
    if mask is None:
        return ops.sum(projection, axis=-1, keepdims=True)
    return ops.matmul(projection, ops.expand_dims(ops.cast(mask, projection.dtype), -1))
