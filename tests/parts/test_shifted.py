"""Shifted patches against plain NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_vix.ops.shifts import shift_and_concatenate
from keras_vix.parts import ShiftedPatchEmbedding, ShiftedPatchReduction

from ..laws import run

RNG = np.random.default_rng(0)


def shifted(x, down, right):
    """A map moved by whole pixels, zeros moved in."""
    out = np.zeros_like(x)
    rows, columns = x.shape[1:3]
    for i in range(rows):
        for j in range(columns):
            if 0 <= i - down < rows and 0 <= j - right < columns:
                out[:, i, j] = x[:, i - down, j - right]
    return out


def normalise(x, epsilon=1e-5):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon)


def test_the_copies_are_the_four_diagonal_neighbours():
    x = RNG.standard_normal((2, 4, 6, 3)).astype("float32")
    found = ops.convert_to_numpy(shift_and_concatenate(ops.convert_to_tensor(x), 2))
    wanted = [x, shifted(x, 2, 2), shifted(x, 2, -2), shifted(x, -2, 2), shifted(x, -2, -2)]
    assert np.array_equal(found, np.concatenate(wanted, -1))


@pytest.mark.parametrize("patch, step", [(1, 1), (2, 1), (4, 2)])
def test_an_embedded_patch_sees_half_a_patch_beyond(patch, step):
    image = RNG.standard_normal((2, 8, 8, 3)).astype("float32")
    layer = ShiftedPatchEmbedding(6, patch)
    out = run(layer, image)
    stack = np.concatenate([image] + [shifted(image, step * a, step * b) for a in (1, -1) for b in (1, -1)], -1)
    side = 8 // patch
    cut = stack.reshape(2, side, patch, side, patch, 15).transpose(0, 1, 3, 2, 4, 5).reshape(2, side, side, -1)
    kernel, bias = (ops.convert_to_numpy(w) for w in layer.projection.weights)
    assert np.abs(out - (normalise(cut) @ kernel + bias)).max() <= 1e-4
    assert layer.count_params() == 10 * 3 * patch**2 + (5 * 3 * patch**2 + 1) * 6
    assert layer.multiply_adds((8, 8, 3)) == 8 * 8 * 15 * 6


def test_a_grid_is_halved_and_the_class_token_goes_its_own_way():
    x = RNG.standard_normal((2, 1 + 3 * 4, 4)).astype("float32")
    layer = ShiftedPatchReduction(6, grid=(3, 4), prefix=1)
    out = run(layer, x)
    assert layer.out_grid == (2, 2) and out.shape == (2, 5, 6)
    grid = np.pad(x[:, 1:].reshape(2, 3, 4, 4), ((0, 0), (0, 1), (0, 0), (0, 0)))
    stack = np.concatenate([grid] + [shifted(grid, a, b) for a in (1, -1) for b in (1, -1)], -1)
    cut = stack.reshape(2, 2, 2, 2, 2, 20).transpose(0, 1, 3, 2, 4, 5).reshape(2, 4, 80)
    (kernel, bias), (front, lift) = ([ops.convert_to_numpy(w) for w in d.weights] for d in (layer.projection, layer.front))
    assert np.abs(out[:, 1:] - (normalise(cut) @ kernel + bias)).max() <= 1e-4
    assert np.abs(out[:, 0] - (x[:, 0] @ front + lift)).max() <= 1e-5


def test_what_they_refuse():
    with pytest.raises(ValueError, match="patch=\\(3, 3\\)"):
        ShiftedPatchEmbedding(6, 3)(np.zeros((1, 8, 8, 3), "float32"))
    with pytest.raises(ValueError, match="norm_epsilon=0"):
        ShiftedPatchEmbedding(6, 2, norm_epsilon=0)
