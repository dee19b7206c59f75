"""Checkpoints that are whole at every moment: written beside the old file, read again, and only then put in its place."""

import contextlib
import glob
import math
import os
import pathlib
import secrets
import shutil
import warnings
import zipfile

import keras
import numpy as np

from .. import checks
from .allowed import check_arrays, check_members

SUFFIXES = (".keras", ".weights.h5")
MEMBERS = ("config.json", "metadata.json", "model.weights")  # or how their names begin
# Ends of names whose smaller, or larger, values are better.
DOWN, UP = ("loss", "ce", "error"), ("accuracy", "acc", "auc", "top5")


class CheckpointError(ValueError):
    """A model file that exists and cannot be used."""


class AtomicModelCheckpoint(keras.callbacks.Callback):
    """A callback that saves the model at the end of an epoch so that a crash at any moment leaves a whole file.

    A new file is written under another name in the same folder, read again, flushed to the disk, and then put in the place of
    the old one in a single step. The old one stays as `name.previous.keras`, if it is sound.

    What diverged is never saved: neither an epoch in whose figures there is NaN or an infinity, whatever `monitor` says, nor
    weights that are not finite. So the file is always of the last, or best, finite epoch.

    One process at a time may write a file. A run that goes on from a file knows nothing of earlier figures: with
    `save_best_only`, tell it the value to beat.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=1, num_heads=2)
    >>> keep = keras_vix.callbacks.AtomicModelCheckpoint("digits.keras", monitor="loss", save_best_only=True)
    >>> history = model.fit(*keras_vix.data.load("digits", limit=64).train, callbacks=[keep], verbose=0)
    >>> keras_vix.load("digits.keras").name
    'vit'

    Args:
        filepath: `name.keras` for the whole model, `name.weights.h5` for the weights alone.
        monitor: the figure that decides which epoch is the best, a key of the logs.
        mode: `min` or `max`; `auto` knows names that end in `loss`, `ce`, `error` (the less the better) or `accuracy`, `acc`,
            `auc`, `top5`.
        save_best_only: save only when `monitor` is better than it ever was; otherwise every finite epoch is saved.
        initial_value_threshold: the value that the first epoch has to beat; `None` for none.

    Raises:
        TypeError, ValueError: an argument makes no sense; in training, the logs have no `monitor`.
        OSError: the file cannot be written, for instance because the disk is full; the message has its path and the free
            bytes. The files that were there are as they were.
    """

    def __init__(
        self,
        filepath,
        monitor: str = "val_loss",
        mode: str = "auto",
        save_best_only: bool = False,
        initial_value_threshold: float | None = None,
    ):
        super().__init__()
        self.filepath = pathlib.Path(filepath)
        suffix_of(self.filepath)
        if "{" in self.filepath.name:
            raise ValueError(f"`filepath` must name one file. Received: filepath={str(filepath)!r}; leave the braces out.")
        if not isinstance(monitor, str) or not monitor:
            raise TypeError(f"`monitor` must be the name of a figure, such as 'val_loss'. Received: monitor={monitor!r}.")
        if not isinstance(save_best_only, bool):
            raise TypeError(f"`save_best_only` must be True or False. Received: save_best_only={save_best_only!r}.")
        self.monitor, self.save_best_only = monitor, save_best_only
        self.sign = direction(monitor, checks.choice("mode", mode, ("auto", "min", "max"))) if save_best_only else 1
        start = initial_value_threshold
        self.best = start if start is None else checks.number("initial_value_threshold", start, -math.inf, math.inf)
        self._told = False

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Remove what a process that died while saving left behind."""
        for left in self.filepath.parent.glob(f".{glob.escape(self.filepath.name)}.*.tmp*"):
            owner = left.name.rpartition(".tmp")[0].rpartition(".")[2].split("-")[0]
            if owner.isdecimal() and not alive(int(owner)):
                left.unlink(missing_ok=True)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save, if this epoch is to be kept."""
        figures = {name: float(value) for name, value in (logs or {}).items()}
        if not all(map(math.isfinite, figures.values())) or not self._is_better(epoch, figures):
            return
        # The loss of a step is that before its update: weights can have diverged where no figure has yet.
        if all(np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in self.model.trainable_variables):
            save(self.model, self.filepath)
            self.best = figures.get(self.monitor, self.best)

    def _is_better(self, epoch: int, figures: dict[str, float]) -> bool:
        if not self.save_best_only:
            return True
        if self.monitor not in figures:
            self._miss(epoch, figures)
            return False
        return self.best is None or self.sign * figures[self.monitor] < self.sign * self.best

    def _miss(self, epoch: int, figures: dict[str, float]) -> None:
        message = (
            f"`monitor` must be a figure of the logs. Received: monitor={self.monitor!r}, and epoch {epoch + 1} has "
            f"{', '.join(figures) or 'none'}"
        )
        if not self.monitor.startswith("val_"):
            raise ValueError(f"{message}; name one of these.")
        if not self._told:  # not every epoch need be validated
            warnings.warn(f"{message}; an epoch without it is not saved.", stacklevel=2)
            self._told = True


def direction(monitor: str, mode: str) -> int:
    """1 if less is better, -1 if more is."""
    if mode == "auto" and not monitor.endswith((*DOWN, *UP)):
        raise ValueError(f"`mode` must be 'min' or 'max' for this figure. Received: mode='auto', monitor={monitor!r}.")
    return 1 if mode == "min" or (mode == "auto" and monitor.endswith(DOWN)) else -1


