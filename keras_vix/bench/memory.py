"""The most memory that a phase of work holds: the accelerator's own figure where there is one, else that of this process."""

import contextlib
import ctypes
import gc
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
BEFORE = [0]  # the highest mark, in bytes, of those that were reset
EVERY = 0.005  # seconds between two looks at the process, where the system keeps no peak that can be reset


class Meter(NamedTuple):
    """An accelerator's own account: how its peak is begun anew, and how it is read, in bytes."""

    reset: Callable[[], Any]
    read: Callable[[], int]


class Peak:
    """A context manager: after the block `bytes` is the most memory held in it, and `source` whose: `device` or `process`.

    `device` is the first accelerator's own counter of what its tensors took. TensorFlow's and torch's are reset when the block
    begins; JAX's cannot be, so it tells of everything up to the end of the block. `process` is the highest resident size of
    this whole process, libraries and data included and nothing taken away: on Linux the kernel's own mark, reset when the
    block begins; elsewhere the largest of sizes read every 5 milliseconds. Memory that was freed before the block is handed
    back to the system first where its C library can. `bytes` is None where nothing can be known.
    """

    def __init__(self) -> None:
        self.bytes: int | None = None
        self.source = "process"
        self._meter: Meter | None = None
        self._sampler: Sampler | None = None

    def __enter__(self) -> "Peak":
        self._meter = meter()
        if self._meter is not None:
            self.source = "device"
        self.restart()
        return self

    def restart(self) -> None:
        """Forget what was held so far."""
        gc.collect()
        if self._meter is not None:
            self._meter.reset()
            return
        trim()
        if not reset_peak() and self._sampler is None:
            self._sampler = Sampler()
        if self._sampler is not None:
            self._sampler.most = 0

    def __exit__(self, *_: object) -> None:
        if self._meter is not None:
            self.bytes = self._meter.read()
        elif self._sampler is not None:
            self.bytes = self._sampler.stop()
        else:
            self.bytes = field("VmHWM")


class Sampler(threading.Thread):
    """A thread that keeps the largest resident size it has seen in `most`; 0 where psutil is missing."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self._end = threading.Event()
        self.start()

    def run(self) -> None:
        """Look until told to stop."""
        while True:
            self.most = max(self.most, resident() or 0)
            if self._end.wait(EVERY):
                return

    def stop(self) -> int | None:
        """End, and give the largest size; None if there was none to see."""
        self._end.set()
        self.join()
        return self.most or None


def meter() -> Meter | None:
    """The account of the backend's first accelerator; None where it computes on the CPU."""
    import keras

    return {"tensorflow": of_tensorflow, "jax": of_jax, "torch": of_torch}.get(keras.config.backend(), lambda: None)()


def of_tensorflow() -> Meter | None:
    """The account of TensorFlow's first GPU."""
    import tensorflow as tf

    if not tf.config.list_logical_devices("GPU"):
        return None
    account = tf.config.experimental
    return Meter(lambda: account.reset_memory_stats("GPU:0"), lambda: int(account.get_memory_info("GPU:0")["peak"]))


def of_jax() -> Meter | None:
    """The account of JAX's first device, which cannot be reset; a CPU keeps none."""
    import jax

    device = jax.local_devices()[0]
    if "peak_bytes_in_use" not in (device.memory_stats() or {}):
        return None
    return Meter(lambda: None, lambda: int(device.memory_stats()["peak_bytes_in_use"]))


def of_torch() -> Meter | None:
    """The account of torch's CUDA device."""
    import torch

    if not torch.cuda.is_available():
        return None
    return Meter(torch.cuda.reset_peak_memory_stats, lambda: int(torch.cuda.max_memory_allocated()))


def field(name: str) -> int | None:
    """A figure of `/proc/self/status` in bytes, such as VmRSS; None where there is none."""
    try:
        lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    figures = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(figures[0]) if figures else None


def resident() -> int | None:
    """Bytes of this process in memory now; None where neither the system nor psutil says."""
    found = field("VmRSS")
    if found is not None:
        return found
    try:
        import psutil
    except ImportError:
        return None
    return psutil.Process().memory_info().rss


def reset_peak() -> bool:
    """Let the kernel's mark of the highest resident size begin anew; False if the system does not allow it."""
    BEFORE[0] = process_peak() or 0  # `getrusage` goes by the same mark
    try:
        CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return field("VmHWM") is not None


def trim() -> None:
    """Give freed memory back to the system, so that a later peak is not hidden in it."""
    with contextlib.suppress(OSError, AttributeError):  # a C library without malloc_trim
        ctypes.CDLL(None).malloc_trim(0)


def process_peak() -> int | None:
    """The most memory that this process has held in all its life, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(BEFORE[0], peak if sys.platform == "darwin" else 1024 * peak)
