"""Normalisations of a token's channels."""

import keras
from keras import ops

from .. import checks
from ..base import Layer, register
from ..ops.precision import promote


@register
class ChannelNorm(Layer):
    """`(x - mean) / (std + epsilon) * gamma + beta` over the channels: `(..., dim) -> same`, inside in float32.

    >>> tokens = keras.random.normal((2, 64, 32), mean=5.0, stddev=3.0)
    >>> normal = ops.convert_to_numpy(ChannelNorm()(tokens))
    >>> normal.shape, round(float(normal.std()), 2)
    ((2, 64, 32), 1.0)

    Args:
        epsilon: added to the standard deviation, where a layer normalisation adds its own to the variance; > 0.

    Source: the channel normalisation of public CvT code, of which Jeevan and Sethi 2022 build their CvX models.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self.epsilon = checks.number("epsilon", epsilon, 1e-12, 1.0)

    def build(self, x_shape):
        self.gamma = self.add_weight(name="gamma", shape=x_shape[-1:], initializer="ones")
        self.beta = self.add_weight(name="beta", shape=x_shape[-1:], initializer="zeros")
        self.built = True

    def call(self, x):
        x = promote(x, self.gamma)
        rest = x - ops.mean(x, axis=-1, keepdims=True)
        square = ops.mean(ops.square(rest), axis=-1, keepdims=True)
        # the root of 0 has no gradient; where all channels are equal the quotient is 0 all the same
        deviation = ops.sqrt(ops.maximum(square, 1e-24))
        return ops.cast(rest / (deviation + self.epsilon) * self.gamma + self.beta, self.compute_dtype)

    def compute_output_shape(self, x_shape):
        return x_shape

    def stand_alone(self):
        return [self.gamma, self.beta]


def _layer(epsilon, **kwargs):
    return keras.layers.LayerNormalization(epsilon=epsilon, **kwargs)


def _batch(epsilon, **kwargs):
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=epsilon, **kwargs)


NORM_LAYERS = {"layer": _layer, "channel": ChannelNorm, "batch": _batch}


def make_norm(kind: str, epsilon: float, owner: Layer, name: str, shape, **more) -> keras.layers.Layer:
    """A built normalisation of one of `NORM_LAYERS`, under its owner's policy."""
    made = NORM_LAYERS[kind](epsilon=epsilon, name=name, dtype=owner.dtype_policy, **more)
    made.build(shape)
    return made
