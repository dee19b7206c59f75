"""Standardised convolutions and the residual network in front, against plain NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_vix.parts import Bottleneck, ResNetEmbedding, StandardConv2D

from ..laws import disturb, run

RNG = np.random.default_rng(0)


def padded(x, size, stride, value=0.0):
    """`SAME` of TensorFlow: one row more at the bottom, one column more at the right, where the number is odd."""
    rest = [max(0, (-(-side // stride) - 1) * stride + size - side) for side in x.shape[1:3]]
    return np.pad(x, ((0, 0), *((r // 2, r - r // 2) for r in rest), (0, 0)), constant_values=value)


def windows(x, size, stride, value=0.0):
    """`(batch, H, W, c) -> (h, w)` lists of windows `(batch, size, size, c)`."""
    rows, columns = (-(-side // stride) for side in x.shape[1:3])
    x = padded(x, size, stride, value)
    return [[x[:, i * stride : i * stride + size, j * stride : j * stride + size] for j in range(columns)] for i in range(rows)]


def convolve(x, kernel, stride):
    w = (kernel - kernel.mean((0, 1, 2))) / (kernel.std((0, 1, 2)) + 1e-5)
    cut = windows(x, len(kernel), stride)
    return np.moveaxis(np.array([[np.tensordot(p, w, ((1, 2, 3), (0, 1, 2))) for p in row] for row in cut]), 2, 0)


def group_norm(x, gamma, beta, groups):
    apart = x.reshape(*x.shape[:3], groups, -1)
    mean, var = (f(apart, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.var))
    return ((apart - mean) / np.sqrt(var + 1e-6)).reshape(x.shape) * gamma + beta


def weights(layer):
    return {"/".join(w.path.split("/")[-2:]): ops.convert_to_numpy(w).astype("float64") for w in layer.weights}


@pytest.mark.parametrize("size, stride", [(7, 2), (3, 2), (3, 1), (1, 2)])
@pytest.mark.parametrize("sides", [(8, 8), (7, 10)])
def test_a_standardised_convolution_by_hand(size, stride, sides):
    x = RNG.standard_normal((2, *sides, 3)).astype("float32")
    layer = StandardConv2D(4, size, stride)
    found = run(layer, x)
    layer.kernel.assign(3 * ops.convert_to_numpy(layer.kernel) + 2)  # scale and mean leave the result alone, but for the epsilon
    kernel = ops.convert_to_numpy(layer.kernel).astype("float64")
    assert np.abs(found - run(layer, x)).max() <= 1e-3 * np.abs(found).max()
    assert np.abs(run(layer, x) - convolve(x, kernel, stride)).max() <= 1e-5 * np.abs(found).max()
    assert layer.multiply_adds((*sides, 3)) == np.prod(found.shape[1:]) * size**2 * 3


@pytest.mark.parametrize("stride, channels", [(1, 6), (2, 6), (1, 8)])
def test_a_bottleneck_by_hand(stride, channels):
    x = RNG.standard_normal((2, 5, 6, channels)).astype("float32")
    layer = Bottleneck(2, stride)
    layer(x)
    disturb(layer)
    w = weights(layer)

    def step(name, x, stride, groups):
        x = convolve(x, w[f"{name}/kernel"], stride)
        return group_norm(x, w[f"{name}_norm/gamma"], w[f"{name}_norm/beta"], groups)

    y = np.maximum(step("conv0", x, 1, 2), 0)
    y = np.maximum(step("conv1", y, stride, 2), 0)
    y = step("conv2", y, 1, 8)
    short = x if (stride, channels) == (1, 8) else step("shortcut", x, stride, 8)
    assert ("shortcut/kernel" in w) == ((stride, channels) != (1, 8))
    assert np.abs(run(layer, x) - np.maximum(short + y, 0)).max() <= 1e-3


def test_a_unit_starts_as_its_shortcut():
    x = np.abs(RNG.standard_normal((2, 4, 4, 8))).astype("float32")
    assert np.array_equal(run(Bottleneck(2), x), x)


def test_a_root_and_its_patches_by_hand():
    image = RNG.standard_normal((2, 12, 16, 3)).astype("float32")
    layer = ResNetEmbedding(5, map_patch=2, blocks=(), root_filters=4)
    layer(image)
    disturb(layer)
    w = weights(layer)
    x = convolve(image, w["root/kernel"], 2)
    x = np.maximum(group_norm(x, w["root_norm/gamma"], w["root_norm/beta"], 4), 0)
    x = np.moveaxis(np.array([[p.max((1, 2)) for p in row] for row in windows(x, 3, 2, -np.inf)]), 2, 0)  # 3 x 4
    patches = x[:, :2].reshape(2, 1, 2, 2, 2, 4).transpose(0, 1, 3, 2, 4, 5).reshape(2, 1, 2, 16)  # the third row is left out
    wanted = patches @ w["projection/kernel"].reshape(16, 5) + w["projection/bias"]
    assert np.abs(run(layer, image) - wanted).max() <= 1e-3
    assert layer.multiply_adds((12, 16, 3)) == 6 * 8 * 49 * 3 * 4 + 2 * 16 * 5


def test_wrong_networks():
    with pytest.raises(ValueError, match="stage_strides"):
        ResNetEmbedding(blocks=(1, 1, 1), stage_strides=(1, 2))
    with pytest.raises(ValueError, match="map_patch=8"):
        ResNetEmbedding(map_patch=8, blocks=())(np.zeros((1, 8, 8, 3), "float32"))
