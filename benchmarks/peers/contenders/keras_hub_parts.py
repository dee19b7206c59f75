"""KerasHub: the attention of its ViT and Swin encoders, and its ViT backbone."""

import keras
import numpy as np
from keras import ops

from ..place import Part, Place
from .keras_layers import exact_products


def vit_attention(place: Place) -> Part:
    """The attention inside KerasHub's ViT encoder block: Keras' own, so its row tells how far equal code differs."""
    from keras_hub.src.models.vit.vit_layers import ViTEncoderBlock

    block = ViTEncoderBlock(place.heads, place.dim, place.mlp_dim)
    block.build(place.shape)
    return Part(block.mha, copies=2, multiply_adds=exact_products(place))


class SwinAttention(keras.layers.Layer):
    """KerasHub's window attention with its own partition, as its Swin block calls them: `(batch, n, dim) -> same`."""

    def __init__(self, place: Place, shifted: bool):
        from keras_hub.src.models.swin_transformer import swin_transformer_layers as swin

        super().__init__()
        self.swin, (self.side, self.window) = swin, place.window
        self.shift = self.window // 2 if shifted else 0
        self.attention = swin.WindowAttention(place.dim, place.heads, window_size=self.window)
        self.mask = regions(self.side, self.window, self.shift) if shifted else None

    def build(self, shape):
        self.attention(keras.Input((self.window**2, shape[-1])))  # its own `build` leaves the dense layers to the first call
        self.built = True

    def call(self, x):
        batch, tokens, dim = x.shape
        x = ops.reshape(x, (batch, self.side, self.side, dim))
        x = ops.roll(x, (-self.shift, -self.shift), axis=(1, 2)) if self.shift else x
        windows, (high, wide) = self.swin.window_partition(x, self.window)
        windows = self.attention(ops.reshape(windows, (-1, self.window**2, dim)), mask=self.mask)
        windows = ops.reshape(windows, (-1, self.window, self.window, dim))
        x = self.swin.window_reverse(windows, self.window, high, wide, dim)
        x = ops.roll(x, (self.shift, self.shift), axis=(1, 2)) if self.shift else x
        return ops.reshape(x, (batch, tokens, dim))


def regions(side: int, window: int, shift: int) -> np.ndarray:
    """What KerasHub's block adds to the scores of tokens that only the roll brought together: `(windows, n, n)`.

    The block makes this table anew in each call; here it is made once, to its advantage.
    """
    line = np.digitize(np.arange(side), (side - window, side - shift))
    places = (3 * line[:, None] + line[None]).reshape(side // window, window, side // window, window)
    places = places.transpose(0, 2, 1, 3).reshape(-1, window * window)
    return np.where(places[:, :, None] != places[:, None], -100.0, 0.0).astype("float32")


def swin_attention(place: Place, shifted: bool = False) -> Part:
    """KerasHub's Swin window attention with relative bias, on the whole grid."""
    layer = SwinAttention(place, shifted)
    layer.build(place.shape)
    return Part(layer)


def vit_model(place: Place) -> Part:
    """KerasHub's ViT backbone at the common sizes, without a class token, with the common pool and head."""
    import keras_hub

    shape = (place.side, place.side, 3)
    backbone = keras_hub.models.ViTBackbone(
        shape, (1, 1), place.depth, place.heads, place.dim, place.mlp_dim, use_class_token=False
    )
    image = keras.Input(shape)
    x = backbone(keras.layers.Rescaling(1 / 127.5, -1.0)(image))
    x = keras.layers.GlobalAveragePooling1D()(x)
    return Part(keras.Model(image, keras.layers.Dense(place.classes)(x)))
