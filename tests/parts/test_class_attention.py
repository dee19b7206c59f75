"""Class attention against plain NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import TalkingHeads
from keras_vix.parts import ClassAttention, ClassAttentionPool

from ..laws import disturb, run

RNG = np.random.default_rng(0)
TOKEN = RNG.standard_normal((2, 1, 8)).astype("float32")
X = RNG.standard_normal((2, 5, 8)).astype("float32")


def values(layer):
    return [ops.convert_to_numpy(w) for w in layer.weights]


def normalise(x, norm):
    gamma, beta = values(norm)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * gamma + beta


def dense(x, layer):
    kernel, *bias = values(layer)
    return x @ kernel + (bias[0] if bias else 0.0)


def gelu(x):
    from math import erf

    return x * 0.5 * (1.0 + np.vectorize(erf)(x / np.sqrt(2.0)))


@pytest.mark.parametrize("sees_itself", [True, False])
def test_one_block_by_hand(sees_itself):
    layer = ClassAttention(2, mlp_dim=12, scale=0.3, sees_itself=sees_itself)
    layer(TOKEN, X)
    disturb(layer)
    u = normalise(np.concatenate([TOKEN, X], 1), layer.layer_norm)
    seen = u if sees_itself else u[:, 1:]
    q, k, v = (dense(x, d) for x, d in ((u[:, :1], layer.attention.query), (seen, layer.attention.key), (seen, layer.attention.value)))
    read = np.zeros_like(q)
    for h in (slice(0, 4), slice(4, 8)):
        s = q[..., h] @ k[..., h].swapaxes(1, 2) / 2.0
        w = np.exp(s - s.max(-1, keepdims=True))
        read[..., h] = w / w.sum(-1, keepdims=True) @ v[..., h]
    token = TOKEN + ops.convert_to_numpy(layer.gamma) * dense(read, layer.attention.out)
    mlp = layer.ffn.inner
    hidden = gelu(dense(normalise(token, layer.ffn.layer_norm), mlp.expand))
    token = token + ops.convert_to_numpy(layer.ffn.gamma) * dense(hidden, mlp.contract)
    assert np.abs(run(layer, TOKEN, X) - token).max() <= 1e-5
    keys = 6 if sees_itself else 5
    assert layer.multiply_adds((1, 8), (5, 8)) == 2 * 64 + 2 * keys * 64 + 2 * keys * 8 + 2 * 8 * 12


def test_the_pool_has_a_kernel_for_each_block_and_exact_attention_if_told():
    kernel = TalkingHeads(mix_std=0.5)
    copies = ClassAttentionPool(2, mlp_dim=12, kernel=kernel, class_exact=False, class_depth=3)
    run(copies, X)
    kernels = [block.kernel for block in copies.blocks]
    assert len({id(one) for one in kernels}) == 3 and all(type(one) is TalkingHeads for one in kernels)
    assert not kernel.built
    plain = ClassAttentionPool(2, mlp_dim=12, kernel=kernel)
    run(plain, X)
    assert not any(type(block.kernel) is TalkingHeads for block in plain.blocks)


def test_the_order_of_the_tokens_does_not_matter():
    layer = ClassAttentionPool(2, mlp_dim=12, class_scale=1.0)
    out = run(layer, X)
    assert np.abs(run(layer, X[:, ::-1]) - out).max() <= 1e-5
    assert np.abs(run(layer, X[:, :4]) - out).max() > 1e-3
