"""`load`: a data set by name, file or arrays, divided into training, validation and test parts."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import checks
from ..facts import DATASETS, RESIZED, Facts
from . import cache as kept
from .archives import read_digits, read_user
from .arrays import from_arrays
from .catalogue import NAME, Size, check_name, data_folder, read_named
from .folders import Files, holds, read_folder
from .imagenet import read_list
from .pictures import Lazy
from .records import Records
from .resize import resize
from .splits import LIMIT, TEST, Data, Split, generator, hold_out_validation, take
from .tiny_imagenet import read_tiny_imagenet
from .trees import Folder, Zip, open_tree

STREAM_FROM = 2**31  # bytes of decoded images from which they are decoded a batch at a time
SIDE_LIMIT = 4096  # pixels; above it a mistyped size is likelier than an image
Source = str | os.PathLike | tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def load(
    source: Source,
    *,
    validation: float = 0.1,
    seed: int = 0,
    limit: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    classes: str | os.PathLike | Sequence[str] | None = None,
    stream: bool | None = None,
    cache: bool | str | os.PathLike = False,
    data_dir: str | os.PathLike | None = None,
    download: bool = True,
) -> Data:
    """Images (n, height, width, channels) with pixels 0..255, and labels (n,) int32 in 0..classes-1, in three splits.

    Pixels are uint8 where the source has whole numbers and float32 where it has fractions; float images
    whose largest pixel is at most 1 are multiplied by 255. Models normalise within themselves.

    >>> data = keras_vix.data.load("digits")
    >>> data.train.x.shape, data.validation.x.shape, data.test.x.shape
    ((1293, 8, 8, 1), (144, 8, 8, 1), (360, 8, 8, 1))
    >>> x, y = np.full((100, 28, 28, 1), 200, "uint8"), np.arange(100) % 10
    >>> keras_vix.data.load((x, y, x, y), validation=0.2, image_size=32).train.x.shape
    (80, 32, 32, 1)

    Args:
        source: One of

            - `"digits"`, which comes with this package;
            - `"mnist"`, `"fashion_mnist"`, `"cifar10"`, `"cifar100"`, `"imagenette"`, `"places365_small"`, or any image
              classification set of TensorFlow Datasets, also as `name/config` and `name:1.2.3`;
            - `"tiny_imagenet"`, from the folder `tiny-imagenet-200` or the zip `tiny-imagenet-200.zip` in `data_dir`, or
              from `data_dir` if it is that folder; it is never downloaded. With `limit`, only the chosen images are decoded;
            - `"imagenet"`, from TensorFlow Datasets' `imagenet2012` or a folder `imagenet` in `data_dir`, and `"imagenet100"`,
              the classes of the file `imagenet100.txt` in `data_dir`, or $KERAS_VIX_IMAGENET100, in it;
            - the path of such a folder or zip (one that reads like a name, `a/b`, as a `pathlib.Path`);
            - the path of a folder or zip of images in folders of their classes: `train/<class>/*.jpg` and `test`, `val` or
              `validation` beside it, or `<class>/*.jpg` alone;
            - the path of a `.npz` with x_train, y_train, x_test and y_test;
            - these four arrays.
        validation: The fraction of the training part set apart, 0 <= validation < 1; with 0, `validation` is None.
        seed: Of the validation split and of `limit`, 0..2**32-1. The test part never depends on it.
        limit: At most this many training images, taken before the validation split, and at most as many of test.
        image_size: Resize to (height, width), or to a square; bilinear, antialiased when shrinking. Of images that differ in
            shape the largest part of that aspect is cut from the middle first. ImageNet and its like are 224 x 224 unless told.
        classes: Only these, in this order: names, or a text file with one a line. For folders and TensorFlow Datasets.
        stream: Whether the splits hold images that are decoded a batch at a time by `batches`, in place of arrays. None: from
            2 GiB of decoded images on. Arrays that are read whole anyhow stay arrays.
        cache: Decode all images once into a memory-mapped file, and take them from there: in `cache` in `data_dir` with True,
            or in this folder. For images that are decoded when asked for; they then stream from that file.
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
    size = _usual(source) if image_size is None else sides(image_size)
    count = None if limit is None else checks.integer("limit", limit, 1, 2**31)
    part, seed = checks.rate("validation", validation), checks.seed("seed", seed)
    if not isinstance(download, bool):
        raise TypeError(f"download must be True or False. Received: download={download!r}; give a bool.")
    if stream is not None and not isinstance(stream, bool):
        raise TypeError(f"stream must be None, True or False. Received: stream={stream!r}; leave it out.")
    wanted = _class_names(classes)
    train, test, facts = _read(source, size, data_dir, download, wanted)
    if cache is not False:
        train, test = (_cached(split, part, size, cache, data_dir) for part, split in (("train", train), ("test", test)))
    if count:
        train = take(train, count, generator(seed, LIMIT))
        test = take(test, count, generator(0, TEST))
    train, held_out = hold_out_validation(train, part, seed)
    splits = [_resized(split, size) for split in (train, held_out, test)]
    if not (stream or (stream is None and (cache is not False or _decoded_bytes(splits) >= STREAM_FROM))):
        splits = [split and split._replace(x=np.asarray(split.x)) for split in splits]
    return Data(*splits, replace(facts, input_shape=tuple(splits[0].x.shape[1:])))


