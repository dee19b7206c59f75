"""Convolutions in front of the mixers, against loops over channels, offsets and tokens in float64."""

import itertools
import math

import numpy as np
import pytest
from keras import ops

from keras_vix.layers import InvertedResidual, LocalPerception

from ..laws import disturb, run


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def means(board, step):
    """Means of squares, the last row and column repeated where the step does not divide."""
    board = np.pad(board, [(0, -side % step) for side in board.shape[:2]] + [(0, 0)], mode="edge")
    rows, columns = (side // step for side in board.shape[:2])
    return np.stack([[board[r * step : (r + 1) * step, c * step : (c + 1) * step].mean((0, 1)) for c in range(columns)] for r in range(rows)])


def depthwise(board, kernel, bias, dilation=1):
    """Each channel of a map with its own kernel, zeros round it."""
    out, (rows, columns), half = np.zeros_like(board) + bias, board.shape[:2], kernel.shape[0] // 2
    for r, c, i, j in itertools.product(range(rows), range(columns), *(range(side) for side in kernel.shape[:2])):
        there = r + (i - half) * dilation, c + (j - half) * dilation
        if 0 <= there[0] < rows and 0 <= there[1] < columns:
            out[r, c] += board[there] * kernel[i, j].reshape(-1)
    return out


def by_hand(layer, x):
    """One sample, from the layer's own weights."""
    get = {tuple(w.path.split("/")[-2:]): ops.convert_to_numpy(w).astype("float64") for w in layer.weights}
    dense = lambda name, y: y @ get[name, "kernel"] + get[name, "bias"]  # noqa: E731
    board = x.astype("float64").reshape(*layer.grid, -1)
    normal = (board - board.mean(-1, keepdims=True)) / np.sqrt(board.var(-1, keepdims=True) + layer.norm_epsilon)
    y = gelu(dense("expand", means(normal * get["norm", "gamma"] + get["norm", "beta"], layer.local_stride)))
    rows, columns, _ = y.shape
    ways = []
    for dilation in layer.local_dilations:
        kernel, bias = get[f"dilated{dilation}", "kernel"], get[f"dilated{dilation}", "bias"]
        ways.append(gelu(depthwise(y, kernel, bias, dilation)))
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


@pytest.mark.parametrize("grid, side, prefix", [((4, 4), 3, 0), ((3, 5), 5, 2)])
def test_perception_adds_the_neighbourhood_and_leaves_tokens_in_front_alone(grid, side, prefix):
    x = np.random.default_rng(0).standard_normal((2, prefix + grid[0] * grid[1], 6)).astype("float32")
    layer = LocalPerception(grid, side, prefix)
    layer(x)
    disturb(layer)
    kernel, bias = (ops.convert_to_numpy(weight).astype("float64") for weight in layer.weights)
    board = x[1, prefix:].astype("float64").reshape(*grid, 6)
    found = run(layer, x)[1]
    assert np.abs(found[prefix:] - (board + depthwise(board, kernel, bias)).reshape(-1, 6)).max() <= 2e-5
    assert np.array_equal(found[:prefix], x[1, :prefix])
    assert layer.count_params() == 6 * (side**2 + 1)
    assert layer.multiply_adds(x.shape[1:]) == grid[0] * grid[1] * 6 * side**2


def test_perception_refuses_other_numbers_of_tokens():
    with pytest.raises(ValueError, match="make 17 tokens. Received: grid=.4, 4., prefix=1, 16 tokens"):
        LocalPerception((4, 4), prefix=1).build((None, 16, 8))
    with pytest.raises(ValueError, match="odd"):
        LocalPerception((4, 4), 4)
