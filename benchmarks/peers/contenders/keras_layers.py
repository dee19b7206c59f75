"""Layers of Keras and of this package, on whichever backend Keras runs."""

from typing import Any

import keras
from keras import ops

from ..place import Part, Place


def exact_products(place: Place) -> int:
    """Multiply-adds of exact attention on one sample: four projections, scores, and the weighted sum."""
    inner = place.heads * place.key_dim
    return 4 * place.tokens * place.dim * inner + 2 * place.tokens**2 * inner


def multi_head_attention(place: Place) -> Part:
    """`keras.layers.MultiHeadAttention`, the reference."""
    layer = keras.layers.MultiHeadAttention(place.heads, place.key_dim)
    layer.build(place.shape, place.shape)
    return Part(layer, copies=2, multiply_adds=exact_products(place))


def ours(place: Place, layer: str, **options: Any) -> Part:
    """A layer of `keras_vix.layers` by its name."""
    from keras_vix import layers

    made = getattr(layers, layer)(place.heads, place.key_dim, **options)
    made.build(place.shape)
    return Part(made, multiply_adds=made.multiply_adds(place.shape[1:]))


def our_windows(place: Place, shifted: bool = False) -> Part:
    """`keras_vix.layers.LocalWindowAttention2D` with relative bias; a shift is half a window."""
    side, window = place.window
    shift = window // 2 if shifted else 0
    return ours(place, "LocalWindowAttention2D", grid=(side, side), window=window, shift=shift)


class WindowedMultiHeadAttention(keras.layers.Layer):
    """`keras.layers.MultiHeadAttention` on windows cut by reshapes: `(batch, side * side, dim) -> same`."""

    def __init__(self, place: Place):
        super().__init__()
        self.side, self.window = place.window
        self.attention = keras.layers.MultiHeadAttention(place.heads, place.key_dim)

    def build(self, shape):
        windows = (None, self.window**2, shape[-1])
        self.attention.build(windows, windows)
        self.built = True

    def call(self, x):
        count, window, dim = self.side // self.window, self.window, x.shape[-1]
        x = ops.reshape(x, (-1, count, window, count, window, dim))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, window * window, dim))
        x = ops.reshape(self.attention(x, x), (-1, count, count, window, window, dim))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, self.side**2, dim))


def windowed_multi_head_attention(place: Place) -> Part:
    """The reference of the windows: Keras' own attention, each window a sample; no relative bias, no shift."""
    layer = WindowedMultiHeadAttention(place)
    layer.build(place.shape)
    inner, window = place.heads * place.key_dim, place.window[1]
    products = 4 * place.tokens * place.dim * inner + 2 * place.tokens * window**2 * inner
    return Part(layer, multiply_adds=products)
