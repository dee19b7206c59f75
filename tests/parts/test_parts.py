"""The other parts, each by what it promises."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_vix.layers import MLP, PatchEmbedding, PatchMerging, Prefix, Residual, SequencePool, Tokens
from keras_vix.parts import ConvEmbedding, DistilledHead, FirstPool, FlattenPool, MeanPool

from ..laws import run


def test_patches_are_linear_maps_in_raster_order():
    image = np.random.default_rng(0).standard_normal((1, 4, 6, 3)).astype("float32")
    layer = PatchEmbedding(5, 2)
    out = run(layer, image)
    kernel, bias = (ops.convert_to_numpy(w) for w in layer.projection.weights)
    patch = image[0, 2:4, 4:6].reshape(-1)
    assert out.shape == (1, 2, 3, 5)
    assert np.abs(out[0, 1, 2] - (patch @ kernel.reshape(-1, 5) + bias)).max() <= 1e-5


def test_a_patch_that_does_not_divide_names_those_that_do():
    with pytest.raises(ValueError, match="32 is divided by 1, 2, 4, 8, 16, 32"):
        PatchEmbedding(8, 5)(np.zeros((1, 32, 32, 3), "float32"))


@pytest.mark.parametrize(
    "make, shape, words",
    [
        (lambda: PatchEmbedding(8, 4, patch_stride=5), (1, 32, 32, 3), r"overlap.*patch=\(4, 4\), patch_stride=\(5, 5\), image=\(32, 32\)"),
        (lambda: PatchEmbedding(8, 4, patch_stride=(2, 5)), (1, 32, 32, 3), r"overlap.*patch_stride=\(2, 5\)"),
        (lambda: PatchEmbedding(8, 7, patch_stride=4), (1, 6, 32, 3), r"fit into the image.*patch=\(7, 7\), patch_stride=\(4, 4\), image=\(6, 32\)"),
        (lambda: ConvEmbedding(8, filters=(4, 4), strides=(1, 1)), None, r"`strides` needs one entry more.*strides=\(1, 1\), filters=\(4, 4\)"),
        (lambda: DistilledHead(5), (1, 3, 8), r"needs two tokens.*shape=\(1, 3, 8\)"),
        (lambda: DistilledHead(5), (1, 8), r"needs two tokens.*shape=\(1, 8\)"),
    ],
)
def test_what_does_not_fit(make, shape, words):
    with pytest.raises(ValueError, match=words):
        make().build(shape)


def test_merging_joins_neighbours_in_the_published_order():
    x = np.arange(16, dtype="float32").reshape(1, 16, 1)
    layer = PatchMerging(4, (4, 4), merge_norm=False)
    layer(x)
    layer.projection.set_weights([np.eye(4, dtype="float32")])
    assert run(layer, x)[0].astype(int).tolist() == [[0, 4, 1, 5], [2, 6, 3, 7], [8, 12, 9, 13], [10, 14, 11, 15]]
    odd = PatchMerging(4, (1, 3), merge_norm=False)
    odd(x[:, :3])
    odd.projection.set_weights([np.eye(4, dtype="float32")])
    assert run(odd, x[:, :3])[0].astype(int).tolist() == [[0, 0, 1, 0], [2, 0, 0, 0]] and odd.out_grid == (1, 2)


def test_residual_before_and_after():
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    for norm in ("pre", "post"):
        inner = keras.layers.Dense(4, kernel_initializer="identity")
        out = run(Residual(inner, norm, 1e-6), x)
        standard = lambda y: (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-6)
        expected = x + standard(x) if norm == "pre" else standard(2 * x)
        assert np.abs(out - expected).max() <= 1e-5


def test_drop_path_leaves_whole_samples_out_and_keeps_the_mean():
    x = np.ones((4000, 2, 3), "float32")
    layer = Residual(keras.layers.Dense(3, kernel_initializer="zeros", bias_initializer="ones"), drop_path=0.25, seed=1)
    out = run(layer, x, training=True)
    assert {round(float(v), 4) for v in np.unique(out)} == {1.0, round(1 + 1 / 0.75, 4)}
    assert (out == out[:, :1, :1]).all()
    assert abs(out.mean() - 2.0) <= 0.05
    assert np.array_equal(run(layer, x, training=False), np.full_like(x, 2.0))


def test_drop_path_of_zero_is_none():
    x = np.random.default_rng(0).standard_normal((5, 2, 3)).astype("float32")
    layer = Residual(MLP(4, dropout=0.0), drop_path=0.0)
    still = run(layer, x, training=False)
    assert np.array_equal(run(layer, x, training=True), still) and not np.allclose(still, x)


def test_layer_scale_starts_where_told():
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    layer = Residual(keras.layers.Dense(4, bias_initializer="ones"), scale=1e-5)
    assert np.abs(run(layer, x) - x).max() <= 1e-4
    assert [w.name for w in layer.trainable_weights if w.name == "gamma"]


def test_tokens_prefix_and_pools():
    grid = np.random.default_rng(0).standard_normal((2, 2, 3, 4)).astype("float32")
    tokens = Tokens()(grid)
    assert np.array_equal(ops.convert_to_numpy(tokens)[:, 4], grid[:, 1, 1])
    prefix = Prefix(2)
    longer = run(prefix, tokens)
    assert longer.shape == (2, 8, 4)
    assert np.array_equal(longer[0, :2], ops.convert_to_numpy(prefix.tokens)) and np.array_equal(longer[:, 2:], ops.convert_to_numpy(tokens))
    assert np.abs(run(MeanPool(2), longer) - longer[:, 2:].mean(1)).max() <= 1e-6
    assert np.array_equal(run(FirstPool(2), longer), longer[:, 0])
    pool = SequencePool()
    out = run(pool, longer)
    kernel, bias = (ops.convert_to_numpy(w) for w in pool.score.weights)
    score = np.exp(longer @ kernel + bias)
    assert np.abs(out - (score / score.sum(1, keepdims=True) * longer).sum(1)).max() <= 1e-5


def test_tokens_side_by_side_are_in_their_order_and_scaled():
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    assert np.array_equal(run(FlattenPool(), x), x.reshape(2, 15))
    assert np.array_equal(run(FlattenPool(flat_scale=0.125), x), x.reshape(2, 15) / 8)
    with pytest.raises(ValueError, match="flat_scale=0"):
        FlattenPool(flat_scale=0)


def test_mlp_activations():
    x = np.random.default_rng(0).standard_normal((1, 2, 4)).astype("float32")
    layer = MLP(6, activation="relu", last_activation="relu")
    out = run(layer, x)
    (a, b), (c, d) = ([ops.convert_to_numpy(w) for w in part.weights] for part in (layer.expand, layer.contract))
    assert np.abs(out - np.maximum(np.maximum(x @ a + b, 0) @ c + d, 0)).max() <= 1e-6
