"""The zoo: sizes against the published ones, overrides, and every wrong call before a weight exists."""

import itertools
import random

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.facts import DATASETS
from keras_vix.kernels import Kernel, Softmax
from keras_vix.zoo import PRESETS, assemble, configure
from keras_vix.zoo.config import AXES, fields

from ..presets import SAMPLE, SOME, light, sampled, shallow, twins

REFERENCE = {"profile": "reference"}
# softmax ignores what all keys share, a normalisation what all inputs share
IDLE = ("key/bias", "mix_scores_bias", "key_norm/beta", "levit/out/bias")

MEAN = {"pool": "mean", "head": "linear"}


def lean(dim, depth, mlp_dim, tokens, stem, classes):
    """Stem with two figures for each channel's normalisation, positions, blocks, final normalisation, head over all tokens."""
    convolutions = sum(9 * a * b + 3 * b for a, b in itertools.pairwise((*stem, dim)))
    block = 4 * (dim * dim + dim) + 2 * dim * mlp_dim + mlp_dim + dim + 2 * 2 * dim
    return convolutions + tokens * dim + depth * block + 2 * dim + (tokens * dim + 1) * classes


LEAN = lean(96, 4, 192, 64, (3, 32, 64), 10)

SIZES = [
    ("transformer_global", {**REFERENCE}, 21_666_762),
    ("transformer_global", {**REFERENCE, "dataset": "cifar100"}, 21_759_012),
    ("transformer_global", {**REFERENCE, "dataset": "mnist"}, 9_202_954),
    ("transformer_local", {**REFERENCE}, 151_386),
    ("transformer_local", {**REFERENCE, "dataset": "cifar100"}, 162_996),
    ("transformer_local", {**REFERENCE, "dataset": "mnist"}, 147_034),
    ("transformer_local", {**REFERENCE, "merge_norm": True}, 151_386 + 512),
    ("transformer_global", {**REFERENCE, **MEAN, "key_dim": 16}, 284_746),
    ("transformer_global", {**REFERENCE, **MEAN}, 682_570),
    ("transformer_global", {**REFERENCE, **MEAN, "dataset": "mnist"}, 670_602),
    ("transformer_global", {}, LEAN),
    ("transformer_global", {"pool": "mean"}, LEAN - 63 * 96 * 10),
    ("performer_softmax", {"dataset": "mnist"}, lean(64, 2, 128, 49, (1, 16, 32), 10)),
    ("transformer_local", {}, LEAN + 4 * 4 * 49),  # a bias for each head and pair of places in a window of 4 x 4
]


@pytest.mark.parametrize("name, arguments, size", SIZES)
def test_published_sizes(name, arguments, size):
    assert keras_vix.describe(name, **arguments).trainable_parameters == size


@pytest.mark.parametrize("dataset, constants", [("cifar10", 1056), ("mnist", 816)])
def test_the_local_model_counts_its_tables_as_its_source_does(dataset, constants):
    found = keras_vix.describe("transformer_local", dataset=dataset, profile="reference")
    assert found.published_parameters == found.trainable_parameters + constants


@pytest.mark.parametrize("name", ["performer_relu", "performer_softmax", "performer_exp", "nystromformer"])
@pytest.mark.parametrize("profile", ["default", "reference"])
def test_kernels_without_weights_leave_the_size_alone(name, profile):
    sizes = {keras_vix.describe(n, dataset="mnist", profile=profile).trainable_parameters for n in (name, "transformer_global")}
    assert len(sizes) == 1


@pytest.mark.parametrize("share, extra", [("none", 294_912), ("head", 73_728), ("kv", 36_864), ("layer", 4_608)])
def test_linformer_sharing_sizes(share, extra):
    plain = keras_vix.describe("transformer_global", **REFERENCE).trainable_parameters
    assert keras_vix.describe("linformer", **REFERENCE, m=32, share=share).trainable_parameters == plain + extra


BLOCKS = {"profile": "reference"}


