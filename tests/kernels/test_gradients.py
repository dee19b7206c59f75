"""Gradients of every kernel against finite differences of an independent float64 computation."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import Linformer, Nystrom, Performer, Softmax
from keras_vix.layers import Attention
from keras_vix.ops.features import gaussian

from ..laws import differentiate, weighting
from ..reference import kernel_attention, loop, slopes, softmax_attention
from .test_nystrom import direct
from .test_performer import phi_of

SHAPE = (1, 1, 8, 4)  # batch, heads, tokens, width


def projected(kernel):
    """Linformer's attention of one head, with the projections of `kernel`."""
    e, f = (ops.convert_to_numpy(w).astype("float64") for w in (kernel.e, kernel.f))
    return lambda q, k, v: softmax_attention(q, e @ k, f @ v)


def features(name, m):
    w = None if m is None else gaussian(m, SHAPE[-1], seed=3)
    return Performer(m, name, seed=3), lambda kernel: lambda q, k, v: kernel_attention(q, k, v, phi_of(name, w))


CASES = {
    "softmax": (Softmax(), lambda kernel: softmax_attention),
    "linformer": (Linformer(3), projected),
    "nystrom": (Nystrom(2, iterations=20), lambda kernel: lambda q, k, v: direct(q, k, v, 2)),
} | {f"{name}-{m}": features(name, m) for name, m in [
    ("positive", 6), ("hyperbolic", 6), ("relu", 6), ("exp", 6), ("elu", 6),
    ("relu", None), ("exp", None), ("elu", None),
]}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_gradients_equal_finite_differences(name):
    kernel, reference = CASES[name]
    kernel = type(kernel).from_config(kernel.get_config())
    arrays = [np.random.default_rng(i).standard_normal(SHAPE).astype("float32") for i in range(3)]
    kernel.build(*[SHAPE] * 3)
    out, *found = differentiate(kernel, arrays)
    head = reference(kernel)
    number = lambda *x: np.sum(weighting(SHAPE) * loop(head, *x))
    for gradient, expected in zip(found, slopes(number, arrays)):
        assert np.abs(gradient - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize(
    "kernel",
    [Softmax(), Performer(6, seed=1), Performer(6, "relu", seed=1), Linformer(4), Nystrom(4)],
    ids=["softmax", "positive", "relu", "linformer", "nystrom"],
)
def test_float16_moves_every_weight(kernel):
    """Three steps in mixed_float16 with queries and keys 1, 3 and 10 times as large: 9 of 10 tensors change.

    The inverse of Nyström is steep for large scores; its loss scale needs some steps to come down from Keras' 32,768.
    """
    steps = 12 if isinstance(kernel, Nystrom) else 3
    keras.config.set_dtype_policy("mixed_float16")
    tokens = keras.Input((64, 16))
    layer = Attention(2, kernel=type(kernel).from_config(kernel.get_config() | {"dtype": "mixed_float16"}))
    pooled = keras.layers.GlobalAveragePooling1D()(layer(tokens))
    model = keras.Model(tokens, keras.layers.Dense(3, dtype="float32")(pooled))
    start = model.get_weights()
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 64, 16)).astype("float32"), rng.integers(0, 3, 8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=keras.config.backend() == "jax")
    model.optimizer.build(model.trainable_variables)
    for gain in (1.0, 3.0, 10.0):
        model.set_weights(start)
        model.optimizer.dynamic_scale.assign(model.optimizer.initial_scale)
        for dense in (layer.query, layer.key):
            dense.kernel.assign(gain * ops.convert_to_numpy(dense.kernel))
        before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
        model.fit(x, y, batch_size=8, epochs=steps, verbose=0)
        after = [ops.convert_to_numpy(w) for w in model.trainable_weights]
        assert np.mean([not np.array_equal(new, old) for new, old in zip(after, before)]) >= 0.9, gain
        assert all(np.isfinite(w).all() for w in after), gain
        assert float(ops.convert_to_numpy(model.optimizer.dynamic_scale)) >= 1.0, gain
