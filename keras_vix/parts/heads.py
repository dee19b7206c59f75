"""Heads: from one vector to logits, in float32 under every policy."""

import keras
from keras import ops

from .. import checks
from ..base import Layer, register
from ..ops.precision import promote


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


@register
class DistilledHead(Layer):
    """One dense layer for the class token, another for the distillation token: `(batch, 2, dim) -> (batch, 2, classes)` logits.

    Args:
        classes: number of classes.
        head_dropout: rate on the input while training.

    Source: Touvron et al. 2021, arXiv:2012.12877, section 4.
    """

    def __init__(self, classes: int, head_dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.classes = checks.integer("classes", classes)
        self.head_dropout = checks.rate("head_dropout", head_dropout)

    def build(self, x_shape):
        if len(x_shape) != 3 or x_shape[1] != 2:
            raise ValueError(f"A distilled head needs two tokens, of shape (batch, 2, dim). Received: shape={tuple(x_shape)}.")
        self.drop = keras.layers.Dropout(self.head_dropout, dtype=self.dtype_policy)
        self.logits = keras.layers.Dense(self.classes, name="logits", dtype="float32")
        self.logits_distilled = keras.layers.Dense(self.classes, name="logits_distilled", dtype="float32")
        for dense in (self.logits, self.logits_distilled):
            dense.build((x_shape[0], x_shape[2]))
        self.built = True

    def call(self, x):
        x = self.drop(x)
        return ops.stack([self.logits(x[:, 0]), self.logits_distilled(x[:, 1])], axis=1)

    def compute_output_spec(self, x):
        return keras.KerasTensor((*x.shape[:-1], self.classes), dtype="float32")

    def multiply_adds(self, x_shape):
        return 2 * x_shape[-1] * self.classes


@register
class MeanLogits(Layer):
    """The mean of several heads' logits, in training and inference alike: `(batch, heads, classes) -> (batch, classes)`.

    Source: Touvron et al. 2021, arXiv:2012.12877, as released: logits are averaged, where section 4 adds probabilities.
    """

    def call(self, x):
        return ops.mean(promote(x), axis=1)

    def compute_output_spec(self, x):
        return keras.KerasTensor((x.shape[0], x.shape[2]), dtype="float32")
