"""Exact attention against a loop."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import Softmax
from keras_vix.ops.dense import attend, masked_softmax, scores

from ..laws import differentiate, run
from ..reference import loop, softmax_attention

ROOT = Path(__file__).parents[2]


@pytest.fixture
def qkv():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((2, 3, 7, 4)).astype("float32") for _ in range(3)]


def test_equals_a_loop(qkv):
    assert np.abs(run(Softmax(), *qkv) - loop(softmax_attention, *qkv)).max() <= 1e-6


def test_a_mask_removes_keys(qkv):
    keep = np.array([1, 0, 1, 1, 0, 1, 1], bool)
    expected = loop(lambda q, k, v: softmax_attention(q, k, v, keep), *qkv)
    assert np.abs(run(Softmax(), *qkv, mask=keep[None, None]) - expected).max() <= 1e-6


def test_a_bias_is_added_to_the_scores(qkv):
    q, k, v = qkv
    forbid = np.where(np.eye(7, dtype=bool), 0.0, -1e9).astype("float32")
    assert np.abs(run(Softmax(), q, k, v, bias=forbid[None, None]) - v).max() <= 1e-6


def written_out(q, k, v, *bias):
    """The formula in separate operations, with the backend's own gradient."""
    s = scores(q, k)
    return ops.matmul(masked_softmax(s + bias[0] if bias else s), v)


@pytest.mark.parametrize("width", [4, 300])
@pytest.mark.parametrize("shape", [(), (3, 7, 9), (1, 3, 7, 9), (2, 1, 1, 9), (1, 1, 3, 1, 9)])
def test_the_gradient_is_that_of_the_formula(shape, width):
    rng = np.random.default_rng(1)
    lead = (2, 3) if len(shape) < 5 else (2, 4, 3)
    arrays = [rng.standard_normal((*lead, n, 5)).astype("float32") for n in (7, 9, 9)]
    if width == 300:  # beyond the number of keys from which the gradient is made in another way
        arrays[1:] = [np.repeat(x, 33, axis=-2) for x in arrays[1:]]
        shape = (*shape[:-1], 297) if shape else shape
    arrays += [rng.standard_normal(shape).astype("float32")] if shape else []
    found = differentiate(lambda q, k, v, *bias: attend(q, k, v, None, *bias), arrays)
    for a, b in zip(found, differentiate(written_out, arrays)):
        assert a.shape == b.shape and np.abs(a - b).max() <= 2e-6 * max(1.0, np.abs(b).max())


@pytest.mark.parametrize("keys, chunk", [(7, 1), (7, 3), (7, 7), (12, 5)])
@pytest.mark.parametrize("masked", [False, True])
def test_chunks_change_neither_result_nor_gradient(keys, chunk, masked):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((2, 3, n, 4)).astype("float32") for n in (7, keys, keys)]
    mask = np.ones((2, 1, keys), bool)
    if masked:
        mask[0, 0, 2:5] = mask[1] = False  # the second sample has no key at all
    whole, cut = (differentiate(lambda *x: kernel(*x, mask=mask), arrays) for kernel in (Softmax(), Softmax(chunk=chunk)))
    for a, b in zip(whole, cut):
        assert a.shape == b.shape and np.abs(a - b).max() <= 1e-5


CAUSAL = {"whole": {}, "chunk": {"chunk": 3}, "dropped": {"dropout": 0.3}}


@pytest.mark.parametrize("keys", [7, 5, 9])
@pytest.mark.parametrize("kernel", ["whole", "chunk"])
@pytest.mark.parametrize("masked", [False, True])
def test_causal_equals_a_loop_over_the_past(kernel, keys, masked):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((2, 3, n, 4)).astype("float32") for n in (7, keys, keys))
    mask = np.ones((2, 1, keys), bool)
    if masked:
        mask[0, 0, 2:4] = mask[1, 0, :2] = False  # the first tokens of the second sample see nothing
    seen = mask[:, :, None] & (np.arange(keys) <= np.arange(7)[:, None])
    weights = np.exp((q @ np.swapaxes(k, -1, -2) / 2).astype("float64")) * seen
    expected = weights @ v / np.maximum(weights.sum(-1, keepdims=True), 1e-300)
    found = run(Softmax(causal=True, **CAUSAL[kernel]), q, k, v, mask=mask if masked else None)
    assert np.abs(found - expected).max() <= 2e-6
    assert not masked or not found[1, :, :2].any()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("options", CAUSAL.values(), ids=CAUSAL)