@pytest.mark.long
@pytest.mark.parametrize(
    "name, options, dataset, millions",
    [
        ("transformer_global", {}, "cifar10", 179.3),
        ("performer_softmax", {"m": 16}, "cifar10", 113.2),
        ("performer_softmax", {"m": 32}, "cifar10", 132.1),
        ("performer_relu", {"m": 64}, "cifar10", 169.9),
        ("performer_softmax", {"m": 128}, "cifar10", 245.4),
        ("linformer", {"m": 32}, "cifar10", 88.6),  # projected after the keys and values, as published: 132.1
        ("transformer_global", {}, "mnist", 41.9),
        ("performer_softmax", {"m": 16}, "mnist", 38.5),
        ("performer_softmax", {"m": 32}, "mnist", 45.0),
        ("performer_softmax", {"m": 64}, "mnist", 57.8),
        ("performer_relu", {"m": 128}, "mnist", 83.5),
        ("performer_exp", {}, "cifar10", 132.1),
        ("performer_exp", {}, "mnist", 45.0),
    ],
)
def test_multiply_adds_of_the_blocks(name, options, dataset, millions):
    """Against the figures worked out by hand from the sizes; ours hold the normaliser too, at most 1 % more."""
    config = configure(name, dataset=dataset, profile="reference", **options)
    model = assemble(config, name)
    blocks = sum(layer.multiply_adds(tuple(layer.output.shape[1:])) for layer in model.layers if "block" in layer.name)
    assert 0.999 <= blocks / (millions * 1e6) <= 1.01


@pytest.mark.parametrize("dataset, millions", [("cifar10", 28), ("mnist", 21)])
def test_multiply_adds_of_windows_and_merging(dataset, millions):
    model = assemble(configure("transformer_local", dataset=dataset, profile="reference"), "model")
    stages = [layer for layer in model.layers if layer.name.startswith("stage")]
    assert round(sum(layer.multiply_adds(tuple(layer.input.shape[1:])) for layer in stages) / 1e6) == millions


def test_multiply_adds_by_hand():
    tokens, dim, mlp, classes = 16, 8, 12, 3
    found = keras_vix.describe(
        "transformer_global", input_shape=(8, 8, 1), classes=classes, patch=2, dim=dim, depth=1, num_heads=2, mlp_dim=mlp, embed="patch"
    )
    embed, projections, core = 64 * dim, 4 * tokens * dim * dim, 2 * tokens * tokens * dim
    assert found.tokens == tokens
    assert found.multiply_adds == embed + projections + core + 2 * tokens * dim * mlp + dim * classes


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_preset_fits_every_dataset(dataset):
    facts = DATASETS[dataset]
    for name, profile in itertools.product(PRESETS, ("default", "reference")):
        found = configure(name, dataset=dataset, profile=profile)
        assert (found.input_shape, found.classes) == (facts.input_shape, facts.classes), (name, profile)


TRAINED = {"performer_softmax", "nystromformer", "swin_t", "ccn", "fnet"}  # of `SOME`; the rest in `make test-long`
FITS = [(name, dataset) for dataset in DATASETS for name in PRESETS if dataset == "digits" or name in SAMPLE]


@pytest.mark.parametrize("case", sampled(FITS, sample={(name, "digits") for name in SOME} | {(name, "cifar10") for name in TRAINED}), ids="-".join)
def test_every_preset_answers(case):
    name, dataset = case
    found = configure(name, dataset=dataset)
    model = keras_vix.build(name, dataset=dataset, **{"depth": shallow(name, dataset), **light(name, dataset)})
    out = np.asarray(keras.ops.convert_to_numpy(model(np.zeros((2, *found.input_shape), "uint8"), training=False)))
    assert out.shape == (2, found.classes) and np.isfinite(out).all() and out.dtype == np.float32


@pytest.mark.parametrize("name", sampled(["cct", "hybrid_vin_rope", "pin", "levil", "deit_ti", "pit_ti", "cait_xxs24", "swin_t", "performer_relu"], sample=["cct", "deit_ti"]))
def test_shifted_patches_and_locality_go_with_any_preset(name):
    model = keras_vix.build(name, dataset="digits", embed="spt", kernel="lsa", **light(name))
    layers = {type(layer).__name__ for layer in model._flatten_layers()}
    assert {"ShiftedPatchEmbedding", "LSA"} <= layers
    out = model.predict(np.zeros((2, 8, 8, 1), "uint8"), verbose=0)
    assert out.shape == (2, 10) and np.isfinite(out).all()


