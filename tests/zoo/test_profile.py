"""The default profile of the 2024 report's rows: one backbone, whose stem follows the caller's patch."""

import math

import numpy as np
import pytest

import keras_vix
from keras_vix.train.recipe import recipe
from keras_vix.zoo import configure
from keras_vix.zoo.families import late, stem, steps

ROWS = (
    "transformer_global", "transformer_local", "transformer_local_1d", "performer_relu", "performer_softmax", "performer_exp",
    "linformer", "nystromformer",
)  # fmt: skip
OWN = {"mixer", "kernel"}  # what a row may choose
OWN_OPTIONS = {"m", "features", "window", "shift", "clamp", "wrap_rows", "relative_bias", "share"}


@pytest.mark.parametrize("dataset", ["cifar10", "mnist", "digits", "tiny_imagenet"])
def test_rows_differ_in_their_mixer_alone(dataset):
    def rest(preset):
        config = configure(preset, dataset=dataset)
        fields = {name: value for name, value in vars(config).items() if name not in OWN | {"options"}}
        return fields | {name: value for name, value in config.options.items() if name not in OWN_OPTIONS}

    first = rest(ROWS[0])
    assert first["embed"] == "conv" and "strides" in first
    for preset in ROWS[1:]:
        assert rest(preset) == first


@pytest.mark.parametrize(
    "patch, found",
    [(1, (1, 1, 1)), (2, (1, 1, 2)), (4, (1, 2, 2)), (8, (2, 2, 2)), (16, (2, 2, 2, 2)), (3, (1, 1, 3)), (6, (1, 3, 2)), (32, (2,) * 5)],
)
def test_the_stem_makes_one_token_of_each_patch(patch, found):
    made = stem(patch)
    assert made["strides"] == found and len(made["filters"]) == len(found) - 1 and np.prod(found) == patch


@pytest.mark.parametrize("patch", [5, 7, 10, 64])
def test_other_patches_are_mapped_linearly(patch):
    assert stem(patch) == {"embed": "patch", "patch": patch}


def test_steps_are_twos_then_threes():
    assert [steps(n) for n in (1, 2, 12, 5)] == [(), (2,), (2, 2, 3), ()]
    assert late(4, 4) == (1, 1, 2, 2)


@pytest.mark.parametrize("patch, tokens", [(2, 256), (4, 64), (8, 16), (16, 4), (32, 1)])
def test_a_patch_of_the_callers_becomes_the_strides_of_the_stem(patch, tokens):
    found = keras_vix.describe("performer_softmax", patch=patch)
    assert found.tokens == tokens and found.config["embed"] == "conv"
    assert np.prod(found.config["options"]["strides"]) == patch and "patch" not in found.config["options"]


def test_a_patch_without_a_stem_is_mapped_linearly():
    found = keras_vix.describe("performer_softmax", dataset="mnist", patch=7)
    assert found.tokens == 16 and found.config["embed"] == "patch" and found.config["options"]["patch"] == 7
    assert "conv_norm" not in found.config["options"]


@pytest.mark.parametrize("embed", ["patch", "spt"])
def test_another_embedding_takes_the_patch(embed):
    found = keras_vix.describe("performer_softmax", embed=embed)
    assert found.tokens == 64 and found.config["options"]["patch"] == 4


def test_a_stem_of_the_callers_keeps_its_tokens():
    found = keras_vix.describe("performer_softmax", filters=(8, 16, 32))
    assert found.tokens == 64 and found.config["options"]["strides"] == (1, 1, 2, 2)
    found = keras_vix.describe("performer_softmax", strides=(2, 1, 1))
    assert found.tokens == 256 and found.config["options"]["filters"] == (32, 64)


def test_tokens_stand_side_by_side_where_they_are_few():
    pools = {name: configure("performer_softmax", dataset=name).pool for name in ("cifar10", "mnist", "digits", "tiny_imagenet")}
    assert pools == {"cifar10": "flatten", "mnist": "flatten", "digits": "mean", "tiny_imagenet": "mean"}
    assert configure("performer_softmax", pool="mean").pool == "mean"


def test_a_step_moves_logits_behind_side_by_side_tokens_by_a_bounded_distance():
    """The head has 64 times the inputs: what it reads is made smaller by the root of their number, in the default profile alone."""
    found = configure("performer_softmax", dataset="cifar10").options
    assert found["flat_scale"] == 1 / math.sqrt(64)
    assert "flat_scale" not in configure("performer_softmax", dataset="cifar10", pool="mean").options
    assert "flat_scale" not in configure("performer_softmax", dataset="cifar10", profile="reference").options


@pytest.mark.parametrize("shape, tokens", [((64, 64, 3), 256), ((224, 224, 3), 196), ((96, 128, 3), 192), ((35, 35, 3), 49), ((9, 9, 1), 81), ((49, 49, 1), 49)])
def test_other_images_get_at_most_256_tokens(shape, tokens):
    assert keras_vix.describe("performer_softmax", input_shape=shape, classes=3).tokens == tokens


def test_the_recipe_is_that_of_all_rows_and_digits_keep_their_own():
    found = [recipe(preset, "cifar10", epochs=10) for preset in ROWS]
    assert all(one == found[0] for one in found)
    assert (found[0].learning_rate, found[0].weight_decay, found[0].schedule, found[0].augment) == (3e-3, 0.05, "cosine", "default")
    assert recipe("performer_softmax", "cifar10", "reference").augment == "reference_cifar"
    assert (recipe("performer_softmax", "digits").weight_decay, recipe("performer_softmax", "digits").epochs) == (1e-4, 18)


@pytest.mark.long
def test_perception_leaves_pyramids_and_tokens_in_front_to_others():
    model = keras_vix.build(
        "transformer_local", dataset="cifar10", local="perception", dim=(8, 16), depth=(1, 1), num_heads=2, mlp_dim=8, window=2, shift=0, compile=False
    )
    assert model.get_layer("stage1_block0_local").grid == (4, 4)
    found = keras_vix.build("transformer_global", dataset="digits", local="perception", prefix=1, pool="first", compile=False)
    assert found.get_layer("stage0_block0_local").prefix == 1
    assert np.isfinite(found.predict(np.zeros((2, 8, 8, 1), "uint8"), verbose=0)).all()


@pytest.mark.parametrize("options", [{"strides": 2}, {"filters": 8}, {"strides": "2"}])
def test_a_stem_that_is_no_tuple_is_named(options):
    (name,) = options
    with pytest.raises(TypeError, match=f"`{name}` must be a tuple of integers. Received: {name}="):
        keras_vix.build("performer_softmax", **options)
