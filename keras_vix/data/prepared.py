"""Sets that TensorFlow Datasets prepared, read without TensorFlow: an index of their records, images decoded when asked for."""

import re
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..facts import DATASETS, Facts
from . import cache
from .arrays import check_labels, known_facts, sample_statistics, with_test
from .pictures import FILE_LIMIT, FORMATS, Pictures
from .records import Index, Records, scan
from .splits import Split

KEPT_FROM = 2**30  # bytes of records from which their index is kept in a file
TESTS = ("test", "validation")
Size = tuple[int, int]


class Source:
    """Encoded images of a data source of TensorFlow Datasets, read by their number.

    Args:
        rows: features of one image each.
        image: name of the image among them.
    """

    def __init__(self, rows: Any, image: str) -> None:
        self.rows, self.image = rows, image

    def read(self, number: int, limit: int) -> bytes:
        """One encoded image."""
        content = self.rows[number][self.image]
        if len(content) > limit:
            raise ValueError(f"An image of at most {limit:,} bytes is needed. Received: {self.where(number)}.")
        return content

    def where(self, number: int) -> str:
        """The image in words."""
        return f"image {number}"


def read_prepared(
    builder: Any, tfds: ModuleType, name: str, size: Size | None, folder: Path, wanted: tuple[str, ...] | None = None
) -> tuple[Split, Split, Facts]:
    """(train, test, facts) of a prepared set; images are not decoded yet.

    The part to test is `test`, or `validation` where there is none or its labels are withheld, or a fixed fifth.

    Args:
        builder: its files are there.
        name: for messages and facts.
        size: (height, width) for images that differ in shape.
        folder: of data sets, where the index of a large set is kept.
        wanted: only these classes, in this order.

    Raises:
        ValueError: not image classification, damaged records, or images of many shapes without a size.
    """
    image, label = columns(builder.info.features, tfds, name)
    shape, exact = _shape(builder.info.features[image].shape, name, size)
    if "train" not in builder.info.splits:
        raise ValueError(f"A data set with a train split is needed. Received: {name!r} with {', '.join(builder.info.splits)}.")
    options = {"exact": exact, "formats": FORMATS, "limit": FILE_LIMIT}

    def split(part: str) -> Split | None:
        store, labels = listed(builder, tfds, name, part, image, label, folder)
        if len(labels) and labels.max() < 0:  # withheld
            return None
        return Split(Pictures(store, np.arange(len(labels)), shape, **options), labels)

    names = tuple(builder.info.features[label].names or ())
    train = split("train")
    test = next(filter(None, (split(part) for part in TESTS if part in builder.info.splits)), None)
    if wanted is not None:
        train, test = _only(train, names, wanted, name), test and _only(test, names, wanted, name)
    _check(train, test, len(wanted) if wanted else builder.info.features[label].num_classes)
    train, test = with_test(train, test)
    return train, test, _facts(builder, name, wanted or names, builder.info.features[label].num_classes, train, test)


def columns(features: Any, tfds: ModuleType, name: str) -> tuple[str, str]:
    """The names of the uint8 image and the label among a set's features: the usual ones, or the only ones."""
    images = [key for key, f in features.items() if isinstance(f, tfds.features.Image) and f.np_dtype == np.uint8]
    labels = [key for key, f in features.items() if isinstance(f, tfds.features.ClassLabel)]
    found = [
        usual if usual in found else found[0]
        for usual, found in (("image", images), ("label", labels))
        if usual in found or len(found) == 1
    ]
    if len(found) != 2:
        raise ValueError(
            "A set with one uint8 image and one class label is needed. "
            f"Received: {name!r} with features {', '.join(features)}; load its arrays yourself and pass them."
        )
    return found[0], found[1]


def _shape(shape: tuple[int | None, ...], name: str, size: Size | None) -> tuple[tuple[int, int, int], bool]:
    """The shape (h, w, c) to read images in, and whether it is their own."""
    height, width, channels = shape
    if height and width and channels:
        return (height, width, channels), True
    if not channels or not size:
        advice = "give image_size=(height, width)" if channels else "their channels differ, so pass arrays instead"
        raise ValueError(f"Images of one shape are needed. Received: {name!r} with shape {shape}; {advice}.")
    return (*size, channels), False


