"""Equal bits in equal runs: what has to be switched before anything is computed, and the digest that shows it."""

import hashlib
import os
from typing import Any

THREADS = 2  # sums are divided by threads, so their number must not be the machine's


def enable() -> None:
    """Let every operation give the same bits in every run of this process' kind: one machine, one set of versions.

    TensorFlow and torch get two threads and deterministic operations only; XLA on a GPU leaves out what is not. It has to be
    the first thing that a process does, before a device is looked for; times are then those of another program.

    Raises:
        RuntimeError: TensorFlow has been used already, with another number of threads.
        Whatever the backend raises at an operation that it has in no deterministic form.
    """
    import keras

    {"tensorflow": on_tensorflow, "jax": on_jax, "torch": on_torch}[keras.config.backend()]()


def on_tensorflow() -> None:
    """Deterministic operations, two threads for each and two at once."""
    import tensorflow as tf

    threads = tf.config.threading
    if threads.get_intra_op_parallelism_threads() != THREADS:
        threads.set_intra_op_parallelism_threads(THREADS)
    if threads.get_inter_op_parallelism_threads() != THREADS:
        threads.set_inter_op_parallelism_threads(THREADS)
    tf.config.experimental.enable_op_determinism()


def on_jax() -> None:
    """XLA's flag for GPUs, read when the first device is asked for; on a CPU XLA repeats itself, by its fixed threads."""
    flag = "--xla_gpu_deterministic_ops=true"
    os.environ["XLA_FLAGS"] = " ".join(filter(None, (os.environ.get("XLA_FLAGS", ""), flag)))


def on_torch() -> None:
    """Deterministic algorithms, two threads, and cuBLAS with a workspace that does not change."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.set_num_threads(THREADS)


def weights_sha256(model: Any) -> str:
    """SHA-256 of all weights, trained and constant: shape, type and bytes of each, in the model's order."""
    import keras
    import numpy as np

    digest = hashlib.sha256()
    for weight in model.weights:
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        digest.update(f"{values.shape} {values.dtype.str};".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
