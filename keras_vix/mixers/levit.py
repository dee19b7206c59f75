"""Attention with batch normalisations in the place of layer normalisations."""

import keras

from .. import checks
from ..base import register
from ..kernels import Kernel
from .attention import Attention


@register
class LeViTAttention(Attention):
    """Attention with a batch normalisation after each projection and an activation before the last: `(batch, n, dim) -> same`.

    Called as `Attention`. Statistics are of the tokens that take part: all but the masked ones. The factors of the last
    normalisation start at 0, so a residual block starts as the identity.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(LeViTAttention(num_heads=4)(tokens).shape)
    (2, 64, 32)

    Args:
        num_heads, key_dim, kernel, rope, use_bias, out_dropout, qkv_bias, kv_heads, tie_kv: as in `Attention`.
        attention_activation: before the last projection, a Keras name.
        batch_epsilon: of the normalisations.

    Source: Graham et al. 2021, arXiv:2104.01136, section 4.2. Differs: no bias by relative position, which the hybrids of
    Jeevan and Sethi 2022 leave out; queries and keys as wide as values, GELU, and a bias in the last projection, as there.
    """

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        kernel: Kernel | None = None,
        rope=None,
        use_bias: bool = True,
        out_dropout: float = 0.0,
        qkv_bias: bool | None = False,
        kv_heads: int | None = None,
        tie_kv: bool = False,
        attention_activation: str = "gelu",
        batch_epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(num_heads, key_dim, kernel, rope, use_bias, out_dropout, qkv_bias, kv_heads, tie_kv, **kwargs)
        self.attention_activation = attention_activation
        self.batch_epsilon = checks.number("batch_epsilon", batch_epsilon, 1e-12, 1.0)

    def build(self, query_shape, value_shape=None, key_shape=None, mask_shape=None, projection_shape=None):
        super().build(query_shape, value_shape, key_shape)
        names = ["query", "key", "out"] if self.tie_kv else ["query", "key", "value", "out"]
        for name in names:
            norm = keras.layers.BatchNormalization(
                momentum=0.9,
                epsilon=self.batch_epsilon,
                gamma_initializer="zeros" if name == "out" else "ones",
                name=f"{name}_norm",
                dtype=self.dtype_policy,
            )
            norm.build((*query_shape[:-1], getattr(self, name).units))
            setattr(self, f"{name}_norm", norm)
        self.activation = keras.layers.Activation(self.attention_activation, dtype=self.dtype_policy)

    @property
    def _early(self) -> bool:
        return False  # statistics are of all tokens, not of compressed ones

    def _project(self, name, x, mask=None):
        x = self.activation(x) if name == "out" else x
        return getattr(self, f"{name}_norm")(super()._project(name, x), mask=mask)
