"""What a trained model leaves behind in the process, and how it is let go."""

import contextlib
import gc
import sys
from collections.abc import Iterator

import keras

from ..bench.memory import trim

GRADIENTS = "CustomGradient-"  # what TensorFlow calls those that belong to one graph


@contextlib.contextmanager
def cleared() -> Iterator[None]:
    """Models that are built and trained inside, and that nothing refers to afterwards, leave no memory behind.

    Neither graphs, nor Keras' own record of layers, nor memory that the C library holds back.
    """
    try:
        with graphs_released():
            yield
    finally:
        keras.utils.clear_session(free_memory=False)
        gc.collect()
        trim()


@contextlib.contextmanager
def graphs_released() -> Iterator[None]:
    """Inside, TensorFlow keeps no graph for longer than something else refers to it.

    A custom gradient in a graph, and Keras' optimizers make one in every training step, is entered in a table of the process,
    which so keeps the whole graph for good, 10 to 20 MiB a model. Entries made inside are taken out at the end. What was traced
    inside can still be called, and a model trained on; but a gradient of such a function cannot be taken, unless it is traced
    anew.

    Source: tensorflow/tensorflow, issues 27492, 80895 and 97697.
    """
    before = set(gradients())
    try:
        yield
    finally:
        table = gradients()
        for name in [name for name in table if name.startswith(GRADIENTS) and name not in before]:
            del table[name]


def gradients() -> dict:
    """TensorFlow's table of gradients by name, the one that it looks them up in; an empty one where there is none."""
    # No public call takes an entry out. Without TensorFlow, or where a release keeps the table elsewhere, nothing is taken out.
    ops = sys.modules.get("tensorflow.python.framework.ops")
    return getattr(getattr(ops, "gradient_registry", None), "_registry", {})
