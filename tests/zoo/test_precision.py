"""Whole models under mixed precision: close to float32, every weight moves, sums and exponentials stay in float32, files keep the policy."""

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix import build
from keras_vix.zoo import PRESETS, configure

from ..laws import policies
from ..presets import light, shallow
from .test_zoo import IDLE

POLICIES = ("mixed_float16", "mixed_bfloat16")
# Largest difference of a logit, in units of the largest one: ten or so roundings in a row.
CLOSE = {"mixed_float16": 0.01, "mixed_bfloat16": 0.08}
# One of each kernel, mixer and normalisation; the others in tests/slow.
SOME = ("performer_softmax", "nystromformer", "vil", "fnet", "levit", "swin_t", "cait_xxs24", "sl_vit")
# What overflows, or loses what it adds up, in 16 bits.
ISLANDS = {"Softmax", "Exp", "Log", "Expm1", "FFT2D", "Sum", "Mean", "RealDiv", "Rsqrt", "Sqrt", "Square"}
X, Y, *_ = keras_vix.data.load("digits", limit=40).train


def made(name, policy="float32"):
    keras.config.set_dtype_policy(policy)
    return build(name, dataset="digits", **{"depth": shallow(name, "digits"), **light(name)})


def binary(name):
    """Whether a preset has signs, which jump where rounding crosses 0."""
    return configure(name, dataset="digits").mixer == "binary_attention"


def answers(model):
    return keras.ops.convert_to_numpy(keras.ops.cast(model(X[:8].astype("float32"), training=False), "float32"))


def forward_is_close(name, policy):
    plain, mixed = made(name), made(name, policy)
    mixed.set_weights(plain.get_weights())
    exact, found = answers(plain), answers(mixed)
    assert mixed.output.dtype == "float32" and np.isfinite(found).all()
    assert policy in policies(mixed) and set(policies(mixed)) <= {policy, "float32"}
    if not binary(name):
        assert np.abs(found - exact).max() <= CLOSE[policy] * max(1.0, np.abs(exact).max())


def trains_and_is_saved(name, policy, folder):
    model = made(name, policy)
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    history = model.fit(X[:24], Y[:24], batch_size=8, epochs=3, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert all(weight.dtype == "float32" for weight in model.trainable_weights)
    moved = {w.path: not np.array_equal(keras.ops.convert_to_numpy(w), old) for w, old in zip(model.trainable_weights, before)}
    assert [path for path, yes in moved.items() if not yes and not path.endswith(IDLE)] == []
    if policy == "mixed_float16":  # of nine steps some are skipped while the scale of the loss, 2**15 at first, comes down
        assert float(model.optimizer.dynamic_scale) >= 2**8 and int(model.optimizer.inner_optimizer.iterations) >= 3
    model.save(folder / "mixed.keras")
    keras.config.set_dtype_policy("float32")
    again = keras_vix.load(folder / "mixed.keras")
    assert policies(again) == policies(model) and np.array_equal(answers(again), answers(model))


def sums_are_wide(name):
    """No sum, mean, exponential or quotient of the graph is of 16 bits."""
    import tensorflow as tf

    model = made(name, "mixed_float16")
    graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(tf.TensorSpec((2, *X.shape[1:]), tf.float32)).graph
    narrow = [op.name for op in graph.get_operations() if op.type in ISLANDS and any(x.dtype == tf.float16 for x in op.outputs)]
    assert narrow == []
    assert any(op.type in ("MatMul", "BatchMatMulV2", "Conv2D") and op.outputs[0].dtype == tf.float16 for op in graph.get_operations())


@pytest.mark.long
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", SOME)
def test_forward_is_close_to_float32(name, policy):
    forward_is_close(name, policy)


@pytest.mark.parametrize("name, policy", [("performer_softmax", POLICIES[0]), ("nystromformer", POLICIES[0]), ("vil", POLICIES[1])])
def test_training_moves_every_weight_and_a_file_keeps_the_policy(name, policy, tmp_path):
    trains_and_is_saved(name, policy, tmp_path)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="it reads TensorFlow's graph")
@pytest.mark.parametrize("name", SOME)
def test_sums_and_exponentials_are_float32(name):
    sums_are_wide(name)


def test_some_are_presets():
    assert set(SOME) <= set(PRESETS)
