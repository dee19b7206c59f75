"""Image classification sets by name through TensorFlow Datasets."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from .. import checks
from ..facts import DATASETS, Facts
from .archives import find_parts, read_parts
from .arrays import check_labels, known_facts, pair, statistics, with_test
from .resize import resize
from .splits import Split
from .tiny_imagenet import NAME as TINY, find, places, read_tiny_imagenet

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}(/[A-Za-z0-9][A-Za-z0-9_]{0,63})?(:\d{1,4}\.\d{1,4}\.\d{1,4})?")
BATCH = 512  # images decoded at once
Size = tuple[int, int]


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


def read_named(name: str, folder: Path, size: Size | None, download: bool) -> tuple[Split, Split, Facts]:
    """(train, test, facts) of a set by name: from NumPy archives in `folder` if there are any, else by its own reader or TFDS.

    Args:
        name: As `check_name` allows.
        folder: Where prepared sets lie and new ones go.
        size: (height, width) for sets whose images differ in shape.
        download: Whether the network may be used.

    Raises:
        ValueError: An unknown name, or a set that is not image classification.
        DatasetUnavailable: Not prepared, and not to be downloaded or not downloadable.
        ImportError: TensorFlow Datasets is needed and not installed.
    """
    parts = find_parts(folder, name)
    if parts:
        return read_parts(parts, name)
    if re.split("[/:]", name)[0] == TINY:
        return read_tiny_imagenet(_tiny_place(name, folder))
    tfds = _tfds(name, folder)
    _leave_accelerators_alone()
    return _read(_builder(tfds, name, folder, download), tfds, name, size)


def _tfds(name: str, folder: Path) -> ModuleType:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"TensorFlow Datasets is needed to read {name!r}. Received: {error}; pip install tensorflow-datasets, "
            f"or place {name}.npz with arrays x, y and split (0 train, 1 test) in {folder}."
        ) from error
    return tfds


def _leave_accelerators_alone() -> None:
    """Keep TensorFlow off the GPU when it only reads files for another backend: it would claim all of its memory."""
    if keras.backend.backend() == "tensorflow":
        return
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")


def prepared_folder(folder: Path, name: str) -> Path | None:
    """The folder of a prepared set, `<folder>/<name>[/<config>]/<version>`: the newest version unless one is named."""
    base, _, wanted = name.partition(":")
    marks = (folder / base).glob(f"{wanted or '*.*.*'}/dataset_info.json")
    versions = [mark.parent for mark in marks if re.fullmatch(r"\d+\.\d+\.\d+", mark.parent.name)]
    return max(versions, key=lambda path: [int(part) for part in path.name.split(".")], default=None)


def _builder(tfds: ModuleType, name: str, folder: Path, download: bool) -> Any:
    """A builder whose files are there; only this function can reach the network, and only with `download`."""
    # Reading off the folder needs neither the network nor the right to write, unlike asking for the builder by name.
    found = prepared_folder(folder, name)
    if found:
        return tfds.builder_from_directory(str(found))
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
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"data_dir must be writable to download. Received: {folder}; choose another data_dir.")


def _prepare(tfds: ModuleType, name: str, folder: Path) -> Any:
    from filelock import FileLock

    # Two processes that prepare one set at once would trip over each other's folders; the second finds it done.
    with FileLock(folder / f".{re.sub('[/:]', '-', name)}.lock"):
        try:
            builder = tfds.builder(name, data_dir=str(folder))
            builder.download_and_prepare()
        except Exception as error:  # a network, a server, a checksum, a disk: TFDS lets many kinds through
            tried = f"download=True, which failed with {type(error).__name__}: {error}"
            raise DatasetUnavailable(_unavailable(name, folder, tried)) from error
    return builder


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


def _read(builder: Any, tfds: ModuleType, name: str, size: Size | None) -> tuple[Split, Split, Facts]:
    image, label = _columns(builder.info.features, tfds, name)
    shape = _shape(builder.info.features[image].shape, name, size)
    splits = builder.info.splits
    if "train" not in splits:
        raise ValueError(f"A data set with a train split is needed. Received: {name!r} with {', '.join(splits)}.")
    own = next((part for part in ("test", "validation") if part in splits), None)
    train = _read_split(builder, "train", (image, label), shape)
    test = _read_split(builder, own, (image, label), shape) if own else None
    train, test = with_test(train, test)
    return train, test, _facts(builder, name, builder.info.features[label], train, test)


def _columns(features: Any, tfds: ModuleType, name: str) -> tuple[str, str]:
    """The names of the uint8 image and the label among a set's features: the usual ones, or the only ones."""
    images = [key for key, f in features.items() if isinstance(f, tfds.features.Image) and f.np_dtype == np.uint8]
    labels = [key for key, f in features.items() if isinstance(f, tfds.features.ClassLabel)]
    columns = [
        usual if usual in found else found[0]
        for usual, found in (("image", images), ("label", labels))
        if usual in found or len(found) == 1
    ]
    if len(columns) != 2:
        raise ValueError(
            "A set with one uint8 image and one class label is needed. "
            f"Received: {name!r} with features {', '.join(features)}; load its arrays yourself and pass them."
        )
    return columns[0], columns[1]


def _shape(shape: tuple[int | None, ...], name: str, size: Size | None) -> tuple[int, int, int]:
    """The shape (h, w, c) to read images in: their own if they share one, else `size`."""
    height, width, channels = shape
    if height and width and channels:
        return height, width, channels
    if not channels or not size:
        advice = "give image_size=(height, width)" if channels else "their channels differ, so pass arrays instead"
        raise ValueError(f"Images of one shape are needed. Received: {name!r} with shape {shape}; {advice}.")
    return (*size, channels)


def _read_split(builder: Any, part: str, columns: tuple[str, str], shape: tuple[int, int, int]) -> Split:
    count = builder.info.splits[part].num_examples
    x, y = np.empty((count, *shape), np.uint8), np.empty(count, np.int64)
    filled = 0
    for images, labels in _blocks(builder, part, columns, shape):
        block = slice(filled, filled + len(labels))
        x[block], y[block] = images, labels
        filled += len(labels)
    return pair(part, x, y)


def _blocks(
    builder: Any, part: str, columns: tuple[str, str], shape: tuple[int, int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(images, labels) in the set's own order; images of different shapes come one by one, resized."""
    image, label = columns
    dataset = builder.as_dataset(split=part, shuffle_files=False).map(lambda row: (row[image], row[label]))
    if all(builder.info.features[image].shape):
        yield from dataset.batch(BATCH).as_numpy_iterator()
        return
    for single, number in dataset.as_numpy_iterator():
        yield resize(single[None], shape[:2]), number[None]


def _facts(builder: Any, name: str, label: Any, train: Split, test: Split) -> Facts:
    source = f"TensorFlow Datasets, {builder.info.full_name}"
    base = name.partition(":")[0]
    if base in DATASETS:
        return known_facts(base, train, test, source)
    for part, split in (("train", train), ("test", test)):
        check_labels(f"y_{part}", split.y, label.num_classes)
    mean, std = statistics(train.x)
    return Facts(base, train.x.shape[1:], label.num_classes, mean, std, False, tuple(label.names or ()), source)
