"""Feature maps: whose output they are, on which grid, in which batches."""

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.interpret import features

from .test_maps import IMAGES, SMALL, VIT, scattered


@pytest.fixture(scope="module")
def vit():
    return scattered(keras_vix.build("vit", **VIT))


@pytest.fixture(scope="module")
def pit():
    sizes = dict(dim=(16, 32), depth=(2, 1), num_heads=(2, 2), key_dim=8, patch=2)
    return scattered(keras_vix.build("sl_pit", **SMALL | sizes))


def output_of(model, name):
    return keras.ops.convert_to_numpy(keras.Model(model.input, model.get_layer(name).output)(IMAGES.astype("float32"), training=False))


def test_a_block_gives_its_tokens_on_their_grid(vit):
    expected = output_of(vit, "stage0_block1_ffn")
    maps, front = features(vit, IMAGES, at=-1, prefix=True)
    assert list(maps) == list(front) == ["stage0_block1"]
    assert maps["stage0_block1"].shape == (5, 4, 4, 16) and maps["stage0_block1"].dtype == "float32"
    assert np.abs(maps["stage0_block1"].reshape(5, 16, 16) - expected[:, 1:]).max() <= 1e-5
    assert np.abs(front["stage0_block1"] - expected[:, :1]).max() <= 1e-5


def test_stages_and_all_blocks_of_a_pyramid(pit):
    assert {name: one.shape for name, one in features(pit, IMAGES).items()} == {"stage0": (5, 4, 4, 16), "stage1": (5, 2, 2, 32)}
    every = features(pit, IMAGES, "all")
    assert {name: one.shape for name, one in every.items()} == {
        "stage0_block0": (5, 4, 4, 16), "stage0_block1": (5, 4, 4, 16), "stage1_block0": (5, 2, 2, 32),
    }  # fmt: skip
    assert np.abs(every["stage1_block0"] - features(pit, IMAGES, "stage1")["stage1"]).max() <= 1e-5
    assert np.abs(every["stage0_block0"] - every["stage0_block1"]).max() > 1e-2


def test_a_stage_without_blocks_gives_what_is_reduced():
    model = keras_vix.build("transformer_local", dataset="digits", dim=(16, 32), num_heads=2, window=2, shift=1, compile=False)
    assert {name: one.shape for name, one in features(model, IMAGES).items()} == {"stage0": (5, 8, 8, 16), "stage1": (5, 4, 4, 32)}


def test_layers_by_name_and_several_at_once(vit):
    found = features(vit, IMAGES, [0, "norm", "patch_embedding" if "patch_embedding" in [x.name for x in vit.layers] else vit.layers[2].name, "pool"])
    shapes = [one.shape for one in found.values()]
    assert shapes == [(5, 4, 4, 16), (5, 4, 4, 16), (5, 4, 4, 16), (5, 16)]
    assert np.abs(found["norm"].reshape(5, 16, 16) - output_of(vit, "norm")[:, 1:]).max() <= 1e-5
    assert np.abs(found["pool"] - output_of(vit, "pool")).max() <= 1e-5
    assert list(features(vit, IMAGES, "stage0_block0_mixer")) == ["stage0_block0_mixer"]


def test_models_without_attention_have_features_too():
    model = keras_vix.build("mlp_mixer", **SMALL, patch=2)
    assert {name: one.shape for name, one in features(model, IMAGES, "all").items()} == {f"stage0_block{i}": (5, 4, 4, 16) for i in range(2)}


def test_batches_change_nothing_and_16_bits_come_as_32(vit):
    whole, cut = (features(vit, IMAGES, "all", batch_size=size) for size in (8, 2))
    for name, one in whole.items():
        assert one.shape == cut[name].shape and np.abs(one - cut[name]).max() <= 1e-5
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = keras_vix.build("vit", **VIT)
    keras.config.set_dtype_policy("float32")
    assert features(model, IMAGES, 0)["stage0_block0"].dtype == "float32"


@pytest.mark.parametrize(
    "at, options, words",
    [
        (2, {}, "at=2"),
        ("stage0_blok1", {}, "Did you mean 'stage0_block1'"),
        ([], {}, "one layer at least"),
        (0, {"prefix": 1}, "prefix=1"),
        (0, {"batch_size": 0}, "batch_size=0"),
        (True, {}, "at=True"),
    ],
)
def test_what_is_refused(vit, at, options, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        features(vit, IMAGES, at, **options)
    assert words in str(caught.value)


def test_images_that_do_not_fit(vit):
    with pytest.raises(ValueError, match="raw, as the model takes them. Received: shape"):
        features(vit, IMAGES[:, :4])