def suffix_of(path: pathlib.Path) -> str:
    """`.keras` or `.weights.h5`.

    Raises:
        ValueError: the path ends in neither.
    """
    for suffix in SUFFIXES:
        if path.name.endswith(suffix) and path.name != suffix:
            return suffix
    raise ValueError(f"`filepath` must end in .keras or .weights.h5. Received: filepath={str(path)!r}.")


def previous_of(path: pathlib.Path) -> pathlib.Path:
    """Where the file before the present one is kept: `name.previous.keras`."""
    suffix = suffix_of(path)
    return path.with_name(path.name.removesuffix(suffix) + ".previous" + suffix)


def alive(process: int) -> bool:
    """Whether a process of this machine may still run; always, where the system cannot be asked without harm."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def save(model: keras.Model, path) -> None:
    """Save a model, or its weights alone, so that at every moment there is a whole file; the one before is kept.

    Args:
        model: to be saved.
        path: `name.keras` or `name.weights.h5`; its folder is made.

    Raises:
        ValueError: the path ends in something else.
        OSError: it cannot be written; the message has the path and the free bytes, and older files are as they were.
    """
    path = pathlib.Path(path)
    suffix = suffix_of(path)
    temporary = temporary_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        (write_model if suffix == ".keras" else write_weights)(model, temporary)
        verify(temporary)
        flush(temporary)
        keep_previous(path)
        os.replace(temporary, path)
        flush(path.parent)
    except (OSError, CheckpointError) as error:
        words = f"The model could not be saved: {reason(error)}, {free(path)}"
        raise OSError(getattr(error, "errno", None), words, str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_of(path: pathlib.Path) -> pathlib.Path:
    """A hidden name beside a file, with the process that writes it, and the same ending."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp{suffix_of(path)}")


def write_model(model: keras.Model, path: pathlib.Path) -> None:
    """The model as an archive."""
    model.save(path)


def write_weights(model: keras.Model, path: pathlib.Path) -> None:
    """The weights alone, which an archive has as a member of the same form.

    HDF5's own way to write a file does not survive a full disk: its handles stay, and the process can crash at its end.
    """
    whole = path.with_name(path.name.removesuffix(".weights.h5") + ".keras")
    try:
        model.save(whole)
        with zipfile.ZipFile(whole) as archive, archive.open("model.weights.h5") as member, open(path, "wb") as file:
            shutil.copyfileobj(member, file)
    finally:
        whole.unlink(missing_ok=True)


def reason(error: Exception) -> str:
    """What went wrong, in a few words."""
    return getattr(error, "strerror", None) or str(error).splitlines()[0]


def free(path: pathlib.Path) -> str:
    """How many bytes are free where the path lies."""
    there = next(place for place in path.absolute().parents if place.exists())
    return f"{shutil.disk_usage(there).free:,} bytes are free"


def flush(path: pathlib.Path) -> None:
    """Make a file, or the names in a folder, durable; folders only on systems that can open one."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def keep_previous(path: pathlib.Path) -> None:
    """Give the present file the name of the previous one as well; a damaged one is not worth it."""
    if not path.exists():
        return
    try:
        verify(path)
    except CheckpointError:
        return
    kept = previous_of(path)
    temporary = temporary_of(path)
    try:
        try:
            os.link(path, temporary)
        except OSError:  # a file system without links
            shutil.copyfile(path, temporary)
            flush(temporary)
        os.replace(temporary, kept)
    finally:
        temporary.unlink(missing_ok=True)


def verify(path) -> None:
    """Read a model file from beginning to end.

    Of a `.keras` file every member is compared with its checksum. A `.weights.h5` file has none: what is found is a file cut
    short or without structure, not a changed number.

    Raises:
        CheckpointError: it is damaged; the message is one line with its path and size.
        OSError: it may not be read.
    """
    path = pathlib.Path(path)
    with open(path, "rb"):
        pass
    try:
        (read_archive if suffix_of(path) == ".keras" else read_weights)(path)
    except Exception as error:  # a flipped bit can fail in any way: a length, a name, a method of compression
        what = "archive" if path.suffix == ".keras" else "HDF5 file"
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CheckpointError(
            f"A model file must be whole. Received: {str(path)!r}, which exists, {path.stat().st_size:,} bytes, "
            f"not a valid {what} ({words})"
        ) from error


def read_archive(path: pathlib.Path) -> None:
    """Compare every member of an archive with its checksum; names and sizes come first, since reading is work."""
    with zipfile.ZipFile(path) as archive:
        check_members(archive, path.stat().st_size)
        missing = [start for start in MEMBERS if not any(name.startswith(start) for name in archive.namelist())]
        if missing:
            raise ValueError(f"no {', '.join(missing)} in it")
        bad = archive.testzip()
        if bad is not None:
            raise ValueError(f"{bad} does not match its checksum")


def read_weights(path: pathlib.Path) -> None:
    """Read every array of an HDF5 file."""
    import h5py

    arrays = []

    def look(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            arrays.append(np.asarray(item).size)

    with h5py.File(path, "r") as file:
        check_arrays(file)
        file.visititems(look)
    if not arrays:
        raise ValueError("no array in it")
