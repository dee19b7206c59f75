"""Weights copied by role."""

import keras
import numpy as np
import pytest

from keras_vix import build
from keras_vix.interop import transfer
from keras_vix.interop.transfer import roles

SIZES = {"dataset": "cifar10", "patch": 8, "dim": 16, "depth": 2, "num_heads": 2, "compile": False}


def vit(seed=0, **options):
    return build("vit_b16", seed=seed, **SIZES | options)


def values(model):
    return {role: keras.ops.convert_to_numpy(weight) for role, weight in roles(model).items()}


def pixels():
    return np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")


@pytest.mark.parametrize(
    ("options", "new"),
    [
        ({"kernel": "linformer", "m": 4}, ("kernel/e", "kernel/f")),
        ({"kernel": "performer", "m": 4}, ("kernel/projection", "kernel/draws")),
        ({"kernel": "performer", "features": "relu", "m": None}, ()),
        ({"kernel": "softmax"}, ()),
    ],
)
def test_all_but_the_kernels_own_weights_are_copied(options, new):
    source, target = vit(), vit(seed=1, **options)
    before, given = values(target), values(source)
    report = transfer(source, target)
    assert set(report.copied) == set(given) and report.skipped == ()
    assert report.new == tuple(f"stage0_block{block}_mixer/mixer/{name}" for block in range(2) for name in new)
    after = values(target)
    assert all(np.array_equal(after[role], given[role]) for role in report.copied)
    assert all(np.array_equal(after[role], before[role]) for role in report.new)
    assert report.counts() == {"copied": len(given), "new": 2 * len(new), "interpolated": 0, "skipped": 0}


def test_a_copied_model_is_the_same_function():
    source, target = vit(), vit(seed=1)
    keras.utils.set_random_seed(1)
    for weight in target.trainable_weights:
        weight.assign(keras.random.normal(weight.shape))
    transfer(source, target)
    assert np.array_equal(source.predict(pixels(), verbose=0), target.predict(pixels(), verbose=0))


def test_a_linformer_of_all_tokens_starts_as_the_transformer():
    source, target = vit(), vit(kernel="linformer", m=17, start="identity")
    transfer(source, target)
    assert np.allclose(source.predict(pixels(), verbose=0), target.predict(pixels(), verbose=0), atol=1e-5)


def test_another_shape_is_new_and_skipped():
    source, target = vit(), vit(classes=7)
    report = transfer(source, target)
    assert set(report.new) == set(report.skipped) == {"head/logits/kernel", "head/logits/bias"}


def test_arrays_by_role_will_do_and_the_numbers_of_layers_do_not_matter():
    given = values(vit())
    assert "patch_embedding/projection/kernel" in given and "stage0_block1_ffn/mlp/expand/kernel" in given
    target = vit(seed=2)
    assert transfer(given, target).new == ()
    assert all(np.array_equal(value, given[role]) for role, value in values(target).items())


def test_layers_of_one_kind_are_told_apart_by_their_order():
    def stack():
        return keras.Sequential([keras.Input((3,)), *(keras.layers.Dense(3, kernel_initializer="normal") for _ in range(3))])

    source, target = stack(), stack()
    assert list(roles(source)) == [f"sequential/dense/{name}{place}" for place in ("", ":1", ":2") for name in ("kernel", "bias")]
    transfer(source, target)
    assert all(np.array_equal(a, b) for a, b in zip(values(source).values(), values(target).values(), strict=True))


def test_what_does_not_fit_is_refused_and_changes_nothing():
    target = vit()
    before = values(target)
    with pytest.raises(ValueError, match="share a weight"):
        transfer({"head/logits/kernel": np.zeros((1, 1))}, target)
    assert all(np.array_equal(value, before[role]) for role, value in values(target).items())
    with pytest.raises(TypeError, match="target"):
        transfer(target, {"a": 1})
    with pytest.raises(TypeError, match="source"):
        transfer([1, 2], target)
