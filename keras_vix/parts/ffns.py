"""Feed-forward parts: what happens inside a token."""

import math

import keras

from .. import checks
from ..base import Layer, register


@register
class MLP(Layer):
    """Two dense layers on each token: `(batch, n, dim) -> same`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(MLP(mlp_dim=128)(tokens).shape)
    (2, 64, 32)

    Args:
        mlp_dim: width of the hidden layer.
        activation: after the first layer, a Keras name.
        last_activation: after the second, or `None`.
        dropout: rate after each layer while training.
        hidden_dropout: rate after the first layer; default `dropout`. The original Transformer has 0.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.3, with GELU as in arXiv:2010.11929.
    """

    def __init__(
        self,
        mlp_dim: int = 128,
        activation="gelu",
        last_activation=None,
        dropout: float = 0.0,
        hidden_dropout: float | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.mlp_dim = checks.integer("mlp_dim", mlp_dim)
        self.activation = activation
        self.last_activation = last_activation
        self.dropout = checks.rate("dropout", dropout)
        self.hidden_dropout = hidden_dropout if hidden_dropout is None else checks.rate("hidden_dropout", hidden_dropout)

    def build(self, x_shape):
        dim = x_shape[-1]
        policy = self.dtype_policy
        self.expand = keras.layers.Dense(self.mlp_dim, activation=self.activation, name="expand", dtype=policy)
        self.contract = keras.layers.Dense(dim, activation=self.last_activation, name="contract", dtype=policy)
        self.expand.build(x_shape)
        self.contract.build((*x_shape[:-1], self.mlp_dim))
        rates = (self.dropout if self.hidden_dropout is None else self.hidden_dropout, self.dropout)
        self.drop = [keras.layers.Dropout(rate, name=f"drop{i}", dtype=policy) for i, rate in enumerate(rates)]
        self.built = True

    def call(self, x):
        return self.drop[1](self.contract(self.drop[0](self.expand(x))))

    def compute_output_shape(self, x_shape):
        return x_shape

    def multiply_adds(self, x_shape):
        return 2 * math.prod(x_shape) * self.mlp_dim
