"""Mixing by a perceptron over the tokens."""

import math

import keras
from keras import ops

from .. import checks
from ..base import TOKENS, Layer, register


@register
class TokenMLP(Layer):
    """Two dense layers along the tokens, the same for each channel: `(batch, n, dim) -> same`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(TokenMLP(token_dim=128)(tokens).shape)
    (2, 64, 32)

    Args:
        token_dim: width of the hidden layer; default the number of tokens.
        token_activation: after the first layer, a Keras name.
        out_dropout: rate after each layer while training.

    The number of tokens is fixed at build, and every token counts, so there is no mask.

    Raises:
        ValueError: at build, if the number of tokens is unknown.

    Source: Tolstikhin et al. 2021, arXiv:2105.01601, section 2.
    """

    input_axes = TOKENS

    def __init__(self, token_dim: int | None = None, token_activation="gelu", out_dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.token_dim = token_dim if token_dim is None else checks.integer("token_dim", token_dim)
        self.token_activation = token_activation
        self.out_dropout = checks.rate("out_dropout", out_dropout)

    def build(self, x_shape):
        tokens, policy = x_shape[1], self.dtype_policy
        if tokens is None:
            raise ValueError("TokenMLP needs a fixed number of tokens. Received: tokens=None; give a full input shape.")
        self.input_sizes = (None, *x_shape[1:])
        hidden = self.token_dim or tokens
        self.expand = keras.layers.Dense(hidden, activation=self.token_activation, name="expand", dtype=policy)
        self.contract = keras.layers.Dense(tokens, name="contract", dtype=policy)
        self.expand.build((x_shape[0], x_shape[2], tokens))
        self.contract.build((x_shape[0], x_shape[2], hidden))
        self.drop = [keras.layers.Dropout(self.out_dropout, name=f"drop{i}", dtype=policy) for i in range(2)]
        self.built = True

    def call(self, x):
        x = self.drop[0](self.expand(ops.swapaxes(x, 1, 2)))
        return ops.swapaxes(self.drop[1](self.contract(x)), 1, 2)

    def compute_output_shape(self, x_shape):
        return x_shape

    def multiply_adds(self, x_shape):
        return 2 * math.prod(x_shape) * (self.token_dim or x_shape[0])
