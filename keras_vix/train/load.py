"""Models from files."""

import pathlib
import warnings
from collections.abc import Mapping

import keras

from . import allowed
from .checkpoint import CheckpointError, previous_of, verify


def load(
    path, compile: bool = True, fall_back: bool = False, custom_objects: Mapping[str, type] | None = None
) -> keras.Model:
    """A model saved with `model.save("name.keras")`, with all layers of this package known.

    Loading a model file from somebody else is running their program. Safe mode narrows this, it does not remove it: Keras'
    own is always on, and a file is refused, before Keras sees it, if it names anything but layers, losses, metrics, optimizers
    and the like of Keras and of this package; if it would unpack to more than 100 times its size, or elsewhere; or if its arrays
    lie in other files, or claim far more than they have.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=1, num_heads=2)
    >>> model.save("digits.keras")
    >>> keras_vix.load("digits.keras").name
    'vit'

    A layer of your own has to be given, so that no file can name another:

    >>> class Shift(keras.layers.Layer):
    ...     def call(self, x):
    ...         return x + 1.0
    >>> keras.Sequential([keras.Input((4,)), Shift()]).save("shift.keras")
    >>> keras_vix.load("shift.keras", custom_objects={"Shift": Shift}).predict(np.zeros((1, 4)), verbose=0)
    array([[1., 1., 1., 1.]], dtype=float32)

    Args:
        path: of a `.keras` file.
        compile: whether to restore optimizer, loss and metrics.
        fall_back: if the file is damaged, take `name.previous.keras`, which `callbacks.AtomicModelCheckpoint` keeps beside it,
            with a warning: it is of an earlier epoch.
        custom_objects: classes and functions that the file may name beside those of Keras and of this package, by the name under
            which Keras registers them: that of a plain class, `package>name` of a registered one.

    Raises:
        FileNotFoundError: if there is no such file; the message shows the absolute path.
        CheckpointError: if it is damaged: cut short, changed, or no archive at all; a ValueError.
        ValueError: if its name does not end in `.keras`, or it is refused; the message says what it names or holds.
        TypeError: if `custom_objects` is no dict of classes and functions by name.
    """
    given = dict(custom_objects) if isinstance(custom_objects, Mapping) else {} if custom_objects is None else None
    if given is None or not all(isinstance(name, str) and callable(thing) for name, thing in given.items()):
        raise TypeError(f"`custom_objects` must be a dict of classes by name. Received: custom_objects={custom_objects!r}.")
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no model file at {path.absolute()}.")
    if path.suffix != ".keras":
        raise ValueError(f"A model file ends in .keras. Received: path={str(path)!r}; save it with model.save('name.keras').")
    path = sound(path, fall_back)
    allowed.check(path, given)
    return keras.saving.load_model(path, custom_objects=given, compile=compile, safe_mode=True)


def sound(path: pathlib.Path, fall_back: bool) -> pathlib.Path:
    """The path, or that of the previous file if the first is damaged and `fall_back`."""
    previous = previous_of(path)
    try:
        verify(path)
        return path
    except CheckpointError as error:
        if not previous.is_file():
            raise CheckpointError(f"{error}; there is no {previous.name} beside it.") from error
        if not fall_back:
            raise CheckpointError(f"{error}; fall_back=True takes {previous.name}.") from error
        verify(previous)
        warnings.warn(f"{error}; {previous.name} is taken instead.", stacklevel=3)
        return previous
