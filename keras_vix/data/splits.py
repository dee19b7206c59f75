"""Dividing labelled images: stratified, seeded, and exact in number."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..facts import Facts

# One stream of random numbers a purpose, so that none disturbs another.
LIMIT, VALIDATION, TEST = 1, 2, 3


class Split(NamedTuple):
    """Images `x` (n, height, width, channels), pixels 0..255, and labels `y` (n,), int32.

    `x` may be images that are not decoded yet, of which `x[chosen]` takes some and `np.asarray` decodes: see `load`, `stream`.

    >>> split = keras_vix.data.Split(np.zeros((10, 8, 8, 1)), np.arange(10))
    >>> len(keras_vix.data.batches(split, 4))
    3
    """

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Data:
    """Three disjoint splits and the facts of one data set.

    `model.fit(*data.train, validation_data=data.validation)` works as it stands. `validation` is None when none
    was asked for.

    >>> data = keras_vix.data.load("digits", validation=0.2)
    >>> len(data.train.y), len(data.validation.y), len(data.test.y), data.facts.classes
    (1150, 287, 360, 10)
    """

    train: Split
    validation: Split | None
    test: Split
    facts: Facts


def generator(seed: int, stream: int) -> np.random.Generator:
    """The random numbers of one purpose under one seed."""
    return np.random.default_rng([seed, stream])


def quotas(y: np.ndarray, count: int) -> np.ndarray:
    """How many of each class make `count` in all, each within one of its fair share. Shape (classes,).

    Whole parts of the fair shares first; the places left go to the largest remainders, lower classes first.
    """
    sizes = np.bincount(y).astype(np.int64)
    # Integer arithmetic: a fair share of exactly 100 must not become 99.999.
    share, remainder = np.divmod(sizes * count, len(y))
    extra = np.argsort(-remainder, kind="stable")[: count - share.sum()]
    share[extra] += 1
    return share


def choose(y: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """A stratified choice of `count` of the labels `y`, as a boolean mask of shape (n,)."""
    chosen = np.zeros(len(y), dtype=bool)
    for label, quota in enumerate(quotas(y, count)):
        members = np.flatnonzero(y == label)
        chosen[rng.permutation(members)[:quota]] = True
    return chosen


def take(split: Split, count: int, rng: np.random.Generator) -> Split:
    """A stratified `count` of the images, in their old order; all of them when there are no more."""
    if count >= len(split.y):
        return split
    chosen = choose(split.y, count, rng)
    return Split(split.x[chosen], split.y[chosen])


def divide(split: Split, count: int, rng: np.random.Generator) -> tuple[Split, Split]:
    """(what stays, a stratified `count` set apart), both in the old order."""
    apart = choose(split.y, count, rng)
    return Split(split.x[~apart], split.y[~apart]), Split(split.x[apart], split.y[apart])


def hold_out_test(split: Split) -> tuple[Split, Split]:
    """(train, test): a fifth set apart, the same fifth for ever, whatever the seed of a run."""
    total = len(split.y)
    return divide(split, total - 4 * total // 5, generator(0, TEST))


def hold_out_validation(split: Split, part: float, seed: int) -> tuple[Split, Split | None]:
    """(train, validation): the fraction `part` set apart, at least one image; nothing when `part` is 0.

    Raises:
        ValueError: Nothing would be left to train on.
    """
    if part == 0:
        return split, None
    count = max(1, round(part * len(split.y)))
    if count >= len(split.y):
        raise ValueError(
            "Training and validation must each keep an image. "
            f"Received: validation={part} of {len(split.y)} training images; use more images or validation=0."
        )
    return divide(split, count, generator(seed, VALIDATION))
