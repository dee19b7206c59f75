"""The attention mixer: projections round a kernel."""

import inspect
import math
import types

import keras
import numpy as np
from keras import ops

from .. import checks
from ..base import TOKENS, Layer, register
from ..kernels import Kernel, Softmax
from ..ops.heads import merge_heads, split_heads
from .maps import MapPart, convolution_parts


@register
class Attention(Layer):
    """Multi-head attention with any kernel: `(batch, n, dim) -> (batch, n, dim)`.

    Called as `layer(query, value=None, key=None, mask=None)`: `value` defaults to `query`, `key` to `value`; `mask` is boolean
    `(batch, keys)`, true for the tokens that take part. Where none does, the attention is 0 and the output the last bias.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(Attention(num_heads=4)(tokens).shape)
    (2, 64, 32)
    >>> tuple(Attention(num_heads=4, kernel=Nystrom(m=16))(tokens).shape)
    (2, 64, 32)

    Args:
        num_heads: number of heads.
        key_dim: width of a head; default `dim / num_heads`. The inner width is `num_heads * key_dim`.
        kernel: a `Kernel`; default `Softmax()`.
        rope: a `RotaryEmbedding` that turns queries and keys before the kernel, or `None`.
        use_bias: whether the four projections have a bias.
        out_dropout: rate on the output of the last projection while training.
        qkv_bias: whether the first three have one; default `use_bias`.
        kv_heads: heads of keys and values, a divisor of `num_heads`: each serves as many heads of queries. Default
            `num_heads`; 1 is multi-query attention.
        tie_kv: whether the keys, before any rotation, are the values too; there is no layer `value` then.

    Raises:
        ValueError: if `kv_heads` does not divide `num_heads`; at build, if `num_heads` does not divide the width and `key_dim` is
            not given; at a call, for a mask or a number of keys that does not fit, a `projection` for a kernel that takes none,
            or a `key` other than `value` where they are tied.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2; `kv_heads`: Shazeer 2019, arXiv:1911.02150, and Ainslie et al.
    2023, arXiv:2305.13245.
    """

    input_axes = TOKENS

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        kernel: Kernel | None = None,
        rope: Layer | None = None,
        use_bias: bool = True,
        out_dropout: float = 0.0,
        qkv_bias: bool | None = None,
        kv_heads: int | None = None,
        tie_kv: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_heads = checks.integer("num_heads", num_heads)
        self.kv_heads = kv_heads if kv_heads is None else checks.integer("kv_heads", kv_heads)
        if kv_heads is not None and num_heads % kv_heads:
            raise ValueError(f"`kv_heads` must divide `num_heads`. Received: kv_heads={kv_heads}, num_heads={num_heads}.")
        self.qkv_bias, self.tie_kv = qkv_bias, tie_kv
        self.key_dim = key_dim if key_dim is None else checks.integer("key_dim", key_dim)
        self.out_dropout = checks.rate("out_dropout", out_dropout)
        self.kernel = check_kernel(kernel, self.dtype_policy)
        self.rope = rope
        self.use_bias = use_bias

    def build(self, query_shape, value_shape=None, key_shape=None, mask_shape=None, projection_shape=None):
        value_shape = value_shape or query_shape
        key_shape = key_shape or value_shape
        q_shape, k_shape = self.check(query_shape, key_shape)
        if self.rope is not None:  # it has no weights, and may refuse
            self.rope.build(q_shape if query_shape[1] is None or query_shape[1] >= (key_shape[1] or 0) else k_shape)
        build_projections(self, query_shape, value_shape, key_shape, self.qkv_bias, self.kv_heads, self.tie_kv)
        self.kernel.build(q_shape, k_shape, k_shape)
        self.built = True

    def check(self, query_shape, key_shape):
        """The shapes of queries and keys as the kernel sees them; refused if no weights fit them."""
        fit_width(self, query_shape[-1])
        q_shape, k_shape = (self._heads(shape) for shape in (query_shape, key_shape))
        self.kernel.check(q_shape, k_shape, k_shape)
        return q_shape, k_shape

    def _heads(self, shape):
        return (shape[0], self.num_heads, shape[1], self.width)

    def call(self, query, value=None, key=None, mask=None, projection=None):
        value = query if value is None else value
        key = value if key is None else key
        if key.shape[1] != value.shape[1]:
            shapes = f"{tuple(key.shape)} and {tuple(value.shape)}"
            raise ValueError(f"`key` and `value` must have the same number of tokens. Received: shapes {shapes}.")
        if self.tie_kv and key is not value:
            raise ValueError("With tie_kv=True keys are the values. Received: a `key` beside `value`.")
        if projection is not None and not takes(self.kernel, "projection"):
            raise ValueError(f"`projection` is for Linformer(share='layer'). Received: kernel={type(self.kernel).__name__}.")
        mask = check_mask(mask, key.shape[1], key.shape[0])
        own = mask if query is key else None  # of the queries
        shared = {} if projection is None else {"projection": projection}
        if self._early:
            out = self._compressed(query, key, value, mask, shared)
        else:
            out = self._projected(query, key, value, mask, own, shared)
        return self.drop(self._project("out", merge_heads(out), own))

    def _project(self, name, x, mask=None):
        """The sub-layer `query`, `key`, `value` or `out` applied to tokens, of which `mask` says which take part."""
        return getattr(self, name)(x)

    def _keys_values(self, name, x, mask):
        """Heads of keys or values, one for each head of queries: `(batch, keys, dim) -> (batch, num_heads, keys, width)`."""
        return self._spread(split_heads(self._project(name, x, mask), self.kv_heads or self.num_heads))

    def _spread(self, x):
        groups = self.num_heads // (self.kv_heads or self.num_heads)
        return x if groups == 1 else ops.repeat(x, groups, axis=1)

    @property
    def _early(self) -> bool:
        """Whether tokens are compressed before keys and values are made of them; rotary positions have to come first."""
        return self.kernel.compresses and self.rope is None

    def project(self, query, value=None, key=None, mask=None, own=None):
        """Queries, keys and values of all heads as a kernel sees them: `(batch, num_heads, n, width)`, keys for each head.

        Arguments as in a call; `mask` is that of the keys, `own` that of the queries.
        """
        value = query if value is None else value
        key = value if key is None else key
        q, k = split_heads(self._project("query", query, own), self.num_heads), self._keys_values("key", key, mask)
        v = k if self.tie_kv else self._keys_values("value", value, mask)
        if self.rope is not None:
            q, k = self.rope(q), self.rope(k)
        return q, k, v

    def map_parts(self, query, value=None, key=None, mask=None, projection=None) -> list[MapPart]:
        """What the map of a call with these arguments is made of, in inference."""
        value = query if value is None else value
        key = value if key is None else key
        mask = check_mask(mask, key.shape[1])
        q, k, _ = self.project(query, value, key, mask, mask if query is key else None)
        shared = {} if projection is None else {"projection": projection}
        heads_mask = None if mask is None else ops.expand_dims(mask, 1)
        tokens, keys = q.shape[-2], k.shape[-2]

        def make(rows):
            return self.kernel.factors(q, k, mask=heads_mask, rows=rows, **shared)

        beside = convolution_parts(self.kernel, np.arange(keys)[None], keys, len(k), mask)
        return [MapPart("attention", make, (self.num_heads, tokens, keys), dense=self.kernel.dense), *beside]

    def _projected(self, query, key, value, mask, own, shared):
        q, k, v = self.project(query, value, key, mask, own)
        return self.kernel(q, k, v, mask=None if mask is None else ops.expand_dims(mask, 1), **shared)

    def _compressed(self, query, key, value, mask, shared):
        (key, key_sums), (value, value_sums) = self.kernel.compress(key, value, mask, **shared)
        heads = self.kv_heads or self.num_heads
        k = self._spread(split_heads(_apply(self.key, key, key_sums), heads))
        if self.tie_kv and self.kernel.ties:
            v = k
        else:
            layer = self.key if self.tie_kv else self.value
            v = self._spread(split_heads(_apply(layer, value, value_sums), heads))
        return self.kernel.exact(split_heads(self.query(query), self.num_heads), k, v)

    def compute_output_shape(self, query_shape, *args, **kwargs):
        return query_shape

    def multiply_adds(self, query_shape, value_shape=None, key_shape=None, **shapes):
        compress = self.kernel.compress_multiply_adds(key_shape or value_shape or query_shape, value_shape) if self._early else 0
        value_shape = value_shape or query_shape
        key_shape = key_shape or value_shape
        kernel = self.kernel
        if self._early:
            kernel, key_shape, value_shape = kernel.exact, (kernel.m, key_shape[1]), (kernel.m, value_shape[1])
        q, k = ((self.num_heads, shape[0], self.width) for shape in (query_shape, key_shape))
        inner, outer = (heads * self.width for heads in (self.kv_heads or self.num_heads, self.num_heads))
        projections = 2 * outer * math.prod(query_shape) + inner * math.prod(key_shape)
        if not self.tie_kv or (self._early and not self.kernel.ties):
            projections += inner * math.prod(value_shape)
        return projections + compress + kernel.multiply_adds(q, k, k)


