"""Binary transformers as whole models: operations as published, weights of two values, and every weight learns."""

import numpy as np
import pytest
from keras import ops

import keras_vix
from keras_vix.mixers import BinaryAttention
from keras_vix.ops.binary import binary_weights
from keras_vix.primitives import BinaryConv2D, BinaryDense
from keras_vix.zoo import configure


def kernels(model):
    """Trained weights of the binary layers, and whether their mean is taken off."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, (BinaryDense, BinaryConv2D))]
    return [(layer.kernel, isinstance(layer, BinaryDense)) for layer in layers]


@pytest.mark.parametrize(
    "name, binary, operations",
    [("binary_vit", 3.82e9, 0.79e8), ("binary_vit_star", 3.75e9, 1.55e8), ("binary_deit_s", 4.54e9, 1.29e8)],
)
def test_operations_to_the_printed_digit(name, binary, operations):
    found = keras_vix.describe(name)
    assert round(found.binary_multiply_adds / 1e9, 2) == binary / 1e9
    assert round(found.operations / 1e8, 2) == operations / 1e8
    assert f"{found.operations:,}" in str(found)


def test_what_is_not_binary():
    """Stem and classifier, and six products with learned scales for each token and channel of each block."""
    found = keras_vix.describe("binary_vit", depth=(1, 0, 0, 0))
    stem, classifier = 56**2 * 48 * 64, 512 * 1000
    assert found.multiply_adds - found.binary_multiply_adds == stem + classifier
    assert found.operations - round(found.binary_multiply_adds / 64) == stem + classifier + 6 * 56**2 * 64
    assert found.published_parameters - found.trainable_parameters > 0


def test_no_operations_are_told_of_models_without_binary_products():
    found = keras_vix.describe("transformer_global", dataset="digits", depth=1)
    assert found.binary_multiply_adds == 0 and found.operations == found.multiply_adds and "operations" not in str(found)


@pytest.mark.parametrize("name", ["binary_vit", "binary_deit_s"])
def test_all_products_of_the_blocks_have_weights_of_two_values(name):
    model = keras_vix.build(name, dataset="digits")
    assert kernels(model)
    for kernel, center in kernels(model):
        found = ops.convert_to_numpy(binary_weights(kernel, center))
        for unit in found.reshape(-1, found.shape[-1]).T:
            assert len(np.unique(unit)) == 2 and unit.max() == -unit.min()


@pytest.mark.long
def test_reduction_of_keys_is_given_for_each_stage():
    model = keras_vix.build("binary_vit", dataset="digits")
    mixers = [layer for layer in model._flatten_layers() if isinstance(layer, BinaryAttention)]
    assert [(mixer.kv_reduction, mixer.grid, mixer.num_heads) for mixer in mixers] == [
        (4, (16, 16), 1), (2, (8, 8), 2), (1, (4, 4), 4), (1, (4, 4), 4), (1, (2, 2), 8),
    ]  # fmt: skip
    assert configure("binary_vit").options["kv_reduction"] == (8, 4, 1, 1)


@pytest.mark.long
def test_two_steps_move_every_weight_and_the_branches_speak():
    model = keras_vix.build("binary_vit", dataset="digits", depth=(1, 1, 0, 0))
    branches = [w for w in model.trainable_weights if "/mean" in w.path and w.path.endswith("gamma")]
    assert len(branches) == 8 and not any(ops.convert_to_numpy(w).any() for w in branches)
    before = [ops.convert_to_numpy(w).copy() for w in model.trainable_weights]
    images = keras_vix.data.load("digits", limit=64).train
    model.fit(images.x[:64], images.y[:64], batch_size=32, epochs=1, verbose=0)
    assert not [w.path for w, old in zip(model.trainable_weights, before) if np.array_equal(ops.convert_to_numpy(w), old)]
    assert all(ops.convert_to_numpy(w).any() for w in branches)
