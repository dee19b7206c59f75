"""The backbones in the style of ACC-ViT: the published shape, and their own counts."""

import re

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.zoo import PRESETS, assemble, configure
from keras_vix.zoo.count import trainable_parameters

SMALL = dict(dim=(8, 8, 16, 16), depth=(1, 2, 1, 1), num_heads=(1, 1, 2, 2), filters=(8,))


def count(dim, depth, channels=3, classes=1000, rates=(4, 3, 2, 1), window=7):
    """Parameters from the sizes alone."""
    total = 9 * channels * dim[0] + 9 * dim[0] ** 2 + 2 * 3 * dim[0]  # stem: two convolutions with biases and normalisations
    before = dim[0]
    for c, blocks, levels in zip(dim, depth, rates):
        for _ in range(blocks):
            total += 2 * before + (before + 1) * 4 * c + 3 * 10 * 4 * c + 12 * c * c + c + 2 * c * (c // 4) + c // 4 + c
            total += (before + 1) * c if before != c else 0
            total += 2 * c + 4 * c * c + 4 * c + ((c + 1) * levels if levels > 1 else 0) + levels * (2 * window - 1) ** 2 * c // 32
            total += 2 * c + 8 * c * c + 5 * c
            before = c
    return total + 2 * before + (before + 1) * classes


SIZES = {
    "acc_vit_t": ((64, 128, 256, 512), (2, 3, 6, 2), 28.27e6),
    "acc_vit_s": ((96, 192, 384, 768), (2, 3, 6, 2), 62.89e6),
    "acc_vit_b": ((96, 192, 384, 768), (4, 6, 14, 2), 100.76e6),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_count_is_the_rows_own_and_near_the_calculated_one(name):
    dim, depth, calculated = SIZES[name]
    own = count(dim, depth)
    assert abs(own / calculated - 1) <= 0.005
    assert re.search(r"([\d,]+) parameters", PRESETS[name].title)[1] == f"{own:,}"
    config = configure(name)
    assert (config.input_shape, config.classes) == ((224, 224, 3), 1000)
    assert (config.dim, config.depth) == (dim, depth) and {d // h for d, h in zip(dim, config.num_heads)} == {32}


@pytest.mark.long
@pytest.mark.parametrize("name", SIZES)
def test_a_model_has_as_many_parameters_as_calculated(name):
    dim, depth, _ = SIZES[name]
    with keras.StatelessScope(initialize_variables=False):  # weights have shapes and no values
        model = assemble(configure(name, init="keras"), name)
    assert trainable_parameters(model) == count(dim, depth)
    keras.utils.clear_session()


def test_stages():
    """At 224 pixels: grids of 56, 28, 14 and 7, in each of which the highest rate spans the whole map."""
    model = assemble(configure("acc_vit_t", **SMALL), "model")
    mixers = [layer.inner for layer in model.layers if layer.name.endswith("mixer")]
    rates = {layer.grid: layer.rates for layer in mixers}
    assert rates == {(56, 56): (1, 2, 4, 8), (28, 28): (1, 2, 4), (14, 14): (1, 2), (7, 7): (1,)}
    locals_ = [layer for layer in model.layers if layer.name.endswith("local")]
    assert [(layer.dim, layer.local_stride) for layer in locals_] == [(8, 1), (8, 2), (8, 1), (16, 2), (16, 2)]


def test_a_stage_without_blocks_is_reached_by_a_reduction():
    model = assemble(configure("acc_vit_t", dataset="cifar10", **SMALL | {"depth": (1, 0, 0, 1)}), "model")
    places = [layer.name for layer in model.layers if "stage" in layer.name]
    assert places[:5] == ["stage0_block0_local", "stage0_block0_mixer", "stage0_block0_ffn", "stage1_reduce", "stage2_reduce"]


def test_prefix_tokens_are_refused():
    with pytest.raises(ValueError, match="bare grid"):
        configure("acc_vit_t", dataset="cifar10", prefix=1)


@pytest.mark.long
def test_a_small_one_learns_saves_and_loads(tmp_path):
    data = keras_vix.data.load("digits", limit=60)
    model = keras_vix.build("acc_vit_t", dataset="digits", drop_path=0.1, **SMALL)
    losses = model.fit(*data.train, batch_size=32, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    model.save(tmp_path / "model.keras")
    again = keras_vix.load(tmp_path / "model.keras")
    x = data.test.x[:8]
    assert np.array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))