def _apply(dense, x, sums):
    """A layer of weights `w` and bias `b` on summed tokens: `x w + sums b`."""
    return dense(x) + (sums - 1) * ops.cast(dense.bias, x.dtype) if dense.use_bias else dense(x)


def check_kernel(kernel, policy) -> Kernel:
    """`kernel`, or exact attention for `None`; anything else that is not a kernel is refused.

    The function of a layer that makes its own kernel is called now, when that layer's other arguments have been checked: a
    kernel draws seeds.
    """
    if kernel is None:
        return Softmax(dtype=policy)
    if isinstance(kernel, types.FunctionType):
        return kernel()
    if not isinstance(kernel, Kernel):
        raise TypeError(f"`kernel` must be a kernel layer such as Softmax() or Performer(m=32). Received: kernel={kernel!r}.")
    if kernel.built:
        raise ValueError(f"A kernel belongs to one attention layer. Received: kernel={kernel.name!r}, in use; make another one.")
    return kernel


def check_mask(mask, tokens: int | None, batch: int | None = None):
    """A mask of tokens, `(batch, tokens)`, as booleans; `None` stays `None`. One row may stand for the whole batch.

    Raises:
        ValueError: another rank, or another number of tokens or rows.
    """
    if mask is None:
        return None
    wanted = f"(batch, {tokens or 'tokens'})"
    if len(mask.shape) != 2 or None not in (mask.shape[1], tokens) and mask.shape[1] != tokens:
        raise ValueError(f"`mask` must be {wanted}, true for the tokens that take part. Received: shape {tuple(mask.shape)}.")
    if None not in (mask.shape[0], batch) and mask.shape[0] not in (1, batch):
        raise ValueError(f"`mask` must have a row for each sample. Received: shape {tuple(mask.shape)}, batch={batch}.")
    return ops.cast(mask, "bool")


