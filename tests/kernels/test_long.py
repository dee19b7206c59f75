"""Long sequences: what is linear in the number of tokens is linear, in memory and in time."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_vix.kernels import Linformer, Nystrom, Performer, Softmax

from ..laws import differentiate

HEADS, WIDTH, M = 2, 16, 32
ROOT = pathlib.Path(__file__).parents[2]

MEASURE = """
import json, time
import numpy as np
from keras_vix import layers
from tests.laws import differentiate

def status(word):
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(word))

def measure(make, tokens):
    side = int(tokens ** 0.5)
    layer = make((side, side))
    x = np.random.default_rng(0).standard_normal((1, tokens, 32)).astype("float32")
    layer.build(x.shape)
    start = time.perf_counter()
    finite = all(bool(np.isfinite(y).all()) for y in differentiate(layer, [x]))
    return {"peak": status("VmHWM"), "seconds": time.perf_counter() - start, "finite": finite}

LAYERS = {
    "positive": lambda grid: layers.PerformerAttention(2, num_features=32, seed=1),
    "relu": lambda grid: layers.PerformerAttention(2, num_features=32, features="relu", seed=1),
    "linformer": lambda grid: layers.LinformerAttention(2, proj_dim=32),
    "nystrom": lambda grid: layers.NystromAttention(2, num_landmarks=32),
    "window": lambda grid: layers.LocalWindowAttention2D(2, grid=grid, window=8),
    "shifted": lambda grid: layers.LocalWindowAttention2D(2, grid=grid, window=8, shift=4),
}
measure(LAYERS["positive"], 256)  # loads what the backend loads late
idle = status("VmRSS")
found = {tokens: {name: measure(make, tokens) for name, make in LAYERS.items()} for tokens in (4096, 16384, 65536)}
print(json.dumps([idle, found]))
"""


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peak memory is read from Linux' /proc")
def test_long_sequences_take_the_memory_and_time_stated():
    """Forward and gradient of one sample of 32 features: at most `64 bytes * tokens * (m + 4 width) * heads` and 300 MB.

    The peak is that of all layers so far, shorter sequences first: allocators keep what they were given once. One
    tensor of tokens by tokens would take 134 MB, 2 GB and 34 GB.
    """
    done = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    idle, found = json.loads(done.stdout.strip().splitlines()[-1])
    for tokens, layers in found.items():
        for name, run in layers.items():
            assert run["finite"] and run["seconds"] <= 20, (name, tokens, run)
            assert run["peak"] - idle <= 64 * int(tokens) * (M + 4 * WIDTH) * HEADS + 300e6, (name, tokens, run)
    grown = [layers["shifted"]["peak"] - idle for layers in found.values()]
    assert grown[2] < 2.6**2 * grown[1], grown


def shapes(kernel, tokens):
    """The shape of every tensor in the traced forward and backward computation, lists of axes left out."""
    import tensorflow as tf

    arrays = [np.zeros((1, HEADS, tokens, WIDTH), "float32")] * 3
    kernel.build(*[x.shape for x in arrays])

    @tf.function
    def gradients(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            loss = tf.reduce_sum(kernel(*tensors) ** 2)
        return tape.gradient(loss, tensors)

    graph = gradients.get_concrete_function(*map(tf.constant, arrays)).graph
    tensors = [tensor for operation in graph.get_operations() for tensor in operation.outputs]
    found = [tuple(tensor.shape) for tensor in tensors if (tensor.shape.rank or 0) > 1]
    assert all(None not in shape for shape in found)
    return found


KERNELS = {
    "positive": lambda: Performer(M, seed=1),
    "hyperbolic": lambda: Performer(M, "hyperbolic", seed=1),
    "relu": lambda: Performer(M, "relu", seed=1),
    "elu": lambda: Performer(None, "elu"),
    "linformer": lambda: Linformer(M),
    "nystrom": lambda: Nystrom(M),
}


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="reads a TensorFlow graph")
@pytest.mark.parametrize("name", [*KERNELS, "softmax"])
def test_no_tensor_is_tokens_by_tokens(name):
    """A prime number of tokens, so that no other axis has its length; and twice the tokens make twice the numbers."""
    make = KERNELS.get(name, Softmax)
    few, many = (shapes(make(), tokens) for tokens in (509, 1018))
    square = [shape for shape in few if shape.count(509) > 1]
    sizes = [sum(np.prod(shape, dtype="float64") for shape in found) for found in (few, many)]
    if name == "softmax":
        assert square and sizes[1] > 3 * sizes[0]
    else:
        assert not square and sizes[1] < 2.1 * sizes[0]


@pytest.mark.parametrize("name", KERNELS)
def test_sixteen_thousand_tokens_are_finite(name):
    """On every backend; with constant values the convex kernels give that constant however long the sum is."""
    q, k, v = np.random.default_rng(0).standard_normal((3, 1, 1, 16_384, 8)).astype("float32")
    kernel = KERNELS[name]()
    kernel.build(*[x.shape for x in (q, k, v)])
    assert all(np.isfinite(x).all() for x in differentiate(kernel, [q, k, v]))
    if isinstance(kernel, Performer):
        out, *_ = differentiate(kernel, [q, k, np.ones_like(v)])
        assert np.abs(out - 1.0).max() <= 1e-4
