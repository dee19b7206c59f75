"""Models from files."""

import pathlib
import warnings

import keras

from .checkpoint import CheckpointError, previous_of, verify


def load(path, compile: bool = True, fall_back: bool = False) -> keras.Model:
    """A model saved with `model.save("name.keras")`, with all layers of this package known.

    Keras' safe mode is always on: a file that carries code is refused. Loading a model file from somebody else still runs what it
    describes; safe mode narrows this, it does not remove it.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=1, num_heads=2)
    >>> model.save("digits.keras")
    >>> keras_vix.load("digits.keras").name
    'vit'

    Args:
        path: of a `.keras` file.
        compile: whether to restore optimizer, loss and metrics.
        fall_back: if the file is damaged, take `name.previous.keras`, which `callbacks.AtomicModelCheckpoint` keeps beside it,
            with a warning: it is of an earlier epoch.

    Raises:
        FileNotFoundError: if there is no such file; the message shows the absolute path.
        CheckpointError: if it is damaged: cut short, changed, or no archive at all; a ValueError.
        ValueError: if its name does not end in `.keras`, or it is refused.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no model file at {path.absolute()}.")
    if path.suffix != ".keras":
        raise ValueError(f"A model file ends in .keras. Received: path={str(path)!r}; save it with model.save('name.keras').")
    return keras.saving.load_model(sound(path, fall_back), compile=compile, safe_mode=True)


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
