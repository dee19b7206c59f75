"""XLA: a step of training and a pass compiled as a whole are those that are not, for every mixer and kernel."""

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix import build
from keras_vix.zoo.config import AXES

KERNELS = {
    "softmax": {}, "performer": {"m": 4}, "linformer": {"m": 4}, "nystrom": {"m": 4, "iterations": 6}, "lsa": {}, "talking_heads": {"mix_std": 0.3},
}  # fmt: skip
MIXERS = {
    "attention": {},
    "binary_attention": {"step_start": 0.2},
    "conv_attention": {},
    "levit": {},
    "window": {"window": 3, "shift": 1},
    "window_1d": {"window": 5, "shift": 2, "wrap_rows": True},
    "atrous": {"window": 2, "rates": (1, 2)},
    "fourier": {},
    "token_mlp": {},
}
SOME = [("kernel", "performer"), ("kernel", "nystrom"), ("mixer", "window"), ("mixer", "fourier")]  # the others in tests/slow
X, Y, *_ = keras_vix.data.load("digits", limit=20).train
TORCH = keras.config.backend() == "torch"


def made(axis, name, jit_compile):
    options = (KERNELS if axis == "kernel" else MIXERS)[name]
    model = build(
        "transformer_global", dataset="digits", embed="patch", patch=2, depth=2, dim=16, num_heads=2, mlp_dim=24, optimizer="sgd", weight_decay=0.0,
        learning_rate=0.05, pool="mean", seed=3, jit_compile=jit_compile, **{axis: name}, **options,
    )  # fmt: skip
    draw = np.random.default_rng(5)
    for weight in model.trainable_weights:
        weight.assign(keras.ops.convert_to_numpy(weight) + 0.1 * draw.standard_normal(weight.shape))
    return model


def compiled_is_the_same(axis, name):
    plain, compiled = (made(axis, name, jit) for jit in (False, True))
    compiled.set_weights(plain.get_weights())
    assert compiled.jit_compile is True and plain.jit_compile is False
    out = plain.predict(X[:8], verbose=0)
    np.testing.assert_allclose(compiled.predict(X[:8], verbose=0), out, atol=1e-4 * max(1.0, np.abs(out).max()))
    losses = [model.fit(X[:8], Y[:8], batch_size=8, verbose=0).history["loss"] for model in (compiled, plain)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    if name != "binary_attention":  # signs jump where rounding crosses 0
        for one, other in zip(compiled.trainable_weights, plain.trainable_weights):
            assert np.abs(np.subtract(one, other)).max() <= 2e-4, one.path


@pytest.mark.long
@pytest.mark.skipif(TORCH, reason="torch has no XLA")
@pytest.mark.parametrize("choice", SOME, ids="-".join)
def test_compiled_is_the_same(choice):
    compiled_is_the_same(*choice)


def test_every_mixer_and_kernel_is_listed():
    assert (set(KERNELS), set(MIXERS)) == (set(AXES["kernel"]), set(AXES["mixer"]))
