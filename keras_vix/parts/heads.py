"""Heads: from one vector to logits, in float32 under every policy."""

import keras

from .. import checks
from ..base import Layer, register


@register
class LinearHead(Layer):
    """One dense layer: `(batch, dim) -> (batch, classes)` logits.

    Args:
        classes: number of classes.
        head_dropout: rate on the input while training.
    """

    def __init__(self, classes: int, head_dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.classes = checks.integer("classes", classes)
        self.head_dropout = checks.rate("head_dropout", head_dropout)

    def build(self, x_shape):
        self.drop = keras.layers.Dropout(self.head_dropout, dtype=self.dtype_policy)
        self.logits = keras.layers.Dense(self.classes, name="logits", dtype="float32")
        self.logits.build(x_shape)
        self.built = True

    def call(self, x):
        return self.logits(self.drop(x))

    def compute_output_spec(self, x):
        return keras.KerasTensor((*x.shape[:-1], self.classes), dtype="float32")

    def multiply_adds(self, x_shape):
        return x_shape[-1] * self.classes


@register
class MLPHead(Layer):
    """Hidden dense layers with GELU, then the logits: `(batch, dim) -> (batch, classes)`.

    Args:
        classes: number of classes.
        hidden: widths of the hidden layers.
        head_dropout: rate on the input and after each hidden layer while training.

    Source: the classifier of the Keras vision transformer example, hidden layers of 2048 and 1024 on all tokens side by side.
    """

    def __init__(self, classes: int, hidden=(2048, 1024), head_dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.classes = checks.integer("classes", classes)
        self.hidden = tuple(checks.integer("hidden", width) for width in hidden)
        self.head_dropout = checks.rate("head_dropout", head_dropout)

    def build(self, x_shape):
        policy, rate = self.dtype_policy, self.head_dropout
        self.layers, self.drops = [], [keras.layers.Dropout(rate, name="drop", dtype=policy)]
        for i, width in enumerate(self.hidden):
            self.layers.append(keras.layers.Dense(width, activation="gelu", name=f"hidden{i}", dtype=policy))
            self.layers[-1].build(x_shape)
            self.drops.append(keras.layers.Dropout(rate, name=f"drop{i}", dtype=policy))
            x_shape = (*x_shape[:-1], width)
        self.logits = keras.layers.Dense(self.classes, name="logits", dtype="float32")
        self.logits.build(x_shape)
        self.built = True

    def call(self, x):
        x = self.drops[0](x)
        for layer, drop in zip(self.layers, self.drops[1:]):
            x = drop(layer(x))
        return self.logits(x)

    def compute_output_spec(self, x):
        return keras.KerasTensor((*x.shape[:-1], self.classes), dtype="float32")

    def multiply_adds(self, x_shape):
        widths = (x_shape[-1], *self.hidden, self.classes)
        return sum(a * b for a, b in zip(widths, widths[1:]))
