"""The contract of every layer here: the constructor is the configuration."""

import functools
import inspect
import random

import keras

register = keras.saving.register_keras_serializable(package="keras_vix")

FRAMEWORK = frozenset(inspect.signature(keras.layers.Layer.__init__).parameters) | {"args"}


@functools.cache
def arguments(cls) -> tuple[str, ...]:
    """Names that the constructor of `cls` asks for, without those that every Keras layer has."""
    return tuple(name for name in inspect.signature(cls).parameters if name not in FRAMEWORK)


class Layer(keras.layers.Layer):
    """A Keras layer that keeps each constructor argument, unchanged, under its own name.

    `get_config` and `from_config` follow from the signature and are written here, once, also for arguments that are
    layers themselves. A subclass's constructor ends in `**kwargs`, which takes Keras' own `name`, `dtype` and `trainable`.
    """

    def get_config(self) -> dict:
        own = {name: _to_config(getattr(self, name)) for name in arguments(type(self))}
        return super().get_config() | own

    @classmethod
    def from_config(cls, config):
        own = arguments(cls)
        return super().from_config({k: _from_config(v) if k in own else v for k, v in config.items()})

    def multiply_adds(self, *shapes) -> int:
        """Multiply-add operations of one call on inputs of `shapes` (without the batch axis); 0 without products."""
        return 0

    def binary_multiply_adds(self, *shapes) -> int:
        """Those among `multiply_adds` whose two factors are of two values each."""
        return 0

    def scalings(self, *shapes) -> int:
        """Products of numbers with learned scales of their channels, which are not among `multiply_adds`."""
        return 0

    def stand_alone(self) -> list:
        """Trainable weights of this layer itself that a count by modules leaves out (`zoo.count`), such as tokens and tables."""
        return []

    def constants(self) -> int:
        """Entries of constant tables that some published counts include among the parameters."""
        return 0

    def declared(self) -> int:
        """Parameters that a source makes, counts and never uses; not made here."""
        return 0


def _to_config(value):
    if not isinstance(value, keras.layers.Layer):
        return value
    config = keras.saving.serialize_keras_object(value)
    config.pop("build_config", None)  # its owner builds it; Keras would build it a second time while loading
    return config


def _from_config(value):
    if isinstance(value, dict) and "class_name" in value:
        return keras.saving.deserialize_keras_object(value)
    if isinstance(value, (list, tuple)):  # JSON has no tuples, and no constructor here takes a list
        return tuple(_from_config(item) for item in value)
    return value


def make_seed(seed: int | None) -> int:
    """`seed`, or a fresh one from Python's generator, which `keras.utils.set_random_seed` governs."""
    return random.randrange(2**31) if seed is None else seed
