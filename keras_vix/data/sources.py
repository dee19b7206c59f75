"""`load`: a data set by name, file or arrays, divided into training, validation and test parts."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import checks
from ..facts import Facts
from .archives import read_digits, read_user
from .arrays import from_arrays
from .catalogue import NAME, Size, check_name, data_folder, read_named
from .resize import resize
from .splits import LIMIT, TEST, Data, Split, generator, hold_out_validation, take
from .tiny_imagenet import read_tiny_imagenet

SIDE_LIMIT = 4096  # pixels; above it a mistyped size is likelier than an image
Source = str | os.PathLike | tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def load(
    source: Source,
    *,
    validation: float = 0.1,
    seed: int = 0,
    limit: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    data_dir: str | os.PathLike | None = None,
    download: bool = True,
) -> Data:
    """Images (n, height, width, channels) with pixels 0..255, and labels (n,) int32 in 0..classes-1, in three splits.

    Pixels are uint8 where the source has whole numbers and float32 where it has fractions; float images
    whose largest pixel is at most 1 are multiplied by 255. Models normalise within themselves.

    Args:
        source: One of
            - `"digits"`, which comes with this package;
            - `"mnist"`, `"fashion_mnist"`, `"cifar10"`, `"cifar100"`, or any image classification set
              of TensorFlow Datasets, also as `name/config` and `name:1.2.3`;
            - `"tiny_imagenet"`, from the folder `tiny-imagenet-200` or the zip `tiny-imagenet-200.zip` in `data_dir`, or
              from `data_dir` if it is that folder; it is never downloaded. With `limit`, only the chosen images are decoded;
            - the path of such a folder or zip (one that reads like a name, `a/b`, as a `pathlib.Path`);
            - the path of a `.npz` with x_train, y_train, x_test and y_test;
            - these four arrays.
        validation: The fraction of the training part set apart, 0 <= validation < 1; with 0, `validation` is None.
        seed: Of the validation split and of `limit`, 0..2**32-1. The test part never depends on it.
        limit: At most this many training images, taken before the validation split, and at most as many of test.
        image_size: Resize to (height, width), or to a square; bilinear, antialiased when shrinking.
        data_dir: Where data sets lie; $TFDS_DATA_DIR or ~/tensorflow_datasets if not given. Archives `<name>.npz`,
            or `<name>-0.npz`, `<name>-1.npz` ..., with x, y and split (0 train, 1 test) are read first, without
            TensorFlow.
        download: Whether the network may be used; if not, it never is.

    Every choice of images is stratified: each class keeps its share to within one image. A set without a test
    part gives up its validation part, or else a fixed fifth.

    Raises:
        TypeError: An argument or array is of the wrong kind.
        ValueError: An unknown name, a number out of range, or arrays that are not images and their classes.
        DatasetUnavailable: A named set is not on this machine and cannot or may not be fetched.
        FileNotFoundError: There is nothing at a path.
        NotADirectoryError, PermissionError: `data_dir` cannot serve.
        ImportError: TensorFlow Datasets, or Pillow for JPEG files, is needed and not installed.
    """
    size = None if image_size is None else sides(image_size)
    count = None if limit is None else checks.integer("limit", limit, 1, 2**31)
    part, seed = checks.rate("validation", validation), checks.seed("seed", seed)
    if not isinstance(download, bool):
        raise TypeError(f"download must be True or False. Received: download={download!r}; give a bool.")
    train, test, facts = _read(source, size, data_dir, download)
    if count:
        train = take(train, count, generator(seed, LIMIT))
        test = take(test, count, generator(0, TEST))
    train, held_out = hold_out_validation(train, part, seed)
    if size:
        facts = replace(facts, input_shape=(*size, facts.input_shape[2]))
    return Data(_finished(train, size), held_out and _finished(held_out, size), _finished(test, size), facts)


def _finished(split: Split, size: Size | None) -> Split:
    """The split with its images decoded, where they are not yet, and resized."""
    x = np.asarray(split.x)
    return Split(resize(x, size) if size else x, split.y)


def _read(
    source: Source, size: Size | None, data_dir: str | os.PathLike | None, download: bool
) -> tuple[Split, Split, Facts]:
    """(train, test, facts), by the reader that fits the kind of source."""
    folder = data_folder(data_dir)
    if isinstance(source, (tuple, list)):
        return from_arrays(tuple(source))
    if not isinstance(source, (str, os.PathLike)):
        kind = type(source).__name__
        raise TypeError(f"source must be a name, a path or four arrays. Received: {kind}; try 'digits'.")
    if _is_tree(source):
        return read_tiny_imagenet(source)
    if isinstance(source, os.PathLike) or source.endswith(".npz"):
        return read_user(source)
    if check_name(source) == "digits":
        return read_digits()
    return read_named(source, folder, size, download)


def _is_tree(source: str | os.PathLike) -> bool:
    """Whether a source is a folder or a zip. A string of a name's form is a name, whatever lies in the working directory."""
    if isinstance(source, str) and NAME.fullmatch(source):
        return False
    return os.path.isdir(source) or Path(source).suffix.lower() == ".zip"


def sides(image_size: object) -> tuple[int, int]:
    """`image_size` as (height, width) in pixels.

    Raises:
        ValueError: It is neither an int nor a pair of ints, or a side is out of range.
    """
    try:
        return checks.pair("image_size", image_size, 1, SIDE_LIMIT)
    except (TypeError, ValueError):
        raise ValueError(
            f"image_size must be an int or a pair (height, width) of ints in 1..{SIDE_LIMIT}. "
            f"Received: image_size={image_size!r}; give for example 32 or (32, 48)."
        ) from None
