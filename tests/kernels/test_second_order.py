"""Kernels can be differentiated twice, although some of their gradients are written out."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import Linformer, Nystrom, Performer, Softmax

SHAPE = (1, 2, 6, 4)


def twice(f, x):
    """Gradient of `sum(w * gradient of f)` for fixed random `w`, at `x`."""
    w = np.random.default_rng(7).standard_normal(x.shape).astype("float32")
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            first = tape.gradient(y, x)
            total = ops.sum(first * w)
        return first.numpy(), outer.gradient(total, x).numpy(), w
    if keras.config.backend() == "jax":
        import jax

        return jax.grad(f)(x), jax.grad(lambda z: ops.sum(jax.grad(f)(z) * w))(x), w
    import torch

    x = torch.tensor(x, requires_grad=True)
    (first,) = torch.autograd.grad(f(x), x, create_graph=True)
    (second,) = torch.autograd.grad((first * torch.tensor(w)).sum(), x)
    return first.detach().numpy(), second.numpy(), w


@pytest.mark.parametrize("kernel", [Softmax(), Softmax(chunk=4), Performer(5, seed=1), Linformer(3), Nystrom(3)],
                         ids=["softmax", "chunk", "performer", "linformer", "nystrom"])  # fmt: skip
def test_second_gradients_equal_differences_of_first_ones(kernel):
    if keras.config.backend() == "torch" and isinstance(kernel, (Softmax, Linformer)):
        pytest.skip("torch's fused routine has no second gradient, and says so")
    if keras.config.backend() == "tensorflow" and getattr(kernel, "chunk", None):
        pytest.skip("TensorFlow's update of a slice in a loop has no gradient, and says so")
    kernel = type(kernel).from_config(kernel.get_config())
    kernel.build(*[SHAPE] * 3)
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32") * 0.5
    f = lambda z: ops.sum(ops.square(kernel(z, 0.7 * z, z)))
    _, second, w = twice(f, x)
    ends = [np.asarray(twice(f, x + sign * 1e-2 * w)[0], "float64") for sign in (1, -1)]
    expected = (ends[0] - ends[1]) / 2e-2
    assert np.abs(second - expected).max() <= 2e-2 * np.abs(expected).max()
