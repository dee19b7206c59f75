"""How long training takes: every step, every epoch, and the steady figures that a table prints."""

import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np


def synchronise(model: keras.Model | None) -> None:
    """Wait until the device has finished what it was asked to do, so that the clock read next tells the truth.

    Reading a weight waits on TensorFlow and JAX; torch has a call of its own. On a CPU this is nearly free.
    """
    if keras.config.backend() == "torch":
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
    elif model is not None and model.trainable_variables:
        # The last weight is the head's bias: small to copy, and written by the same step as all others.
        np.asarray(keras.ops.convert_to_tensor(model.trainable_variables[-1]))


def median(values: Iterable[float | None]) -> float | None:
    """The median of the values that are there; None if there is none."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


NOISY = 0.1  # of a spread: above it the same run again may have a median more than 5 % away


def spread(seconds: Sequence[float]) -> float | None:
    """How much times scatter: the range between their quartiles over their median; None for fewer than three.

    0.02 is a quiet machine; `NOISY` is where tables begin to say so.
    """
    if len(seconds) < 3:
        return None
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return (high - low) / middle if middle > 0 else None


class Timing(keras.callbacks.Callback):
    """A callback that times each step and each epoch of `fit`, validation apart from training.

    After `fit`, `timing.epochs` holds one record an epoch, `timing.steps` one record a step, and `timing.summary()`
    the steady figures. All times are in seconds from a monotonic clock; epochs and steps count from 1.

    A step lasts from the end of the step before it (or the start of the epoch) to its own end, so waiting for data
    counts and the steps of an epoch add up to its training time. The very first step traces and compiles; it is kept
    apart as `first_step_seconds`, and the first epoch is left out of every steady figure.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=1, num_heads=2)
    >>> timing = keras_vix.callbacks.Timing()
    >>> history = model.fit(*keras_vix.data.load("digits", limit=64).train, batch_size=32, callbacks=[timing], verbose=0)
    >>> len(timing.epochs), len(timing.steps)
    (1, 2)

    Args:
        per_step: whether steps are timed. Keras then waits for the device after every step. With False there is no
            batch hook at all: Keras keeps handing work to the device ahead of time, and step figures are None.
        images: number of training images in an epoch, for images per second; None leaves that figure out.

    Raises:
        ValueError: `images` is not a positive whole number, or `fit` runs several steps in one call
            (`steps_per_execution` above 1) while steps are to be timed.
    """

    def __init__(self, per_step: bool = True, images: int | None = None):
        super().__init__()
        if images is not None and (isinstance(images, bool) or not isinstance(images, int) or images < 1):
            raise ValueError(f"images must be a positive whole number or None. Received: images={images!r}.")
        self.per_step = per_step
        self.images = images
        if per_step:
            # Keras turns asynchronous dispatch off for callbacks whose class has this hook, so only this instance
            # gets it; the copy of a bound method is bound to the copy, so deep copies stay apart.
            self.on_train_batch_end = self._step_ends
        self._reset()

    def _reset(self) -> None:
        self.epochs: list[dict[str, Any]] = []
        self.steps: list[dict[str, Any]] = []
        self._epoch: int | None = None
        self._begin = self._last = 0.0
        self._seconds: list[float] = []
        self._validation_begin: float | None = None
        self._validation = 0.0

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Forget earlier runs, as Keras' own history does."""
        at_once = getattr(self.model, "steps_per_execution", 1)
        if self.per_step and at_once != 1:
            raise ValueError(
                "Timing each step needs one step per call. "
                f"Received: steps_per_execution={at_once}; compile with steps_per_execution=1, or use "
                "Timing(per_step=False)."
            )
        self._reset()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock of an epoch."""
        synchronise(self.model)
        self._epoch = epoch + 1
        self._seconds, self._validation, self._validation_begin = [], 0.0, None
        self._begin = self._last = time.perf_counter()

    def _step_ends(self, batch: int, logs: dict | None = None) -> None:
        # The logs have become Python numbers before this call, which waits for the device; torch's later kernels,
        # those that write the weights, are covered by stream order.
        now = time.perf_counter()
        self._seconds.append(now - self._last)
        self._last = now

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Validation begins; an evaluation outside an epoch is not counted."""
        if self._epoch is not None:
            synchronise(self.model)
            self._validation_begin = time.perf_counter()

    def on_test_end(self, logs: dict | None = None) -> None:
        """Validation ends."""
        if self._validation_begin is not None:
            synchronise(self.model)
            self._validation += time.perf_counter() - self._validation_begin
            self._validation_begin = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the record of the epoch and of its steps."""
        synchronise(self.model)
        total = time.perf_counter() - self._begin
        self.steps += [
            {"epoch": self._epoch, "step": step, "seconds": seconds} for step, seconds in enumerate(self._seconds, 1)
        ]
        self.epochs.append(self._record(total))
        self._epoch = None

    def _record(self, total: float) -> dict[str, Any]:
        train = total - self._validation
        return {
            "epoch": self._epoch,
            "total_seconds": total,
            "train_seconds": train,
            "validation_seconds": self._validation,
            "steps": len(self._seconds) or (self.params or {}).get("steps"),
            "first_step_seconds": self._seconds[0] if self._seconds else None,
            "step_seconds": keras_step_seconds(total, self._seconds),
            "median_step_seconds": median(self._seconds),
            "images_per_second": self.images / train if self.images and train > 0 else None,
        }

    def summary(self) -> dict[str, Any]:
        """The figures of the whole run: medians over the steady epochs, that is all but the first.

        If there is one epoch only, it is used as the steady one after its first step has been replaced by its median
        step (where steps were timed), and `steady_epochs` is 0 to say so. `slow_epochs` lists steady epochs that took
        more than twice the median: something else was using the machine, or it slept. `step_spread` is how much the
        steps of the steady epochs scatter (see `spread`), the compiling step apart.

        Raises:
            ValueError: no epoch has ended yet.
        """
        if not self.epochs:
            raise ValueError("A summary needs at least one finished epoch. Received: epochs=0; call fit first.")
        steady = self.epochs[1:] or [without_first_step(self.epochs[0], self.images)]
        middle = {name: median(epoch[name] for epoch in steady) for name in STEADY}
        return {
            "epochs": len(self.epochs),
            "steady_epochs": len(self.epochs) - 1,
            "steps_per_epoch": self.epochs[0]["steps"],
            "first_step_seconds": self.epochs[0]["first_step_seconds"],
            "first_epoch_seconds": self.epochs[0]["total_seconds"],
            **middle,
            "step_spread": spread(self._steady_steps()),
            "slow_epochs": [
                epoch["epoch"] for epoch in steady if epoch["total_seconds"] > 2 * middle["total_seconds"]
            ],
        }

    def _steady_steps(self) -> list[float]:
        """Seconds of each step that the steady figures rest on; of a single epoch all but the first."""
        if len(self.epochs) == 1:
            return [step["seconds"] for step in self.steps[1:]]
        return [step["seconds"] for step in self.steps if step["epoch"] > 1]


STEADY = (
    "total_seconds", "train_seconds", "validation_seconds", "step_seconds", "median_step_seconds", "images_per_second",
)


def keras_step_seconds(total: float, steps: list[float]) -> float | None:
    """The time of a step as Keras prints it: the epoch, validation included, without its first step, over N - 1.

    Args:
        total: seconds of the whole epoch.
        steps: seconds of each of its N training steps; with none there is no figure, with one it is `total`.
    """
    if not steps:
        return None
    return (total - steps[0]) / (len(steps) - 1) if len(steps) > 1 else total


def without_first_step(epoch: dict[str, Any], images: int | None) -> dict[str, Any]:
    """The record of a first epoch with its compiling step replaced by the median step."""
    if epoch["first_step_seconds"] is None:
        return epoch
    excess = epoch["first_step_seconds"] - epoch["median_step_seconds"]
    train = epoch["train_seconds"] - excess
    return epoch | {
        "total_seconds": epoch["total_seconds"] - excess,
        "train_seconds": train,
        "images_per_second": images / train if images and train > 0 else None,
    }
