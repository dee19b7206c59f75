"""The dilated inverted residual, against loops over channels, offsets and tokens in float64."""

import math

import numpy as np
import pytest
from keras import ops

from keras_vix.layers import InvertedResidual

from ..laws import disturb, run


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def means(board, step):
    """Means of squares, the last row and column repeated where the step does not divide."""
    board = np.pad(board, [(0, -side % step) for side in board.shape[:2]] + [(0, 0)], mode="edge")
    rows, columns = (side // step for side in board.shape[:2])
    return np.stack([[board[r * step : (r + 1) * step, c * step : (c + 1) * step].mean((0, 1)) for c in range(columns)] for r in range(rows)])


def by_hand(layer, x):
    """One sample, from the layer's own weights."""
    get = {tuple(w.path.split("/")[-2:]): ops.convert_to_numpy(w).astype("float64") for w in layer.weights}
    dense = lambda name, y: y @ get[name, "kernel"] + get[name, "bias"]  # noqa: E731
    board = x.astype("float64").reshape(*layer.grid, -1)
    normal = (board - board.mean(-1, keepdims=True)) / np.sqrt(board.var(-1, keepdims=True) + layer.norm_epsilon)
    y = gelu(dense("expand", means(normal * get["norm", "gamma"] + get["norm", "beta"], layer.local_stride)))
    rows, columns, hidden = y.shape
    ways = []
    for dilation in layer.local_dilations:
        kernel, bias = get[f"dilated{dilation}", "kernel"], get[f"dilated{dilation}", "bias"]
        out = np.zeros_like(y) + bias
        for r in range(rows):
            for c in range(columns):
                for i in range(3):
                    for j in range(3):
                        there = r + (i - 1) * dilation, c + (j - 1) * dilation
                        if 0 <= there[0] < rows and 0 <= there[1] < columns:
                            out[r, c] += y[there] * kernel[i, j].reshape(hidden)
        ways.append(gelu(out))
    y = dense("contract", np.concatenate(ways, -1))
    if layer.local_squeeze is not None:
        y = y / (1 + np.exp(-dense("excite", gelu(dense("squeeze", y.mean((0, 1)))))))
    x = means(board, layer.local_stride)
    x = dense("shortcut", x) if ("shortcut", "kernel") in get else x
    return (x + y).reshape(rows * columns, -1)


@pytest.mark.parametrize(
    "grid, channels, options",
    [((4, 4), 8, {}), ((3, 5), 4, {"local_stride": 2, "local_expansion": 2}), ((2, 2), 8, {"local_squeeze": None, "local_dilations": (2,)})],
)
def test_output_equals_a_float64_computation(grid, channels, options):
    x = np.random.default_rng(0).standard_normal((2, grid[0] * grid[1], channels)).astype("float32")
    layer = InvertedResidual(8, grid, **options)
    layer(x)
    disturb(layer)
    assert np.abs(run(layer, x)[1] - by_hand(layer, x[1])).max() <= 2e-5


@pytest.mark.parametrize("channels, stride", [(8, 1), (4, 2)])
def test_parameters_and_multiply_adds(channels, stride):
    dim, hidden, tokens = 8, 32, 16 // stride**2
    layer = InvertedResidual(dim, (4, 4), stride)
    layer.build((None, 16, channels))
    convolutions, squeeze = 3 * (9 + 1) * hidden, 2 * dim * dim // 4 + dim // 4 + dim
    shortcut = 0 if channels == dim else channels * dim
    dense = channels * hidden + hidden + 3 * hidden * dim + dim
    assert layer.count_params() == 2 * channels + dense + convolutions + squeeze + (shortcut + dim if shortcut else 0)
    products = channels * hidden + 3 * 9 * hidden + 3 * hidden * dim + shortcut
    assert layer.multiply_adds((16, channels)) == tokens * products + 2 * dim * dim // 4


@pytest.mark.parametrize(
    "options, words",
    [({"local_dilations": ()}, "one or more"), ({"local_kernel": 2}, "odd"), ({"local_stride": 0}, "local_stride"), ({"local_squeeze": 9}, "from 1 to 8")],
)
def test_wrong_arguments(options, words):
    with pytest.raises(ValueError, match=words):
        InvertedResidual(8, (4, 4), **options)
