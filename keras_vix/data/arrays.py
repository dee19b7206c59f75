"""Arrays from outside made into splits: channels last, pixels 0..255, labels int32; or an error that says why not."""

import warnings
from dataclasses import replace

import numpy as np

from ..facts import DATASETS, RESIZED, Facts
from .pictures import Lazy
from .splits import Split, hold_out_test

CHUNK = 2**22  # numbers summed at once in float64
SAMPLE = 2**26  # bytes of decoded images whose statistics stand for all


def from_arrays(arrays: tuple, name: str = "arrays") -> tuple[Split, Split, Facts]:
    """(train, test, facts) of `(x_train, y_train, x_test, y_test)`, or of `((x_train, y_train), (x_test, y_test))`.

    Float images whose largest pixel, over both parts, is at most 1 are multiplied by 255. Classes are counted off
    `y_train`.

    Raises:
        TypeError: Not four arrays of numbers.
        ValueError: Shapes, lengths, pixels or labels that cannot be images and their classes.
    """
    if len(arrays) == 2 and all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in arrays):
        arrays = (*arrays[0], *arrays[1])
    if len(arrays) != 4:
        raise TypeError(
            "Arrays must be given as (x_train, y_train, x_test, y_test). "
            f"Received: {len(arrays)} parts; hold out a test part yourself if you have none."
        )
    train = pair("train", arrays[0], arrays[1])
    test = pair("test", arrays[2], arrays[3])
    if train.x.shape[1:] != test.x.shape[1:]:
        raise ValueError(
            "Training and test images must have one shape. "
            f"Received: x_train.shape={train.x.shape}, x_test.shape={test.x.shape}; resize them first."
        )
    train, test = on_byte_scale(train, test)
    return train, test, measured_facts(name, train, test, source="arrays of the caller")


def measured_facts(name: str, train: Split, test: Split, source: str) -> Facts:
    """Facts read off the images themselves: classes from the training labels, mean and deviation per channel.

    Raises:
        ValueError: A test label that no training image has room for.
    """
    classes = int(train.y.max()) + 1
    check_labels("y_test", test.y, classes)
    mean, std = statistics(train.x)
    return Facts(name, train.x.shape[1:], classes, mean, std, False, (), source)


def known_facts(name: str, train: Split, test: Split, source: str, class_names: tuple[str, ...] = ()) -> Facts:
    """The facts of a listed data set after a check of the images against them; measured ones for any other.

    Images that come in many shapes are checked for their channels only, and a set whose classes have no names in the list takes
    those that come with it.

    Raises:
        ValueError: The images are not that data set.
    """
    if name not in DATASETS:
        return measured_facts(name, train, test, source)
    facts = DATASETS[name]
    own = slice(2, None) if name in RESIZED else slice(None)
    if train.x.shape[1:][own] != facts.input_shape[own]:
        raise ValueError(
            f"Images of {name} must be of shape {facts.input_shape}. "
            f"Received: shape={train.x.shape[1:]} from {source}; rename the file if it holds another set."
        )
    if class_names and not facts.class_names:
        facts = replace(facts, classes=len(class_names), class_names=class_names)
    for label, split in (("y_train", train), ("y_test", test)):
        check_labels(label, split.y, facts.classes)
    return facts


