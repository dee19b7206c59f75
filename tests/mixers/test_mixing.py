"""Mixers of the 2022 hybrids against plain NumPy, and what they refuse."""

import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import Linformer, Softmax
from keras_vix.mixers import Attention, ConvAttention, FourierMixing, LeViTAttention, TokenMLP
from keras_vix.mixers.fourier import waves

from ..laws import run

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 12, 8)).astype("float32")
GRID = (3, 4)


def weights(layer):
    return [ops.convert_to_numpy(w) for w in layer.get_weights()]


def disturb(layer):
    for w in layer.weights:
        w.assign(ops.convert_to_numpy(w) + 0.1 * np.abs(RNG.standard_normal(w.shape)).astype("float32"))


def attention(q, k, v, heads):
    """Plain multi-head attention of `(batch, n, inner)` arrays in float64; keys may have fewer heads."""
    q, k, v = (np.asarray(x, "float64") for x in (q, k, v))
    width = q.shape[-1] // heads
    out = np.zeros_like(q)
    for h in range(heads):
        of = slice(h * width, (h + 1) * width)
        few = h * (k.shape[-1] // width) // heads
        own = slice(few * width, (few + 1) * width)
        s = q[..., of] @ np.swapaxes(k[..., own], 1, 2) / np.sqrt(width)
        w = np.exp(s - s.max(-1, keepdims=True))
        out[..., of] = w / w.sum(-1, keepdims=True) @ v[..., own]
    return out


def test_fourier_mixing_is_the_real_part_of_the_transform():
    assert np.abs(run(FourierMixing(), X) - np.fft.fft2(X).real).max() <= 1e-4
    assert np.abs(run(FourierMixing("products"), X) - np.fft.fft2(X).real).max() <= 1e-4
    assert FourierMixing("products").multiply_adds((12, 8)) == 2 * 12 * 8 * (12 + 8)
    with pytest.raises(ValueError, match="transform='fft2'.*Did you mean 'fft'"):
        FourierMixing("fft2")
    with pytest.raises(ValueError, match="number of tokens"):
        FourierMixing("products").build((None, None, 8))


def test_the_waves_of_long_sequences_are_exact():
    """As far as float64 goes, also where `j k` is large: rows of the matrices are transforms of unit vectors."""
    cosines, sines = waves(1024)
    expected = np.fft.fft(np.eye(1024)[:, 1023])
    assert np.abs(cosines[1023] - expected.real).max() <= 1e-12 and np.abs(sines[1023] + expected.imag).max() <= 1e-12


def test_token_mlp_acts_along_the_tokens():
    layer = TokenMLP(token_dim=5, token_activation="relu")
    out = run(layer, X)
    w1, b1, w2, b2 = weights(layer)
    hidden = np.maximum(np.swapaxes(X, 1, 2) @ w1 + b1, 0.0)
    assert np.abs(out - np.swapaxes(hidden @ w2 + b2, 1, 2)).max() <= 1e-5
    assert layer.multiply_adds((12, 8)) == 2 * 12 * 8 * 5


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_fewer_heads_of_keys_serve_groups_of_queries(kv_heads):
    layer = Attention(4, kv_heads=kv_heads, qkv_bias=False)
    out = run(layer, X)
    wq, wk, wv, wo, bo = weights(layer)
    assert wk.shape == wv.shape == (8, 2 * kv_heads) and wq.shape == (8, 8)
    assert np.abs(out - (attention(X @ wq, X @ wk, X @ wv, 4) @ wo + bo)).max() <= 1e-5


def test_tied_keys_are_the_values():
    layer = Attention(2, tie_kv=True)
    out = run(layer, X)
    wq, bq, wk, bk, wo, bo = weights(layer)
    k = X @ wk + bk
    assert np.abs(out - (attention(X @ wq + bq, k, k, 2) @ wo + bo)).max() <= 1e-5
    with pytest.raises(ValueError, match="tie_kv"):
        layer(X, X, X + 1.0)
    with pytest.raises(ValueError, match="kv_heads=3, num_heads=4"):
        Attention(4, kv_heads=3)


@pytest.mark.parametrize("share", ["kv", "head"])
def test_tied_keys_through_one_projection_or_two(share):
    layer = Attention(2, kv_heads=1, tie_kv=True, qkv_bias=False, kernel=Linformer(m=5, share=share))
    out = run(layer, X)
    named = {w.path.split("/")[-2] + "/" + w.path.split("/")[-1]: ops.convert_to_numpy(w) for w in layer.weights}
    wq, wk, wo, bo = named["query/kernel"], named["key/kernel"], named["out/kernel"], named["out/bias"]
    e = next(w for name, w in named.items() if name.endswith("/e"))
    f = next((w for name, w in named.items() if name.endswith("/f")), e)
    k = X @ wk
    assert np.abs(out - (attention(X @ wq, e @ k, f @ k, 2) @ wo + bo)).max() <= 1e-5
    tokens, dim, inner = 12, 8, 8
    keys = 5 * dim * (inner // 2) * (1 if share == "kv" else 2)  # made of projected tokens
    project = 5 * tokens * dim * (1 if share == "kv" else 2)
    assert layer.multiply_adds((tokens, dim)) == 2 * tokens * dim * inner + project + keys + 2 * tokens * inner * 5


def test_levit_attention_by_hand():
    layer = LeViTAttention(2, attention_activation="relu")
    layer(X)
    disturb(layer)
    named = {"/".join(w.path.split("/")[-2:]): ops.convert_to_numpy(w) for w in layer.weights}

    def project(name, x):
        y = x @ named[f"{name}/kernel"] + named.get(f"{name}/bias", 0.0)
        norm = {key: named[f"{name}_norm/{key}"] for key in ("moving_mean", "moving_variance", "gamma", "beta")}
        return (y - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + 1e-5) * norm["gamma"] + norm["beta"]

    merged = attention(*(project(name, X) for name in ("query", "key", "value")), 2)
    assert np.abs(run(layer, X) - project("out", np.maximum(merged, 0.0))).max() <= 1e-4


def test_levit_attention_starts_as_nothing():
    assert not run(LeViTAttention(2), X).any()


def depthwise(x, kernel, stride):
    rows, columns, dim = x.shape[1:]
    reach = kernel.shape[0] // 2
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    out = [
        [(padded[:, i : i + 3, j : j + 3] * kernel[..., 0]).sum((1, 2)) for j in range(0, columns, stride)] for i in range(0, rows, stride)
    ]
    return np.moveaxis(np.array(out), 2, 0).reshape(len(x), -1, dim)


@pytest.mark.parametrize("stride, keys", [(1, 12), (2, 4)])
def test_conv_attention_by_hand(stride, keys):
    layer = ConvAttention(2, grid=GRID, kv_stride=stride)
    layer(X)
    disturb(layer)
    named = {"/".join(w.path.split("/")[-2:]): ops.convert_to_numpy(w) for w in layer.weights}

    def see(name, step):
        y = depthwise(X.reshape(2, *GRID, 8), named[f"{name}_conv/kernel"], step)
        norm = {key: named[f"{name}_norm/{key}"] for key in ("moving_mean", "moving_variance", "gamma", "beta")}
        return (y - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + 1e-5) * norm["gamma"] + norm["beta"]

    query, key = see("query", 1), see("key_value", stride)
    assert key.shape == (2, keys, 8)
    merged = attention(query @ named["query/kernel"], key @ named["key/kernel"], key @ named["value/kernel"], 2)
    assert np.abs(run(layer, X) - (merged @ named["out/kernel"] + named["out/bias"])).max() <= 1e-4
    products = 9 * 8 * (12 + keys) + 2 * 12 * 64 + 2 * keys * 64 + 2 * 12 * keys * 8
    assert layer.multiply_adds((12, 8)) == products


@pytest.mark.parametrize("layer", [LeViTAttention(2), LeViTAttention(2, tie_kv=True, kv_heads=1), ConvAttention(2, grid=GRID)])
def test_masked_tokens_are_in_no_statistics(layer):
    mask = np.ones((2, 12), bool)
    mask[:, 9:] = mask[0, 2] = False
    layer(X)
    disturb(layer)
    start, seen = weights(layer), []
    for filling in (0.0, 50.0):
        layer.set_weights(start)
        x = np.where(mask[..., None], X, np.float32(filling))
        out = ops.convert_to_numpy(layer(ops.convert_to_tensor(x), mask=ops.convert_to_tensor(mask), training=True))
        seen.append([out[mask], *weights(layer)])
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(seen[0][1:], start))  # training moves the statistics
    assert all(np.abs(a - b).max() <= 1e-5 for a, b in zip(*seen))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: ConvAttention(2, grid=GRID, conv_size=4), "conv_size=4"),
        (lambda: ConvAttention(2, grid=(3, 3))(X), "tokens=12, grid=(3, 3)"),
        (lambda: ConvAttention(2, grid=GRID, kv_stride=2)(X, mask=np.ones((2, 12), bool)), "kv_stride=2"),
        (lambda: TokenMLP().build((None, None, 8)), "tokens=None"),
        (lambda: TokenMLP(token_dim=0), "token_dim=0"),
        (lambda: ConvAttention(2, grid=GRID, kernel=_used()), "in use"),
    ],
)
def test_what_they_refuse(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert words in str(caught.value)


def _used():
    kernel = Softmax()
    Attention(2, kernel=kernel)(X)
    return kernel
