"""Exact attention, and the masked softmax that other kernels share."""

from keras import ops

NEVER = -1e9  # added to a score it leaves a weight of exactly 0 in float32, and no NaN where a whole row is masked


def masked_softmax(scores, mask=None):
    """Softmax over the last axis; masked entries weigh 0, and a row with nothing left is all zeros.

    `mask` is boolean, true where an entry takes part, and broadcasts against `scores`.
    """
    if mask is None:
        return ops.softmax(scores, axis=-1)
    weights = ops.softmax(ops.where(mask, scores, NEVER), axis=-1)
    return weights * ops.cast(mask, weights.dtype)


def scores(q, k):
    """Scaled products `q.k / sqrt(width)`: `(..., n, width), (..., keys, width) -> (..., n, keys)`."""
    return ops.einsum("...nd,...kd->...nk", q * (q.shape[-1] ** -0.5), k)
