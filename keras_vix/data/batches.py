"""Batches of one split for `model.fit`: NumPy only, the same on every backend, repeatable."""

import os

import keras
import numpy as np

from .. import checks
from ..facts import Facts
from .ahead import Ahead
from .arrays import check_labels, sample_statistics
from .augment import NumpyKit, apply
from .pictures import Lazy
from .policies import Policy, find_policy
from .regions import mix, one_hot
from .splits import Split

ORDER, NOISE, MIXING = 1, 2, 3  # streams of random numbers: none disturbs another
LEAD = 2  # batches begun ahead, a worker; one where their images are still to be decoded
MOST = 8  # workers that are not asked for


class Batches(keras.utils.PyDataset):
    """Batches `(x, y)`: x (b, h, w, c) float32 on the 0..255 scale, y (b,) int32, or (b, classes) float32 if the policy mixes.

    The order depends on (seed, epoch) alone and the augmentation on (seed, epoch, batch) alone, so any number of
    workers, in any order, yields the same batches. Each image occurs once an epoch (but for those
    that `drop_remainder` leaves out, and for `repeats`).

    Keras is told of one worker whatever `workers` says, and the threads are this object's own: those of Keras may
    carry batches over from one epoch into the next, so that an epoch no longer holds each image once.

    An epoch ends when Keras calls `on_epoch_end`. Keras does so once before training starts, so `fit` on a fresh
    object sees epochs 1, 2, ...; a second `fit` goes on counting.

    >>> batches = keras_vix.data.Batches(keras_vix.data.load("digits").test, 64)
    >>> len(batches), batches[0][0].shape
    (6, (64, 8, 8, 1))

    Args and Raises: see `batches`.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        shuffle: bool = False,
        augment: str | Policy = "none",
        seed: int = 0,
        drop_remainder: bool = False,
        workers: int | None = None,
        facts: Facts | None = None,
        repeats: int = 1,
        repeat_all: bool = False,
    ) -> None:
        x, y = _check_split(split)
        self.batch_size = checks.integer("batch_size", batch_size, 1, 2**31)
        self.policy = find_policy(augment)
        self.seed = checks.seed("seed", seed)
        lazy = isinstance(x, Lazy)
        changing = lazy or self.policy != Policy()
        self._threads = _threads(changing) if workers is None else checks.integer("workers", workers, 1, 256)
        self._lead = self._threads * (1 if lazy else LEAD)
        super().__init__()
        self.x, self.y = x, y
        self.shuffle, self.drop_remainder = bool(shuffle), bool(drop_remainder)
        self.repeats = checks.integer("repeats", repeats, 1, 100)
        self._drawn = len(y) * (self.repeats if repeat_all else 1)
        self._classes, self._mean, self._std = _figures(self.policy, x, y, facts)
        if not len(self):
            raise ValueError(
                "drop_remainder needs at least one full batch. "
                f"Received: batch_size={batch_size} for {len(y)} images; use a smaller batch."
            )
        self._ahead = Ahead(self._make, self._threads) if self._threads > 1 else None
        self.epoch = 0
        self._kept: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        """Batches an epoch."""
        full, rest = divmod(self._drawn, self.batch_size)
        return full + bool(rest and not self.drop_remainder)

    @property
    def images(self) -> int:
        """Images an epoch."""
        return min(self._drawn, len(self) * self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Batch number `index` of the present epoch."""
        if not 0 <= index < len(self):
            raise IndexError(f"index must lie in 0..{len(self) - 1}. Received: index={index}.")
        epoch = self.epoch
        if self._ahead is None:
            return self._make((epoch, index))
        last = min(index + 1 + self._lead, len(self))
        return self._ahead.get((epoch, index), ((epoch, later) for later in range(index + 1, last)))

    def _make(self, key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The batch of one (epoch, index), made from these two numbers and the seed alone."""
        epoch, index = key
        chosen = self._order(epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng([self.seed, NOISE, epoch, index])
        x, y = apply(self._images(chosen), self.policy, rng, self._mean, self._std), self.y[chosen]
        if not self.policy.mixes:
            return x, y
        kit = NumpyKit(np.random.default_rng([self.seed, MIXING, epoch, index]))
        return mix(kit, x, one_hot(kit, y, self._classes), self.policy)

    def _images(self, chosen: np.ndarray) -> np.ndarray:
        """Some images, decoded now if they were not; one thread does it where others make other batches."""
        x = self.x[chosen]
        if not isinstance(x, Lazy):
            return x
        return x.read() if self._ahead is None else x.read(threads=1)

    def on_epoch_end(self) -> None:
        """Keras' signal that an epoch is over: the next one has its own order and noise."""
        self.epoch += 1

    def _order(self, epoch: int) -> np.ndarray:
        """The order of one epoch; the last one asked for is kept, as drawing it costs more than a small batch."""
        known = self._kept
        if known is None or known[0] != epoch:
            order = np.arange(len(self.y))
            if self.shuffle:
                order = np.random.default_rng([self.seed, ORDER, epoch]).permutation(order)
            order = np.repeat(order, self.repeats)[: self._drawn]
            # One assignment: a thread never meets the number of one epoch with the order of another.
            known = self._kept = (epoch, order)
        return known[1]


def batches(
    split: Split,
    batch_size: int,
    *,
    shuffle: bool = False,
    augment: str | Policy = "none",
    seed: int = 0,
    drop_remainder: bool = False,
    workers: int | None = None,
    facts: Facts | None = None,
    repeats: int = 1,
    repeat_all: bool = False,
) -> Batches:
    """Batches of one split, for `model.fit`, `evaluate` and `predict`.

    >>> data = keras_vix.data.load("digits")
    >>> batches = keras_vix.data.batches(data.train, 64, shuffle=True, augment="light2", facts=data.facts)
    >>> x, y = batches[0]
    >>> len(batches), x.shape, y.shape
    (21, (64, 8, 8, 1), (64, 10))

    Args:
        split: A `Split`, or any pair (x, y) of equal length. Images that are not decoded yet are decoded a batch at a time.
        batch_size: Images a batch; the last one may be smaller.
        shuffle: Draw a new order each epoch.
        augment: A name in `POLICIES`, or a `Policy`.
        seed: Of order and augmentation, 0..2**32-1.
        drop_remainder: Leave out the last, smaller batch.
        workers: Threads; above 1 they prepare the next batches ahead. What is in a batch does not depend on them. None: one for
            each processor core, two to eight, where images are changed or still to be decoded, otherwise one; each holds one
            or two batches.
        facts: Of the data set, `data.facts`: its classes, for mixed labels, and its mean and deviation, for what is erased.
            Without them both are read off this split, in which the last class must then occur.
        repeats: How often each image comes, one time after the other and each time changed anew. An epoch stays as long as it
            was, so that it holds only one in `repeats` images.
        repeat_all: Let the epoch grow instead: every image comes `repeats` times.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: A number out of range, an unknown policy, no images, or no full batch.
    """
    return Batches(
        split,
        batch_size,
        shuffle=shuffle,
        augment=augment,
        seed=seed,
        drop_remainder=drop_remainder,
        workers=workers,
        facts=facts,
        repeats=repeats,
        repeat_all=repeat_all,
    )


def _threads(work: bool) -> int:
    """How many threads prepare batches, where there is work to do."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST, max(2, cores)) if work else 1


def _figures(policy: Policy, x: np.ndarray | Lazy, y: np.ndarray, facts: Facts | None) -> tuple:
    """(classes, mean, std), each only where the policy asks for it."""
    if facts is not None and not isinstance(facts, Facts):
        raise TypeError(f"facts must be those of a data set. Received: facts={facts!r}; give data.facts.")
    classes, mean, std = None, 0.5, 0.25
    number = facts.classes if facts else int(y.max()) + 1
    check_labels("y", y, number)
    if policy.mixes:
        classes = number
    if policy.erase or policy.operations == "deit":
        mean, std = (facts.mean, facts.std) if facts else sample_statistics(x)
    return classes, mean, std


def _check_split(split: Split) -> Split:
    if not isinstance(split, tuple) or len(split) != 2:
        kind = type(split).__name__
        raise TypeError(f"split must be a pair (x, y). Received: {kind}; give for example data.train.")
    x, y = split[0] if isinstance(split[0], Lazy) else np.asarray(split[0]), np.asarray(split[1])
    if x.ndim != 4 or y.ndim != 1 or len(x) != len(y) or not len(x):
        raise ValueError(
            "split must hold images (n, height, width, channels) and as many labels (n,), n >= 1. "
            f"Received: x.shape={x.shape}, y.shape={y.shape}; pass user arrays through keras_vix.data.load first."
        )
    return Split(x, y)
