"""Gradients of every kernel against finite differences of an independent float64 computation."""

import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import Linformer, Nystrom, Performer, Softmax
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
