"""Data sets in NumPy archives: a user's `.npz`, the parts of a named set, and the digits of this package."""

import zipfile
from importlib import resources
from os import PathLike
from pathlib import Path

import numpy as np

from ..facts import DATASETS, Facts
from .arrays import from_arrays, known_facts, on_byte_scale, pair, with_test
from .splits import Split, hold_out_test

USER_KEYS = ("x_train", "y_train", "x_test", "y_test")
PART_KEYS = ("x", "y", "split")


def read_digits() -> tuple[Split, Split, Facts]:
    """The 1,797 handwritten digits, 8 x 8, kept in this package; 1,437 to train and 360 to test, always the same."""
    with resources.files(__package__).joinpath("digits.npz").open("rb") as file, np.load(file) as archive:
        levels, labels = archive["levels"], archive["labels"]
    # 17 grey levels, 0..16, spread over 0..255.
    x = np.rint(levels * (255 / 16)).astype(np.uint8)[..., None]
    return *hold_out_test(Split(x, labels.astype(np.int32))), DATASETS["digits"]


def read_user(path: str | PathLike) -> tuple[Split, Split, Facts]:
    """(train, test, facts) of a user's `.npz` with x_train, y_train, x_test and y_test.

    Raises:
        FileNotFoundError: No such file.
        ValueError: No plain NumPy archive, or not these arrays, or not images.
    """
    arrays = read(Path(path), USER_KEYS)
    return from_arrays(tuple(arrays[key] for key in USER_KEYS), name=Path(path).stem)


def find_parts(folder: Path, name: str) -> list[Path]:
    """`<name>.npz`, or else `<name>-0.npz`, `<name>-1.npz` ... up to the first gap; an empty list when neither is."""
    single = folder / f"{name}.npz"
    if single.is_file():
        return [single]
    found: list[Path] = []
    while (part := folder / f"{name}-{len(found)}.npz").is_file():
        found.append(part)
    return found


def read_parts(paths: list[Path], name: str) -> tuple[Split, Split, Facts]:
    """(train, test, facts) of archives with arrays x, y and split (0 to train, 1 to test), joined in order.

    Raises:
        ValueError: Not such archives, or not the images of the set of that name.
    """
    archives = [read(path, PART_KEYS) for path in paths]
    x, y, part = (np.concatenate([archive[key] for archive in archives]) for key in PART_KEYS)
    if not len(x) == len(y) == part.size or not np.isin(part, (0, 1)).all() or not (part == 0).any():
        raise ValueError(
            "x, y and split must be of one length, and split 0 (train) or 1 (test), with some 0. "
            f"Received: {len(x)} images, {len(y)} labels, {part.size} marks with "
            f"values={np.unique(part)[:5].tolist()} in {paths[0].name}; write it anew."
        )
    train = pair("train", x[part == 0], y[part == 0])
    test = pair("test", x[part == 1], y[part == 1]) if (part == 1).any() else None
    train, test = on_byte_scale(*with_test(train, test))
    return train, test, known_facts(name, train, test, source=paths[0].name)


def read(path: Path, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named arrays of a `.npz`; objects, which could run code, are refused.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a whole archive of plain arrays, or a missing key.
    """
    if not path.is_file():
        raise FileNotFoundError(f"A .npz file is needed. Received: path={str(path)!r}; there is no such file.")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"A whole .npz archive is needed. Received: path={str(path)!r}; write it with np.savez.")
    with np.load(path, allow_pickle=False) as archive:
        missing = [key for key in keys if key not in archive.files]
        if missing:
            raise ValueError(
                f"The archive must hold {', '.join(keys)}. "
                f"Received: {', '.join(archive.files) or 'nothing'} in {path.name}; add {', '.join(missing)}."
            )
        return {key: _plain(archive, key, path) for key in keys}


def _plain(archive: np.lib.npyio.NpzFile, key: str, path: Path) -> np.ndarray:
    try:
        return archive[key]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{key} must be a plain array of numbers. "
            f"Received: {path.name}, where it is an object array or damaged ({error}); write it anew with np.savez."
        ) from error
