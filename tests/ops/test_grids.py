"""Partition, shift and their tables against constants worked out by hand."""

import numpy as np
import pytest
from keras import ops

from keras_vix.layers import ShiftedWindow
from keras_vix.ops import grids
from keras_vix.ops.shifts import turn


@pytest.mark.parametrize("rows, columns", [(0, 0), (1, 0), (0, -2), (-3, 2), (4, 5), (7, -8)])
def test_a_turned_map_is_a_rolled_one(rows, columns):
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 3)).astype("float32")
    assert np.array_equal(ops.convert_to_numpy(turn(x, rows, columns)), np.roll(x, (rows, columns), axis=(1, 2)))


@pytest.mark.parametrize("grid, window, heads", [((4, 4), (2, 2), 1), ((6, 4), (3, 2), 2), ((1, 8), (1, 4), 2)])
def test_windows_and_back(grid, window, heads):
    x = np.random.default_rng(0).standard_normal((2, *grid, 2 * heads)).astype("float32")
    cut = grids.to_windows(ops.convert_to_tensor(x), grid, window, heads)
    assert np.array_equal(ops.convert_to_numpy(grids.from_windows(cut, grid, window)), x)


def test_windows_come_row_by_row():
    x = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    cut = ops.convert_to_numpy(grids.to_windows(ops.convert_to_tensor(x), (4, 4), (2, 2)))
    assert cut[0, :, 0, :, 0].astype(int).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


@pytest.mark.parametrize("roll", [True, False])
@pytest.mark.parametrize("grid, window, shift", [((4, 4), 2, 1), ((6, 6), 3, 1), ((5, 7), 3, 2), ((5, 7), (2, 3), (1, 0)), ((3, 3), 3, 0)])
def test_shift_and_back(grid, window, shift, roll):
    layer = ShiftedWindow(grid, window, shift, roll)
    x = np.random.default_rng(0).standard_normal((2, *grid, 3)).astype("float32")
    cut = layer(x)
    assert tuple(cut.shape[1:]) == (layer.windows, np.prod(layer.window), 3)
    assert np.array_equal(ops.convert_to_numpy(layer.reverse(cut)), x)


def test_without_a_shift_it_is_plain_windows_and_nothing_is_masked():
    x = np.random.default_rng(0).standard_normal((2, 6, 4, 3)).astype("float32")
    layer = ShiftedWindow((6, 4), (3, 2), 0)
    cut = ops.convert_to_numpy(layer(x))
    plain = grids.to_windows(ops.convert_to_tensor(x), (6, 4), (3, 2))
    assert np.array_equal(cut, ops.convert_to_numpy(plain)[:, :, 0])
    assert layer.allowed is None and layer.valid is None


@pytest.mark.parametrize(
    "grid, window, shift, windows, masked, pairs",
    [((16, 16), 2, 1, 64, 15, 124), ((14, 14), 2, 1, 49, 13, 108), ((8, 8), 4, 2, 4, 3, 448), ((56, 56), 7, 3, 64, 15, 18_240)],
)
def test_shift_masks(grid, window, shift, windows, masked, pairs):
    allowed = grids.shift_mask(grid, (window, window), (shift, shift))
    assert len(allowed) == windows
    assert (~allowed).any(axis=(1, 2)).sum() == masked and (~allowed).sum() == pairs
    assert all(np.diag(a).all() for a in allowed) and np.array_equal(allowed, allowed.transpose(0, 2, 1))


def test_the_corner_window_of_two_by_two_sees_nobody():
    assert np.array_equal(grids.shift_mask((16, 16), (2, 2), (1, 1))[-1], np.eye(4, dtype=bool))


def test_relative_index():
    assert grids.relative_index((2, 2)).tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]
    large = grids.relative_index((7, 7))
    assert (large.min(), large.max(), len(np.unique(large))) == (0, 168, 169) and (np.diag(large) == 84).all()


def test_neighbours_are_clipped_at_the_border():
    index, valid = grids.neighbours((3, 4), (3, 3))
    assert valid.sum(1).tolist() == [4, 6, 6, 4, 6, 9, 9, 6, 4, 6, 6, 4]
    assert index[5].tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10] and sorted(index[0][valid[0]]) == [0, 1, 4, 5]


@pytest.mark.parametrize("arguments, words", [(((4, 4), 2, 2), "shift"), (((4, 4), 0), "window"), (((4,), 2), "grid"), (((4, 4), 2, -1), "shift")])
def test_wrong_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        ShiftedWindow(*arguments)
