"""Exact attention without the whole matrix of weights: some queries at a time, forward and backward."""

from keras import ops

from .dense import both, inner, masked_softmax, outer, past, sample_mask, with_offset

BLOCK = 2**19  # scores of one head that are held at once where the size of a chunk is chosen here


def chunk_size(keys: int) -> int:
    """Queries in a chunk: about half a million scores for each head, 16 to 512 queries."""
    return min(512, max(16, BLOCK // keys))


def chunked_attention(q, k, v, mask=None, chunk: int = 256, causal: bool = False):
    """`softmax(q k^T / sqrt(width)) v` in memory linear in the tokens.

    `q` is `(..., heads, n, width)`, `k` and `v` are `(..., heads, keys, width)`; `mask` is boolean and broadcasts against
    `(..., heads, 1, keys)`; with `causal` token `i` sees the keys up to `i` only. Samples go one after another, which also keeps
    a chunk's weights within the processor's cache. The gradient computes the weights again instead of keeping them: a sixth more
    arithmetic. In TensorFlow's eager mode a tape keeps them none the less; compiled functions, as in `fit`, do not.

    Source: Rabe and Staats 2021, arXiv:2112.05682. Differs: only the queries are cut, since a row of scores is small, so
    that no running maximum is needed and the result is that of one softmax.
    """
    lead = ops.shape(q)[:-3]
    present = [] if mask is None else [sample_mask(mask, lead)]
    q, k, v = (ops.reshape(x, (-1, *x.shape[-3:])) for x in (q, k, v))

    @ops.custom_gradient
    def product(q, k, v, *present):
        out = ops.map(lambda sample: _forward(chunk, causal, *sample), (q, k, v, *present))

        def gradient(*args, upstream=None):
            g = args[0] if upstream is None else upstream
            found = ops.map(lambda sample: _backward(chunk, causal, *sample), (g, out, q, k, v, *present))
            return *found, *(None for _ in present)

        return out, gradient

    return ops.reshape(product(q * (q.shape[-1] ** -0.5), k, v, *present), (*lead, *q.shape[-3:]))


def _forward(chunk, causal, q, k, v, mask=None):
    """One sample, its queries scaled: `(heads, n, width), 2 x (heads, keys, width) -> (heads, n, width)`."""

    def forward(index, part):
        return ops.matmul(_weights(index, part, k, mask, causal), v), ()

    return _join(_replace(_cut(q, chunk), forward)[0], q.shape[-2])


def _backward(chunk, causal, g, out, q, k, v, mask=None):
    """Gradients of one sample's queries, keys and values from the gradient `g` of its output `out`."""
    columns, with_one = with_offset(g, ops.sum(g * out, axis=-1, keepdims=True), v)
    columns = _cut(columns, chunk)

    def backward(index, part, d_k, d_v):
        weights, column = _weights(index, part, k, mask, causal), ops.take(columns, index, axis=0)
        d_scores = weights * outer(column, with_one)
        d_v = d_v + inner(weights, column[..., :-1])
        return ops.matmul(d_scores, k), (d_k + inner(d_scores, part), d_v)

    d_q, (d_k, d_v) = _replace(_cut(q, chunk), backward, (ops.zeros_like(k), ops.zeros_like(v)))
    return _join(d_q, q.shape[-2]), d_k, d_v


def _weights(index, part, k, mask, causal):
    """Weights of the chunk `part` of queries, number `index`."""
    chunk, keys = part.shape[-2], k.shape[-2]
    return masked_softmax(outer(part, k), both(mask, past(chunk, keys, index * chunk) if causal else None))


def _replace(parts, f, state=()):
    """Put `f(index, part, *state) -> (new part, new state)` in the place of each part, one after another.

    A part is read from the array that the one before was written to; so no two are computed, and held, at once.
    """

    def body(index, carry):
        parts, state = carry
        part, state = f(index, ops.take(parts, index, axis=0), *state)
        start = (index, *[0] * (len(parts.shape) - 1))
        return ops.slice_update(parts, start, ops.expand_dims(part, 0)), state

    return ops.fori_loop(0, parts.shape[0], body, (parts, state))


def _cut(x, chunk: int):
    """`(..., n, width) -> (chunks, ..., chunk, width)`, zeros at the end where `chunk` does not divide `n`."""
    tokens, width = x.shape[-2:]
    chunks = -(-tokens // chunk)
    x = ops.pad(x, [(0, 0)] * (len(x.shape) - 2) + [(0, chunks * chunk - tokens), (0, 0)])
    return ops.moveaxis(ops.reshape(x, (*ops.shape(x)[:-2], chunks, chunk, width)), -3, 0)


def _join(parts, tokens: int):
    """The inverse of `_cut`."""
    x = ops.moveaxis(parts, 0, -3)
    x = ops.reshape(x, (*ops.shape(x)[:-3], x.shape[-3] * x.shape[-2], x.shape[-1]))
    return x[..., :tokens, :]
