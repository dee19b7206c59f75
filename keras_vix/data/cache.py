"""Files made once from a data set and used again: whole or not at all, and by one process at a time."""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .pictures import Lazy, Stored

VARIABLE = "KERAS_VIX_CACHE"
NAME = "cache"  # of the folder, within that of the data sets
STEP = 2**26  # bytes of decoded images written at once
SPARE = 2**28  # bytes to leave free on the disk


def folder_for(data: Path) -> Path:
    """Where such files go: $KERAS_VIX_CACHE, or `cache` in the folder of data sets, or one at home where that is read-only."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    inner = data / NAME
    nearest = next(place for place in (inner, *inner.absolute().parents) if place.exists())
    return inner if os.access(nearest, os.W_OK | os.X_OK) else Path("~/.cache/keras_vix").expanduser()


def key(*parts: Any) -> str:
    """Sixteen hexadecimal digits that change when any part does."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def state(files: list[Path]) -> str:
    """A key of files by name, size and time of change: it differs once one was written anew."""
    return key([(path.name, (found := path.stat()).st_size, found.st_mtime_ns) for path in files])


@contextlib.contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """Inside, no other process on machines that share the folder works on what has this name; waits for its turn.

    Raises:
        OSError: the folder cannot be written.
    """
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{re.sub('[^A-Za-z0-9_.-]', '-', name)[:100]}.lock"):
        yield


def once(path: Path, make: Callable[[Path], None]) -> Path:
    """`path`, made if it is not there: `make` fills another file, which then takes its name. One process does it.

    Raises:
        OSError: the folder cannot be written; what was begun is removed.
    """
    if path.exists():
        return path
    with alone(path.parent, path.name):
        if path.exists():  # another process was first
            return path
        for left in path.parent.glob(f".{path.name}.*.tmp"):  # of one that was killed: the lock is ours
            left.unlink(missing_ok=True)
        begun = path.parent / f".{path.name}.{os.getpid()}.tmp"
        try:
            make(begun)
            with begun.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(begun, path)
        finally:
            begun.unlink(missing_ok=True)
    return path


def arrays(path: Path, make: Callable[[], tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """Arrays kept in one `.npz`; a file that cannot be read is made anew."""

    def fill(begun: Path) -> None:
        with begun.open("wb") as file:
            np.savez(file, *made())

    found: list[tuple[np.ndarray, ...]] = []

    def made() -> tuple[np.ndarray, ...]:
        found.append(make())
        return found[0]

    once(path, fill)
    if found:
        return found[0]
    try:
        with np.load(path, allow_pickle=False) as archive:
            return tuple(archive[name] for name in archive.files)
    except Exception:  # torn by a full disk, or none of ours: NumPy lets many kinds through
        path.unlink(missing_ok=True)
        return arrays(path, make)


def decoded(images: Lazy, path: Path) -> Stored:
    """The images, decoded once into a `.npy` file of uint8 and memory-mapped from there.

    Raises:
        OSError: the disk has no room for them.
        ValueError: an image cannot be read.
    """

    def fill(begun: Path) -> None:
        free, need = shutil.disk_usage(begun.parent).free, images.nbytes + SPARE
        if free < need:
            raise OSError(
                f"Room for the decoded images is needed. Received: {str(begun.parent)!r} with {free:,} bytes free of {need:,}; "
                "give cache= a folder on a larger disk, or leave it out."
            )
        step = max(1, STEP * len(images) // max(1, images.nbytes))
        with begun.open("wb") as file:
            shape = {"descr": "|u1", "fortran_order": False, "shape": images.shape}
            np.lib.format.write_array_header_2_0(file, shape)
            for start in range(0, len(images), step):
                file.write(np.asarray(images[start : start + step]).tobytes())

    array = np.load(once(path, fill), mmap_mode="r", allow_pickle=False)
    if array.shape != images.shape or array.dtype != np.uint8:
        raise ValueError(
            f"Decoded images of shape {images.shape} are needed. Received: {str(path)!r} with {array.shape}; delete that file."
        )
    return Stored(array)
