"""Models from files."""

import pathlib

import keras


def load(path, compile: bool = True) -> keras.Model:
    """A model saved with `model.save("name.keras")`, with all layers of this package known.

    Keras' safe mode is always on: a file that carries code is refused. Loading a model file from somebody else still runs what it
    describes; safe mode narrows this, it does not remove it.

    Args:
        path: of a `.keras` file.
        compile: whether to restore optimizer, loss and metrics.

    Raises:
        FileNotFoundError: if there is no such file; the message shows the absolute path.
        ValueError: if it is not a `.keras` archive.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no model file at {path.absolute()}.")
    if path.suffix != ".keras":
        raise ValueError(f"A model file ends in .keras. Received: path={str(path)!r}; save it with model.save('name.keras').")
    return keras.saving.load_model(path, compile=compile, safe_mode=True)
