"""The 2022 hybrids against every printed and logged count and size."""

import csv
import functools
import importlib.resources

import numpy as np
import pytest

import keras_vix
from keras_vix.zoo import PRESETS, assemble, configure
from keras_vix.zoo.families import strides
from keras_vix.zoo.presets import hybrid

with (importlib.resources.files("keras_vix") / "bench/studies/hybrid_xformers_2022.csv").open(encoding="utf-8") as file:
    PUBLISHED = list(csv.DictReader(file))
MISPRINTED_SIZE = ("levil", "tiny_imagenet")  # printed 69.89; the structure that gives 69.69 on CIFAR-10 gives 69.82
SHAPES = {"cifar10": {"input_shape": (32, 32, 3), "classes": 10}, "tiny_imagenet": {"input_shape": (64, 64, 3), "classes": 200}}


def every(test):
    return pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row['preset']}-{row['dataset']}")(test)


@functools.cache
def described(preset, dataset, profile="reference"):
    return keras_vix.describe(preset, profile=profile, **SHAPES[dataset])


def test_the_data_hold_all_tables():
    assert [sum(row["table"] == str(n) for row in PUBLISHED) for n in range(1, 7)] == [12, 12, 12, 12, 6, 8]
    assert {row["preset"] for row in PUBLISHED} == {name for name, row in PRESETS.items() if row.counting == "modules"}


@every
def test_both_counts(row):
    found = described(row["preset"], row["dataset"])
    assert found.published_parameters == int(row["parameters"])
    assert found.trainable_parameters == int(row["trainable"])


@every
def test_size_to_the_printed_digit(row):
    found = f"{described(row['preset'], row['dataset']).published_megabytes:.2f}"
    assert found == ("69.82" if (row["preset"], row["dataset"]) == MISPRINTED_SIZE else row["size_mb"])


@pytest.mark.parametrize("name", ["vit", "vil_rope", "cvt", "hybrid_pin", "ccl"])
def test_the_default_profile_has_the_same_size(name):
    default, reference = (described(name, "cifar10", profile) for profile in ("default", "reference"))
    assert default.trainable_parameters == reference.trainable_parameters


def test_choices_make_the_same_model_as_a_name():
    choices = configure("vit", embed="conv", kernel="nystrom", position="rope", profile="reference")
    assert choices == configure("hybrid_vin_rope", profile="reference")
    model = assemble(choices, "model")
    assert [w.shape for w in model.weights] == [w.shape for w in assemble(configure("hybrid_vin_rope", profile="reference"), "m").weights]


def test_a_new_row_is_one_line(monkeypatch):
    """CvT's stages with Linformer and the hybrids' stem."""
    monkeypatch.setitem(PRESETS, "cvl_stem", hybrid("cvx", "a table of mine", kernel="linformer", filters=(32, 64), conv_norm=None))
    found = keras_vix.describe("cvl_stem")
    assert found.trainable_parameters == keras_vix.describe("cvl").trainable_parameters - (3_584 + 256) + 93_248
    assert found.title == "CvT of three stages, channel norm, Linformer, keys as values"


@pytest.mark.parametrize("patch, steps", [(1, (1, 1, 1)), (2, (2, 1, 1)), (4, (2, 2, 1)), (7, (7, 1, 1)), (8, (2, 2, 2)), (6, (2, 3, 1))])
def test_strides_shrink_as_a_patch_does(patch, steps):
    assert strides(patch, 3) == steps and np.prod(steps) == patch
    assert strides(patch, 1) == (patch,)


def test_the_start_of_the_released_code():
    model = assemble(configure("vit", profile="reference", dataset="digits"), "vit")
    dense = next(layer for layer in model._flatten_layers() if layer.name == "expand")
    kernel, bias = (np.array(w) for w in dense.get_weights())
    bound = kernel.shape[0] ** -0.5
    for values in (kernel, bias):
        assert np.abs(values).max() <= bound and np.abs(values).max() > 0.9 * bound
    table = np.array(model.get_layer("position").table)
    assert 0.9 <= table.std() <= 1.1
    small = assemble(configure("cct", profile="reference", dataset="digits"), "cct")
    dense = next(layer for layer in small._flatten_layers() if layer.name == "expand")
    kernel, bias = (np.array(w) for w in dense.get_weights())
    assert 0.018 <= kernel.std() <= 0.022 and not bias.any()


def test_recipes_of_the_released_code():
    from keras_vix.train import recipe

    assert recipe("vit", "cifar10", "reference") == recipe("vin_rope", "cifar10", "reference", batch_size=64)
    made = recipe("fnet", "cifar10", "reference")
    assert (made.optimizer, made.learning_rate, made.weight_decay, made.decay_all, made.schedule) == ("adamw", 1e-3, 0.01, True, "constant")
    assert (made.epochs, made.batch_size, made.augment, made.optimizer_epsilon) == (100, 512, "none", 1e-8)
    assert recipe("fnet").schedule == "cosine"
    tiny = [recipe(name, "tiny_imagenet", "reference") for name in ("levin", "ccp", "cct")]
    assert [(one.epochs, one.batch_size) for one in tiny] == [(150, 192), (150, 160), (40, 48)]
    assert recipe("ccp", "cifar10", "reference").epochs == 40
    model = keras_vix.build("vit", dataset="digits", profile="reference")
    assert model.optimizer.epsilon == 1e-8 and model.optimizer._use_weight_decay(model.get_layer("position").table)
    model = keras_vix.build("vit", dataset="digits")
    assert not model.optimizer._use_weight_decay(model.get_layer("position").table)
