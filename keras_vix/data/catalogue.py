"""Image classification sets by name through TensorFlow Datasets."""

import os
import re
import shutil
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import checks
from ..facts import DATASETS, Facts
from . import cache
from .archives import find_parts, read_parts
from .imagenet import NAMES as IMAGENET, TFDS_NAME, class_list, find_folder, read_imagenet
from .prepared import mend, read_prepared
from .splits import Split
from .tiny_imagenet import NAME as TINY, find, places, read_tiny_imagenet

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}(/[A-Za-z0-9][A-Za-z0-9_]{0,63})?(:\d{1,4}\.\d{1,4}\.\d{1,4})?")
VERSION = re.compile(r"\d+\.\d+\.\d+")
PAUSES = (1.0, 2.0, 4.0)  # seconds before a download is tried again
Size = tuple[int, int]


# By name, as these packages are there only where a download is.
NETWORK = {
    "builtins.ConnectionError", "builtins.TimeoutError", "http.client.HTTPException", "urllib.error.URLError",
    "urllib3.exceptions.HTTPError", "requests.exceptions.ConnectionError", "requests.exceptions.Timeout",
    "requests.exceptions.ChunkedEncodingError", "requests.exceptions.ContentDecodingError",
}  # fmt: skip


class DatasetUnavailable(FileNotFoundError):
    """The data set is not on this machine and was not, or could not be, fetched."""


def data_folder(data_dir: str | os.PathLike | None) -> Path:
    """Where data sets lie: `data_dir`, else $TFDS_DATA_DIR, else ~/tensorflow_datasets.

    Raises:
        NotADirectoryError: Something else than a folder has that name.
    """
    folder = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"data_dir must be a folder. Received: data_dir={str(folder)!r}, which is a file.")
    return folder


def check_name(name: str) -> str:
    """A data set's name: `name`, `name/config`, `name:1.2.3` or `name/config:1.2.3`.

    Raises:
        ValueError: Another form.
    """
    if not NAME.fullmatch(name):
        raise ValueError(
            "A data set's name is of the form name, name/config or name:1.2.3, in lower case, digits and _. "
            f"Received: source={name!r}.{checks.near(name, DATASETS)}"
        )
    return name


def read_named(
    name: str, folder: Path, size: Size | None, download: bool, wanted: tuple[str, ...] | None = None
) -> tuple[Split, Split, Facts]:
    """(train, test, facts) of a set by name: from NumPy archives in `folder` if there are any, else by its own reader or TFDS.

    Args:
        name: As `check_name` allows.
        folder: Where prepared sets lie and new ones go.
        size: (height, width) for sets whose images differ in shape.
        download: Whether the network may be used.
        wanted: Only these classes, in this order.

    Raises:
        ValueError: An unknown name, or a set that is not image classification.
        DatasetUnavailable: Not prepared, and not to be downloaded or not downloadable.
        ImportError: TensorFlow Datasets is needed and not installed.
    """
    parts = find_parts(folder, name)
    if parts and wanted is None:
        return read_parts(parts, name)
    if re.split("[/:]", name)[0] == TINY and wanted is None:
        return read_tiny_imagenet(_tiny_place(name, folder))
    if name in IMAGENET:
        wanted = class_list(name, folder) if wanted is None else wanted
        place = None if prepared_folder(folder, TFDS_NAME) else find_folder(folder)
        if place:
            return read_imagenet(name, place, size, wanted)
    asked = TFDS_NAME if name in IMAGENET else name
    tfds = _tfds(asked, folder)
    return read_prepared(_builder(tfds, asked, folder, download), tfds, name, size, folder, wanted)


def _tfds(name: str, folder: Path) -> ModuleType:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"TensorFlow Datasets is needed to read {name!r}. Received: {error}; pip install tensorflow-datasets, "
            f"or place {name}.npz with arrays x, y and split (0 train, 1 test) in {folder}."
        ) from error
    return tfds


def prepared_folder(folder: Path, name: str) -> Path | None:
    """The folder of a prepared set, `<folder>/<name>[/<config>]/<version>`: the newest version unless one is named.

    A name without a configuration means the only one that is there.
    """
    base, _, wanted = name.partition(":")
    marks = list((folder / base).glob(f"{wanted or '*.*.*'}/dataset_info.json"))
    if not marks and "/" not in base:
        marks = list((folder / base).glob(f"*/{wanted or '*.*.*'}/dataset_info.json"))
        marks = marks if len({mark.parents[1] for mark in marks}) == 1 else []
    versions = [mark.parent for mark in marks if VERSION.fullmatch(mark.parent.name)]
    return max(versions, key=lambda path: [int(part) for part in path.name.split(".")], default=None)


