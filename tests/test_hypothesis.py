"""Random sizes, options, precisions and masks: the right shape, finite outputs and finite gradients.

`make test-slow` looks further, at 5,000 examples of each: `KERAS_VIX_EXAMPLES=5000 pytest tests/test_hypothesis.py`, others each time.
"""

import inspect
import json
import os

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_vix.kernels import KERNELS, LSA, Linformer, Nystrom, Performer, Softmax, TalkingHeads
from keras_vix.layers import (
    AtrousAttention, Attention, BinaryAttention, ConvAttention, FourierMixing, LeViTAttention, LocalAttention1D, LocalWindowAttention2D,
    RotaryEmbedding, TokenMLP,
)  # fmt: skip
from keras_vix.mixers import MIXERS

from .laws import differentiate

EXAMPLES = int(os.environ.get("KERAS_VIX_EXAMPLES", "0"))
looked_at = settings(
    max_examples=EXAMPLES or 200,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

POLICIES = st.sampled_from(["float32", "mixed_float16", "mixed_bfloat16"])
HALF_OF_FLOAT16 = 32_752.0  # of the largest number of float16: where its roundings can reach infinity
SCALES = st.sampled_from([0.0, 1e-4, 1.0, 10.0, 100.0])


def numbers(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype("float32") for shape in shapes]


def holds(layer, arrays, **masks):
    """Shape contract and finiteness of a layer whose output has the shape of its first input.

    Of Nyström's method alone an infinity of float16, and what comes of it, is right where float32 has a number that float16 has not:
    the inverse within it can be so large.
    """
    found = differentiate(lambda *x: layer(*x, **masks), arrays, layer.compute_dtype)
    assert found[0].shape == arrays[0].shape
    inverts = isinstance(getattr(layer, "kernel", layer), Nystrom)
    if inverts and layer.compute_dtype == "float16" and not all(np.isfinite(x).all() for x in found):
        wide = in_float32(layer, arrays)
        true = differentiate(lambda *x: wide(*x, **masks), arrays, "float32")
        assert all(np.isfinite(x).all() for x in true) and max(np.abs(x).max() for x in true) > HALF_OF_FLOAT16
        return np.nan_to_num(found[0])
    assert all(np.isfinite(x).all() for x in found)
    return found[0]


def in_float32(layer, arrays):
    """The same layer with the same weights under another policy; so are the layers within it."""
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)).replace('"mixed_float16"', '"float32"'))
    wide = keras.saving.deserialize_keras_object(config)
    if not wide.built:
        wide.build(*[x.shape for x in arrays])
    wide.set_weights(layer.get_weights())
    return wide


# A kernel from `draw`, for so many queries and keys; `alike` says that it wants as many of both.
def performer(draw, tokens, keys, **common):
    features = draw(st.sampled_from(["positive", "hyperbolic", "relu", "exp", "elu"]))
    deterministic = features not in ("positive", "hyperbolic") and draw(st.booleans())
    m = None if deterministic else draw(st.integers(1, 16))
    stabiliser = draw(st.sampled_from(["exact", "full", "paper"]))
    return Performer(m, features, draw(st.sampled_from(["orthogonal", "iid"])), stabiliser=stabiliser, seed=draw(st.integers(0, 99)), **common)


def softmax(draw, tokens, keys, **common):
    return Softmax(chunk=draw(st.sampled_from([None, 1, 5])), **common)


def linformer(draw, tokens, keys, **common):
    return Linformer(draw(st.integers(1, keys)), draw(st.sampled_from(["none", "head", "kv"])), **common)


def nystrom(draw, tokens, keys, **common):
    iterations = draw(st.integers(1, 20))
    return Nystrom(draw(st.integers(1, tokens)), iterations, draw(st.sampled_from([None, 1, 3])), **common)


def lsa(draw, tokens, keys, **common):
    return LSA(diagonal=draw(st.booleans()), learned_scale=draw(st.booleans()), **common)


def talking_heads(draw, tokens, keys, **common):
    return TalkingHeads(mix_std=draw(st.sampled_from([0.02, 0.5])), mix_bias=draw(st.booleans()), learned_scale=draw(st.booleans()), **common)


DRAWN = {
    "softmax": softmax, "performer": performer, "linformer": linformer, "nystrom": nystrom, "lsa": lsa, "talking_heads": talking_heads,
}  # fmt: skip
ALIKE = ("nystrom", "lsa")  # as many queries as keys
KERNEL = {"heads": st.integers(1, 3), "tokens": st.integers(1, 40), "keys": st.integers(1, 40), "width": st.integers(1, 9), "masked": st.booleans()}
COMMON = {"policy": POLICIES, "scale": SCALES, "seed": st.integers(0, 2**16)}


def test_every_kernel_and_mixer_is_drawn():
    assert set(DRAWN) == set(KERNELS) and set(MIXED) == set(MIXERS)


