"""Rollout against the product of whole maps."""

import functools

import numpy as np
import pytest

import keras_vix
from keras_vix.interpret import attention_maps, rollout

from .test_maps import IMAGES, SMALL, VIT, scattered


def by_hand(model, blocks, join, residual=0.5):
    """`A_last ... A_1` from whole maps, `(images, tokens, tokens)`."""
    steps = []
    for block in blocks:
        whole = join(attention_maps(model, IMAGES, block, "full"))
        steps.append(residual * np.eye(whole.shape[-1]) + (1 - residual) * whole)
    return functools.reduce(np.matmul, reversed(steps))


def mean(whole):
    return whole.mean(1)


def largest(whole):
    return whole.max(1) / whole.max(1).sum(-1, keepdims=True)


def smallest(whole):
    return whole.min(1) / whole.min(1).sum(-1, keepdims=True)


@pytest.fixture(scope="module")
def vit():
    return scattered(keras_vix.build("vit", **VIT | {"depth": 3}))


@pytest.mark.parametrize("preset, options", [("vit", {}), ("vip", {"m": 8}), ("vin", {"m": 6})])
def test_it_is_the_row_of_the_product(preset, options):
    model = scattered(keras_vix.build(preset, **VIT | {"depth": 3}, **options))
    expected = by_hand(model, range(3), mean)
    found = rollout(model, IMAGES, batch_size=2)
    assert found.shape == (5, 17) and found.dtype == "float32"
    assert np.abs(found - expected[:, 0]).max() <= 1e-5
    assert np.abs(rollout(model, IMAGES, query=4) - expected[:, 4]).max() <= 1e-5
    assert np.abs(rollout(model, IMAGES, query="mean") - expected.mean(1)).max() <= 1e-5
    if preset in ("vit", "vip"):
        assert np.abs(found.sum(-1) - 1.0).max() <= 1e-5


@pytest.mark.parametrize("heads, join", [("mean", mean), ("max", largest), ("min", smallest)])
def test_heads_may_be_joined_otherwise(vit, heads, join):
    expected = by_hand(vit, range(3), join)[:, 0]
    assert np.abs(rollout(vit, IMAGES, heads=heads) - expected).max() <= 1e-5


def test_some_blocks_and_another_share_of_the_shortcut(vit):
    expected = by_hand(vit, (1, 2), mean, 0.25)[:, 0]
    assert np.abs(rollout(vit, IMAGES, (1, "stage0_block2_mixer"), residual=0.25) - expected).max() <= 1e-5
    assert np.array_equal(rollout(vit, IMAGES, residual=1.0), np.eye(17, dtype="float32")[[0] * 5])


def test_without_a_class_token_it_is_the_mean():
    model = scattered(keras_vix.build("transformer_local_1d", **SMALL, window=3, shift=1))
    expected = by_hand(model, range(2), mean).mean(1)
    assert np.abs(rollout(model, IMAGES) - expected).max() <= 1e-5


@pytest.mark.parametrize("preset", ["sl_cait", "cait_xxs24"])
def test_class_attention_on_top(preset):
    """The class token as one more token, which the others do not see."""
    model = scattered(keras_vix.build(preset, **SMALL, patch=2, scale=0.5, class_scale=0.5))
    steps = []
    for block in range(2):
        whole = attention_maps(model, IMAGES, block, "full").mean(1)
        steps.append(np.stack([np.eye(17)] * 5))
        steps[-1][:, 1:, 1:] = 0.5 * np.eye(16) + 0.5 * whole
    for block in ("pool/0", "pool/1"):
        seen = attention_maps(model, IMAGES, block).mean(1)
        steps.append(np.stack([np.eye(17)] * 5))
        steps[-1][:, 0, 0] = 0.5
        steps[-1][:, 0, 17 - seen.shape[1] :] += 0.5 * seen
    expected = functools.reduce(np.matmul, reversed(steps))[:, 0, 1:]
    found = rollout(model, IMAGES, batch_size=3)
    assert found.shape == (5, 16) and np.abs(found - expected).max() <= 1e-5


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda vit: rollout(vit, IMAGES, heads="sum"), "`heads` must be one of mean, max, min"),
        (lambda vit: rollout(vit, IMAGES, residual=1.5), "residual=1.5"),
        (lambda vit: rollout(vit, IMAGES, ()), "`blocks` must name one"),
        (lambda vit: rollout(vit, IMAGES, (0, 7)), "layer=7"),
        (lambda vit: rollout(vit, IMAGES, heads="max", limit=100), "limit=100"),
        (lambda vit: rollout(keras_vix.build("sl_pit", **SMALL | dict(dim=(16, 32), depth=(1, 1), num_heads=(2, 2), key_dim=8, patch=2)), IMAGES), "`blocks` of one stage"),
        (lambda vit: rollout(keras_vix.build("levit", **SMALL, mixer="conv_attention", kv_stride=2, filters=(), strides=(2,)), IMAGES), "keys are the tokens"),
        (lambda vit: rollout(keras_vix.build("cait_xxs24", **SMALL, patch=2), IMAGES, (-1, 0)), "come last"),
        (lambda vit: rollout(keras_vix.build("mlp_mixer", **SMALL, patch=2), IMAGES), "must have attention"),
    ],
)
def test_what_is_refused(call, words, vit):
    with pytest.raises(ValueError) as caught:
        call(vit)
    assert words in str(caught.value)
