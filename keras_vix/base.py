"""The contract of every layer here: the constructor is the configuration."""

import contextlib
import functools
import inspect
import random

import keras

from . import checks
from ._version import __version__

register = keras.saving.register_keras_serializable(package="keras_vix")

FRAMEWORK = frozenset(inspect.signature(keras.layers.Layer.__init__).parameters) | {"args"}
KERAS_WORDS = FRAMEWORK | {"input_shape", "input_dim"}  # what the constructor of every Keras layer takes


@functools.cache
def arguments(cls) -> tuple[str, ...]:
    """Names that the constructor of `cls` asks for, without those that every Keras layer has."""
    return tuple(name for name in inspect.signature(cls).parameters if name not in FRAMEWORK)


class Layer(keras.layers.Layer):
    """A Keras layer that keeps each constructor argument, unchanged, under its own name.

    `get_config` and `from_config` follow from the signature and are written here, once, also for arguments that are
    layers themselves. A subclass's constructor ends in `**kwargs`, which takes Keras' own `name`, `dtype` and `trainable`.

    A layer that names its `input_axes` is called with floating-point tensors of these axes only, and once built with those of its
    `input_sizes`; anything else is refused before a weight is made.
    """

    input_axes: tuple[str, ...] | None = None  # of the first input, such as `TOKENS`
    input_sizes: tuple[int | None, ...] | None = None  # which `build` sets; None where any size will do

    def __init__(self, **kwargs):
        for name, value in kwargs.items():
            if name not in KERAS_WORDS:
                raise checks.unknown(type(self).__name__, name, value, arguments(type(self)))
        super().__init__(**kwargs)

    def __call__(self, *inputs, **options):
        if self.input_axes and inputs:
            check_input(self, inputs[0])
        return super().__call__(*inputs, **options)

    def get_config(self) -> dict:
        own = {name: _to_config(getattr(self, name)) for name in arguments(type(self))}
        return super().get_config() | own

    @classmethod
    def from_config(cls, config):
        own = arguments(cls)
        for name in config:
            if name not in own and name not in KERAS_WORDS:
                raise checks.unknown(f"{cls.__name__} of keras_vix {__version__}", name, config[name], own)
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


TOKENS = ("batch", "tokens", "channels")
IMAGES = ("batch", "height", "width", "channels")


def check_input(layer: Layer, x) -> None:
    """Refuse an input of other axes than the layer names, of other sizes than it was built for, or of whole numbers.

    Raises:
        TypeError: whole numbers or booleans.
        ValueError: another rank, nothing along an axis, or another size than that of `build`.
    """
    try:
        shape = tuple(x.shape)
    except (AttributeError, ValueError):  # no tensor, or one of unknown rank
        return
    sizes = layer.input_sizes or (None,) * len(layer.input_axes)
    fits = len(shape) == len(sizes) and all(None in (size, found) or size == found for size, found in zip(sizes, shape))
    if not fits or 0 in shape[1:]:
        wanted = ", ".join(name if size is None else f"{size} {name}" for name, size in zip(layer.input_axes, sizes))
        least = "" if 0 not in shape[1:] else ", at least one of each"
        raise ValueError(f"{type(layer).__name__} {layer.name!r} needs ({wanted}){least}. Received: shape={shape}.")
    dtype = keras.backend.standardize_dtype(x.dtype)
    if "float" not in dtype:
        raise TypeError(
            f"{type(layer).__name__} {layer.name!r} needs floating-point numbers. Received: dtype={dtype}; "
            "make them such first, pixels for example by keras.layers.Rescaling(1 / 255)."
        )


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


@contextlib.contextmanager
def seed_kept():
    """Inside, seeds may be drawn from Python's generator, which `make_seed` and Keras use; afterwards it is as it was."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def make_seed(seed: int | None) -> int:
    """`seed`, or a fresh one from Python's generator, which `keras.utils.set_random_seed` governs."""
    return random.randrange(2**31) if seed is None else seed
