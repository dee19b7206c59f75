"""One model on several devices: every batch is divided among them, and all hold the same weights."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from .. import checks


def names() -> list[str]:
    """The devices of the best kind that the backend sees, such as `["gpu:0", "gpu:1"]`."""
    if keras.config.backend() != "tensorflow":
        return keras.distribution.list_devices()
    import tensorflow as tf

    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]


@contextlib.contextmanager
def parallel(devices: int, batch_size: int | None = None) -> Iterator[None]:
    """Inside, `build`, `compile` and `fit` work on the first `devices` devices of the best kind; with 1 nothing changes.

    The batch size stays that of the whole batch. Batches that a number of devices does not divide come from `cut` (training)
    and `padded` (evaluation, prediction). What a model computes is the same as on one device, but for the order of sums, with
    two exceptions on TensorFlow: batch normalisation averages over each device's share, and dropout draws the same numbers on
    every device. On JAX both act as on one device.

    Args:
        devices: how many, at least 1.
        batch_size: of training, to be checked; `None` leaves that to the backend.

    Raises:
        TypeError: `devices` is no integer.
        ValueError: there are fewer devices, or they do not divide the batch, or the backend is torch.
    """
    check(devices, batch_size)
    with contextlib.nullcontext() if devices == 1 else scope(devices):
        yield


def check(devices: int, batch_size: int | None = None, backend: str | None = None) -> None:
    """Find the mistakes that can be found without looking for devices.

    Args:
        devices, batch_size: as for `parallel`.
        backend: the backend that is to run; `None` for this process' own.

    Raises:
        TypeError, ValueError: as `parallel`.
    """
    checks.integer("devices", devices)
    backend = backend or keras.config.backend()
    if devices > 1 and backend not in ("tensorflow", "jax"):
        raise ValueError(
            f"Several devices need TensorFlow or JAX. Received: devices={devices}, backend={backend!r}; "
            "set KERAS_BACKEND=jax, or use one device."
        )
    if batch_size is not None and batch_size % devices:
        raise ValueError(
            f"`devices` must divide the batch. Received: devices={devices}, batch_size={batch_size}; "
            f"take for example batch_size={devices * max(1, batch_size // devices)}."
        )


def scope(devices: int) -> contextlib.AbstractContextManager:
    """The backend's own scope for the first so many devices."""
    there = names()
    if len(there) < devices:
        raise ValueError(f"`devices` must not be more than there are. Received: devices={devices}; found {len(there)}: {there}.")
    chosen = there[:devices]
    if keras.config.backend() == "jax":
        return keras.distribution.DataParallel(devices=chosen, auto_shard_dataset=False).scope()
    import tensorflow as tf

    # Processors share their memory; graphics processors have routines of their own.
    on_cpu = "CPU:" in chosen[0]
    return tf.distribute.MirroredStrategy(chosen, tf.distribute.ReductionToOneDevice() if on_cpu else None).scope()


def present() -> int:
    """How many devices the present scope has; 1 outside of any."""
    if keras.config.backend() == "jax":
        distribution = keras.distribution.distribution()
        return 1 if distribution is None else int(distribution.device_mesh.devices.size)
    if keras.config.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def together(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer, made to clip the gradient of the whole batch.

    On several devices under TensorFlow, Keras clips what each device has found and adds that up, so that the limit for the
    whole would grow with the number of devices. Everywhere else nothing is changed.
    """
    clips = optimizer.clipnorm or optimizer.global_clipnorm or optimizer.clipvalue
    clip, replicas = optimizer._clip_gradients, present()
    if keras.config.backend() != "tensorflow" or replicas == 1 or not clips:
        return optimizer
    import tensorflow as tf

    def clip_sum(gradients: Sequence[Any]) -> list[Any]:
        whole = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))
        return [gradient / replicas for gradient in clip(whole)]  # the optimizer adds the shares up again

    optimizer._clip_gradients = clip_sum
    return optimizer


def cut(batches: keras.utils.PyDataset, devices: int | None = None) -> keras.utils.PyDataset:
    """Batches for training: up to `devices - 1` images are left out of the last one, so that all devices get as many.

    Which images these are changes from epoch to epoch where their order does.

    Args:
        batches: of arrays `(x, y)`, as `keras_vix.data.batches` makes them; all but the last divisible by `devices`.
        devices: how many; `None` for those of the present scope. With 1 the batches themselves are returned.
    """
    devices = present() if devices is None else devices
    return batches if devices == 1 else Cut(batches, devices)


def padded(batches: keras.utils.PyDataset, devices: int | None = None) -> keras.utils.PyDataset:
    """Batches `(x, y, weight)` for evaluation and prediction: the last one is filled up with copies of its last image.

    Copies weigh nothing, and the others so much more that every mean is that of the images alone: losses that average over the
    batch, and weighted metrics, which those of `compile` are inside `parallel`. `predict` gives a row for a copy, too: keep the
    first `images`.

    Args:
        batches, devices: as for `cut`.
    """
    devices = present() if devices is None else devices
    return batches if devices == 1 else Padded(batches, devices)


class Divisible(keras.utils.PyDataset):
    """Batches of a size that some number of devices divides; `images` counts the real ones of an epoch."""

    def __init__(self, batches: keras.utils.PyDataset, devices: int):
        super().__init__()
        self.batches, self.devices = batches, devices
        self.rest = len(batches[len(batches) - 1][1])

    def on_epoch_end(self) -> None:
        """Keras' signal that an epoch is over."""
        self.batches.on_epoch_end()

    def is_last(self, index: int) -> bool:
        """Whether this batch may be smaller than the others."""
        return index == len(self.batches) - 1


class Cut(Divisible):
    """See `cut`."""

    def __len__(self) -> int:
        return len(self.batches) - (self.rest < self.devices)

    def __getitem__(self, index: int) -> tuple:
        kept = self.rest - self.rest % self.devices if self.is_last(index) else None
        return tuple(part[:kept] for part in self.batches[index])

    @property
    def images(self) -> int:
        """Images an epoch."""
        return self.batches.images - self.rest % self.devices


class Padded(Divisible):
    """See `padded`."""

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple:
        x, y = self.batches[index][:2]
        missing = -self.rest % self.devices
        weight = np.full(len(y), (self.images + missing) / self.images, "float32")
        if not self.is_last(index) or not missing:
            return x, y, weight
        x, y = (np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) for part in (x, y))
        return x, y, np.concatenate([weight, np.zeros(missing, "float32")])

    @property
    def images(self) -> int:
        """Images that are no copies."""
        return self.batches.images