def statistics(x: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, standard deviation) of each channel of images on the 0..255 scale, expressed on the 0..1 scale."""
    total, squares = np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
    step = max(1, CHUNK * len(x) // x.size)
    for start in range(0, len(x), step):
        part = x[start : start + step].astype(np.float64) / 255
        total += part.sum(axis=(0, 1, 2))
        squares += np.square(part).sum(axis=(0, 1, 2))
    pixels = x.size / x.shape[-1]
    mean = total / pixels
    std = np.sqrt(np.maximum(squares / pixels - mean**2, 0))
    return tuple(mean.round(6).tolist()), tuple(std.round(6).tolist())


def sample_statistics(x: np.ndarray | Lazy) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """`statistics` of images that may not be decoded yet: of all, or of as many as `SAMPLE` bytes hold, always the same ones."""
    if not isinstance(x, Lazy):
        return statistics(x)
    count = min(len(x), max(1, SAMPLE * len(x) // x.nbytes))
    chosen = np.sort(np.random.default_rng(0).permutation(len(x))[:count])
    return statistics(np.asarray(x[chosen]))


def check_labels(name: str, y: np.ndarray, classes: int) -> None:
    """Every label lies in 0..classes-1.

    Raises:
        ValueError: One does not.
    """
    if y.min() < 0 or y.max() >= classes:
        raise ValueError(
            f"{name} must hold labels in 0..{classes - 1}. "
            f"Received: labels from {y.min()} to {y.max()}; number the classes from 0 without gaps at the end."
        )


def with_test(train: Split, test: Split | None) -> tuple[Split, Split]:
    """(train, test); without a test part a fixed, stratified fifth of the training part serves."""
    return hold_out_test(train) if test is None else (train, test)


def pair(part: str, x: object, y: object) -> Split:
    """One checked split of the part "train" or "test": images uint8 or float32, labels int32, as many of each.

    Raises:
        TypeError: Not numbers.
        ValueError: Shapes, lengths, pixels or labels that cannot be images and their classes.
    """
    images, labels = _images(f"x_{part}", x), _labels(f"y_{part}", y)
    if len(images) != len(labels):
        raise ValueError(
            f"x_{part} and y_{part} must be of one length. "
            f"Received: {len(images)} images and {len(labels)} labels; each image needs its label."
        )
    return Split(images, labels)


def _images(name: str, x: object) -> np.ndarray:
    """(n, h, w, c), uint8 or float32, finite, within 0..255."""
    x = _numbers(name, x, "uif")
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4:
        raise ValueError(
            f"{name} must be images (n, height, width) or (n, height, width, channels). "
            f"Received: shape={x.shape}; reshape it."
        )
    if not x.size:
        raise ValueError(f"{name} must hold at least one pixel. Received: shape={x.shape}; the array is empty.")
    if x.shape[1] <= 4 < x.shape[3]:
        raise ValueError(
            f"{name} must have its channels last. "
            f"Received: shape={x.shape}; it looks like channels first: use np.moveaxis(x, 1, -1)."
        )
    _check_range(name, x)
    return x.astype(np.float32 if x.dtype.kind == "f" else np.uint8, copy=False)


def _check_range(name: str, x: np.ndarray) -> None:
    low, high = x.min(), x.max()  # either is NaN when any pixel is
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} must be finite. Received: pixels that are NaN or infinite; mend or drop the images.")
    if low < 0 or high > 255:
        raise ValueError(
            f"{name} must lie on the 0..255 or the 0..1 scale. "
            f"Received: pixels from {low} to {high}; undo any normalisation, models do their own."
        )


def _labels(name: str, y: object) -> np.ndarray:
    """(n,), int32, none negative. A single column (n, 1), as Keras' own loaders give, is flattened."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        raise ValueError(
            f"{name} must hold one class number an image. "
            f"Received: shape={y.shape}, which looks one-hot; use np.argmax(y, axis=-1)."
        )
    y = _numbers(name, y, "ui")
    if y.ndim == 2:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"{name} must be labels (n,). Received: shape={y.shape}; give one number an image.")
    if not y.size:
        raise ValueError(f"{name} must hold at least one label. Received: shape={y.shape}; the array is empty.")
    if y.min() < 0:
        raise ValueError(f"{name} must number the classes from 0. Received: a label {y.min()}; drop or renumber it.")
    return y.astype(np.int32, copy=False)


def _numbers(name: str, values: object, kinds: str) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype.kind not in kinds:
        wanted = "whole numbers" if kinds == "ui" else "numbers"
        raise TypeError(f"{name} must be an array of {wanted}. Received: dtype={values.dtype}; convert it first.")
    return values


def on_byte_scale(train: Split, test: Split) -> tuple[Split, Split]:
    """Both parts on the 0..255 scale: float images that end at 1 are multiplied, by one rule for both parts."""
    high = max(train.x.max(), test.x.max())
    if high > 1:
        return train, test
    if train.x.dtype == np.uint8:
        warnings.warn(
            f"Whole-number pixels are read on the 0..255 scale. Received: pixels up to {high}; "
            "if 1 means white, pass them as float.",
            stacklevel=5,
        )
        return train, test
    white = np.float32(255)
    return train._replace(x=train.x * white), test._replace(x=test.x * white)
