"""The attention mixer against Keras' own, and its use in other people's models."""

import keras
import numpy as np
import pytest

from keras_vix.layers import (
    Attention,
    LinformerAttention,
    LocalWindowAttention2D,
    NystromAttention,
    Performer,
    PerformerAttention,
    RotaryEmbedding,
    Softmax,
)

from ..laws import run
from ..presets import sampled


def test_equals_keras_multi_head_attention():
    x, y = (np.random.default_rng(i).standard_normal((2, n, 8)).astype("float32") for i, n in ((0, 5), (1, 7)))
    theirs = keras.layers.MultiHeadAttention(2, key_dim=3)
    ours = Attention(2, key_dim=3)
    keep = np.array([[1, 1, 1, 0, 1, 1, 0], [1, 0, 1, 1, 1, 1, 1]], bool)
    theirs(x, y), ours(x, y)
    kernels = [w for w in theirs.get_weights()]
    for name, (kernel, bias) in zip(("query", "key", "value"), zip(kernels[0:6:2], kernels[1:6:2])):
        getattr(ours, name).set_weights([kernel.reshape(8, 6), bias.reshape(6)])
    ours.out.set_weights([kernels[6].reshape(6, 8), kernels[7]])
    assert np.abs(run(ours, x, y) - run(theirs, x, y)).max() <= 1e-6
    masked = run(theirs, x, y, attention_mask=keep[:, None, :])
    assert np.abs(run(ours, x, y, mask=keep) - masked).max() <= 1e-6


@pytest.mark.parametrize(
    "layer",
    sampled([PerformerAttention(2, num_features=6), LinformerAttention(2, proj_dim=4), NystromAttention(2, num_landmarks=4), Attention(2)],
            lambda layer: type(layer), [PerformerAttention]),
    ids=lambda layer: layer.name,
)
def test_a_drop_in_for_a_hand_made_model(layer, tmp_path):
    tokens = keras.Input((9, 8))
    x = keras.layers.LayerNormalization()(tokens + layer(tokens))
    model = keras.Model(tokens, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(x)))
    assert type(layer).__name__ in {type(part).__name__ for part in model.layers}
    data = np.random.default_rng(0).standard_normal((4, 9, 8)).astype("float32")
    model.compile("adam", "mse")
    model.fit(data, np.zeros((4, 3)), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(model.predict(data, verbose=0), again.predict(data, verbose=0))
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    assert np.array_equal(model.predict(data, verbose=0), copy.predict(data, verbose=0))


@pytest.mark.parametrize("kernel", [None, "performer"])
def test_rotary_attention_sees_distances_only(kernel):
    """Without padding at the ends, moving all tokens along the sequence moves the output along with them."""
    rng = np.random.default_rng(0)
    x = np.zeros((1, 12, 8), "float32")
    x[:, 2:7] = rng.standard_normal((1, 5, 8))
    layer = Attention(2, kernel=Performer(6, seed=1) if kernel else None, rope=RotaryEmbedding(), use_bias=False)
    keep = np.zeros((1, 12), bool)
    keep[:, 2:7] = True
    here = run(layer, x, mask=keep)[:, 2:7]
    there = run(layer, np.roll(x, 4, axis=1), mask=np.roll(keep, 4, axis=1))[:, 6:11]
    if kernel is None:
        assert np.abs(here - there).max() <= 1e-5
    else:  # the estimate of the relative kernel is relative on average only
        assert np.isfinite(there).all() and np.abs(here - there).max() > 1e-5


def test_random_features_estimate_the_rotated_kernel():
    """With many features the result is that of exact attention over the turned queries and keys, and not over the unturned."""
    x = 0.5 * np.random.default_rng(0).standard_normal((1, 24, 8)).astype("float32")
    layers = [Attention(2, kernel=kernel, rope=rope) for kernel, rope in (
        (Performer(8192, seed=0), RotaryEmbedding()), (None, RotaryEmbedding()), (None, None),
    )]  # fmt: skip
    outputs = []
    for layer in layers:
        layer(x)
        for name in ("query", "key", "value", "out"):
            getattr(layer, name).set_weights(getattr(layers[0], name).get_weights())
        outputs.append(run(layer, x))
    random, exact, unturned = outputs
    assert np.linalg.norm(random - exact) <= 0.05 * np.linalg.norm(exact)
    assert np.linalg.norm(unturned - exact) > 0.1 * np.linalg.norm(exact)


def test_a_kernel_has_one_owner():
    kernel = Softmax()
    x = np.zeros((1, 3, 4), "float32")
    Attention(2, kernel=kernel)(x)
    with pytest.raises(ValueError, match="belongs to one attention layer"):
        Attention(2, kernel=kernel)


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: Attention(0), ValueError, "num_heads"),
        (lambda: Attention(2, key_dim=0), ValueError, "key_dim"),
        (lambda: Attention(2, kernel="performer"), TypeError, "kernel layer such as"),
        (lambda: Attention(3)(np.zeros((1, 4, 8), "float32")), ValueError, "num_heads=3, width=8"),
        (lambda: PerformerAttention(2, num_features=0), ValueError, "num_features"),
        (lambda: LinformerAttention(2, proj_dim=True), TypeError, "proj_dim"),
        (lambda: NystromAttention(2, num_landmarks="8"), TypeError, "num_landmarks"),
    ],
)
def test_wrong_arguments(make, error, words):
    with pytest.raises(error, match=words):
        make()


X = np.ones((2, 16, 8), "float32")


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: Attention(2)(X, mask=np.ones((2, 9), bool)), r"\(batch, 16\).*\(2, 9\)"),
        (lambda: Attention(2)(X, mask=np.ones((2, 16, 16), bool)), r"\(2, 16, 16\)"),
        (lambda: Attention(2)(X, X[:, :5], mask=np.ones((2, 16), bool)), r"\(batch, 5\)"),
        (lambda: LocalWindowAttention2D(2, grid=(4, 4), window=2)(X, mask=np.ones((2, 4), bool)), r"\(batch, 16\)"),
        (lambda: Attention(2)(X, X[:, :5], X[:, :7]), r"\(2, 7, 8\) and \(2, 5, 8\)"),
        (lambda: Attention(2)(X, projection=np.ones((4, 16), "float32")), "kernel=Softmax"),
        (lambda: LinformerAttention(2, proj_dim=4, share="layer")(X), "projection=none"),
    ],
)
def test_wrong_calls(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_a_mask_may_be_numbers(dtype):
    layer, mask = Attention(2, kernel=Performer(5, seed=1)), np.arange(32).reshape(2, 16) % 3 > 0
    assert np.array_equal(run(layer, X, mask=mask), run(layer, X, mask=mask.astype(dtype)))