def _builder(tfds: ModuleType, name: str, folder: Path, download: bool) -> Any:
    """A builder whose files are there; only this function can reach the network, and only with `download`."""
    # Reading off the folder needs neither the network nor the right to write, unlike asking for the builder by name.
    found = prepared_folder(folder, name)
    if found:
        try:
            return tfds.builder_from_directory(str(found))
        except Exception as error:  # TFDS lets whatever its parsers raise through
            said = f"{type(error).__name__}: {error}"
            raise ValueError(f"A prepared data set is needed. Received: {str(found)!r} ({said}). {mend(name, found)}") from error
    _check_known(tfds, name)
    if not download:
        raise DatasetUnavailable(_unavailable(name, folder, "download=False"))
    _check_writable(folder)
    return _prepare(tfds, name, folder)


def _check_known(tfds: ModuleType, name: str) -> None:
    base = re.split("[/:]", name)[0]
    known = {*DATASETS, *tfds.list_builders(with_community_datasets=False)}
    if base not in known:
        raise ValueError(f"A data set's name is needed. Received: source={name!r}.{checks.near(base, known)}")


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:  # which of its kinds, is the system's choice
        writable = False
    if not writable:
        raise PermissionError(f"data_dir must be writable to download. Received: data_dir={str(folder)!r}; choose another one.")


def _prepare(tfds: ModuleType, name: str, folder: Path, anew: bool = False) -> Any:
    # Two processes that prepare one set at once would trip over each other's folders; the second finds it done.
    with cache.alone(folder, name):
        try:
            return _download(tfds, name, folder, anew)
        except Exception as error:  # a network, a server, a checksum, a disk: TFDS lets many kinds through
            tried = f"download=True, which failed with {type(error).__name__}: {error}"
            raise DatasetUnavailable(_unavailable(name, folder, tried)) from error


def _download(tfds: ModuleType, name: str, folder: Path, anew: bool) -> Any:
    """A builder that has prepared its files; a network that fails is tried again after 1, 2 and 4 seconds.

    With `anew` files that were downloaded before are not trusted.
    """
    mode = {"download_mode": tfds.GenerateMode.FORCE_REDOWNLOAD}
    options = {"download_config": tfds.download.DownloadConfig(**mode)} if anew else {}
    for pause in (*PAUSES, None):
        try:
            builder = tfds.builder(name, data_dir=str(folder))
            builder.download_and_prepare(**options)
            return builder
        except Exception as error:
            if pause is None or not _of_the_network(error):
                raise
        time.sleep(pause)


def _of_the_network(error: BaseException) -> bool:
    """Whether an error, or what it came from, is one of a connection that another try may not meet."""
    if isinstance(error, FileNotFoundError):
        return False
    kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
    if kinds & NETWORK:
        return True
    return error.__cause__ is not None and _of_the_network(error.__cause__)


def renew(name: str, folder: Path) -> Path:
    """Prepare a set anew, from a fresh download; what was there comes back if that fails.

    Returns:
        The folder of the set.

    Raises:
        ValueError: not a set of TensorFlow Datasets.
        DatasetUnavailable: it cannot be downloaded or prepared.
    """
    if check_name(name) in (TINY, "digits") or find_parts(folder, name):
        raise ValueError(f"A set that TensorFlow Datasets downloads is needed. Received: {name!r}; copy it anew yourself.")
    name = TFDS_NAME if name in IMAGENET else name
    tfds = _tfds(name, folder)
    found = prepared_folder(folder, name)
    if not found:
        _check_known(tfds, name)
        _check_writable(folder)
        _prepare(tfds, name, folder, anew=True)
        return prepared_folder(folder, name)
    base = re.split("[/:]", name)[0]
    _check_known(tfds, base)
    _check_writable(folder)
    aside = found.parent / f"{found.name}.damaged"
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(found, aside)
    try:
        _prepare(tfds, ":".join((str(found.parent.relative_to(folder)), found.name)), folder, anew=True)
    except BaseException:
        shutil.rmtree(found, ignore_errors=True)
        os.rename(aside, found)
        raise
    shutil.rmtree(aside, ignore_errors=True)
    return found


def _unavailable(name: str, folder: Path, tried: str) -> str:
    base = name.partition(":")[0]
    return (
        f"The data set {name!r} is needed on this machine. Received: {tried}; looked for {folder / base}/<version>/"
        f"dataset_info.json and {folder / name}.npz. Allow download=True where there is a network, or copy a folder "
        "that TensorFlow Datasets prepared elsewhere to that place, or save arrays x, y and split (0 train, 1 test) "
        "as that .npz with np.savez."
    )


def _tiny_place(name: str, folder: Path) -> Path:
    if name != TINY:
        raise ValueError(f"{TINY} has neither versions nor configurations. Received: source={name!r}; give {TINY!r}.")
    found = find(folder)
    if found is None:
        tried = ", ".join(map(str, (*places(folder), folder / f"{TINY}.npz")))
        raise DatasetUnavailable(
            f"The data set {name!r} is needed on this machine and is not downloaded by this package. Received: data_dir="
            f"{str(folder)!r}; looked for {tried}. Put the original tiny-imagenet-200.zip there, or the folder that is in it."
        )
    return found
