"""Binary parts against plain NumPy, and what they refuse."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_vix.mixers import BinaryAttention
from keras_vix.parts import BinaryMerging, BinaryMLP, PatchEmbedding
from keras_vix.primitives import Affine, BinaryConv2D, BinaryDense, BinaryProjection, RPReLU

from ..laws import run

RNG = np.random.default_rng(0)
GRID = (2, 4)
X = RNG.standard_normal((3, 8, 4)).astype("float32")


def disturbed(layer, x):
    """The output of `layer` once all its weights are random, and these weights by their paths inside it."""
    layer(x)
    for w in layer.weights:
        value = RNG.standard_normal(w.shape)
        w.assign(np.abs(value) + 0.5 if w.path.endswith(("variance", "step")) else 0.5 * value)
    return run(layer, x), {w.path.split("/", 1)[1]: ops.convert_to_numpy(w).astype("float64") for w in layer.weights}


def of(weights, name):
    """The weights below `name`."""
    return {path[len(name) + 1 :]: value for path, value in weights.items() if path.startswith(name + "/")}


def rprelu(x, w):
    x = x - w["bias_before"]
    return np.where(x > 0, x, w["slope"] * x) + w["bias_after"]


def norm(x, w):
    return (x - w["moving_mean"]) / np.sqrt(w["moving_variance"] + 1e-5) * w["gamma"] + w["beta"]


def dense(x, w):
    v = w["kernel"]
    return np.sign(x + w["sign/bias"]) @ (np.abs(v).mean(0) * np.sign(v - v.mean(0)))


def project(x, w, short):
    return rprelu(norm(dense(x, of(w, "dense")), of(w, "norm")) + short, of(w, "activation"))


def coarse(x, grid, factor):
    """Means over `factor x factor` places, by loops."""
    rows, columns = (side // factor for side in grid)
    board = x.reshape(len(x), *grid, -1)
    cut = [board[:, factor * i : factor * (i + 1), factor * j : factor * (j + 1)] for i in range(rows) for j in range(columns)]
    return np.stack([c.mean((1, 2)) for c in cut], 1)


def around(x, grid, high, wide):
    """Means over `high x wide` places round each, zeros beyond the border counted, by loops."""
    board = x.reshape(len(x), *grid, -1)
    out = np.zeros_like(board)
    for i in range(grid[0]):
        for j in range(grid[1]):
            for a in range(i - high // 2, i + high // 2 + 1):
                for b in range(j - wide // 2, j + wide // 2 + 1):
                    if 0 <= a < grid[0] and 0 <= b < grid[1]:
                        out[:, i, j] += board[:, a, b] / (high * wide)
    return out.reshape(x.shape)


def test_a_binary_dense_layer_by_hand():
    found, w = disturbed(BinaryDense(5), X)
    assert found.shape == (3, 8, 5) and np.abs(found - dense(X, w)).max() <= 1e-5


@pytest.mark.parametrize("units", [3, 8])
def test_units_see_weights_of_two_values(units):
    layer = BinaryDense(units)
    weights = run(layer, np.eye(16, dtype="float32"))  # shifts start at 0 and the sign of 0 is 0: a row of the weights each
    for unit, latent in zip(weights.T, ops.convert_to_numpy(layer.kernel).T):
        assert np.array_equal(np.unique(unit), [unit.min(), unit.max()]) and unit.min() == -unit.max()
        assert abs(unit.max() - np.abs(latent).mean()) <= 1e-6


def test_a_binary_convolution_by_hand():
    image = RNG.standard_normal((2, 4, 6, 3)).astype("float32")
    found, w = disturbed(BinaryConv2D(5), image)
    v = w["kernel"]
    kernel = np.abs(v).mean((0, 1, 2)) * np.sign(v)  # the mean is not taken off
    signs = np.sign(image + w["sign/bias"])
    for i in range(2):
        for j in range(3):
            patch = signs[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            assert np.abs(found[:, i, j] - np.tensordot(patch, kernel, ((1, 2, 3), (0, 1, 2)))).max() <= 1e-5


def test_latent_weights_start_as_wide_as_the_inputs_allow():
    for layer, x, inputs in ((BinaryDense(64), np.zeros((1, 100)), 100), (BinaryConv2D(32), np.zeros((1, 2, 2, 25)), 100)):
        layer.build(x.shape)
        v = ops.convert_to_numpy(layer.kernel)
        assert 0.95 * inputs**-0.5 < np.abs(v).max() <= inputs**-0.5 and abs(v.std() * np.sqrt(3 * inputs) - 1) < 0.05


def test_rprelu_and_affine():
    found, w = disturbed(RPReLU(), X)
    assert np.abs(found - rprelu(X, w)).max() <= 1e-6
    assert np.array_equal(run(RPReLU(), np.float32([[-4.0, 0.0, 2.0]])), np.float32([[-1.0, 0.0, 2.0]]))
    found, w = disturbed(Affine(), X)
    assert np.abs(found - (w["gamma"] * X + w["beta"])).max() <= 1e-6
    assert np.array_equal(run(Affine(0.5), X), X / 2)


def test_a_projection_keeps_tiles_or_averages_channels():
    x = X[..., :4]
    for units, short in ((4, x), (8, np.concatenate([x, x], -1)), (2, (x[..., ::2] + x[..., 1::2]) / 2)):
        found, w = disturbed(BinaryProjection(units), x)
        assert np.abs(found - project(x, w, short)).max() <= 1e-5
    with pytest.raises(ValueError, match="width=4, units=6"):
        BinaryProjection(6)(X)


@pytest.mark.parametrize("prefix, branches", [(0, True), (2, True), (0, False)])
def test_a_binary_mlp_by_hand(prefix, branches):
    x = RNG.standard_normal((3, prefix + 8, 4)).astype("float32")
    found, w = disturbed(BinaryMLP(8, GRID, prefix, branches=branches), x)
    hidden = project(x, of(w, "expand"), np.concatenate([x, x], -1))
    wanted = project(hidden, of(w, "contract"), (hidden[..., ::2] + hidden[..., 1::2]) / 2)
    wanted = w["affine/gamma"] * wanted + w["affine/beta"]
    for high, wide in ((3, 1), (1, 3), (5, 1), (1, 5)) if branches else ():
        a = of(w, f"mean{high}x{wide}")
        wanted[:, prefix:] += a["gamma"] * around(x[:, prefix:], GRID, high, wide) + a["beta"]
    assert np.abs(found - wanted).max() <= 1e-5


def test_branches_start_silent():
    layer, bare = BinaryMLP(8, GRID), BinaryMLP(8, branches=False)
    layer(X), bare(X)
    for part in ("expand", "contract", "affine"):
        getattr(bare, part).set_weights(getattr(layer, part).get_weights())
    assert np.array_equal(run(layer, X), run(bare, X))
    assert len(layer.trainable_weights) == len(bare.trainable_weights) + 8


@pytest.mark.parametrize("heads, reduction", [(1, 1), (2, 1), (2, 2)])
def test_binary_attention_by_hand(heads, reduction):
    found, w = disturbed(BinaryAttention(heads, GRID, kv_reduction=reduction), X)
    few = X
    if reduction > 1:
        few = coarse(X, GRID, 2)
        few = project(few, of(w, "reduced"), few)
    query, key, value = (project(x, of(w, name), x) for name, x in (("query", X), ("key", few), ("value", few)))
    q, k, v = (np.sign(y + w[f"{name}_sign/bias"]) for name, y in (("query", query), ("key", key), ("value", value)))
    context, width = np.zeros_like(X, "float64"), 4 // heads
    for h in range(heads):
        one = slice(h * width, (h + 1) * width)
        s = np.exp(q[..., one] @ np.swapaxes(k[..., one], 1, 2) / np.sqrt(width))
        p = s / s.sum(-1, keepdims=True)
        context[..., one] = w["step"] * np.clip(np.round(p / w["step"]), 0, 1) @ v[..., one]
    shared = key + value
    if reduction > 1:  # one row of two coarse places, each for 2 x 2
        shared = shared[:, [0, 0, 1, 1] * 2]
    out = rprelu(norm(context, of(w, "norm")) + query + shared, of(w, "activation"))
    out = project(out, of(w, "out"), out)
    assert np.abs(found - (w["affine/gamma"] * out + w["affine/beta"])).max() <= 1e-5


def test_binary_merging_by_hand():
    found, w = disturbed(BinaryMerging(8, GRID), X)
    y = norm(X, of(w, "first_norm"))
    board, v = y.reshape(3, *GRID, 4), w["conv/kernel"]
    signs, kernel = np.sign(board + w["conv/sign/bias"]), np.abs(v).mean((0, 1, 2)) * np.sign(v)
    conv = np.stack([np.tensordot(signs[:, :, 2 * j : 2 * j + 2], kernel, ((1, 2, 3), (0, 1, 2))) for j in range(2)], 1)
    means = coarse(y, GRID, 2)
    wanted = rprelu(norm(conv, of(w, "norm")) + np.concatenate([means, means], -1), of(w, "activation"))
    assert np.abs(found - (wanted + w["position/table"])).max() <= 1e-5


def test_merging_of_full_precision_by_hand():
    found, w = disturbed(BinaryMerging(6, GRID, merge_binary=False), X)
    board = norm(X, of(w, "first_norm")).reshape(3, *GRID, 4)
    conv = [np.tensordot(board[:, :, 2 * j : 2 * j + 2], w["conv/kernel"], ((1, 2, 3), (0, 1, 2))) for j in range(2)]
    assert np.abs(found - (norm(np.stack(conv, 1), of(w, "norm")) + w["position/table"])).max() <= 1e-5
    assert not [path for path in w if path.endswith("bias") or path.startswith("activation")]


def test_embedded_patches_are_normalised():
    image = RNG.standard_normal((2, 4, 4, 3)).astype("float32")
    found, w = disturbed(PatchEmbedding(5, 2, patch_norm="batch", norm_epsilon=1e-5), image)
    patches = image.reshape(2, 2, 2, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(2, 2, 2, 12)
    wanted = patches @ w["projection/kernel"].reshape(12, 5) + w["projection/bias"]
    assert np.abs(found - norm(wanted, of(w, "norm"))).max() <= 1e-5


def test_operations_by_hand():
    n, dim = 8, 4
    mixer, ffn = BinaryAttention(2, GRID, kv_reduction=2), BinaryMLP(8, GRID, prefix=0)
    mixer(X), ffn(X)
    assert mixer.binary_multiply_adds((n, dim)) == mixer.multiply_adds((n, dim)) == (2 * n + 3 * 2) * dim**2 + 2 * n * 2 * dim
    assert BinaryAttention(2).multiply_adds((n, dim)) == 4 * n * dim**2 + 2 * n**2 * dim
    assert ffn.binary_multiply_adds((n, dim)) == ffn.multiply_adds((n, dim)) == 2 * n * dim * 8
    assert mixer.scalings((n, dim)) == n * dim and ffn.scalings((n, dim)) == 5 * n * dim
    full, binary = (BinaryMerging(8, GRID, merge_binary=b) for b in (False, True))
    assert full.multiply_adds((n, dim)) == binary.multiply_adds((n, dim)) == 2 * 4 * dim * 8
    assert full.binary_multiply_adds((n, dim)) == 0 and binary.binary_multiply_adds((n, dim)) == 2 * 4 * dim * 8


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: BinaryAttention(2, (3, 4), kv_reduction=2), r"kv_reduction=2, grid=\(3, 4\)"),
        (lambda: BinaryAttention(2, (2, 4), prefix=1, kv_reduction=2), "prefix=1"),
        (lambda: BinaryAttention(3)(X), "num_heads=3, width=4"),
        (lambda: BinaryAttention(2, (4, 4), kv_reduction=2)(X), r"tokens=8, prefix=0, grid=\(4, 4\)"),
        (lambda: BinaryAttention(2, step_start=0.0), "step_start=0.0"),
        (lambda: BinaryMLP(6, GRID)(X), "mlp_dim=6, width=4"),
        (lambda: BinaryMLP(8, (2, 2))(X), r"tokens=8, prefix=0, grid=\(2, 2\)"),
        (lambda: BinaryMerging(8, (3, 4)), r"grid=\(3, 4\)"),
        (lambda: BinaryMerging(6, GRID)(X), "dim=6, width=4"),
    ],
)
def test_what_does_not_fit(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_branches_ask_for_the_grid():
    with pytest.raises(TypeError, match="grid"):
        BinaryMLP(8)


def test_a_batch_is_normalised_while_training_and_its_statistics_are_kept():
    layer = BinaryProjection(4)
    x = keras.ops.convert_to_tensor(X)
    layer(x, training=True)
    w = {w.path.split("/", 1)[1]: ops.convert_to_numpy(w) for w in layer.weights}
    out = dense(X, of(w, "dense"))
    assert np.abs(w["norm/moving_mean"] - 0.1 * out.mean((0, 1))).max() <= 1e-5
    assert np.abs(w["norm/moving_variance"] - (0.9 + 0.1 * out.var((0, 1)))).max() <= 1e-5
