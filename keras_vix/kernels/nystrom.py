"""Attention through landmarks."""

import math

import keras
from keras import ops

from .. import checks
from ..base import register
from ..ops.dense import attend, masked_softmax, scores
from ..ops.inverse import pseudo_inverse
from ..ops.precision import promote
from .base import Kernel


@register
class Nystrom(Kernel):
    """`softmax(q k~^T) pinv(softmax(q~ k~^T)) softmax(q~ k^T) v` with `m` landmarks `q~`, `k~`; time and memory O(tokens * m).

    Args:
        m: number of landmarks, 1 to the number of tokens; landmarks are means of `m` nearly equal runs of tokens.
        iterations: of the pseudo-inverse, 1 to 50. With 6, as published, constant values come out within 2 % at unit
            scale, with 12 within 0.5 % (both tested).
        convolution: size of a depth-wise convolution of the values along the tokens that is added to the output (33 in the
            paper), odd; `None` leaves it out.
        dropout: rate on the output while training.

    Runs of unequal length take the place of the published zero padding, so no padding token takes part in any softmax.
    A run without any unmasked token is left out. With as many landmarks as tokens the formula is exact attention, which is then
    computed as such. The approximation is for moderate scores: with large ones the landmark
    matrix becomes singular.

    Raises:
        ValueError: at build, if there are fewer tokens than landmarks, or their number is unknown.

    Source: Xiong et al. 2021, arXiv:2102.03902, eq. 13 to 15. Differs: no padding, 12 iterations, a start of the inverse
    from each matrix' own norms, and float32 throughout.
    """

    def __init__(self, m: int = 64, iterations: int = 12, convolution: int | None = None, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.m = checks.integer("m", m)
        self.iterations = checks.integer("iterations", iterations, 1, 50)
        self.convolution = convolution if convolution is None else checks.integer("convolution", convolution)
        if convolution is not None and convolution % 2 == 0:
            raise ValueError(f"`convolution` must be odd. Received: convolution={convolution}.")
        self.dropout = checks.rate("dropout", dropout)
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, q_shape, k_shape, v_shape):
        for tokens in (q_shape[-2], k_shape[-2]):
            if tokens is None or self.m > tokens:
                raise ValueError(f"Nystrom needs 1 <= m <= tokens. Received: m={self.m}, tokens={tokens}.")
        if self.convolution is not None:
            self.residual = self.add_weight(name="residual", shape=(self.convolution, q_shape[-3]), initializer="glorot_uniform")
        self.built = True

    def call(self, q, k, v, mask=None):
        q, k, v = promote(q), promote(k), _zero(promote(v), mask)
        whole = self.m == q.shape[-2] == k.shape[-2]
        out = attend(q, k, v, _rows(mask)) if whole else self._through_landmarks(q, k, v, mask)
        if self.convolution is not None:
            out = out + self._convolve(v)
        return self.drop(ops.cast(out, self.compute_dtype))

    def _through_landmarks(self, q, k, v, mask):
        q_mean, _ = landmarks(q, self.m, mask if q.shape[-2] == k.shape[-2] else None)
        k_mean, alive = landmarks(k, self.m, mask)
        middle = masked_softmax(scores(q_mean, k_mean), alive)
        if alive is not None:  # the row of a landmark that is left out: that of the identity, so the inverse splits
            middle = ops.where(ops.swapaxes(alive, -1, -2), middle, ops.eye(self.m, dtype=middle.dtype))
        right = attend(q_mean, k, v, _rows(mask))  # (..., m, width)
        return attend(q, k_mean, ops.matmul(pseudo_inverse(middle, self.iterations), right), alive)

    def _convolve(self, v):
        reach = self.convolution // 2
        padded = ops.pad(v, [(0, 0)] * (len(v.shape) - 2) + [(reach, reach), (0, 0)])
        taps = promote(ops.convert_to_tensor(self.residual))
        tokens = v.shape[-2]
        return sum(padded[..., i : i + tokens, :] * taps[i][:, None, None] for i in range(self.convolution))

    def multiply_adds(self, q_shape, k_shape, v_shape):
        heads, width, m = math.prod(q_shape[:-2]), q_shape[-1], self.m
        q_tokens, k_tokens = q_shape[-2], k_shape[-2]
        inverse = 4 * self.iterations * m**3 + m * m * width
        rows = m * width * (2 * q_tokens + 2 * k_tokens + m)
        return heads * (inverse + rows) + math.prod(v_shape) * (self.convolution or 0)


def landmarks(x, m: int, mask=None):
    """Means of `m` runs of tokens: `(..., n, width) -> (..., m, width)`, and which runs have a token, `(..., 1, m)` or `None`.

    The first `n % m` runs hold one token more than the others.
    """
    if mask is not None:
        weight = ops.cast(ops.expand_dims(mask, -1), x.dtype)
        count = _run_sums(weight, m)
        means = _run_sums(_zero(x, mask), m) / ops.maximum(count, 1.0)
        return means, ops.swapaxes(count, -1, -2) > 0
    longer = x.shape[-2] % m
    return _run_sums(x, m) / _lengths(x.shape[-2], m, longer, x.dtype), None


def _run_sums(x, m: int):
    tokens, width = x.shape[-2:]
    length, longer = divmod(tokens, m)
    cut = longer * (length + 1)
    parts = [(x, m, length)] if not longer else [(x[..., :cut, :], longer, length + 1), (x[..., cut:, :], m - longer, length)]
    lead = ops.shape(x)[:-2]
    sums = [ops.sum(ops.reshape(part, (*lead, runs, size, width)), axis=-2) for part, runs, size in parts]
    return sums[0] if len(sums) == 1 else ops.concatenate(sums, axis=-2)


def _lengths(tokens: int, m: int, longer: int, dtype):
    sizes = [tokens // m + 1] * longer + [tokens // m] * (m - longer)
    return ops.convert_to_tensor([[float(size)] for size in sizes], dtype=dtype)


def _zero(x, mask):
    return x if mask is None else ops.where(ops.expand_dims(mask, -1), x, 0.0)


def _rows(mask):
    """A mask of keys as one for scores: `(..., keys) -> (..., 1, keys)`."""
    return None if mask is None else ops.expand_dims(mask, -2)
