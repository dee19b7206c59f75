"""A class token that reads finished patch tokens."""

import keras
from keras import ops

from .. import checks
from ..base import Layer, register
from ..mixers.attention import Attention
from .ffns import MLP
from .residual import Residual


@register
class ClassAttention(Layer):
    """A block in which one token attends to the others: `(batch, 1, dim), (batch, n, dim) -> (batch, 1, dim)`.

    Called as `layer(token, x, mask=None)`; `mask` is boolean `(batch, n)`, true for the tokens of `x` that take part.

    `u = norm([token; x])`, `token += scale * attention(u[0], u)`, `token += scale * MLP(norm(token))`; `x` stays as it is.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> token = keras.random.normal((2, 1, 32))
    >>> tuple(ClassAttention(num_heads=4, mlp_dim=64)(token, tokens).shape)
    (2, 1, 32)

    Args:
        num_heads, key_dim, kernel, qkv_bias: as in `Attention`.
        mlp_dim: hidden width of the MLP.
        scale: start of the factors of each channel of the two branches, or `None` for no such factors.
        sees_itself: whether the token's own key and value take part.
        drop_path: rate of leaving a branch out for a whole sample while training.
        norm_epsilon: of the normalisations.

    Source: Touvron et al. 2021, arXiv:2103.17239, section 3.
    """

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        mlp_dim: int = 128,
        kernel=None,
        qkv_bias: bool | None = None,
        scale: float | None = 1e-5,
        sees_itself: bool = True,
        drop_path: float = 0.0,
        norm_epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads, self.key_dim, self.mlp_dim, self.qkv_bias = num_heads, key_dim, mlp_dim, qkv_bias
        self.scale, self.sees_itself, self.drop_path = scale, sees_itself, checks.rate("drop_path", drop_path)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)
        policy = self.dtype_policy
        self.attention = Attention(num_heads, key_dim, kernel, qkv_bias=qkv_bias, name="attention", dtype=policy)
        self.kernel = self.attention.kernel
        self.ffn = Residual(
            MLP(mlp_dim, name="mlp", dtype=policy), "pre", norm_epsilon, drop_path, scale, name="ffn", dtype=policy
        )

    def build(self, token_shape, x_shape):
        keys = (x_shape[0], x_shape[1] + (1 if self.sees_itself else 0), x_shape[2])
        self.layer_norm = keras.layers.LayerNormalization(epsilon=self.norm_epsilon, name="norm", dtype=self.dtype_policy)
        self.layer_norm.build(x_shape)
        self.attention.build(token_shape, keys)
        self.ffn.build(token_shape)
        if self.scale is not None:
            start = keras.initializers.Constant(self.scale)
            self.gamma = self.add_weight(name="gamma", shape=x_shape[-1:], initializer=start)
        self.drop = keras.layers.Dropout(self.drop_path, noise_shape=(None, 1, 1), dtype=self.dtype_policy)
        self.built = True

    def call(self, token, x, mask=None):
        read = self.attention(*self._seen(token, x), mask=self._mask(mask))
        token = token + self.drop(read if self.scale is None else read * self.gamma)
        return self.ffn(token)

    def compute_mask(self, *inputs, **masks):
        """None: the mask of the tokens says nothing of the one that reads them."""
        return None

    def _seen(self, token, x):
        """The token that reads, and the tokens that it sees, normalised."""
        u = self.layer_norm(ops.concatenate([token, x], axis=1))
        return u[:, :1], u if self.sees_itself else u[:, 1:]

    def _mask(self, mask):
        """The mask of what the token sees."""
        return ops.pad(mask, ((0, 0), (1, 0)), constant_values=True) if mask is not None and self.sees_itself else mask

    def map_parts(self, token, x, mask=None):
        """As `Attention.map_parts`, of one query; the keys are the token itself, where it sees itself, and those of `x`."""
        return self.attention.map_parts(*self._seen(token, x), mask=self._mask(mask))

    def compute_output_shape(self, token_shape, x_shape):
        return token_shape

    def multiply_adds(self, token_shape, x_shape):
        keys = (x_shape[0] + (1 if self.sees_itself else 0), x_shape[1])
        return self.attention.multiply_adds(token_shape, keys) + self.ffn.multiply_adds(token_shape)

    def stand_alone(self):
        return [] if self.scale is None else [self.gamma]


