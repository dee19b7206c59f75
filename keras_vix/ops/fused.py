"""Exact attention by the backend's own fused routine, where it has one."""

import keras
from keras import ops

from .dense import both, past, sample_mask
from .precision import promote

LARGEST = 1e6  # of a score: there float32 still tells 0.06 apart


def fused_attention(q, k, v, mask=None, causal: bool = False):
    """`softmax(q k^T / sqrt(width)) v` in one routine that keeps no weights; `None` where the backend has none for these inputs.

    `q` is `(..., heads, n, width)`, `k` and `v` are `(..., heads, keys, width)`, all of the layer's compute type; `mask` is
    boolean and broadcasts against `(..., heads, 1, keys)`; with `causal` token `i` sees the keys up to `i` only. On torch
    it serves every device and type, on JAX 16-bit inputs on a GPU. The routines keep running sums in float32; on a CPU the
    inputs are promoted first. Torch's gradient computes the weights again from the scores' log-sum, which float32 rounds by
    whole units where scores are of 1e8: scores beyond `LARGEST` are scaled back to it there, or that gradient would overflow.
    For some numbers of keys it gives 0 where a query or key is not a number; `lost` makes that show again.
    """
    backend = keras.config.backend()
    if backend == "torch":
        q, k, v = (x if x.is_cuda else promote(x) for x in (q, k, v))
        return _routine(bounded(q, k), k, v, mask, causal) + lost(q, k, mask, causal)
    if backend == "jax" and keras.backend.standardize_dtype(q.dtype) in ("float16", "bfloat16"):
        try:
            return _routine(q, k, v, mask, causal, flash_attention=True)
        except (ImportError, NotImplementedError, RuntimeError, ValueError):  # no such device, or a shape it does not take
            return None
    return None


def lost(q, k, mask, causal: bool):
    """0 for each query, `(..., heads, n, 1)`, or NaN where it, or but for causal attention a key that it sees, is no number."""
    found = ops.sum(0.0 * q, axis=-1, keepdims=True)
    if causal:
        return found
    keys = 0.0 * k if mask is None else ops.where(ops.swapaxes(mask, -1, -2), 0.0 * k, 0.0)
    return found + ops.sum(keys, axis=(-2, -1), keepdims=True)


def bounded(q, k):
    """Queries, shortened where their scores with the longest key of their head could exceed `LARGEST`; the others as they are."""
    lengths = [ops.sqrt(ops.sum(ops.square(ops.stop_gradient(promote(x))), axis=-1, keepdims=True)) for x in (q, k)]
    longest = lengths[0] * ops.max(lengths[1], axis=-2, keepdims=True) * q.shape[-1] ** -0.5
    return ops.cast(q * (LARGEST / ops.maximum(longest, LARGEST)), q.dtype)


def _routine(q, k, v, mask, causal, **options):
    if mask is None:
        options["is_causal"] = causal
    else:  # one mask for both, which also says which tokens have no key left
        mask = both(mask, past(ops.shape(q)[-2], ops.shape(k)[-2]) if causal else None)
        options["mask"] = sample_mask(mask, ops.shape(q)[:-3])
    samples = [ops.swapaxes(ops.reshape(x, (-1, *x.shape[-3:])), 1, 2) for x in (q, k, v)]
    out = ops.swapaxes(ops.dot_product_attention(*samples, **options), 1, 2)
    if mask is not None:  # a token without keys gives 0
        out = out * ops.cast(ops.any(options["mask"], axis=-1, keepdims=True), out.dtype)
    return ops.reshape(out, ops.shape(q))
