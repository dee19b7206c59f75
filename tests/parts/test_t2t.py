"""Soft splits and token transformers against plain NumPy."""

import math

import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import Performer
from keras_vix.ops.splits import soft_split
from keras_vix.parts import SinusoidPosition, T2TEmbedding, TokenTransformer

from ..laws import disturb, run

RNG = np.random.default_rng(0)


def split(x, size, stride, pad):
    """Patches by loops: `(batch, H, W, c) -> (batch, h, w, size * size * c)`."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows, columns = ((side - size) // stride + 1 for side in x.shape[1:3])
    cut = [
        [x[:, i * stride : i * stride + size, j * stride : j * stride + size].reshape(len(x), -1) for j in range(columns)]
        for i in range(rows)
    ]
    return np.moveaxis(np.array(cut), 2, 0)


@pytest.mark.parametrize("size, stride, pad", [(7, 4, 2), (3, 2, 1), (3, 1, 1), (5, 2, 2), (2, 2, 0), (1, 2, 0)])
@pytest.mark.parametrize("sides", [(16, 16), (9, 14)])
def test_a_soft_split_by_hand(size, stride, pad, sides):
    x = RNG.standard_normal((2, *sides, 3)).astype("float32")
    assert np.array_equal(ops.convert_to_numpy(soft_split(ops.convert_to_tensor(x), size, stride)), split(x, size, stride, pad))


def weights(layer):
    """Arrays of a layer by the end of their path: `query/kernel`."""
    return {"/".join(w.path.split("/")[-2:]): ops.convert_to_numpy(w).astype("float64") for w in layer.weights}


def normed(x, gamma, beta):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gamma + beta


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / np.sqrt(2)))


def transformer(x, w, attention):
    """`y = v + out(attention(q, k, v))`, then `y + mlp(norm(y))`, for one sample `(n, width)`."""

    def dense(name, x):
        return x @ w[f"{name}/kernel"] + w.get(f"{name}/bias", 0.0)

    x = normed(x, w["norm/gamma"], w["norm/beta"])
    q, k, v = (dense(name, x) for name in ("query", "key", "value"))
    y = v + dense("out", attention(q, k, v))
    inside = normed(y, w["mlp_norm/gamma"], w["mlp_norm/beta"])
    return y + dense("contract", gelu(dense("expand", inside)))


def test_a_token_transformer_by_hand():
    """One head, and the scale of the width that comes in, not of the head."""

    def attention(q, k, v):
        e = np.exp(q @ k.T / np.sqrt(10))
        return e / e.sum(-1, keepdims=True) @ v

    x = RNG.standard_normal((2, 7, 10)).astype("float32")
    layer = TokenTransformer(6)
    layer(x)
    disturb(layer)
    wanted = np.stack([transformer(sample, weights(layer), attention) for sample in x.astype("float64")])
    assert np.abs(run(layer, x) - wanted).max() <= 1e-5
    products = 3 * 7 * 10 * 6 + 2 * 7 * 7 * 6 + 7 * 6 * 6 + 2 * 7 * 6 * 6
    assert layer.multiply_adds((7, 10)) == products


def test_a_token_performer_by_hand():
    """The kernel `exp(q.k)` of products as they are: no scale at all."""
    x = RNG.standard_normal((2, 7, 10)).astype("float32")
    layer = TokenTransformer(6, Performer(4, seed=3), score_scale=1.0, use_bias=True)
    layer(x)
    disturb(layer)
    w = weights(layer)
    rows = ops.convert_to_numpy(layer.kernel.w).astype("float64")

    def attention(q, k, v):
        phi_q, phi_k = (np.exp(t @ rows.T - (t**2).sum(-1, keepdims=True) / 2) for t in (q, k))
        return phi_q @ (phi_k.T @ v) / (phi_q @ phi_k.sum(0))[:, None]

    wanted = np.stack([transformer(sample, w, attention) for sample in x.astype("float64")])
    assert np.abs(run(layer, x) - wanted).max() <= 1e-5


def test_tokens_to_tokens_by_hand():
    """Splits and transformers in turn; with `shifted` the image has five times the channels first."""
    image = RNG.standard_normal((2, 8, 8, 2)).astype("float32")
    for shifted in (False, True):
        layer = T2TEmbedding(5, split=(3, 3), strides=(2, 2), token_width=4, shifted=shifted)
        found = run(layer, image)
        x = image
        if shifted:
            ring = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
            x = np.concatenate([image, *(ring[:, i : i + 8, j : j + 8] for i in (0, 2) for j in (0, 2))], axis=-1)
        (inner,) = layer.transformers
        x = run(inner, split(x, 3, 2, 1).reshape(2, 16, -1)).reshape(2, 4, 4, 4)
        kernel, bias = (ops.convert_to_numpy(w) for w in layer.projection.weights)
        assert found.shape == (2, 2, 2, 5)
        assert np.abs(found - (split(x, 3, 2, 1) @ kernel + bias)).max() <= 1e-5


def test_the_random_features_follow_the_seed():
    def rows(**options):
        layer = T2TEmbedding(5, (3, 3, 3), (1, 2, 2), 4, "performer", 3, **options)
        layer.build((None, 8, 8, 3))
        return [ops.convert_to_numpy(t.kernel.w) for t in layer.transformers]

    one, again, other = rows(seed=1), rows(seed=1), rows(seed=2)
    assert np.array_equal(one, again) and not np.array_equal(one, other) and not np.array_equal(*one)


def test_wrong_splits():
    with pytest.raises(ValueError, match="one entry for each split"):
        T2TEmbedding(split=(7, 3), strides=(4, 2, 2))
    with pytest.raises(ValueError, match="must fit its map"):
        T2TEmbedding(split=(7,), strides=(7,))(np.zeros((1, 4, 4, 3), "float32"))
    with pytest.raises(ValueError, match="token_kernel"):
        T2TEmbedding(token_kernel="nystrom")


def test_sinusoids_by_hand():
    layer = SinusoidPosition()
    table = run(layer, np.zeros((1, 9, 6), "float32"))[0]
    for token in range(9):
        for pair in range(3):
            turn = token / 10_000 ** (2 * pair / 6)
            assert np.abs(table[token, 2 * pair : 2 * pair + 2] - (math.sin(turn), math.cos(turn))).max() <= 1e-6
    assert layer.constants() == 54
