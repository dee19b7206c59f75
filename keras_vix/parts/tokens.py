"""Between the grid and the tokens, and the tokens that stand for no place."""

import keras
from keras import ops

from .. import checks
from ..base import Layer, register
from ..kernels.linformer import check_rank, projection_start


@register
class Tokens(Layer):
    """Grid to tokens, row by row: `(batch, rows, columns, dim) -> (batch, rows * columns, dim)`.

    >>> maps = keras.random.normal((2, 8, 8, 32))
    >>> tuple(Tokens()(maps).shape)
    (2, 64, 32)
    """

    def call(self, x):
        rows, columns, dim = x.shape[1:]
        return ops.reshape(x, (-1, rows * columns, dim))


@register
class Prefix(Layer):
    """Learned tokens in front (class, distillation, registers): `(batch, n, dim) -> (batch, count + n, dim)`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(Prefix(count=2)(tokens).shape)
    (2, 66, 32)

    Args:
        count: how many.
        token_std: standard deviation of their start.
    """

    def __init__(self, count: int = 1, token_std: float = 0.02, **kwargs):
        super().__init__(**kwargs)
        self.count = checks.integer("count", count)
        self.token_std = checks.number("token_std", token_std, 0.0, 100.0)

    def build(self, x_shape):
        init = keras.initializers.RandomNormal(stddev=self.token_std)
        self.tokens = self.add_weight(name="tokens", shape=(self.count, x_shape[-1]), initializer=init)
        self.built = True

    def call(self, x):
        tokens = ops.cast(ops.expand_dims(self.tokens, 0), x.dtype)
        return ops.concatenate([ops.broadcast_to(tokens, (ops.shape(x)[0], *tokens.shape[1:])), x], axis=1)

    def stand_alone(self):
        return [self.tokens]


@register
class TokenProjection(Layer):
    """One Linformer projection for every layer of a model: `(batch, n, dim) -> (m, n)`, a weight, whatever the input holds.

    Its output goes to each attention layer with `Linformer(share="layer")` as `projection`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> shared = TokenProjection(m=16)(tokens)
    >>> tuple(shared.shape)
    (16, 64)
    >>> attention = LinformerAttention(num_heads=4, proj_dim=16, share="layer")
    >>> tuple(attention(tokens, projection=shared).shape)
    (2, 64, 32)

    Args:
        m: number of projected tokens.
        start: as in `Linformer`.

    Source: Wang et al. 2020, arXiv:2006.04768, section 4, layer-wise sharing.
    """

    def __init__(self, m: int = 64, start: str = "uniform", **kwargs):
        super().__init__(**kwargs)
        self.m = checks.integer("m", m)
        self.start = checks.choice("start", start, ("uniform", "pool", "identity"))

    def build(self, x_shape):
        check_rank(self.m, x_shape[1], self.start)
        self.e = self.add_weight(name="e", shape=(self.m, x_shape[1]), initializer=projection_start(self.start))
        self.built = True

    def call(self, x):
        return ops.convert_to_tensor(self.e)

    def compute_output_shape(self, x_shape):
        return (self.m, x_shape[1])

    def stand_alone(self):
        return [self.e]
