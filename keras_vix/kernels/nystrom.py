"""Attention through landmarks."""

import itertools
import math

import keras
from keras import ops

from .. import checks
from ..base import register
from ..ops.dense import attend, masked_softmax, scores
from ..ops.inverse import pseudo_inverse
from ..ops.precision import promote
from .base import Kernel

RUNS = ("even", "front")


@register
class Nystrom(Kernel):
    """`softmax(q k~^T) pinv(softmax(q~ k~^T)) softmax(q~ k^T) v` with `m` landmarks `q~`, `k~`; time and memory O(tokens * m).

    >>> q, k, v = keras.random.normal((3, 2, 4, 64, 8))
    >>> tuple(Nystrom(m=16)(q, k, v).shape)
    (2, 4, 64, 8)

    Args:
        m: number of landmarks, 1 to the number of tokens; landmarks are means of `m` nearly equal runs of tokens.
        iterations: of the pseudo-inverse, 1 to 50. With 6, as published, constant values come out within 2 % at unit
            scale, with 12 within 0.5 % (both tested).
        convolution: size of a depth-wise convolution of the values along the tokens that is added to the output (33 in the
            paper), odd; `None` leaves it out.
        dropout: rate on the output while training.
        runs: how the tokens are cut. `even`: into runs whose lengths differ by at most one; `front`: as though they were
            padded in front to a multiple of `m`, as the public code does, with the padding masked. That leaves runs of
            `ceil(tokens / m)` tokens, the first one shorter, and where whole runs are padding fewer than `m` of them (61 of 64
            for 1,025 tokens).

    No padding token exists, nor takes part in any softmax. A run without any unmasked token is left out. With as many landmarks
    as tokens the formula is exact attention, which is then computed as such. The approximation is for moderate scores: with large
    ones the landmark matrix becomes singular, and its inverse grows up to 13/4 times with each iteration. From values up to 53,
    15 iterations have given an output of 82,106 (tested); in float16 such numbers, and their gradients, are infinite.

    Raises:
        ValueError: at build, if there are fewer tokens than landmarks, or their number is unknown.

    Source: Xiong et al. 2021, arXiv:2102.03902, eq. 13 to 15. Differs: no padding, 12 iterations, a start of the inverse
    from each matrix' own norms, and float32 throughout.
    """

    def __init__(
        self,
        m: int = 64,
        iterations: int = 12,
        convolution: int | None = None,
        dropout: float = 0.0,
        runs: str = "even",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.m = checks.integer("m", m)
        self.iterations = checks.integer("iterations", iterations, 1, 50)
        self.convolution = convolution if convolution is None else checks.odd("convolution", convolution)
        self.runs = checks.choice("runs", runs, RUNS)
        self.dropout = checks.rate("dropout", dropout)
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def check(self, q_shape, k_shape, v_shape):
        tokens = min(q_shape[-2] or 0, k_shape[-2] or 0)  # 0 if one is unknown
        if not tokens or tokens < (self.m if self.runs == "even" else len(self._sizes(k_shape[-2]))):
            counts = " and ".join(dict.fromkeys(str(shape[-2]) for shape in (q_shape, k_shape)))
            raise ValueError(f"Nystrom needs 1 <= m <= tokens. Received: m={self.m}, tokens={counts}.")

    def build(self, q_shape, k_shape, v_shape):
        self.check(q_shape, k_shape, v_shape)
        if self.convolution is not None:
            start = keras.initializers.RandomUniform(-(self.convolution**-0.5), self.convolution**-0.5)
            self.residual = self.add_weight(name="residual", shape=(self.convolution, q_shape[-3]), initializer=start)
        self.built = True

    def call(self, q, k, v, mask=None):
        v = _zero(promote(v), mask)
        out = self.attended(q, k, v, mask)
        if self.convolution is not None:
            out = out + convolve(v, self.residual_taps())
        return self.drop(ops.cast(out, self.compute_dtype))

    def attended(self, q, k, v, mask=None):
        """The attention alone, without the convolution of the values, in float32; masked values are to be 0 already."""
        q, k, v = promote(q), promote(k), promote(v)
        whole = self._whole(q.shape[-2], k.shape[-2])
        return attend(q, k, v, _rows(mask)) if whole else self._through_landmarks(q, k, v, mask)

    def _through_landmarks(self, q, k, v, mask):
        q_mean, k_mean, alive, middle = self._landmarks(q, k, mask)
        right = attend(q_mean, k, v, _rows(mask))  # (..., m, width)
        return attend(q, k_mean, ops.matmul(pseudo_inverse(middle, self.iterations), right), alive)

    def _landmarks(self, q, k, mask):
        """Means of queries and of keys, which of them have a token, and the weights of one another, `(..., m, m)`."""
        sizes, alike = self._sizes(k.shape[-2]), q.shape[-2] == k.shape[-2]
        q_mean, _ = landmarks(q, sizes if alike else even(q.shape[-2], len(sizes)), mask if alike else None)
        k_mean, alive = landmarks(k, sizes, mask)
        middle = masked_softmax(scores(q_mean, k_mean), alive)
        if alive is not None:  # the row of a landmark that is left out: that of the identity, so the inverse splits
            middle = ops.where(ops.swapaxes(alive, -1, -2), middle, ops.eye(middle.shape[-1], dtype=middle.dtype))
        return q_mean, k_mean, alive, middle

    def factors(self, q, k, mask=None, rows=slice(None)):
        """`query` `(..., n, m)`, `inverse` `(..., m, m)`, `key` `(..., m, keys)`; only `weights` where all tokens are landmarks.

        Without the convolution of the values, see `residual_taps`.
        """
        q, k = promote(q), promote(k)
        some = q[..., rows, :]
        if self._whole(q.shape[-2], k.shape[-2]):
            return {"weights": masked_softmax(scores(some, k), _rows(mask))}
        q_mean, k_mean, alive, middle = self._landmarks(q, k, mask)
        return {
            "query": masked_softmax(scores(some, k_mean), alive),
            "inverse": pseudo_inverse(middle, self.iterations),
            "key": masked_softmax(scores(q_mean, k), _rows(mask)),
        }

    def residual_taps(self):
        return None if self.convolution is None else promote(ops.convert_to_tensor(self.residual))

    def _whole(self, q_tokens: int, k_tokens: int) -> bool:
        """Whether every token is a landmark."""
        return self.m >= q_tokens == k_tokens

    def _sizes(self, tokens: int) -> tuple[int, ...]:
        """Lengths of the runs of tokens."""
        if self.runs == "even":
            return even(tokens, self.m)
        length = -(-tokens // self.m)
        full, first = divmod(tokens, length)
        return ((first,) if first else ()) + (length,) * full

    def multiply_adds(self, q_shape, k_shape, v_shape):
        heads, width, m = math.prod(q_shape[:-2]), q_shape[-1], len(self._sizes(k_shape[-2]))
        q_tokens, k_tokens = q_shape[-2], k_shape[-2]
        if self._whole(q_tokens, k_tokens):
            products = 2 * q_tokens * k_tokens * width
        else:
            products = 4 * self.iterations * m**3 + m * m * width + m * width * (2 * q_tokens + 2 * k_tokens + m)
        return heads * products + math.prod(v_shape) * (self.convolution or 0)


def even(tokens: int, m: int) -> tuple[int, ...]:
    """Lengths of `m` runs of tokens that differ by at most one, the longer ones first."""
    length, longer = divmod(tokens, m)
    return (length + 1,) * longer + (length,) * (m - longer)


def landmarks(x, sizes, mask=None):
    """Means of runs of tokens: `(..., n, width) -> (..., m, width)`, and which runs have a token, `(..., 1, m)` or `None`.

    `sizes` are the `m` lengths of the runs, of at most two kinds, those of one kind side by side.
    """
    if mask is not None:
        weight = ops.cast(ops.expand_dims(mask, -1), x.dtype)
        count = _run_sums(weight, sizes)
        means = _run_sums(_zero(x, mask), sizes) / ops.maximum(count, 1.0)
        return means, ops.swapaxes(count, -1, -2) > 0
    return _run_sums(x, sizes) / ops.convert_to_tensor([[float(size)] for size in sizes], dtype=x.dtype), None


def _run_sums(x, sizes):
    lead, width, begin, sums = ops.shape(x)[:-2], x.shape[-1], 0, []
    for size, group in itertools.groupby(sizes):
        runs = len(list(group))
        part = x if runs == len(sizes) else x[..., begin : begin + runs * size, :]
        sums.append(ops.sum(ops.reshape(part, (*lead, runs, size, width)), axis=-2))
        begin += runs * size
    return sums[0] if len(sums) == 1 else ops.concatenate(sums, axis=-2)


def convolve(v, taps):
    """Depth-wise convolution along the tokens, zeros beyond them: `(..., heads, n, width), (size, heads) -> same as the first`.

    The heads are the channels of pictures `(width, n)`.
    """
    shape, (heads, n, width) = ops.shape(v), v.shape[-3:]
    v = ops.transpose(ops.reshape(v, (-1, heads, n, width)), (0, 3, 2, 1))
    out = ops.depthwise_conv(v, ops.cast(taps[None, :, :, None], v.dtype), padding="same", data_format="channels_last")
    return ops.reshape(ops.transpose(out, (0, 3, 2, 1)), shape)


def _zero(x, mask):
    return x if mask is None else ops.where(ops.expand_dims(mask, -1), x, 0.0)


def _rows(mask):
    """A mask of keys as one for scores: `(..., keys) -> (..., 1, keys)`."""
    return None if mask is None else ops.expand_dims(mask, -2)
