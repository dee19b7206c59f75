"""Linformer against a loop, its sharing modes and its starts."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import Linformer
from keras_vix.kernels.linformer import projection_start
from keras_vix.layers import Attention, TokenProjection

from ..laws import run
from ..reference import softmax_attention


@pytest.mark.parametrize("share, count", [("none", 2 * 3 * 4 * 7), ("head", 2 * 4 * 7), ("kv", 4 * 7), ("layer", 0)])
def test_sharing_decides_the_size(share, count):
    kernel = Linformer(4, share)
    kernel.build((None, 3, 7, 5), (None, 3, 7, 5), (None, 3, 7, 5))
    assert sum(int(np.prod(w.shape)) for w in kernel.trainable_weights) == count


@pytest.mark.parametrize("share", ["none", "head", "kv"])
def test_equals_exact_attention_over_projected_tokens(share):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((2, 3, 7, 5)).astype("float32") for _ in range(3))
    kernel = Linformer(4, share)
    out = run(kernel, q, k, v)
    e, f = (ops.convert_to_numpy(w) for w in (kernel.e, kernel.f))
    for b in range(2):
        for h in range(3):
            eh, fh = (e[h], f[h]) if share == "none" else (e, f)
            expected = softmax_attention(q[b, h], eh @ k[b, h], fh @ v[b, h])
            assert np.abs(out[b, h] - expected).max() <= 1e-5


def test_one_projection_for_the_whole_model():
    x = np.random.default_rng(0).standard_normal((2, 6, 8)).astype("float32")
    tokens = keras.Input((6, 8))
    shared = TokenProjection(3)(tokens)
    y = tokens
    for _ in range(2):
        y = Attention(2, kernel=Linformer(3, "layer"))(y, projection=shared)
    model = keras.Model(tokens, y)
    assert sum(w.path.endswith("/e") for w in model.trainable_weights) == 1
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    assert np.array_equal(model.predict(x, verbose=0), copy.predict(x, verbose=0))


def test_starts():
    pool = ops.convert_to_numpy(projection_start("pool")((3, 7)))
    assert np.allclose(pool.sum(1), 1) and ((pool > 0).sum(0) == 1).all()
    assert sorted((pool > 0).sum(1)) == [2, 2, 3]
    uniform = ops.convert_to_numpy(projection_start("uniform")((16, 200)))
    assert np.abs(uniform).max() <= 0.25 and abs(uniform.std() - 0.25 / np.sqrt(3)) <= 0.01


@pytest.mark.parametrize(
    "kernel, shape, words",
    [
        (Linformer(8), (None, 2, 7, 4), "m=8, tokens=7"),
        (Linformer(8), (None, 2, None, 4), "fixed number of tokens"),
        (Linformer(3, start="identity"), (None, 2, 7, 4), "m = tokens"),
    ],
)
def test_wrong_token_counts(kernel, shape, words):
    with pytest.raises(ValueError, match=words):
        kernel.build(shape, shape, shape)


def test_another_token_count_than_at_build_is_refused():
    kernel = Linformer(2)
    x = np.zeros((1, 1, 4, 2), "float32")
    kernel(x, x, x)
    y = np.zeros((1, 1, 5, 2), "float32")
    with pytest.raises(ValueError, match="built for 4 tokens"):
        kernel(y, y, y)


def test_a_shared_projection_is_asked_for_and_only_then_accepted():
    x = np.zeros((1, 1, 4, 2), "float32")
    with pytest.raises(ValueError, match="share='layer'"):
        Linformer(2, "layer")(x, x, x)
    with pytest.raises(ValueError, match="share='head'"):
        Linformer(2)(x, x, x, projection=np.zeros((2, 4), "float32"))
