"""Random sizes, options, precisions and masks: the right shape, finite outputs and finite gradients.

`KERAS_VIX_EXAMPLES=5000 pytest tests/test_hypothesis.py` looks further, and at other examples each time.
"""

import functools
import os

import keras
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_vix.kernels import Linformer, Nystrom, Performer, Softmax
from keras_vix.layers import Attention, LocalAttention1D, LocalWindowAttention2D, RotaryEmbedding

from .laws import differentiate

EXAMPLES = int(os.environ.get("KERAS_VIX_EXAMPLES", "0"))
looked_at = settings(
    max_examples=EXAMPLES or 25,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

POLICIES = st.sampled_from(["float32", "mixed_float16", "mixed_bfloat16"])
SCALES = st.sampled_from([0.0, 1e-4, 1.0, 10.0, 100.0])
SIZES = {"heads": st.integers(1, 3), "tokens": st.integers(1, 40), "width": st.integers(1, 9), "m": st.integers(1, 16)}
COMMON = {"policy": POLICIES, "scale": SCALES, "seed": st.integers(0, 2**16), **SIZES}


def numbers(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype("float32") for shape in shapes]


def holds(layer, arrays, **masks):
    """Shape contract and finiteness of a layer whose output has the shape of its first input."""
    found = differentiate(lambda *x: layer(*x, **masks), arrays, layer.compute_dtype)
    assert found[0].shape == arrays[0].shape
    assert all(np.isfinite(x).all() for x in found)
    return found[0]


def kernel_holds(kernel, heads, tokens, width, scale, seed, masked, keys=None):
    """A kernel with `keys` keys, some of them masked, and in the second sample all."""
    keys = keys or tokens
    q, k, v = numbers(seed, (2, heads, tokens, width), (2, heads, keys, width), (2, heads, keys, width))
    mask = np.random.default_rng(seed).random((2, 1, keys)) < 0.7
    mask[1] = False
    arrays = [scale * q, scale * k, v]
    kernel.build(*[x.shape for x in arrays])
    out = holds(kernel, arrays, **({"mask": keras.ops.convert_to_tensor(mask)} if masked else {}))
    if masked:
        assert not out[1].any()


@looked_at
@given(
    features=st.sampled_from(["positive", "hyperbolic", "relu", "exp", "elu"]),
    stabiliser=st.sampled_from(["exact", "full", "paper"]),
    projection=st.sampled_from(["orthogonal", "iid"]),
    deterministic=st.booleans(), keys=st.integers(1, 40), masked=st.booleans(), **COMMON,
)  # fmt: skip
def test_performer(
    features, stabiliser, projection, deterministic, keys, masked, m, policy, heads, tokens, width, scale, seed
):
    m = None if deterministic and features not in ("positive", "hyperbolic") else m
    kernel = Performer(m, features, projection, stabiliser=stabiliser, seed=seed, dtype=policy)
    kernel_holds(kernel, heads, tokens, width, scale, seed, masked, keys)


@looked_at
@given(keys=st.integers(1, 40), masked=st.booleans(), **COMMON)
def test_softmax(keys, masked, m, policy, heads, tokens, width, scale, seed):
    kernel_holds(Softmax(dtype=policy), heads, tokens, width, scale, seed, masked, keys)


@looked_at
@given(share=st.sampled_from(["none", "head", "kv"]), keys=st.integers(1, 40), masked=st.booleans(), **COMMON)
def test_linformer(share, keys, masked, m, policy, heads, tokens, width, scale, seed):
    kernel = Linformer(min(m, keys), share, dtype=policy)
    kernel_holds(kernel, heads, tokens, width, scale, seed, masked, keys)


@looked_at
@given(convolution=st.sampled_from([None, 1, 3]), iterations=st.integers(1, 20), masked=st.booleans(), **COMMON)
def test_nystrom(convolution, iterations, masked, m, policy, heads, tokens, width, scale, seed):
    kernel = Nystrom(min(m, tokens), iterations, convolution, dtype=policy)
    kernel_holds(kernel, heads, tokens, width, scale, seed, masked)


@looked_at
@given(data=st.data(), rows=st.integers(1, 7), columns=st.integers(1, 7), one_dimensional=st.booleans(), **COMMON)
def test_windows(data, rows, columns, one_dimensional, m, policy, heads, tokens, width, scale, seed):
    kernel = data.draw(st.sampled_from([None, Performer(m, seed=seed, dtype=policy)]), "kernel")
    window = data.draw(st.integers(1, columns if one_dimensional else min(rows, columns)), "window")
    shift = data.draw(st.integers(0, window - 1), "shift")
    make = LocalAttention1D if one_dimensional else LocalWindowAttention2D
    layer = make(heads, grid=(rows, columns), window=window, shift=shift, kernel=kernel, dtype=policy)
    x = scale * numbers(seed, (2, rows * columns, heads * width))[0]
    layer.build(x.shape)
    holds(layer, [x])


@looked_at
@given(rope=st.booleans(), masked=st.booleans(), kind=st.integers(0, 3), **COMMON)
def test_attention(rope, masked, kind, m, policy, heads, tokens, width, scale, seed):
    m = min(m, tokens)
    make = [Softmax, functools.partial(Performer, m), functools.partial(Linformer, m), functools.partial(Nystrom, m)]
    kernel = make[kind](dtype=policy)
    turn = RotaryEmbedding(dtype=policy) if rope and width % 2 == 0 else None
    layer = Attention(heads, kernel=kernel, rope=turn, dtype=policy)
    x = scale * numbers(seed, (2, tokens, heads * width))[0]
    layer.build(x.shape)
    mask = np.random.default_rng(seed).random((2, tokens)) < 0.7
    holds(layer, [x], **({"mask": keras.ops.convert_to_tensor(mask)} if masked else {}))