@pytest.mark.parametrize("names", sampled(twins(training=True), lambda names: not TRAINED.isdisjoint(names), {True}), ids=lambda names: names[0])
def test_every_preset_trains_saves_and_loads(names, tmp_path):
    """Those that are one model at this size once."""
    name = names[0]
    keras_vix_data = keras_vix.data.load("digits", limit=100)
    model = keras_vix.build(name, dataset="digits", **{"depth": shallow(name, "digits"), **light(name)})
    before = [np.array(w) for w in model.trainable_weights]
    history = model.fit(*keras_vix_data.train, batch_size=32, epochs=2, verbose=0).history
    assert set(history) == {"loss", "accuracy", "ce"} and np.isfinite(history["loss"]).all()
    moved = {w.path: not np.array_equal(np.array(w), b) for w, b in zip(model.trainable_weights, before)}
    still = [path for path, yes in moved.items() if not yes and not path.endswith(IDLE)]
    assert not still
    model.save(tmp_path / "model.keras")
    again = keras_vix.load(tmp_path / "model.keras")
    x = keras_vix_data.test.x[:8]
    assert np.array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))


def test_every_preset_has_its_turn():
    assert sorted(itertools.chain(*twins(training=True))) == sorted(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_no_row_carries_an_option_that_its_own_choices_do_not_claim(name):
    row = PRESETS[name]
    options = {k for k in row.choices if k not in AXES and k not in fields()}
    config = configure(name)
    assert options <= set(config.options)


CHOICES = {
    "embed": ["patch", "conv"],
    "position": ["none", "learned", "sincos", "rope"],
    "kernel": ["softmax", "performer", "linformer", "nystrom"],
    "pool": ["mean", "first", "sequence", "flatten"],
    "norm": ["pre", "post"],
    "mixer": ["attention", "window", "window_1d"],
}
PRODUCT = random.Random(20240501).sample(list(itertools.product(*CHOICES.values())), 24)


@pytest.mark.long
@pytest.mark.parametrize("point", sampled(PRODUCT, sample=PRODUCT[:2]), ids="-".join)
def test_any_sensible_combination_builds_and_learns_something(point):
    choice = dict(zip(CHOICES, point))
    extra = {"m": 4} if choice["kernel"] != "softmax" else {}
    extra |= {"iterations": 6} if choice["kernel"] == "nystrom" else {}
    if choice["mixer"] != "attention":
        extra |= {"window": 4, "shift": 2}
    if choice["pool"] == "first":
        extra["prefix"] = 1
    sensible = choice["mixer"] == "attention" or (choice["position"] != "rope" and not extra.get("prefix"))
    extra |= {"filters": (4,), "strides": (1, 2)} if choice["embed"] == "conv" else {"patch": 2}
    small = {"input_shape": (8, 8, 1), "classes": 3, "dim": 16, "depth": 2, "num_heads": 2}
    if not sensible:
        with pytest.raises(ValueError, match="rope|prefix"):
            keras_vix.build("transformer_global", **small, **choice, **extra)
        return
    model = keras_vix.build("transformer_global", **small, **choice, **extra)
    rng = np.random.default_rng(0)
    y = np.arange(24) % 3
    x = np.clip(rng.normal(64 + 64 * y[:, None, None, None], 32, (24, 8, 8, 1)), 0, 255)  # classes differ in brightness
    losses = model.fit(x, y, epochs=6, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


def test_overrides_follow_the_choice():
    assert "m" not in configure("performer_softmax", kernel="softmax").options
    with pytest.raises(ValueError, match="'m' is claimed by no chosen part"):
        configure("performer_softmax", kernel="softmax", m=32)
    assert configure("transformer_global", kernel="performer", m=7).options["m"] == 7


def test_a_class_in_place_of_a_name():
    class Mean(Kernel):
        """The mean of the values."""

        def call(self, q, k, v, mask=None):
            from keras import ops

            return ops.zeros_like(q) + ops.mean(v, axis=-2, keepdims=True)

    model = keras_vix.build("transformer_global", dataset="digits", kernel=Mean, depth=1)
    assert any(isinstance(part, Mean) for part in model._flatten_layers())


@pytest.mark.long
def test_the_same_seed_gives_the_same_projections_and_another_gives_others():
    def projections(seed):
        model = keras_vix.build("performer_softmax", dataset="digits", seed=seed)
        return [np.asarray(w) for w in model.non_trainable_weights if w.path.endswith("projection")]

    first, again, other = projections(1), projections(1), projections(2)
    assert len(first) == 2 and all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not np.array_equal(first[0], other[0]) and not np.array_equal(first[0], first[1])


@pytest.mark.long
def test_layerwise_sharing_survives_a_file(tmp_path):
    model = keras_vix.build("linformer", dataset="digits", share="layer", m=8)
    assert sum(w.path.endswith("/e") for w in model.trainable_weights) == 1
    model.save(tmp_path / "model.keras")
    again = keras_vix.load(tmp_path / "model.keras")
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1))
    assert np.array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))
    assert again.count_params() == model.count_params()


