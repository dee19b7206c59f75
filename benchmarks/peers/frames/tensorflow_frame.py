"""Steps under TensorFlow: compiled by `tf.function`, with XLA where a case asks for it."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..place import Job, Part, Place, layer_job, tensors
from .keras_models import model_job  # noqa: F401  a part of every frame's interface


def limit_threads(threads: int) -> None:
    """Let TensorFlow use so many threads; before its first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def synchronise() -> None:
    """Wait for the GPU; on a CPU a call returns when its work is done."""
    if tf.config.list_logical_devices("GPU"):
        tf.test.experimental.sync_devices()


def weights_of(layer: Any) -> list[tf.Variable]:
    """Trainable variables of a layer of Keras 3 or of the Keras before it."""
    return [w.value if isinstance(w, keras.Variable) else w for w in layer.trainable_weights]


def job(part: Part, place: Place, mode: str, jit: bool) -> Job:
    """One step of a layer: forward, or forward and the gradient of the input and every trainable weight."""
    x, cotangent = (tf.constant(array) for array in tensors(place))
    weights = weights_of(part.layer)

    def forward(x: tf.Tensor) -> tf.Tensor:
        return part.layer(*(x,) * part.copies, training=mode == "train")

    def train(x: tf.Tensor) -> list:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = forward(x)
        if len(weights_of(part.layer)) != len(weights):
            raise ValueError("The layer made weights at its first call, whose gradients would be left out; build it whole.")
        return tape.gradient(y, [x, *weights], output_gradients=cotangent)

    step = compiled(forward if mode == "forward" else train, x, jit)
    return layer_job(step, part, [int(np.prod(w.shape)) for w in weights], place, mode)


def compiled(function: Any, x: tf.Tensor, jit: bool) -> Any:
    """The function as a graph, called on x; a gradient that is missing is an error of the first call."""
    graph = tf.function(function, jit_compile=jit, autograph=False)

    def step() -> None:
        result = graph(x)
        synchronise()
        if isinstance(result, list) and any(gradient is None for gradient in result):
            raise ValueError("A weight receives no gradient.")

    return step


def probe(kind: str, sizes: tuple[int, ...]) -> Any:
    """One product of matrices `(rows, inner) (inner, columns)`, or one `a += b` of `sizes[0]` floats."""
    if kind == "product":
        a, b = tf.random.normal(sizes[:2]), tf.random.normal(sizes[1:])
        graph = tf.function(lambda: tf.matmul(a, b))
    else:
        a, b = tf.Variable(tf.zeros(sizes)), tf.ones(sizes)
        graph = tf.function(lambda: a.assign_add(b, read_value=False) and None)

    def step() -> None:
        graph()
        synchronise()

    return step


def device_bytes(reset: bool = False) -> tuple[int, int] | None:
    """Bytes in use on the GPU and their peak since the last reset; None on a CPU."""
    if not tf.config.list_logical_devices("GPU"):
        return None
    if reset:
        tf.config.experimental.reset_memory_stats("GPU:0")
    found = tf.config.experimental.get_memory_info("GPU:0")
    return found["current"], found["peak"]


def describe() -> dict[str, Any]:
    """The device and the threads that the framework says it uses."""
    names = [device.name for device in tf.config.list_logical_devices("GPU")]
    return {
        "device": "gpu" if names else "cpu",
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
    }
