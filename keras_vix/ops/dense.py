"""Exact attention, and the masked softmax that other kernels share."""

import keras
from keras import ops

NEVER = -1e9  # added to a score it leaves a weight of exactly 0 in float32, and no NaN where a whole row is masked
WIDE = 256  # keys from which an extra column in a product costs less than a pass over `(n, keys)` numbers; measured


def masked_softmax(scores, mask=None):
    """Softmax over the last axis; masked entries weigh 0, and a row with nothing left is all zeros.

    `mask` is boolean, true where an entry takes part, and broadcasts against `scores`.
    """
    s = scores if mask is None else ops.where(mask, scores, NEVER)
    # Keras warns of a softmax over a single entry, which is 1 whatever its score
    weights = ops.softmax(s, axis=-1) if s.shape[-1] != 1 else s - s + 1.0
    return weights if mask is None else weights * ops.cast(mask, weights.dtype)


def past(tokens: int, keys: int, first=0):
    """Which keys are no later than each of the tokens `first, first + 1, ...`: booleans `(tokens, keys)`."""
    return ops.arange(keys) <= ops.expand_dims(first + ops.arange(tokens), -1)


def apart(tokens: int, keys: int, first=0):
    """Which keys are not those of the tokens `first, first + 1, ...` themselves: booleans `(tokens, keys)`."""
    return ops.arange(keys) != ops.expand_dims(first + ops.arange(tokens), -1)


def both(mask, other):
    """The mask of what two masks let through; either may be `None`, which lets everything through."""
    if mask is None or other is None:
        return other if mask is None else mask
    return ops.logical_and(mask, other)


def outer(a, b):
    """Products of the rows: `(..., n, width), (..., keys, width) -> (..., n, keys)`."""
    return ops.einsum("...nd,...kd->...nk", a, b)


def inner(a, b):
    """Sums over the tokens: `(..., n, m), (..., n, width) -> (..., m, width)`."""
    return ops.einsum("...nm,...nd->...md", a, b)


def scores(q, k):
    """Scaled products `q.k / sqrt(width)`: `(..., n, width), (..., keys, width) -> (..., n, keys)`."""
    return outer(q * (q.shape[-1] ** -0.5), k)


def attend(q, k, v, mask=None, bias=None):
    """`softmax(q k^T / sqrt(width) + bias) v`: `(..., n, width), 2 x (..., keys, width) -> (..., n, width)`.

    `mask` is boolean and, like `bias`, broadcasts against `(..., n, keys)`. The weights are kept for the gradient, which is
    written out because it then takes half the passes over them (see `score_gradient`); not on torch, whose own is as fast and,
    unlike a written one, can be differentiated again there.
    """
    q = q * (q.shape[-1] ** -0.5)
    bias, seen = (() if x is None else (x,) for x in (bias, mask))
    if keras.config.backend() == "torch":
        return ops.matmul(_weights(q, k, mask, *bias), v)

    @ops.custom_gradient
    def product(q, k, v, *others):  # all of them handed in: under remat JAX forgets what a written gradient only closes over
        mask, bias = others[: len(seen)], others[len(seen) :]
        weights = _weights(q, k, *(mask or (None,)), *bias)
        out = ops.matmul(weights, v)

        def gradient(*args, upstream=None):
            g = args[0] if upstream is None else upstream
            d_scores = score_gradient(weights, g, out, v)
            d_bias = [unbroadcast(d_scores, b.shape) for b in bias]
            return ops.matmul(d_scores, k), inner(d_scores, q), inner(weights, g), *(None for _ in mask), *d_bias

        return out, gradient

    return product(q, k, v, *seen, *bias)


def _weights(q, k, mask=None, bias=None):
    s = outer(q, k)
    return masked_softmax(s if bias is None else s + bias, mask)


def score_gradient(weights, g, out, v):
    """Gradient of the scores, `weights * (g v^T - sum(g * out))`, from the gradient `g` of `out = weights v`."""
    offset = ops.sum(g * out, axis=-1, keepdims=True)
    if v.shape[-2] is None or v.shape[-2] <= WIDE:
        return weights * (outer(g, v) - offset)
    return weights * outer(*with_offset(g, offset, v))


def with_offset(g, offset, v):
    """Operands whose product is `g v^T - offset`: one column more."""
    return ops.concatenate([g, -offset], axis=-1), ops.concatenate([v, ops.ones_like(v[..., :1])], axis=-1)


def unbroadcast(g, shape):
    """The gradient `g` of a tensor that was broadcast, summed back to the tensor's `shape`."""
    lead = len(g.shape) - len(shape)
    single = [lead + i for i, size in enumerate(shape) if size == 1]
    g = ops.sum(g, axis=(*range(lead), *single), keepdims=True) if lead or single else g
    return ops.squeeze(g, axis=tuple(range(lead))) if lead else g


def sample_mask(mask, lead):
    """A mask that broadcasts against `(*lead, heads, 1, keys)` as one for each sample: `(samples, heads or 1, 1, keys)`."""
    mask = ops.reshape(mask, (1,) * max(0, 3 - len(mask.shape)) + tuple(ops.shape(mask)))
    mask = ops.broadcast_to(mask, (*lead, *mask.shape[-3:]))
    return ops.reshape(mask, (-1, *mask.shape[-3:]))
