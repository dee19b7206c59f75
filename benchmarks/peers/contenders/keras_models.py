"""Whole models in Keras: this package's, and the same architecture round Keras' own attention."""

from typing import Any

import keras

from ..place import Part, Place
from .keras_layers import exact_products


def ours(place: Place, preset: str, **options: Any) -> Part:
    """A model of the zoo at the common sizes: each pixel a token, learned positions, mean of the tokens."""
    import keras_vix

    choices = dict(
        input_shape=(place.side, place.side, 3), classes=place.classes, embed="patch", patch=1, dim=place.dim,
        depth=place.depth, num_heads=place.heads, mlp_dim=place.mlp_dim, position="learned", pool="mean", dropout=0.0,
        **options,
    )
    model = keras_vix.build(preset, compile=False, **choices)
    return Part(model, multiply_adds=keras_vix.describe(preset, **choices).multiply_adds)


class Positions(keras.layers.Layer):
    """A learned vector for each token."""

    def build(self, shape):
        self.table = self.add_weight(name="table", shape=shape[1:], initializer="random_normal")

    def call(self, x):
        return x + self.table


def with_multi_head_attention(place: Place) -> Part:
    """The same model with `keras.layers.MultiHeadAttention` in the places of attention, as its users write it."""
    image = keras.Input((place.side, place.side, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    x = keras.layers.Conv2D(place.dim, 1)(x)
    x = Positions()(keras.layers.Reshape((place.tokens, place.dim))(x))
    for _ in range(place.depth):
        x = block(x, place)
    x = keras.layers.LayerNormalization(epsilon=1e-6)(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return Part(keras.Model(image, keras.layers.Dense(place.classes)(x)), multiply_adds=products(place))


def block(x: Any, place: Place) -> Any:
    """Attention and MLP, each normalised before and added after: `(batch, n, dim) -> same`."""
    y = keras.layers.LayerNormalization(epsilon=1e-6)(x)
    x = x + keras.layers.MultiHeadAttention(place.heads, place.key_dim)(y, y)
    y = keras.layers.LayerNormalization(epsilon=1e-6)(x)
    y = keras.layers.Dense(place.mlp_dim, activation="gelu")(y)
    return x + keras.layers.Dense(place.dim)(y)


def products(place: Place) -> int:
    """Multiply-adds of one image through the model with exact attention."""
    mlp = 2 * place.tokens * place.dim * place.mlp_dim
    ends = place.tokens * 3 * place.dim + place.dim * place.classes
    return place.depth * (exact_products(place) + mlp) + ends
