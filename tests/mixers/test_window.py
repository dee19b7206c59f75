"""Local attention: what a window sees, and what it must never see."""

import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import Performer
from keras_vix.layers import Attention, LocalAttention1D, LocalWindowAttention2D

from ..laws import differentiate, disturb, run, weighting
from ..reference import slopes

GRID, DIM = (6, 6), 8


def tokens(grid=GRID, seed=0):
    return np.random.default_rng(seed).standard_normal((2, grid[0] * grid[1], DIM)).astype("float32")


def built(layer, x):
    layer(x)
    disturb(layer)
    return layer


def reach(layer, x, token):
    """Tokens whose output moves when `token` is changed by a lot."""
    before = run(layer, x)
    moved = x.copy()
    moved[:, token] += 1e3
    return set(np.flatnonzero((run(layer, moved) != before).any(axis=(0, 2))))


def region(grid, window, shift, token):
    """Tokens in the same shifted window, worked out from the geometry: windows start at `shift - window`, cut at the border."""
    columns = grid[1]
    cell = [(place + w - s) // w for place, w, s in zip(divmod(token, columns), window, shift)]
    return {t for t in range(grid[0] * columns) if [(p + w - s) // w for p, w, s in zip(divmod(t, columns), window, shift)] == cell}


@pytest.mark.parametrize("kernel", [None, "performer"])
@pytest.mark.parametrize("grid, window, shift", [((6, 6), (3, 3), (0, 0)), ((6, 6), (3, 3), (1, 1)), ((6, 6), (2, 3), (1, 2)), ((5, 7), (3, 3), (1, 2))])
def test_a_token_reaches_its_window_and_no_further(grid, window, shift, kernel):
    x = tokens(grid)
    kernel = Performer(8, seed=1) if kernel else None
    layer = built(LocalWindowAttention2D(2, grid=grid, window=window, shift=shift, kernel=kernel), x)
    for token in (0, grid[1] - 1, grid[0] * grid[1] // 2, grid[0] * grid[1] - 1):
        assert reach(layer, x, token) == region(grid, window, shift, token)


def copy_projections(source, target):
    for name in ("query", "key", "value", "out"):
        getattr(target, name).set_weights(getattr(source, name).get_weights())


@pytest.mark.parametrize("options", [{"window": 6}, {"window": 13, "mode": "neighborhood", "clamp": False}])
def test_a_window_as_large_as_the_grid_is_global_attention(options):
    x = tokens()
    everything = built(Attention(2), x)
    if options.get("mode"):
        with pytest.raises(ValueError, match="clamp=True"):
            LocalWindowAttention2D(2, grid=GRID, relative_bias=False, **options)
        return
    local = LocalWindowAttention2D(2, grid=GRID, relative_bias=False, **options)
    local(x)
    copy_projections(everything, local)
    assert np.abs(run(local, x) - run(everything, x)).max() <= 1e-5


def by_hand(layer, x, grid, window, shift):
    """Window attention of one sample in float64, token by token and head by head, from the layer's own weights."""
    dense = [[ops.convert_to_numpy(w).astype("float64") for w in getattr(layer, n).weights] for n in ("query", "key", "value", "out")]
    table = ops.convert_to_numpy(layer.bias).astype("float64")
    q, k, v = (x @ kernel + bias for kernel, bias in dense[:3])
    mixed, width = np.zeros_like(q), layer.width
    for i in range(len(x)):
        seen = sorted(region(grid, window, shift, i))
        for h in range(layer.num_heads):
            part = slice(h * width, (h + 1) * width)
            away = [np.subtract(divmod(i, grid[1]), divmod(j, grid[1])) + np.subtract(window, 1) for j in seen]
            bias = np.array([table[row * (2 * window[1] - 1) + column, h] for row, column in away])
            weights = np.exp(k[seen, part] @ q[i, part] / np.sqrt(width) + bias)
            mixed[i, part] = weights / weights.sum() @ v[seen, part]
    return mixed @ dense[3][0] + dense[3][1]


@pytest.mark.parametrize("grid, window, shift", [((2, 4), (2, 2), (0, 0)), ((3, 4), (2, 2), (1, 1))])
def test_output_and_gradient_equal_a_float64_computation(grid, window, shift):
    x = tokens(grid)[:1, :, :4]
    layer = built(LocalWindowAttention2D(2, grid=grid, window=window, shift=shift), x)
    out, gradient = differentiate(layer, [x])
    assert np.abs(out[0] - by_hand(layer, x[0].astype("float64"), grid, window, shift)).max() <= 1e-5
    (expected,) = slopes(lambda y: np.sum(weighting(out.shape)[0] * by_hand(layer, y, grid, window, shift)), [x[0]])
    assert np.abs(gradient[0] - expected).max() <= 1e-3 * np.abs(expected).max()


def test_a_neighborhood_is_the_window_round_each_token():
    x = tokens()
    layer = built(LocalWindowAttention2D(2, grid=GRID, window=3, mode="neighborhood"), x)
    for token in (0, 5, 14, 35):
        row, column = divmod(token, 6)
        near = {r * 6 + c for r in range(6) for c in range(6) if abs(r - row) <= 1 and abs(c - column) <= 1}
        assert reach(layer, x, token) == near


def test_a_neighborhood_that_covers_the_grid_is_global_attention():
    x = tokens((1, 5))
    everything = built(Attention(2), x)
    local = LocalWindowAttention2D(2, grid=(3, 3), window=3, mode="neighborhood", relative_bias=False)
    y = tokens((3, 3))
    local(y)
    everything = built(Attention(2), y)
    copy_projections(everything, local)
    centre = 4  # the only token of a 3 x 3 grid that a 3 x 3 window shows everything
    assert np.abs(run(local, y)[:, centre] - run(everything, y)[:, centre]).max() <= 1e-5


def test_the_relative_bias_depends_on_the_offset_alone():
    x = np.zeros((1, 16, DIM), "float32")
    layer = LocalWindowAttention2D(2, grid=(4, 4), window=2)
    layer(x)
    layer.bias.assign(np.arange(18, dtype="float32").reshape(9, 2))
    bias = ops.convert_to_numpy(layer._block_bias())
    assert bias.shape == (1, 2, 4, 4)
    assert bias[0, 0, 0].tolist() == [8.0, 6.0, 2.0, 0.0] and bias[0, 1, 3].tolist() == [17.0, 15.0, 11.0, 9.0]


def test_the_convolution_starts_as_the_identity_and_feeds_queries_and_keys():
    x = tokens()
    plain = built(LocalWindowAttention2D(2, grid=GRID, window=3), x)
    conv = LocalWindowAttention2D(2, grid=GRID, window=3, conv_size=3)
    conv(x)
    copy_projections(plain, conv)
    conv.bias.assign(plain.bias)
    assert np.array_equal(run(conv, x), run(plain, x))
    assert conv.count_params() - plain.count_params() == 2 * (9 * DIM + DIM)
    disturb(conv)
    assert reach(conv, x, 14) > region(GRID, (3, 3), (0, 0), 14)  # seen across the border of its window


def test_one_dimensional_runs_keep_to_their_row_unless_told_otherwise():
    x = tokens()
    for mode, window in (("block", 3), ("sliding", 3)):
        kept = built(LocalAttention1D(2, grid=GRID, window=window, mode=mode), x)
        assert reach(kept, x, 5) <= set(range(6))
    wrapped = built(LocalAttention1D(2, grid=GRID, window=3, mode="sliding", wrap_rows=True), x)
    assert reach(wrapped, x, 5) == {4, 5, 6}
    strip = built(LocalAttention1D(2, grid=GRID, window=9, wrap_rows=True), x)
    assert reach(strip, x, 0) == set(range(9))


def test_clamping_shrinks_the_window_and_drops_the_shift():
    layer = LocalWindowAttention2D(2, grid=(4, 4), window=7, shift=3, clamp=True)
    assert layer.window == (4, 4) and layer.shift == (0, 0)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"window": 7}, "clamp=True"),
        ({"window": 0}, "window"),
        ({"window": (3, 0)}, "window"),
        ({"window": 3, "shift": 3}, "shift"),
        ({"window": 3, "shift": -1}, "shift"),
        ({"window": 2, "mode": "neighborhood"}, "odd window"),
        ({"window": 3, "mode": "neighborhood", "kernel": Performer(4)}, "softmax kernel"),
        ({"window": 3, "mode": "neighbourhood"}, "mode"),
        ({"window": 3, "conv_size": 2}, "odd"),
        ({"window": 3, "kernel": Performer(4), "relative_bias": True}, "no scores"),
    ],
)
def test_wrong_arguments(options, words):
    with pytest.raises(ValueError, match=words):
        LocalWindowAttention2D(2, grid=GRID, **options)


def test_wrong_types():
    with pytest.raises(TypeError, match="window"):
        LocalWindowAttention2D(2, grid=GRID, window=2.5)


def test_token_count_other_than_the_grid():
    with pytest.raises(ValueError, match=r"tokens=35, grid=\(6, 6\)"):
        LocalWindowAttention2D(2, grid=GRID, window=3)(np.zeros((1, 35, DIM), "float32"))