def test_models_take_raw_pixels():
    model = keras_vix.build("transformer_global", dataset="digits", depth=1)
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype("uint8")
    assert np.array_equal(model.predict(x, verbose=0), model.predict(x.astype("float32"), verbose=0))
    facts = DATASETS["digits"]
    out = np.asarray(model.get_layer("normalise")(x.astype("float32")))
    assert np.abs(out - (x / 255 - facts.mean[0]) / facts.std[0]).max() <= 1e-5


def test_describe_prints_what_it_holds():
    found = keras_vix.describe("performer_softmax", dataset="mnist", m=16)
    text = str(found)
    assert found.config["options"]["m"] == 16 and found.tokens == 49
    for words in ("performer_softmax", f"{found.trainable_parameters:,}", f"{found.multiply_adds:,}", "2009.14794"):
        assert words in text


def test_describe_takes_what_build_takes():
    plain = keras_vix.describe("performer_softmax", dataset="digits")
    assert keras_vix.describe("performer_softmax", dataset="digits", learning_rate=1e-4, epochs=3) == plain
    with pytest.raises(ValueError, match="learning_rate=-1"):
        keras_vix.describe("performer_softmax", learning_rate=-1)


def test_list_models():
    assert keras_vix.list_models() == list(PRESETS)
    assert keras_vix.list_models("*performer*") == ["performer_relu", "performer_softmax", "performer_exp"]
    assert keras_vix.list_models("nothing") == []


IMAGE = {"input_shape": (32, 32, 3), "classes": 10}