@register
class ClassAttentionPool(Layer):
    """A class token that reads the tokens in blocks of its own: `(batch, n, dim) -> (batch, dim)`, normalised.

    Called as `layer(x, mask=None)`; `mask` is boolean `(batch, n)`, true for the tokens that take part.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(ClassAttentionPool(num_heads=4, mlp_dim=64)(tokens).shape)
    (2, 32)

    Args:
        num_heads, key_dim, mlp_dim, norm_epsilon: as in `ClassAttention`.
        kernel: of the blocks, a copy for each; without effect where `class_exact` is true.
        token_std: deviation of the class token's start.
        class_depth: number of blocks.
        class_exact: whether their attention is exact, whatever `kernel` says.
        class_scale: start of their factors, or `None`.
        class_qkv_bias: whether queries, keys and values have a bias.
        class_sees_itself: whether the token's own key and value take part.
        class_drop_path: rate of their dropped paths.

    Source: Touvron et al. 2021, arXiv:2103.17239, section 3.
    """

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        mlp_dim: int = 128,
        kernel=None,
        norm_epsilon: float = 1e-6,
        token_std: float = 0.02,
        class_depth: int = 2,
        class_exact: bool = True,
        class_scale: float | None = 1e-5,
        class_qkv_bias: bool = True,
        class_sees_itself: bool = True,
        class_drop_path: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads, self.key_dim, self.mlp_dim, self.kernel = num_heads, key_dim, mlp_dim, kernel
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)
        self.token_std = checks.number("token_std", token_std, 0.0, 100.0)
        self.class_depth = checks.integer("class_depth", class_depth)
        self.class_exact, self.class_qkv_bias = class_exact, class_qkv_bias
        self.class_scale, self.class_sees_itself = class_scale, class_sees_itself
        self.class_drop_path = checks.rate("class_drop_path", class_drop_path)

    def _kernel(self):
        exact = self.class_exact or self.kernel is None
        return None if exact else type(self.kernel).from_config(self.kernel.get_config())

    def build(self, x_shape):
        start = keras.initializers.RandomNormal(stddev=self.token_std)
        self.token = self.add_weight(name="tokens", shape=(1, x_shape[-1]), initializer=start)
        self.blocks = []
        for i in range(self.class_depth):
            block = ClassAttention(
                self.num_heads,
                self.key_dim,
                self.mlp_dim,
                self._kernel(),
                self.class_qkv_bias,
                self.class_scale,
                self.class_sees_itself,
                self.class_drop_path,
                self.norm_epsilon,
                name=f"class{i}",
                dtype=self.dtype_policy,
            )
            block.build((x_shape[0], 1, x_shape[-1]), x_shape)
            self.blocks.append(block)
        self.layer_norm = keras.layers.LayerNormalization(epsilon=self.norm_epsilon, name="norm", dtype=self.dtype_policy)
        self.layer_norm.build((x_shape[0], x_shape[-1]))
        self.built = True

    def call(self, x, mask=None):
        return self.layer_norm(self._read(x, self.blocks, mask)[:, 0])

    def compute_mask(self, *inputs, **masks):
        """None: there are no tokens left."""
        return None

    def _read(self, x, blocks, mask=None):
        """The class token behind these blocks: `(batch, 1, dim)`."""
        token = ops.cast(ops.expand_dims(self.token, 0), x.dtype)
        token = ops.broadcast_to(token, (ops.shape(x)[0], 1, x.shape[-1]))
        for block in blocks:
            token = block(token, x, mask=mask)
        return token

    def map_parts(self, x, block: int, mask=None):
        """As `ClassAttention.map_parts`, of one of the blocks."""
        return self.blocks[block].map_parts(self._read(x, self.blocks[:block], mask), x, mask)

    def compute_output_shape(self, x_shape):
        return (x_shape[0], x_shape[-1])

    def multiply_adds(self, x_shape):
        return sum(block.multiply_adds((1, x_shape[-1]), x_shape) for block in self.blocks)

    def stand_alone(self):
        return [self.token]
