"""The error of kernels against exact attention, on models whose error is known."""

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.bench import approximation
from keras_vix.bench.approximation import kernel_error

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 1)).astype("float32")


def error(preset="transformer_global", **options):
    """Of a small fresh model on the digits' shape."""
    sizes = {"depth": 2, "dim": 16, "num_heads": 2} | options
    return kernel_error(keras_vix.build(preset, dataset="digits", compile=False, **sizes), IMAGES)


def test_exact_attention_has_no_error_but_rounding():
    assert 0 <= error() < 1e-5


def test_linformer_with_all_tokens_and_nystrom_with_all_landmarks_are_exact():
    assert error("linformer", m=64, start="identity") < 1e-5
    assert error("nystromformer", m=64) < 1e-5
    assert error("linformer", m=8) > 0.05


@pytest.mark.parametrize("options", [dict(m=64), dict(m=64, convolution=3)])
def test_the_convolution_of_the_values_is_no_error(options):
    assert error("nystromformer", **options) < 1e-5


def test_more_features_err_less():
    few, many = (np.mean([error("performer_softmax", m=m, seed=seed) for seed in range(2)]) for m in (4, 256))
    assert many < few / 2


@pytest.mark.parametrize("preset, options", [
    ("transformer_global", dict(position="rope")),
    ("vit", dict(kernel="linformer", m=64, start="identity", pool="mean", prefix=0)),
    ("levit", {}),
    ("cvt", {}),
    ("linformer", dict(share="layer", m=64, start="identity")),
    ("linformer", dict(share="none", m=64, start="identity")),
    ("transformer_global", dict(norm="post")),
])  # fmt: skip
def test_queries_keys_and_values_are_those_of_the_model(preset, options):
    """Exact attention in other dress: norms, rotations, convolutions, shared projections and single heads of keys."""
    stages = {"depth": (1, 1, 1), "dim": 16} if preset == "cvt" else {}
    assert error(preset, **{**options, **stages}) < 1e-4


def test_the_error_is_the_one_computed_by_hand():
    model = keras_vix.build("performer_relu", dataset="digits", compile=False, depth=1, dim=16, num_heads=2, m=8)
    block = next(layer for layer in model.layers if layer.name.endswith("mixer"))
    x = keras.Model(model.input, block.input)(IMAGES[:1])
    mixer, y = block.inner, block.layer_norm(x)
    q, k, v = (np.asarray(keras.ops.convert_to_numpy(layer(y))) for layer in (mixer.query, mixer.key, mixer.value))
    q, k, v = (t[0].reshape(64, 2, -1).transpose(1, 0, 2) for t in (q, k, v))
    ours = keras.ops.convert_to_numpy(mixer.kernel(*(keras.ops.convert_to_tensor(t[None]) for t in (q, k, v))))[0]
    found = []
    for head in range(2):
        s = np.exp(q[head].astype("float64") @ k[head].T / np.sqrt(q.shape[-1]))
        exact = s / s.sum(1, keepdims=True) @ v[head]
        found.append(np.linalg.norm(ours[head] - exact) / np.linalg.norm(exact))
    assert kernel_error(model, IMAGES[:1]) == pytest.approx(np.mean(found), rel=1e-4)


@pytest.mark.parametrize("preset, options", [
    ("transformer_local", {"depth": (1, 0), "dim": (16, 16)}), ("fnet", {}), ("mlp_mixer", {}), ("transformer_global", {"kernel": "lsa"}),
])  # fmt: skip
def test_what_cannot_be_compared_has_none(preset, options):
    assert error(preset, **options) is None


def test_weights_that_do_not_fit_and_values_that_are_no_numbers_give_none(monkeypatch):
    model = keras_vix.build("performer_relu", dataset="digits", compile=False, depth=1, dim=16, num_heads=2)
    assert kernel_error(model, np.full((1, 8, 8, 1), np.nan)) is None
    monkeypatch.setattr(approximation, "LARGEST", 100)
    assert kernel_error(model, IMAGES) is None