def takes(kernel: Kernel, name: str) -> bool:
    """Whether the kernel's `call` names an optional input such as `bias` or `projection`."""
    return name in inspect.signature(type(kernel).call).parameters


def build_projections(layer, query_shape, value_shape, key_shape, qkv_bias=None, kv_heads=None, tie_kv=False) -> None:
    """Give an attention `layer` its width and its sub-layers `query`, `key`, `value`, `out` and `drop`, built.

    The last three arguments are as in `Attention`.
    """
    dim = query_shape[-1]
    fit_width(layer, dim)
    inner, few = layer.num_heads * layer.width, (kv_heads or layer.num_heads) * layer.width
    bias = layer.use_bias if qkv_bias is None else qkv_bias
    layer.query = _dense(layer, "query", inner, query_shape, bias)
    layer.key = _dense(layer, "key", few, key_shape, bias)
    if not tie_kv:
        layer.value = _dense(layer, "value", few, value_shape, bias)
    layer.out = _dense(layer, "out", dim, (*query_shape[:-1], inner), layer.use_bias)
    layer.drop = keras.layers.Dropout(layer.out_dropout, dtype=layer.dtype_policy)


def fit_width(layer, dim: int | None) -> None:
    """Give an attention `layer` the width of its heads, and the channels that it will be called with."""
    if dim is None:
        raise ValueError(f"{type(layer).__name__} {layer.name!r} needs a known number of channels. Received: channels=None.")
    if layer.key_dim is None and dim % layer.num_heads:
        raise ValueError(
            f"`num_heads` must divide the width, or `key_dim` be given. Received: num_heads={layer.num_heads}, width={dim}."
        )
    layer.width = layer.key_dim or dim // layer.num_heads
    layer.input_sizes = (None, None, dim)


def _dense(layer, name, units, shape, bias):
    dense = keras.layers.Dense(units, use_bias=bias, name=name, dtype=layer.dtype_policy)
    dense.build(shape)
    return dense
