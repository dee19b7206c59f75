"""Atrous attention: what a window of a sub-grid holds, and what the fused whole is."""

import numpy as np
import pytest
from keras import ops

import keras_vix
from keras_vix.kernels import Linformer, Nystrom, Performer
from keras_vix.layers import AtrousAttention, Attention, LocalWindowAttention2D, ShiftedWindow
from keras_vix.ops import grids

from ..laws import differentiate, disturb, run, weighting
from ..reference import slopes

DIM = 8


def tokens(count, seed=0):
    return np.random.default_rng(seed).standard_normal((2, count, DIM)).astype("float32")


def built(layer, x):
    layer(x)
    disturb(layer)
    return layer


def copy_projections(source, target):
    for name in ("query", "key", "value", "out"):
        getattr(target, name).set_weights(getattr(source, name).get_weights())


GEOMETRIES = [((8, 8), (2, 2), 2), ((8, 8), (2, 4), 2), ((12, 6), (2, 1), 3), ((4, 4), (1, 1), 4), ((14, 14), (7, 7), 2)]


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("grid, window, rate", GEOMETRIES)
def test_dilated_windows_and_back(grid, window, rate, heads):
    x = np.random.default_rng(0).standard_normal((2, *grid, 3 * heads)).astype("float32")
    cut = grids.to_windows(ops.convert_to_tensor(x), grid, window, heads, rate)
    assert np.array_equal(ops.convert_to_numpy(grids.from_windows(cut, grid, window, rate)), x)


@pytest.mark.parametrize("grid, window, rate", GEOMETRIES)
def test_a_dilated_window_holds_a_block_of_one_sub_grid(grid, window, rate):
    places = np.arange(grid[0] * grid[1]).reshape(grid)
    cut = grids.to_windows(ops.convert_to_tensor(places[None, :, :, None].astype("float32")), grid, window, rate=rate)
    cut = ops.convert_to_numpy(cut)[0, :, 0, :, 0].astype(int)
    by_hand = []
    for row in range(rate):
        for column in range(rate):
            sub = places[row::rate, column::rate]
            for top in range(0, sub.shape[0], window[0]):
                for left in range(0, sub.shape[1], window[1]):
                    by_hand.append(sub[top : top + window[0], left : left + window[1]].ravel().tolist())
    assert sorted(cut.tolist()) == sorted(by_hand)
    assert np.array_equal(grids.window_view(places, window, rate), cut)


@pytest.mark.parametrize("grid, window, rate", [((5, 7), 2, 2), ((5, 7), (3, 2), 3), ((3, 3), 1, 2)])
def test_a_padded_dilated_map_and_back(grid, window, rate):
    layer = ShiftedWindow(grid, window, rate=rate)
    x = np.random.default_rng(0).standard_normal((2, *grid, 3)).astype("float32")
    cut = layer(x)
    assert np.array_equal(ops.convert_to_numpy(layer.reverse(cut)), x)
    held = ops.convert_to_numpy(layer(np.ones((1, *grid, 1), "float32")))[0, :, :, 0] > 0
    assert np.array_equal(held, layer.valid) and held.sum() == grid[0] * grid[1]


@pytest.mark.parametrize("prefix", [0, 1, 2])
def test_one_rate_and_a_window_as_large_as_the_grid_is_full_attention(prefix):
    x = tokens(prefix + 15)
    everything = built(Attention(2), x)
    layer = AtrousAttention(2, grid=(3, 5), window=(3, 5), rates=1, prefix=prefix)
    layer(x)
    copy_projections(everything, layer)
    assert np.abs(run(layer, x) - run(everything, x)).max() <= 1e-6


def test_rate_1_alone_is_window_attention():
    x = tokens(35)
    window = built(LocalWindowAttention2D(2, grid=(5, 7), window=3), x)
    layer = AtrousAttention(2, grid=(5, 7), window=3, rates=(1,), relative_bias=True)
    layer(x)
    copy_projections(window, layer)
    layer.biases[0].assign(window.bias)
    assert np.abs(run(layer, x) - run(window, x)).max() <= 1e-6


