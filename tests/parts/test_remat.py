"""Gradient checkpointing changes nothing but what is kept: outputs, gradients, dropped values, running means and seeds are the same."""

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix import build
from keras_vix.kernels import Softmax
from keras_vix.layers import MLP, Attention, Residual
from keras_vix.parts.residual import NORMS

from ..presets import sampled

SIZES = {"dim": 16, "depth": 2, "num_heads": 2, "mlp_dim": 24, "compile": False}
DROPS = {"dropout": 0.3, "drop_path": 0.3, "attention_dropout": 0.2, "scale": 0.5}
# Every kernel, windows, batch normalisations (whose running means move), a projection that all layers share.
MODELS = {
    "softmax": ("transformer_global", DROPS),
    "performer": ("performer_softmax", DROPS | {"m": 4}),
    "linformer": ("linformer", {"m": 4, "share": "layer", "dropout": 0.3, "drop_path": 0.3}),
    "nystrom": ("nystromformer", {"m": 4, "dropout": 0.2}),
    "levit": ("levit", {"key_dim": 8, "drop_path": 0.2}),
    "window": ("transformer_local", {"window": 4, "shift": 2, "drop_path": 0.3}),
}
X = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 1)).astype("float32")
Y = np.arange(4)


def pair(name, **more):
    """A model without and with checkpoints, of the same weights and seeds."""
    preset, options = MODELS[name]
    plain, remat = (build(preset, dataset="digits", remat=on, **SIZES | options | more) for on in (False, True))
    remat.set_weights(plain.get_weights())
    for one, other in zip(states(plain), states(remat), strict=True):
        other.assign(np.array(keras.ops.convert_to_numpy(one)))  # a copy: JAX reuses buffers
    return plain, remat


def states(model):
    return [variable for variable in model.variables if "seed_generator" in variable.path]


@pytest.fixture
def precise(request):
    """JAX compiles the second call with the gradient, and rounds differently; the iterations of a pseudo-inverse make more of that.

    In float64 nothing is left of it, so that row is trained in float64 there.
    """
    if request.node.callspec.params["name"] != "nystrom" or keras.config.backend() != "jax":
        yield
        return
    import jax

    floatx = keras.config.floatx()
    jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    jax.config.update("jax_enable_x64", False)


def train(model, **how):
    """Two steps of plain descent: what comes out is the gradient. What torch drops without a seed, its own generator draws."""
    keras.utils.set_random_seed(5)
    model.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True), **how)
    return model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0).history["loss"]


@pytest.mark.parametrize("name", sampled(MODELS, sample=("performer",)))
@pytest.mark.usefixtures("precise")
def test_training_is_the_same(name):
    plain, remat = pair(name)
    np.testing.assert_allclose(train(remat), train(plain), rtol=1e-5)
    assert len(plain.variables) == len(remat.variables)
    for one, other in zip(plain.variables, remat.variables):
        a, b = (keras.ops.convert_to_numpy(v).astype("float64") for v in (one, other))
        assert np.abs(a - b).max() <= 1e-5 * max(1.0, np.abs(a).max()), one.path
    assert np.allclose(plain.predict(X, verbose=0), remat.predict(X, verbose=0), atol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    plain, remat = pair("performer")
    np.testing.assert_allclose(train(remat), train(plain), rtol=5e-3)
    for one, other in zip(plain.trainable_variables, remat.trainable_variables):
        a, b = (keras.ops.convert_to_numpy(v) for v in (one, other))
        assert b.dtype == "float32" and np.abs(a - b).max() <= 5e-3 * max(1.0, np.abs(a).max()), one.path


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="the others have no eager mode of `fit` that differs")
def test_eager_training_is_the_same():
    plain, remat = pair("softmax")
    np.testing.assert_allclose(train(remat, run_eagerly=True), train(plain, run_eagerly=True), rtol=1e-5)
    for one, other in zip(plain.variables, remat.variables):
        assert np.allclose(one, other, atol=1e-5), one.path


@pytest.mark.long
@pytest.mark.skipif(keras.config.backend() == "torch", reason="torch has no XLA")
def test_compiled_training_is_the_same():
    plain, remat = pair("levit", dropout=0.0, drop_path=0.0)
    np.testing.assert_allclose(train(remat, jit_compile=True), train(plain, jit_compile=False), rtol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_every_place_of_the_norm(norm):
    x = np.random.default_rng(1).standard_normal((2, 6, 8)).astype("float32")
    losses = []
    for on in (False, True):
        layer = Residual(Attention(2), norm, scale=0.3, remat=on)
        model = keras.Sequential([keras.Input((6, 8)), layer, Residual(MLP(8), remat=on)])
        keras.utils.set_random_seed(3)
        model.set_weights([np.random.default_rng(i).standard_normal(w.shape) * 0.2 for i, w in enumerate(model.weights)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        losses.append(model.fit(x, x[::-1], epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.long
def test_frozen_weights_stay():
    plain, remat = pair("softmax")
    for model in (plain, remat):
        model.get_layer("stage0_block0_mixer").inner.trainable = False
    before = keras.ops.convert_to_numpy(remat.get_layer("stage0_block0_mixer").inner.query.kernel)
    np.testing.assert_allclose(train(remat), train(plain), rtol=1e-5)
    assert np.array_equal(remat.get_layer("stage0_block0_mixer").inner.query.kernel, before)


def test_it_is_saved_resized_and_swapped(tmp_path):
    model = build("vit", dataset="digits", remat=True, **SIZES)
    assert model.get_layer("stage0_block1_ffn").get_config()["remat"] is True
    model.save(tmp_path / "model.keras")
    for again in (keras_vix.load(tmp_path / "model.keras"), keras_vix.resize(model, (16, 8, 1))[0], keras_vix.swap_mixer(model, "lsa")[0]):
        blocks = [layer for layer in again.layers if isinstance(layer, Residual)]
        assert len(blocks) == 4 and all(layer.remat for layer in blocks)
    assert keras_vix.describe("vit", dataset="digits", remat=True).config["remat"]


@pytest.mark.parametrize("value", [1, "full", None])
def test_wrong_values(value):
    with pytest.raises(TypeError, match="`remat` must be True or False"):
        build("vit", dataset="digits", remat=value)
    with pytest.raises(TypeError, match="`remat` must be True or False"):
        Residual(MLP(8), remat=value)


def test_a_backend_without_it(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "openvino")
    with pytest.raises(ValueError, match="openvino"):
        Residual(MLP(8), remat=True)


@pytest.mark.parametrize("chunk", [None, 4])
def test_a_mask_goes_with_it(chunk):
    """A written gradient is made after the second call has ended: on JAX it must not hold on to a mask from within."""
    x, seen = keras.Input((6, 8)), keras.Input((6,), dtype="bool")
    found = []
    for on in (False, True):
        mixer = Attention(2, kernel=Softmax(chunk=chunk), name="mixer")
        model = keras.Model((x, seen), Residual(mixer, remat=on)(x, memory_mask=seen))
        model.set_weights([np.random.default_rng(i).standard_normal(w.shape) * 0.2 for i, w in enumerate(model.weights)])
        model.compile(keras.optimizers.SGD(0.05), "mse")
        inputs = np.random.default_rng(1).standard_normal((2, 6, 8)).astype("float32"), np.arange(12).reshape(2, 6) % 3 > 0
        model.fit(inputs, np.zeros((2, 6, 8), "float32"), epochs=2, verbose=0)
        found.append(model.get_weights())
    for one, other in zip(*found):
        np.testing.assert_allclose(one, other, atol=1e-6)