def facts_of(source: Source, **options) -> Facts:
    """What is known of a data set without decoding it: from the table of listed ones, or else from a look at some of its images.

    >>> facts = keras_vix.data.facts_of("cifar10")
    >>> facts.input_shape, facts.classes
    ((32, 32, 3), 10)

    Args:
        source, options: as for `load`. With `image_size` the facts are those of images of that size.

    Raises:
        As `load`.
    """
    if isinstance(source, str) and source in DATASETS:
        facts, size = DATASETS[source], options.get("image_size")
        return facts if size is None else replace(facts, input_shape=(*sides(size), facts.input_shape[2]))
    return load(source, **({"validation": 0.0, "stream": True} | options)).facts


def _class_names(classes: str | os.PathLike | Sequence[str] | None) -> tuple[str, ...] | None:
    if classes is None:
        return None
    if isinstance(classes, (str, os.PathLike)):
        return read_list(Path(classes).expanduser())
    if not classes or not all(isinstance(name, str) for name in classes) or len(set(classes)) != len(classes):
        raise ValueError(f"classes must be different names, or a file of them. Received: classes={classes!r}.")
    return tuple(classes)


def _usual(source: Source) -> Size | None:
    """The size of a listed set whose images come in many."""
    base = source.partition(":")[0].partition("/")[0] if isinstance(source, str) and NAME.fullmatch(source) else None
    return DATASETS[base].input_shape[:2] if base in RESIZED else None


def _resized(split: Split | None, size: Size | None) -> Split | None:
    """The split with its images resized, or to be resized once they are decoded."""
    if split is None or size is None:
        return split
    return split._replace(x=split.x.sized(size) if isinstance(split.x, Lazy) else resize(split.x, size))


def _decoded_bytes(splits: Sequence[Split | None]) -> int:
    return sum(split.x.nbytes for split in splits if split and isinstance(split.x, Lazy))


def _cached(split: Split, part: str, size: Size | None, cache: bool | str | os.PathLike, data_dir) -> Split:
    """The split with its images in a file that was written once; arrays stay what they are."""
    if not isinstance(split.x, Lazy):
        return split
    folder = kept.folder_for(data_folder(data_dir)) if cache is True else Path(cache).expanduser()
    images = split.x.sized(size) if size else split.x
    key = kept.key(part, images.image, _state(images), len(images))
    return split._replace(x=kept.decoded(images, folder / f"images-{part}-{key}.npy"))


def _state(images: Lazy) -> str:
    """What changes when the files do, or which of their images are taken."""
    tree, chosen = images.tree, kept.key(images.names.tolist())
    if isinstance(tree, Records):
        return kept.key(kept.state(tree.files), tree.key, chosen)
    files, names = (tree.tree, [tree.full(number) for number in range(len(tree.folder))]) if isinstance(tree, Files) else (
        tree, images.names.tolist()
    )
    if isinstance(files, Folder):
        return kept.key(kept.state([files.path / name for name in names]), str(files.path.resolve()), names, chosen)
    if isinstance(files, Zip):
        return kept.key(kept.state([files.path]), names, chosen)
    return kept.key(repr(tree.rows), chosen)


def _read(
    source: Source, size: Size | None, data_dir: str | os.PathLike | None, download: bool, wanted: tuple[str, ...] | None
) -> tuple[Split, Split, Facts]:
    """(train, test, facts), by the reader that fits the kind of source."""
    folder = data_folder(data_dir)
    named = isinstance(source, str) and bool(NAME.fullmatch(source)) and source != "digits"
    if wanted is not None and not named and not (isinstance(source, (str, os.PathLike)) and _is_tree(source)):
        words = f"classes={wanted[:3]} for {str(source)[:80]!r}"
        raise ValueError(f"classes is for folders and sets of TensorFlow Datasets. Received: {words}; leave it out.")
    if isinstance(source, (tuple, list)):
        return from_arrays(tuple(source))
    if not isinstance(source, (str, os.PathLike)):
        kind = type(source).__name__
        raise TypeError(f"source must be a name, a path or four arrays. Received: {kind}; try 'digits'.")
    if _is_tree(source):
        tree = open_tree(Path(source))
        return read_folder(tree, size, wanted) if holds(tree) else read_tiny_imagenet(source)
    if isinstance(source, os.PathLike) or source.endswith(".npz"):
        return read_user(source)
    if check_name(source) == "digits":
        return read_digits()
    return read_named(source, folder, size, download, wanted)


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
