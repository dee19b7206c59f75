"""Rotary and sine positions against their definitions."""

import numpy as np
import pytest
from keras import ops

from keras_vix.layers import RotaryEmbedding, SinCosPosition, SinusoidPosition

from ..laws import run


@pytest.mark.parametrize("pairing", ["half", "interleaved"])
def test_rotary_equals_complex_rotation(pairing):
    x = np.random.default_rng(0).standard_normal((1, 2, 6, 8)).astype("float32")
    out = run(RotaryEmbedding(pairing=pairing), x)
    pairs = (x[..., :4] + 1j * x[..., 4:]) if pairing == "half" else (x[..., ::2] + 1j * x[..., 1::2])
    turned = pairs * np.exp(1j * np.arange(6)[:, None] * 10_000.0 ** (-np.arange(4) / 4))
    expected = np.empty_like(x)
    if pairing == "half":
        expected[..., :4], expected[..., 4:] = turned.real, turned.imag
    else:
        expected[..., ::2], expected[..., 1::2] = turned.real, turned.imag
    assert np.abs(out - expected).max() <= 1e-6


@pytest.mark.parametrize("base", [10_000.0, 50.0])
def test_sinusoids_are_those_of_the_paper(base):
    found = run(SinusoidPosition(base), np.ones((2, 7, 6), "float32")) - 1
    for t in range(7):
        for i in range(3):
            angle = t / base ** (2 * i / 6)
            assert np.abs(found[:, t, 2 * i] - np.sin(angle)).max() <= 1e-6 and np.abs(found[:, t, 2 * i + 1] - np.cos(angle)).max() <= 1e-6
    with pytest.raises(ValueError, match="width=5"):
        SinusoidPosition()(np.ones((1, 4, 5), "float32"))


@pytest.mark.parametrize("pairing", ["half", "interleaved"])
def test_products_depend_on_row_and_column_distance_only(pairing):
    grid = (5, 6)
    q, k = (np.random.default_rng(i).standard_normal((1, 1, 1, 8)).astype("float32") for i in (0, 1))
    layer = RotaryEmbedding(axes=2, grid=grid, pairing=pairing)
    q, k = (run(layer, np.repeat(x, 30, axis=2))[0, 0].reshape(5, 6, 8) for x in (q, k))
    for move in ((0, 1), (2, 0), (1, 3)):
        products = [q[r, c] @ k[r + move[0], c + move[1]] for r in range(5 - move[0]) for c in range(6 - move[1])]
        assert np.ptp(products) <= 1e-5


def test_norms_stay_and_prefix_tokens_are_not_turned():
    x = np.random.default_rng(0).standard_normal((2, 2, 7, 8)).astype("float32")
    out = run(RotaryEmbedding(axes=2, grid=(2, 3), prefix=1), x)
    assert np.array_equal(out[:, :, 0], x[:, :, 0]) and not np.allclose(out[:, :, 5], x[:, :, 5])
    assert np.allclose(np.linalg.norm(out, axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-5)


def test_far_positions_are_as_exact_as_near_ones():
    layer = RotaryEmbedding()
    layer.build((1, 1, 65_536, 4))
    angle = 65_535.0
    assert abs(layer.sin[-1, 0] - np.sin(angle)) <= 1e-6 and abs(layer.cos[-1, 0] - np.cos(angle)) <= 1e-6


@pytest.mark.parametrize("pairing", ["half", "interleaved"])
def test_scores_at_position_65535_equal_float64(pairing):
    """The table is made in float64 and kept in float32; position 0 is the identity, and moving both by 65,000 changes nothing."""
    width, places, last = 8, 65_536, 65_535
    rng = np.random.default_rng(0)
    q, k = (x / np.linalg.norm(x) for x in rng.standard_normal((2, width)))
    layer = RotaryEmbedding(pairing=pairing)
    layer.build((1, 1, places, width))
    assert layer.sin.dtype == "float32" and layer.cos.dtype == "float32"
    turned = [run(layer, np.broadcast_to(x.astype("float32"), (1, 1, places, width)))[0, 0] for x in (q, k)]
    assert np.array_equal(turned[0][0], q.astype("float32"))
    a, b = ((x[: width // 2] + 1j * x[width // 2 :]) if pairing == "half" else (x[::2] + 1j * x[1::2]) for x in (q, k))
    rates = 10_000.0 ** (-np.arange(width // 2) / (width // 2))
    for distance in (0, 1, 7, 500, last):
        exact = np.real(np.sum(a * np.conj(b) * np.exp(1j * distance * rates)))
        assert abs(turned[0][last] @ turned[1][last - distance] - exact) <= 1e-5
        assert abs(turned[0][distance] @ turned[1][0] - exact) <= 1e-5


def test_sine_positions_of_a_grid():
    x = np.zeros((1, 6, 8), "float32")
    out = run(SinCosPosition((2, 3)), x)[0]
    row, column = 1, 2
    angles = np.concatenate([row * np.array([1, 0.01]), column * np.array([1, 0.01])])
    assert np.abs(out[5] - np.concatenate([np.sin(angles), np.cos(angles)])).max() <= 1e-6


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: RotaryEmbedding(base=1.0), "base"),
        (lambda: RotaryEmbedding(base=float("nan")), "base"),
        (lambda: RotaryEmbedding(axes=3), "axes"),
        (lambda: RotaryEmbedding(axes=2), "grid"),
        (lambda: RotaryEmbedding(pairing="both"), "pairing"),
        (lambda: RotaryEmbedding(axes=2, grid=(2, 2), prefix=1, turn_prefix=True), "turn_prefix=True, axes=2; use axes=1"),
        (lambda: RotaryEmbedding().build((1, 1, 4, 7)), "multiple of 2"),
        (lambda: RotaryEmbedding(axes=2, grid=(2, 2)).build((1, 1, 4, 6)), "multiple of 4"),
        (lambda: RotaryEmbedding(axes=2, grid=(2, 2)).build((1, 1, 5, 8)), "tokens=5"),
        (lambda: RotaryEmbedding().build((1, 1, None, 8)), "tokens=None"),
        (lambda: SinCosPosition((2, 2)).build((1, 4, 6)), "width=6"),
    ],
)
def test_wrong_arguments(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_more_tokens_than_places():
    layer = RotaryEmbedding()
    layer.build((1, 1, 4, 2))
    with pytest.raises(ValueError, match="There are 4 places"):
        layer(ops.zeros((1, 1, 5, 2)))