@pytest.mark.parametrize("kernel", [None, "performer"])
def test_the_class_token_sees_everything_exactly(kernel):
    x = tokens(1 + 36)
    everything = built(Attention(2), x)
    layer = AtrousAttention(
        2, grid=(6, 6), window=3, rates=(1, 2), prefix=1, kernel=Performer(8, seed=1) if kernel else None
    )
    built(layer, x)
    copy_projections(everything, layer)
    assert np.abs(run(layer, x)[:, 0] - run(everything, x)[:, 0]).max() <= 1e-6


def block(place, window, rate):
    """Sub-grid and window of a `(row, column)`, worked out from the geometry."""
    return [(p % rate, p // rate // w) for p, w in zip(place, window)]


@pytest.mark.parametrize("kernel", [None, "performer"])
@pytest.mark.parametrize("grid, window, rates", [((8, 8), (2, 2), (1, 2)), ((8, 8), (2, 2), (1, 4)), ((5, 7), (2, 3), (2, 3)), ((6, 6), (2, 2), (3,))])
def test_a_token_reaches_its_windows_and_those_in_front_and_no_further(grid, window, rates, kernel):
    x = tokens(1 + grid[0] * grid[1])
    kernel = Performer(8, seed=1) if kernel else None
    layer = built(AtrousAttention(2, grid=grid, window=window, rates=rates, prefix=1, kernel=kernel), x)
    before = run(layer, x)
    places = [divmod(token, grid[1]) for token in range(grid[0] * grid[1])]
    for token in (0, grid[1] - 1, grid[0] * grid[1] // 2, grid[0] * grid[1] - 1):
        moved = x.copy()
        moved[:, 1 + token] += 1e2
        reached = set(np.flatnonzero((run(layer, moved) != before).any(axis=(0, 2))))
        near = {
            1 + t
            for t, place in enumerate(places)
            for rate in rates
            if block(place, window, rate) == block(places[token], window, rate)
        }
        assert reached == near | {0}
    moved = x.copy()
    moved[:, 0] += 1e2
    assert (run(layer, moved) != before).any(axis=(0, 2)).all()


def by_hand(layer, x):
    """One sample in float64, token by token and head by head, from the layer's own weights."""
    front, grid, width = layer.prefix, layer.grid, layer.width
    dense = [[ops.convert_to_numpy(w).astype("float64") for w in getattr(layer, n).weights] for n in ("query", "key", "value", "out", "chooser")]
    q, k, v = (x @ kernel + bias for kernel, bias in dense[:3])
    gates = np.exp(x @ dense[4][0] + dense[4][1])
    gates /= gates.sum(-1, keepdims=True)
    tables = [ops.convert_to_numpy(table).astype("float64") for table in layer.biases]
    mixed = np.zeros_like(q)
    for i in range(len(x)):
        here = divmod(i - front, grid[1])
        for level, rate in enumerate(layer.rates) if i >= front else [(0, None)]:
            window = layer.partitions[level].window
            seen = [j for j in range(len(x)) if rate is None or j < front or block(divmod(j - front, grid[1]), window, rate) == block(here, window, rate)]
            for h in range(layer.num_heads):
                part, bias = slice(h * width, (h + 1) * width), np.zeros(len(seen))
                for place, j in enumerate(seen):
                    if rate is not None and j >= front:
                        there = divmod(j - front, grid[1])
                        row, column = ((a - b) // rate + w - 1 for a, b, w in zip(here, there, window))
                        bias[place] = tables[level][row * (2 * window[1] - 1) + column, h]
                weights = np.exp(k[seen, part] @ q[i, part] / np.sqrt(width) + bias)
                mixed[i, part] += (1.0 if rate is None else gates[i, level]) * (weights / weights.sum() @ v[seen, part])
    return mixed @ dense[3][0] + dense[3][1]


@pytest.mark.parametrize("grid, window, rates, prefix", [((4, 4), 2, (1, 2), 0), ((3, 4), 2, (1, 2), 1), ((3, 5), (2, 2), (1, 2, 3), 2)])
def test_output_and_gradient_equal_a_float64_computation(grid, window, rates, prefix):
    x = tokens(prefix + grid[0] * grid[1])[:1, :, :4]
    layer = built(AtrousAttention(2, grid=grid, window=window, rates=rates, prefix=prefix, relative_bias=True), x)
    out, gradient = differentiate(layer, [x])
    assert np.abs(out[0] - by_hand(layer, x[0].astype("float64"))).max() <= 1e-5
    (expected,) = slopes(lambda y: np.sum(weighting(out.shape)[0] * by_hand(layer, y)), [x[0]])
    assert np.abs(gradient[0] - expected).max() <= 1e-3 * np.abs(expected).max()


def test_the_gate_starts_equal():
    x = tokens(37)
    plain = AtrousAttention(2, grid=(6, 6), window=3, prefix=1, gate=False)
    plain(x)
    gated = AtrousAttention(2, grid=(6, 6), window=3, prefix=1)
    gated(x)
    copy_projections(plain, gated)
    assert np.abs(run(gated, x) - run(plain, x)).max() <= 1e-6


@pytest.mark.parametrize("prefix", [0, 1])
@pytest.mark.parametrize("rates", [(1, 2), (1, 2, 4)])
def test_parameters_beside_those_of_attention(rates, prefix):
    x = tokens(prefix + 64)
    exact = Attention(2)
    exact(x)
    for relative_bias in (False, True):
        layer = AtrousAttention(2, grid=(8, 8), window=2, rates=rates, prefix=prefix, relative_bias=relative_bias)
        layer(x)
        extra = (DIM + 1) * len(rates) + (len(rates) * 3**2 * 2 if relative_bias else 0)
        assert layer.count_params() - exact.count_params() == extra


# 12 layers of attention in ViTs of 224 pixels: extra parameters of two rates, with and without relative bias of windows of 7
@pytest.mark.parametrize("dim, heads, gate, bias", [(192, 3, 4_632, 16_800), (384, 6, 9_240, 33_576), (768, 12, 18_456, 67_128)])
def test_parameters_in_a_vision_transformer(dim, heads, gate, bias):
    shape = (None, 197, dim)
    exact = Attention(heads)
    exact.build(shape)
    for relative_bias, extra in ((False, gate), (True, bias)):
        layer = AtrousAttention(heads, grid=(14, 14), window=7, prefix=1, relative_bias=relative_bias)
        layer.build(shape)
        assert 12 * (layer.count_params() - exact.count_params()) == extra


def test_multiply_adds():
    n, dim, window, rates = 64, 12, 4, (1, 2)
    layer = AtrousAttention(3, grid=(8, 8), window=window, rates=rates)
    layer.build((None, n, dim))
    assert layer.multiply_adds((n, dim)) == 4 * n * dim**2 + 2 * len(rates) * n * window**2 * dim + n * dim * len(rates)
    front = AtrousAttention(3, grid=(8, 8), window=window, rates=rates, prefix=1, gate=False)
    front.build((None, n + 1, dim))
    windows = 2 * len(rates) * n * (window**2 + 1) * dim
    assert front.multiply_adds((n + 1, dim)) == 4 * (n + 1) * dim**2 + windows + 2 * (n + 1) * dim


def test_a_masked_class_token_is_absent():
    x = tokens(1 + 16)
    with_front = built(AtrousAttention(2, grid=(4, 4), window=2, prefix=1), x)
    bare = AtrousAttention(2, grid=(4, 4), window=2)
    bare(x[:, 1:])
    copy_projections(with_front, bare)
    bare.chooser.set_weights(with_front.chooser.get_weights())
    mask = np.ones((2, 17), bool)
    mask[:, 0] = False
    assert np.abs(run(with_front, x, mask=mask)[:, 1:] - run(bare, x[:, 1:])).max() <= 1e-6


def test_a_window_shrinks_to_a_smaller_sub_grid():
    layer = AtrousAttention(2, grid=(8, 6), window=5, rates=(1, 2, 4))
    layer.build((None, 48, DIM))
    assert [part.window for part in layer.partitions] == [(5, 5), (4, 3), (2, 2)]
    assert AtrousAttention(2, grid=(4, 3), window=7, clamp=True).window == (4, 3)


@pytest.mark.parametrize("side, window, rates", [(56, 7, (1, 2, 4, 8)), (28, 7, (1, 2, 4)), (14, 7, (1, 2)), (7, 7, (1,)), (13, 7, (1, 2)), (3, 3, (1,))])
def test_clamping_leaves_rates_out_whose_sub_grids_are_smaller_than_the_window(side, window, rates):
    layer = AtrousAttention(2, grid=(side, side), window=7, rates=(1, 2, 4, 8), clamp=True)
    assert layer.window == (window, window) and layer.rates == rates
    assert AtrousAttention(2, grid=(side, side), window=7, rates=(4,), clamp=True).rates == ((4,) if side >= 28 else (min(4, side),))


@pytest.mark.parametrize("kernel", [Linformer(m=3), Nystrom(m=3)])
def test_kernels_without_scores(kernel):
    x = tokens(17)
    layer = AtrousAttention(2, grid=(4, 4), window=2, prefix=1, kernel=type(kernel).from_config(kernel.get_config()))
    everything = built(Attention(2), x)
    built(layer, x)
    copy_projections(everything, layer)
    assert np.abs(run(layer, x)[:, 0] - run(everything, x)[:, 0]).max() <= 1e-6
    assert np.isfinite(run(layer, x)).all()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"window": 7}, "clamp=True"),
        ({"window": 0}, "window"),
        ({"window": 3, "rates": ()}, "rates"),
        ({"window": 3, "rates": (1, 1)}, "different rates"),
        ({"window": 3, "rates": (0, 2)}, "from 1 to 6"),
        ({"window": 3, "rates": (1, 7)}, "from 1 to 6"),
        ({"window": 3, "prefix": -1}, "prefix"),
        ({"window": 3, "kernel": Performer(4), "relative_bias": True}, "no scores"),
    ],
)
def test_wrong_arguments(options, words):
    with pytest.raises(ValueError, match=words):
        AtrousAttention(2, grid=(6, 6), **options)


def test_a_rate_and_a_shift_exclude_each_other():
    with pytest.raises(ValueError, match="exclude"):
        ShiftedWindow((8, 8), 2, 1, rate=2)


def test_token_count_other_than_that_of_the_grid():
    with pytest.raises(ValueError, match=r"tokens=36, prefix=1, grid=\(6, 6\)"):
        AtrousAttention(2, grid=(6, 6), window=3, prefix=1)(np.zeros((1, 36, DIM), "float32"))


SMALL = dict(dim=8, depth=2, num_heads=2, key_dim=None, mlp_dim=16, patch=4)


@pytest.mark.parametrize("kernel", ["softmax", "performer"])
def test_in_a_vision_transformer(kernel):
    more = {"m": 8} if kernel == "performer" else {"relative_bias": True}
    model = keras_vix.build("vit", mixer="atrous", kernel=kernel, rates=(1, 2), window=4, **SMALL, **more)
    layers = [layer.inner for layer in model.layers if hasattr(layer, "inner") and isinstance(layer.inner, AtrousAttention)]
    assert [(layer.prefix, layer.grid, layer.rates) for layer in layers] == [(1, (8, 8), (1, 2))] * 2
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    assert model.predict(images, verbose=0).shape == (2, 10)