@pytest.mark.parametrize("name", DRAWN)
@looked_at
@given(data=st.data(), **KERNEL, **COMMON)
def test_kernel(name, data, heads, tokens, keys, width, masked, policy, scale, seed):
    """Some of the keys masked, and in the second sample all."""
    keys = tokens if name in ALIKE else keys
    kernel = DRAWN[name](data.draw, tokens, keys, dtype=policy)
    q, k, v = numbers(seed, (2, heads, tokens, width), (2, heads, keys, width), (2, heads, keys, width))
    mask = np.random.default_rng(seed).random((2, 1, keys)) < 0.7
    mask[1] = False
    arrays = [scale * q, scale * k, v]
    kernel.build(*[x.shape for x in arrays])
    out = holds(kernel, arrays, **({"mask": keras.ops.convert_to_tensor(mask)} if masked else {}))
    if masked:
        assert not out[1].any()


def some_kernel(draw, tokens, policy):
    """A kernel for a mixer, or `None` for the mixer's own."""
    name = draw(st.sampled_from([None, "performer", "linformer", "nystrom", "softmax"]))
    return name and DRAWN[name](draw, tokens, tokens, dtype=policy)


# A mixer from `draw`, for a grid of `rows` by `columns` and heads of `width`.
def attention(draw, heads, rows, columns, width, policy):
    turn = RotaryEmbedding(dtype=policy) if width % 2 == 0 and draw(st.booleans()) else None
    return Attention(heads, kernel=some_kernel(draw, rows * columns, policy), rope=turn, dtype=policy)


def levit(draw, heads, rows, columns, width, policy):
    return LeViTAttention(heads, kernel=some_kernel(draw, rows * columns, policy), dtype=policy)


def binary_attention(draw, heads, rows, columns, width, policy):
    return BinaryAttention(heads, step_start=draw(st.sampled_from([0.05, 0.2, 0.9])), dtype=policy)


def conv_attention(draw, heads, rows, columns, width, policy):
    return ConvAttention(heads, grid=(rows, columns), kv_stride=draw(st.integers(1, 2)), dtype=policy)


def window(draw, heads, rows, columns, width, policy):
    side = draw(st.integers(1, min(rows, columns)))
    kernel = draw(st.sampled_from([None, Performer(draw(st.integers(1, 16)), dtype=policy)]))
    return LocalWindowAttention2D(heads, grid=(rows, columns), window=side, shift=draw(st.integers(0, side - 1)), kernel=kernel, dtype=policy)


def window_1d(draw, heads, rows, columns, width, policy):
    side = draw(st.integers(1, columns))
    return LocalAttention1D(heads, grid=(rows, columns), window=side, shift=draw(st.integers(0, side - 1)), dtype=policy)


def atrous(draw, heads, rows, columns, width, policy):
    side = draw(st.integers(1, min(rows, columns)))
    bias = draw(st.booleans())
    return AtrousAttention(heads, grid=(rows, columns), window=side, rates=(1,), relative_bias=bias, dtype=policy)


def fourier(draw, heads, rows, columns, width, policy):
    return FourierMixing(draw(st.sampled_from(["fft", "products"])), dtype=policy)


def token_mlp(draw, heads, rows, columns, width, policy):
    return TokenMLP(draw(st.integers(1, 12)), dtype=policy)


MIXED = {
    "attention": attention, "levit": levit, "binary_attention": binary_attention, "conv_attention": conv_attention, "window": window,
    "window_1d": window_1d, "atrous": atrous, "fourier": fourier, "token_mlp": token_mlp,
}  # fmt: skip
MIXER = {"heads": st.integers(1, 3), "rows": st.integers(1, 7), "columns": st.integers(1, 7), "width": st.integers(1, 9), "masked": st.booleans()}


def test_an_inverse_may_be_too_large_for_float16():
    """Found by drawing 5,000 of these: the entries of an inverse of nearly equal landmarks, after 15 iterations."""

    def attention(policy):
        layer, rng = Attention(1, kernel=Nystrom(5, 15, dtype=policy), dtype=policy), np.random.default_rng(264)
        layer.build((2, 18, 5))
        layer.set_weights([rng.uniform(-0.75, 0.75, w.shape) if w.ndim > 1 else w for w in layer.get_weights()])
        return layer

    x = 10 * numbers(29, (2, 18, 5))[0]
    out, gradient = differentiate(attention("float32"), [x])
    assert np.abs(out).max() > 8e4 and np.abs(gradient).max() > 3e5
    assert np.abs(x @ attention("float32").get_weights()[4].reshape(5, 5)).max() < 53  # the values
    holds(attention("mixed_float16"), [x])
    with pytest.raises(AssertionError):
        holds(attention("mixed_float16"), [x * np.float32("nan")])


@pytest.mark.parametrize("name", MIXED)
@looked_at
@given(data=st.data(), **MIXER, **COMMON)
def test_mixer(name, data, heads, rows, columns, width, masked, policy, scale, seed):
    layer = MIXED[name](data.draw, heads, rows, columns, width, policy)
    x = scale * numbers(seed, (2, rows * columns, heads * width))[0]
    layer.build(x.shape)
    mask = np.random.default_rng(seed).random((2, rows * columns)) < 0.7
    masked = masked and "mask" in inspect.signature(layer.call).parameters and getattr(layer, "kv_stride", 1) == 1
    holds(layer, [x], **({"mask": keras.ops.convert_to_tensor(mask)} if masked else {}))