@pytest.mark.parametrize("token", [0, 2, 5])
def test_no_output_depends_on_a_later_token(qkv, options, masked, token):
    """Gradients of a token's output: exactly 0 for all later keys and values, and not for its own."""
    mask = np.ones((2, 1, 7), bool)
    mask[0, 0, 1] = not masked
    layer = Softmax(causal=True, **options)
    part = lambda *x: layer(*x, mask=mask if masked else None, training=True)[..., token : token + 1, :]
    _, _, d_k, d_v = differentiate(part, qkv)
    assert not d_k[..., token + 1 :, :].any() and not d_v[..., token + 1 :, :].any()
    assert d_v[..., : token + 1, :].any() and (token == 0 or d_k[..., : token + 1, :].any())


@pytest.mark.parametrize("options", [{}, {"chunk": 3}])
def test_a_later_token_changes_no_earlier_output(qkv, options):
    layer = Softmax(causal=True, **options)
    before = run(layer, *qkv)
    changed = [x.copy() for x in qkv]
    for x in changed:
        x[..., 4, :] += 3.0
    after = run(layer, *changed)
    assert np.array_equal(after[..., :4, :], before[..., :4, :])
    assert (np.abs(after[..., 4:, :] - before[..., 4:, :]).max(axis=(0, 1, 3)) > 1e-2).all()


@pytest.mark.parametrize("keys, chunk", [(7, 3), (12, 5), (5, 2)])
def test_causal_chunks_change_neither_result_nor_gradient(keys, chunk):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((2, 3, n, 4)).astype("float32") for n in (7, keys, keys)]
    mask = rng.random((2, 1, keys)) < 0.6
    whole, cut = (differentiate(lambda *x: kernel(*x, mask=mask), arrays) for kernel in (Softmax(causal=True), Softmax(causal=True, chunk=chunk)))
    for a, b in zip(whole, cut):
        assert a.shape == b.shape and np.abs(a - b).max() <= 1e-5


def test_causal_with_a_bias(qkv):
    q, k, v = qkv
    bias = np.random.default_rng(3).standard_normal((3, 7, 7)).astype("float32")
    weights = np.exp(q @ np.swapaxes(k, -1, -2) / 2 + bias) * np.tri(7)
    expected = weights @ v / weights.sum(-1, keepdims=True)
    assert np.abs(run(Softmax(causal=True), q, k, v, bias=bias) - expected).max() <= 2e-6
    with pytest.raises(TypeError, match="causal='yes'"):
        Softmax(causal="yes")


@pytest.mark.alone
def test_chunks_take_memory_linear_in_the_tokens():
    """A compiled step on 4,096 tokens: the weights of four heads alone are 256 MiB, which plain attention holds several times."""
    code = """
import keras, numpy as np, resource
from keras_vix.layers import Attention
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def step(tokens):
    x = keras.Input((tokens, 128))
    model = keras.Model(x, Attention(4)(x))
    model.compile("sgd", "mse", jit_compile=False)
    return model.train_on_batch(*np.zeros((2, 1, tokens, 128), "float32"))
step(64)
before = peak()
assert np.isfinite(step(4096))
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) <= 250


@pytest.mark.parametrize("chunk", [None, 3])
@pytest.mark.parametrize("shape", [(9,), (3, 9), (1, 9), (2, 1, 1, 9), (2, 4, 3, 9)])
def test_masks_of_any_shape_that_broadcasts(shape, chunk):
    rng = np.random.default_rng(2)
    q, k, v = rng.standard_normal((3, 2, 4, 3, 9, 5)).astype("float32")  # two leading axes: samples and windows
    mask = rng.random(shape) < 0.6
    expected = run(Softmax(chunk=chunk), q, k, v, mask=np.broadcast_to(mask, (2, 4, 3, 9)))
    weights = np.exp(q @ np.swapaxes(k, -1, -2) / 5**0.5) * np.broadcast_to(mask, (2, 4, 3, 9))[..., None, :]
    assert np.abs(expected - weights @ v / np.maximum(weights.sum(-1, keepdims=True), 1e-30)).max() <= 2e-6
    assert np.abs(run(Softmax(chunk=chunk), q, k, v, mask=mask) - expected).max() <= 1e-6


def test_many_tokens_are_cut_without_being_asked():
    kernel = Softmax()
    assert kernel._chunk(2048, 2048) is None and kernel._chunk(2049, 2048) == 256
    assert kernel._chunk(4096, 4096) == 128 and kernel._chunk(65_536, 65_536) == 16
    assert Softmax(chunk=3)._chunk(7, 7) == 3 and Softmax(chunk=9)._chunk(7, 7) is None


def test_chunk_and_dropout_exclude_each_other():
    with pytest.raises(ValueError, match="chunk=4, dropout=0.1"):
        Softmax(dropout=0.1, chunk=4)
    with pytest.raises(ValueError, match="chunk"):
        Softmax(chunk=0)
