"""Normalisation, stems and reductions of the 2022 hybrids against plain NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_vix.parts import ConvEmbedding, ConvReduction, DepthwiseReduction, LearnedPosition, Residual
from keras_vix.primitives import ChannelNorm

from ..laws import run

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 15, 4)).astype("float32")
GRID = (3, 5)


def convolve(x, kernel, stride):
    """`(batch, rows, columns, channels)` with a ring of zeros: `(batch, rows', columns', filters)`."""
    size = kernel.shape[0]
    padded = np.pad(x, ((0, 0), (size // 2, size // 2), (size // 2, size // 2), (0, 0)))
    rows, columns = x.shape[1:3]
    out = [
        [np.tensordot(padded[:, i : i + size, j : j + size], kernel, ((1, 2, 3), (0, 1, 2))) for j in range(0, columns, stride)]
        for i in range(0, rows, stride)
    ]
    return np.moveaxis(np.array(out), 2, 0)


def test_channel_norm_adds_its_epsilon_to_the_deviation():
    layer = ChannelNorm(epsilon=0.5)
    found = run(layer, X)
    wanted = (X - X.mean(-1, keepdims=True)) / (X.std(-1, keepdims=True) + 0.5)
    assert np.abs(found - wanted).max() <= 1e-6
    layer.set_weights([np.full(4, 2.0), np.full(4, 3.0)])
    assert np.abs(run(layer, X) - (2 * wanted + 3)).max() <= 1e-5
    assert not run(ChannelNorm(), np.ones((1, 2, 4), "float32")).any()


@pytest.mark.parametrize("stride, grid", [(1, (3, 5)), (2, (2, 3))])
def test_conv_reduction_by_hand(stride, grid):
    layer = ConvReduction(6, GRID, reduce_stride=stride, reduce_norm=None)
    found = run(layer, X)
    kernel, bias = (ops.convert_to_numpy(w) for w in layer.get_weights())
    assert layer.out_grid == grid
    assert np.abs(found - (convolve(X.reshape(2, *GRID, 4), kernel, stride) + bias).reshape(2, -1, 6)).max() <= 1e-5
    assert layer.multiply_adds((15, 4)) == grid[0] * grid[1] * 9 * 4 * 6


def test_depthwise_reduction_by_hand():
    x = np.concatenate([RNG.standard_normal((2, 1, 4)).astype("float32"), X], axis=1)
    layer = DepthwiseReduction(8, GRID, prefix=1)
    found = run(layer, x)
    named = {"/".join(w.path.split("/")[-2:]): ops.convert_to_numpy(w) for w in layer.weights}
    kernel = named["conv/kernel"]  # (3, 3, 4, 2): two filters for each channel, side by side in the output
    dense = np.zeros((3, 3, 4, 8))
    for channel in range(4):
        dense[:, :, channel, 2 * channel : 2 * channel + 2] = kernel[:, :, channel]
    wanted = (convolve(X.reshape(2, *GRID, 4), dense, 2) + named["conv/bias"]).reshape(2, -1, 8)
    assert np.abs(found[:, 1:] - wanted).max() <= 1e-5
    assert np.abs(found[:, 0] - (x[:, 0] @ named["front/kernel"] + named["front/bias"])).max() <= 1e-5
    with pytest.raises(ValueError, match="dim=6, width=4"):
        DepthwiseReduction(6, GRID)(X)


def test_a_stem_of_stride_two_sees_the_same_on_both_sides():
    """Flipped images give flipped maps where the side is odd, and a kernel that is its own mirror image."""
    layer = ConvEmbedding(2, filters=(), strides=(2,))
    image = RNG.standard_normal((1, 7, 7, 3)).astype("float32")
    layer(image)
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel + kernel[:, ::-1], bias])
    assert np.abs(run(layer, image[:, :, ::-1].copy()) - run(layer, image)[:, :, ::-1]).max() <= 1e-5


def test_a_pooled_stem_by_hand():
    layer = ConvEmbedding(4, filters=(), strides=(1,), conv_activation="relu", conv_last=True, conv_bias=False, conv_pool=3)
    image = RNG.standard_normal((1, 4, 4, 3)).astype("float32")
    found = run(layer, image)
    (kernel,) = (ops.convert_to_numpy(w) for w in layer.get_weights())
    plain = np.maximum(convolve(image, kernel, 1), 0.0)
    padded = np.pad(plain, ((0, 0), (1, 1), (1, 1), (0, 0)))
    wanted = np.array([[padded[0, i : i + 3, j : j + 3].max((0, 1)) for j in range(4)] for i in range(4)])
    assert np.abs(found[0] - wanted).max() <= 1e-5


@pytest.mark.parametrize("norm", ["pre", "post", "both", "none"])
def test_where_the_norm_stands(norm):
    class Triple(keras.layers.Layer):
        def call(self, x):
            return 3.0 * x

    def normed(x):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)

    wanted = {"pre": X + 3 * normed(X), "post": normed(4 * X), "both": 4 * normed(X), "none": 4 * X}[norm]
    assert np.abs(run(Residual(Triple(), norm), X) - wanted).max() <= 1e-4


def test_positions_of_tokens_in_front_are_learned_too():
    layer = LearnedPosition()
    layer(np.zeros((1, 16, 4), "float32"))
    assert layer.table.shape == (16, 4)