WRONG = [
    (("performer_sofmax",), {}, ValueError, "performer_softmax"),
    (("",), {}, ValueError, "empty"),
    ((None,), {}, TypeError, "must be a string"),
    (("../../etc/passwd",), {}, ValueError, "Unknown preset"),
    (("performer_softmax",), {"m": 0}, ValueError, "m=0"),
    (("performer_softmax",), {"m": -4}, ValueError, "m=-4"),
    (("performer_softmax",), {"m": 2.5}, TypeError, "m=2.5"),
    (("performer_softmax",), {"m": True}, TypeError, "m=True"),
    (("performer_softmax",), {"m": "32"}, TypeError, "m='32'"),
    (("performer_softmax",), {"m": 10**9}, ValueError, "m=1000000000"),
    (("transformer_global",), {"m": 32}, ValueError, "'m' is claimed by no chosen part"),
    (("performer_softmax",), {"clases": 3}, ValueError, "classes"),
    (("performer_softmax",), {"dim": 65}, ValueError, "dim=65, num_heads=4"),
    (("performer_softmax",), {"num_heads": 0}, ValueError, "num_heads=0"),
    (("performer_softmax",), {"depth": 0}, ValueError, "depth=0"),
    (("performer_softmax",), {"depth": -1}, ValueError, "depth=-1"),
    (("performer_softmax",), {"dropout": 1.0}, ValueError, "dropout=1.0"),
    (("performer_softmax",), {"dropout": float("nan")}, ValueError, "dropout=nan"),
    (("performer_softmax",), {"patch": 5, **IMAGE}, ValueError, "1, 2, 4, 8, 16, 32"),
    (("performer_softmax",), {"patch": 64, **IMAGE}, ValueError, "patch"),
    (("performer_softmax",), {"patch": 0}, ValueError, "patch=0"),
    (("performer_softmax",), {"patch": (4, 4, 4)}, ValueError, "patch"),
    (("performer_softmax",), {"input_shape": (32, 32), "classes": 3}, ValueError, "height, width, channels"),
    (("performer_softmax",), {"input_shape": (32, 32, 0), "classes": 3}, ValueError, "input_shape=0"),
    (("performer_softmax",), {"input_shape": (3, 32, 32), "classes": 3}, ValueError, "channels first"),
    (("performer_softmax",), {"input_shape": (32, 32, 3)}, ValueError, "classes"),
    (("linformer",), {"input_shape": (None, None, 3), "classes": 3}, TypeError, "input_shape"),
    (("performer_softmax",), {"classes": 0}, ValueError, "classes=0"),
    (("performer_softmax",), {"classes": 1}, ValueError, "classes=1"),
    (("performer_softmax",), {"pool": "foo"}, ValueError, "Unknown pool 'foo'"),
    (("performer_softmax",), {"pool": "first"}, ValueError, "prefix=1"),
    (("performer_softmax",), {"kernel": "softmx"}, ValueError, "softmax"),
    (("performer_softmax",), {"optimizer": "adamx"}, ValueError, "adamw"),
    (("performer_softmax",), {"learning_rate": -1}, ValueError, "learning_rate=-1"),
    (("performer_softmax",), {"learning_rate": float("inf")}, ValueError, "learning_rate=inf"),
    (("performer_softmax",), {"learning_rate": "fast"}, TypeError, "learning_rate='fast'"),
    (("performer_softmax",), {"jit_compile": "yes"}, TypeError, "jit_compile"),
    (("performer_softmax",), {"seed": -1}, ValueError, "seed=-1"),
    (("performer_softmax",), {"seed": 1.5}, TypeError, "seed=1.5"),
    (("performer_softmax",), {"seed": 2**40}, ValueError, "seed"),
    (("performer_softmax",), {"name": "a/b"}, ValueError, "slash"),
    (("performer_softmax",), {"compile": 1}, TypeError, "compile=1"),
    (("performer_softmax",), {"dataset": "cifar-10"}, ValueError, "cifar10"),
    (("performer_softmax",), {"profile": "fast"}, ValueError, "default, reference"),
    (("transformer_local",), {"position": "rope"}, ValueError, "rope"),
    (("transformer_local",), {"prefix": 1}, ValueError, "prefix=1"),
    (("mlp_mixer",), {"kernel": "nystrom"}, ValueError, "mixer='token_mlp' has no kernel. Received: kernel='nystrom'"),
    (("swin_t",), {"mixer": "attention", "prefix": 1}, ValueError, "reduce='merge' knows no tokens in front. Received: prefix=1, 4 stages"),
    (("transformer_local",), {"dim": (64, 128, 256), **REFERENCE}, ValueError, "one length"),
    (("transformer_global",), {"mean": (0.5, 0.5)}, ValueError, "mean"),
    (("transformer_global",), {"std": 0}, ValueError, "std"),
    (("linformer",), {"m": 1000}, ValueError, "m=1000, tokens=64"),
    (("nystromformer",), {"m": 1000}, ValueError, "m=1000, tokens=64"),
]


@pytest.mark.parametrize("positional, named, error, words", WRONG, ids=lambda v: str(v)[:40])
def test_wrong_calls(positional, named, error, words):
    with pytest.raises(error) as caught:
        keras_vix.build(*positional, **named)
    assert words in str(caught.value)


def test_softmax_is_the_default_kernel():
    model = keras_vix.build("transformer_global", dataset="digits", depth=1)
    assert any(isinstance(part, Softmax) for part in model._flatten_layers())
