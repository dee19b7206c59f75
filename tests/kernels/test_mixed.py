"""Locality self-attention and talking heads against plain NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import LSA, TalkingHeads

from ..laws import run

RNG = np.random.default_rng(0)
Q, K, V = (RNG.standard_normal((2, 3, 5, 4)).astype("float32") for _ in range(3))


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_locality_self_attention_by_hand():
    layer = LSA()
    layer(Q, K, V)
    assert layer.count_params() == 3  # one scale for each head
    layer.scale.assign([0.5, 1.0, 2.0])
    s = np.einsum("bhnd,bhkd->bhnk", Q, K) * np.array([0.5, 1.0, 2.0])[:, None, None]
    s[..., np.arange(5), np.arange(5)] = -np.inf
    assert np.abs(run(layer, Q, K, V) - softmax(s) @ V).max() <= 1e-5


def test_masked_tokens_are_as_absent():
    mask = np.array([True, True, True, False, False])[None, None]
    for layer in (LSA(), TalkingHeads(mix_std=0.5, diagonal=False)):
        short = run(layer, Q[:, :, :3], K[:, :, :3], V[:, :, :3])
        assert np.abs(run(layer, Q, K, V, mask=mask)[:, :, :3] - short).max() <= 1e-5


def test_constant_values_stay():
    assert np.abs(run(LSA(), Q, K, np.ones_like(V)) - 1.0).max() <= 1e-6


def test_a_token_never_reads_itself():
    other = V.copy()
    other[:, :, 2] += 10.0
    moved = np.abs(run(LSA(), Q, K, other) - run(LSA(), Q, K, V)).max((0, 1, 3))
    assert moved[2] <= 1e-5 and (np.delete(moved, 2) > 1e-2).all()


@pytest.mark.parametrize("tokens", [1, 2])
def test_where_there_is_no_other_token_it_does(tokens):
    out = run(LSA(), Q[:, :, :tokens], K[:, :, :1], V[:, :, :1])
    assert np.abs(out - V[:, :, :1]).max() <= 1e-6


def test_talking_heads_by_hand():
    layer = TalkingHeads(mix_std=0.5)
    layer(Q, K, V)
    (first, second), (b1, b2) = ([ops.convert_to_numpy(w) for w in group] for group in (layer.mixings, layer.biases))
    assert not b1.any() and not b2.any() and 0.2 < first.std() < 0.9
    layer.biases[0].assign(RNG.standard_normal(3))
    layer.biases[1].assign([0.1, -0.2, 0.3])
    b1, b2 = (ops.convert_to_numpy(b)[:, None, None] for b in layer.biases)
    s = np.einsum("bhnd,bhkd->bhnk", Q, K) / 2.0
    w = softmax(np.einsum("bhnk,hg->bgnk", s, first) + b1)
    w = np.einsum("bhnk,hg->bgnk", w, second) + b2
    assert np.abs(run(layer, Q, K, V) - w @ V).max() <= 1e-5
    shape = (3, 5, 4)
    assert layer.multiply_adds(shape, shape, shape) == 2 * 3 * 5 * 5 * 4 + 2 * 3 * 3 * 5 * 5


def test_a_masked_key_is_out_in_spite_of_the_second_bias():
    layer = TalkingHeads(mix_std=0.5)
    layer(Q, K, V)
    layer.biases[1].assign([1.0, 1.0, 1.0])
    mask = np.array([True, True, True, False, True])[None, None]
    other = V.copy()
    other[:, :, 3] = 100.0
    assert np.abs(run(layer, Q, K, other, mask=mask) - run(layer, Q, K, V, mask=mask)).max() <= 1e-5


def test_locality_holds_after_the_mixing():
    """A key that is left out after the first mixing weighs nothing; before it, it would come back with other heads' scores."""
    layer = TalkingHeads(mix_std=1.0, mix_bias=False, learned_scale=True, diagonal=False)
    other = V.copy()
    other[:, :, 2] += 10.0
    moved = np.abs(run(layer, Q, K, other) - run(layer, Q, K, V)).max((0, 1, 3))
    assert moved[2] <= 1e-5 and (np.delete(moved, 2) > 1e-3).all()
    assert layer.count_params() == 2 * 9 + 3
