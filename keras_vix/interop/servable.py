"""The same model as runtimes can serve it: in float32, without operations that they lack."""

from collections.abc import Callable
from typing import Any

import keras

from ..mixers import FourierMixing

FOURIER = keras.saving.get_registered_name(FourierMixing)
NARROW = ("float16", "bfloat16")
PRODUCTS = "the Fourier transform as products of matrices"


def in_float32(model: keras.Model) -> keras.Model:
    """The model itself, or one with the same weights whose layers compute in float32 where some did not."""
    return copy(model, widen) if narrow(model) else model


def narrow(model: keras.Model) -> bool:
    """Whether a layer computes in 16 bits. A model itself has the global policy of when it was made, and computes nothing."""
    return any(layer.compute_dtype in NARROW for layer in model._flatten_layers() if not isinstance(layer, keras.Model))


def without_transforms(model: keras.Model) -> keras.Model:
    """The model itself, or one whose Fourier transforms are products where it has any."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, FourierMixing)]
    return copy(model, multiply) if any(layer.transform == "fft" for layer in layers) else model


def copy(model: keras.Model, change: Callable[[dict], Any] = lambda entry: None) -> keras.Model:
    """A model of the same configuration and weights, not compiled.

    Args:
        model: built, of layers that Keras can make again from their configuration.
        change: called with every dictionary of the configuration, which it may change in place.
    """
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    visit(config, change)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")  # for layers that take the global one
    try:
        made = keras.saving.deserialize_keras_object(config)
    finally:
        keras.config.set_dtype_policy(policy)
    made.set_weights(model.get_weights())
    return made


def visit(value, change: Callable[[dict], Any]) -> None:
    """Show `change` every dictionary in nested ones and lists."""
    if isinstance(value, dict):
        change(value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        visit(inner, change)


def widen(entry: dict) -> None:
    """Make a policy of 16 bits one of 32."""
    if entry.get("class_name") == "DTypePolicy" and any(word in entry["config"]["name"] for word in NARROW):
        entry["config"]["name"] = "float32"
    if entry.get("dtype") in NARROW:
        entry["dtype"] = "float32"


def multiply(entry: dict) -> None:
    """Make Fourier mixing one by products."""
    if entry.get("registered_name") == FOURIER:
        entry["config"]["transform"] = "products"


def quantized(model: keras.Model) -> keras.Model:
    """A copy whose dense layers hold weights of 8 bits and round what they are given to 8 bits, token by token."""
    made = copy(model)
    made.quantize("int8", filters=lambda layer: isinstance(layer, (keras.layers.Dense, keras.layers.EinsumDense)))
    return made