def listed(
    builder: Any, tfds: ModuleType, name: str, part: str, image: str, label: str, folder: Path
) -> tuple[Records | Source, np.ndarray]:
    """(where the images of a part are, their labels), every record's checksum compared once.

    Raises:
        ValueError: a damaged or missing file, or another number of records than `dataset_info.json` says.
    """
    split = builder.info.splits[part]
    if builder.info.file_format.value != "tfrecord":
        rows = builder.as_data_source(part, decoders={image: tfds.decode.SkipDecoding()})
        return Source(rows, image), np.array([rows[number][label] for number in range(len(rows))], np.int32)
    files = [Path(path) for path in split.filepaths]
    try:
        check_files(files)
        index = _index(files, label, f"{name}-{part}", folder)
        _check_counts(files, index, split.shard_lengths)
    except (ValueError, OSError) as error:
        raise ValueError(f"{error} {mend(name, files[0].parent)}") from error
    return Records(files, index, image), index.label


def mend(name: str, folder: Path) -> str:
    """What to do about a damaged set."""
    return f"Run keras-vix doctor --data {name} --redownload, or delete {str(folder)!r} and prepare the set anew."


def check_files(files: list[Path]) -> None:
    """Every file of a part is there and has content.

    Raises:
        ValueError: one is not, or has none.
    """
    for path in files:
        if not path.is_file() or not path.stat().st_size:
            state = "is empty" if path.is_file() else "is missing"
            raise ValueError(f"All files of a set are needed. Received: {str(path)!r}, which {state}.")


def _check_counts(files: list[Path], index: Index, lengths: list[int]) -> None:
    found = np.bincount(index.file, minlength=len(files))
    for path, held, said in zip(files, found.tolist(), lengths):
        if held != said:
            raise ValueError(
                "As many records as dataset_info.json says are needed. "
                f"Received: {str(path)!r} with {held:,} instead of {said:,}."
            )


def _index(files: list[Path], label: str, name: str, folder: Path) -> Index:
    if sum(path.stat().st_size for path in files) < KEPT_FROM:
        return scan(files, label)
    return Index(*cache.arrays(kept_index(files, label, name, folder), partial(scan, files, label)))


def kept_index(files: list[Path], label: str, name: str, folder: Path) -> Path:
    """Where the index of large files is kept; another place once they have changed."""
    plain = re.sub("[^a-z0-9_.-]", "-", name)
    return cache.folder_for(folder) / f"{plain}-{cache.key(cache.state(files), label)}.npz"


def _only(split: Split, names: tuple[str, ...], wanted: tuple[str, ...], name: str) -> Split:
    """The images of some classes, numbered in the order in which these are given."""
    numbers = np.full(max(len(names), 1), -1, np.int32)
    for new, title in enumerate(wanted):
        if title not in names:
            raise ValueError(f"Each class must be one of {name!r}. Received: {title!r}; mend the list of classes.")
        numbers[names.index(title)] = new
    labels = numbers[split.y]
    kept = np.flatnonzero(labels >= 0)
    return Split(split.x[kept], labels[kept])


def _check(train: Split, test: Split | None, classes: int) -> None:
    for part, split in (("train", train), ("test", test)):
        if split is not None and not len(split.y):
            raise ValueError(f"At least one image is needed. Received: none in the part {part}.")
        if split is not None:
            check_labels(f"y_{part}", split.y, classes)


def _facts(builder: Any, name: str, names: tuple[str, ...], classes: int, train: Split, test: Split) -> Facts:
    source = f"TensorFlow Datasets, {builder.info.full_name}"
    base = re.split("[/:]", name)[0]
    if base in DATASETS:
        return known_facts(base, train, test, source, names)
    mean, std = sample_statistics(train.x)
    return Facts(name.partition(":")[0], train.x.shape[1:], len(names) or classes, mean, std, False, names, source)
