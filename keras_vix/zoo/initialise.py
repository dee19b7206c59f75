"""Starts of dense layers and convolutions that differ from Keras' own."""

import math

import keras

PRODUCTS = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def initialise(model: keras.Model, start: str) -> None:
    """Give the kernels and biases of all dense layers and convolutions of `model` the start of that name."""
    if STARTS[start] is None:
        return
    for layer in model._flatten_layers():
        if isinstance(layer, PRODUCTS):
            for weight, value in STARTS[start](layer):
                weight.assign(value(weight.shape, dtype=weight.dtype))


def _fan_in(layer):
    """Uniform in `+-1/sqrt(fan_in)`, biases too: the layers of PyTorch."""
    inputs = layer.kernel.shape[: -2 if isinstance(layer, keras.layers.DepthwiseConv2D) else -1]
    bound = math.prod(inputs) ** -0.5
    for weight in (layer.kernel, layer.bias):
        if weight is not None:
            yield weight, keras.initializers.RandomUniform(-bound, bound)


def _small(layer):
    """Dense kernels normal with deviation 0.02, convolutions by He's rule, biases 0: the models of Hassani et al. 2021."""
    dense = isinstance(layer, keras.layers.Dense)
    yield layer.kernel, keras.initializers.RandomNormal(stddev=0.02) if dense else keras.initializers.HeNormal()
    if layer.bias is not None:
        yield layer.bias, keras.initializers.Zeros()


def _normal(layer):
    """Dense kernels normal with deviation 0.02, biases 0, convolutions as in PyTorch: DeiT, CaiT, Swin."""
    yield from _small(layer) if isinstance(layer, keras.layers.Dense) else _fan_in(layer)


def _glorot_normal(layer):
    """Glorot's normal rule, biases 0: the models of Lee et al. 2021."""
    yield layer.kernel, keras.initializers.GlorotNormal()
    if layer.bias is not None:
        yield layer.bias, keras.initializers.Zeros()


STARTS = {"keras": None, "fan_in": _fan_in, "small": _small, "normal": _normal, "glorot_normal": _glorot_normal}
