"""Attention of binary queries, keys, values and probabilities."""

import math

import keras
from keras import ops

from .. import checks
from ..base import TOKENS, Layer, register
from ..ops.binary import binary_probabilities
from ..ops.dense import masked_softmax, scores
from ..ops.heads import merge_heads, split_heads
from ..ops.precision import promote
from ..primitives.binary import BinaryProjection, RPReLU, BinarySign, check_grid, make_affine
from ..primitives.norms import make_norm
from .maps import MapPart


@register
class BinaryAttention(Layer):
    """Attention whose products are all of binary numbers: `(batch, prefix + n, dim) -> same`.

    `q`, `k` and `v` are binary projections of the tokens (see `BinaryProjection`); their signs, after shifts of their own, attend
    to each other, a probability being 0 or a learned step (`ops.binary.binary_probabilities`); `RPReLU(BatchNorm(context) + q + k
    + v)` goes through the last projection. With `kv_reduction`, keys and values come from a binary projection of the means of as
    many rows and columns, and are repeated over these places in that sum.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(BinaryAttention(num_heads=4)(tokens).shape)
    (2, 64, 32)

    Args:
        num_heads: number of heads; it must divide `dim`.
        grid: `(rows, columns)` of the tokens after the first `prefix`; only `kv_reduction` asks for it.
        prefix: tokens in front.
        kv_reduction: rows and columns of the grid that share a key and a value, a divisor of both; above 1 without `prefix`.
        step_start: of the learned step of the probabilities.
        out_affine: start of a learned scale, with a shift, on the output; `None` for neither.
        norm_epsilon: of the batch normalisations.

    Raises:
        ValueError: for a reduction that does not fit; at build, if `num_heads` does not divide the width, or the token count is
            not that of the grid.

    Source: Le and Li 2023, arXiv:2306.16678; the probabilities: Liu et al. 2022, arXiv:2205.13016.
    """

    input_axes = TOKENS

    def __init__(
        self,
        num_heads: int = 4,
        grid=None,
        prefix: int = 0,
        kv_reduction: int = 1,
        step_start: float = 0.005,
        out_affine: float | None = 0.1,
        norm_epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = checks.integer("num_heads", num_heads)
        self.prefix = checks.integer("prefix", prefix, 0)
        self.kv_reduction = checks.integer("kv_reduction", kv_reduction)
        self.grid = checks.pair("grid", grid) if kv_reduction > 1 else grid
        self.step_start = checks.number("step_start", step_start, 1e-5, 1.0)
        self.out_affine = out_affine if out_affine is None else checks.number("out_affine", out_affine, 0.0, 10.0)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)
        if kv_reduction > 1 and (prefix or any(side % kv_reduction for side in self.grid)):
            raise ValueError(
                "`kv_reduction` must divide both sides of a grid without tokens in front. "
                f"Received: kv_reduction={kv_reduction}, grid={self.grid}, prefix={prefix}."
            )

    def build(self, x_shape):
        tokens, dim = x_shape[1:]
        if dim % self.num_heads:
            raise ValueError(f"`num_heads` must divide the width. Received: num_heads={self.num_heads}, width={dim}.")
        self.input_sizes = (None, None if self.kv_reduction == 1 else tokens, dim)
        few = (x_shape[0], self._keys(tokens), dim)
        names = {"query": x_shape, "key": few, "value": few, "out": x_shape}
        if self.kv_reduction > 1:
            check_grid(tokens, self.prefix, self.grid)
            names["reduced"] = few
        for name, shape in names.items():
            projection = BinaryProjection(dim, self.norm_epsilon, name=name, dtype=self.dtype_policy)
            projection.build(shape)
            setattr(self, name, projection)
        self.signs = [BinarySign(name=f"{name}_sign", dtype=self.dtype_policy) for name in ("query", "key", "value")]
        for sign in self.signs:
            sign.build(x_shape)
        start = keras.initializers.Constant(self.step_start)
        self.step = self.add_weight(name="step", shape=(), initializer=start, autocast=False)
        self.batch_norm = make_norm("batch", self.norm_epsilon, self, "norm", x_shape)
        self.activation = RPReLU(name="activation", dtype=self.dtype_policy)
        self.activation.build(x_shape)
        self.affine = make_affine(self, self.out_affine, "affine", x_shape)
        self.built = True

    def _keys(self, tokens):
        return tokens if self.kv_reduction == 1 else tokens // self.kv_reduction**2

    def call(self, x, training=None):
        query, key, value = self._projected(x, training)
        q, k, v = self._signs(query, key, value)
        context = merge_heads(ops.matmul(ops.cast(self._probabilities(q, k), v.dtype), v))
        out = self.activation(self.batch_norm(context, training=training) + query + self._repeated(key + value))
        out = self.out(out, training=training)
        return out if self.affine is None else self.affine(out)

    def _projected(self, x, training=None):
        """Queries, keys and values: `(batch, n, dim)`, twice `(batch, keys, dim)`."""
        query = self.query(x, training=training)
        few = x if self.kv_reduction == 1 else self.reduced(self._means(x), training=training)
        return query, self.key(few, training=training), self.value(few, training=training)

    def _signs(self, query, key, value):
        return (split_heads(sign(y), self.num_heads) for sign, y in zip(self.signs, (query, key, value)))

    def _probabilities(self, q, k):
        return binary_probabilities(masked_softmax(scores(promote(q), promote(k))), self.step)

    def map_parts(self, x) -> list[MapPart]:
        """What the map of a call is made of, in inference: probabilities of 0 or a step; keys are those of the coarse grid."""
        q, k, _ = self._signs(*self._projected(x))

        def make(rows):
            return {"weights": self._probabilities(q[..., rows, :], k)}

        return [MapPart("attention", make, (self.num_heads, q.shape[-2], k.shape[-2]), dense=True)]

    def _means(self, x):
        """Tokens of the coarse grid: `(batch, n, dim) -> (batch, n / kv_reduction**2, dim)`."""
        board = ops.reshape(promote(x), (-1, *self.grid, x.shape[-1]))
        board = ops.average_pool(board, self.kv_reduction, self.kv_reduction, data_format="channels_last")
        return ops.cast(ops.reshape(board, (-1, self._keys(x.shape[1]), x.shape[-1])), x.dtype)

    def _repeated(self, x):
        """Tokens of the coarse grid, each at all its places: `(batch, n / kv_reduction**2, dim) -> (batch, n, dim)`."""
        if self.kv_reduction == 1:
            return x
        rows, columns = self.grid
        board = ops.reshape(x, (-1, rows // self.kv_reduction, columns // self.kv_reduction, x.shape[-1]))
        board = ops.repeat(ops.repeat(board, self.kv_reduction, axis=1), self.kv_reduction, axis=2)
        return ops.reshape(board, (-1, rows * columns, x.shape[-1]))

    def compute_output_shape(self, x_shape):
        return x_shape

    def multiply_adds(self, x_shape):
        tokens, dim = x_shape
        keys = self._keys(tokens)
        projections = 2 * tokens + (2 if self.kv_reduction == 1 else 3) * keys
        return projections * dim**2 + 2 * tokens * keys * dim

    def binary_multiply_adds(self, x_shape):
        return self.multiply_adds(x_shape)

    def scalings(self, x_shape):
        return 0 if self.affine is None else math.prod(x_shape)

    def stand_alone(self):
        return [self.step]
