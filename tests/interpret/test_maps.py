"""Attention maps of whole models: which layer, which images, which token, in which precision, from a file too."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_vix
from keras_vix.interpret import attention_maps, maps, on_grid, places
from keras_vix.layers import Attention
from keras_vix.ops.heads import merge_heads

SMALL = dict(dataset="digits", dim=16, depth=2, num_heads=2, compile=False)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype("uint8")
VIT = dict(SMALL, patch=2, key_dim=8, mlp_dim=24)
# A preset, its overrides, and the sizes (heads, tokens, keys) of its map.
MODELS = {
    "vit": ("vit", VIT, (2, 17, 17)),
    "performer": ("vip", dict(VIT, m=8), (2, 17, 17)),
    "linformer": ("vil", dict(VIT, m=6), (2, 17, 17)),
    "linformer_layer": ("vil", dict(VIT, m=6, share="layer", tie_kv=False, kv_heads=None), (2, 17, 17)),
    "nystrom": ("vin", dict(VIT, m=6), (2, 17, 17)),
    "cct": ("cct", dict(SMALL, filters=(), strides=(2,), key_dim=8, mlp_dim=24), (2, 16, 16)),
    "levit": ("levit", dict(SMALL, filters=(), strides=(2,), key_dim=8, mlp_dim=24), (2, 16, 16)),
    "rope": ("vit_rope", VIT, (2, 17, 17)),
    "lsa": ("sl_vit", dict(SMALL, patch=2), (2, 17, 17)),
}


def scattered(model, seed=3):
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + 0.1 * rng.standard_normal(weight.shape).astype("float32"))
    return model


@pytest.fixture(scope="module")
def models():
    """Each model of `MODELS`, made when it is asked for."""
    made = {}

    def get(name):
        if name not in made:
            preset, options, _ = MODELS[name]
            made[name] = scattered(keras_vix.build(preset, **options))
        return made[name]

    return get


@pytest.mark.parametrize("name", MODELS)
def test_the_map_explains_what_leaves_the_block(name, models):
    model, sizes = models(name), MODELS[name][2]
    whole = attention_maps(model, IMAGES, 1, "full")
    assert whole.shape == (5, *sizes) and whole.dtype == "float32"
    place = places.places(model)[1]
    x, *more, out = keras.Model(model.input, [*place.inputs, place.layer.output])(IMAGES.astype("float32"), training=False)
    entering = place.layer.entering(x)
    _, _, v = place.mixer.project(entering)
    branch = place.mixer._project("out", merge_heads(ops.matmul(ops.convert_to_tensor(whole), v)))
    stay = entering if place.layer.norm == "both" else x
    expected = ops.convert_to_numpy(stay + (branch if place.layer.scale is None else branch * place.layer.gamma))
    assert np.abs(expected - ops.convert_to_numpy(out)).max() <= 1e-4 * max(1.0, np.abs(expected).max())
    first = attention_maps(model, IMAGES, "stage0_block0_mixer", "full")
    assert np.array_equal(first, attention_maps(model, IMAGES, -2, "full")) and np.abs(first - whole).max() > 1e-3


@pytest.mark.parametrize("name", ["vit", "performer", "nystrom", "cct"])
def test_a_row_is_that_of_the_whole_map(name, models):
    model = models(name)
    whole = attention_maps(model, IMAGES, kind="full")
    for query in (0, 3, -1):
        assert np.abs(attention_maps(model, IMAGES, query=query) - whole[:, :, query]).max() <= 1e-5
    default = whole.mean(2) if name == "cct" else whole[:, :, 0]  # without a class token the mean
    assert np.abs(attention_maps(model, IMAGES) - default).max() <= 1e-5
    assert np.abs(attention_maps(model, IMAGES, query="mean") - whole.mean(2)).max() <= 1e-5


@pytest.mark.parametrize("name, kind", [("vit", "row"), ("performer", "full"), ("nystrom", "factors")])
def test_batches_and_their_rest_change_nothing(name, kind, models):
    whole, cut = (attention_maps(models(name), IMAGES, kind=kind, batch_size=size) for size in (5, 2))
    whole, cut = (one if kind == "factors" else {"": one} for one in (whole, cut))
    assert list(whole) == list(cut)
    for name, one in whole.items():
        assert one.shape == cut[name].shape and np.abs(one - cut[name]).max() <= 1e-5 * max(1.0, np.abs(one).max())


def test_factors_by_name(models):
    found = attention_maps(models("performer"), IMAGES, kind="factors")
    assert {name: one.shape for name, one in found.items()} == {"query": (5, 2, 17, 8), "key": (5, 2, 8, 17)}
    whole = attention_maps(models("performer"), IMAGES, kind="full")
    assert np.abs(found["query"] @ found["key"] - whole).max() <= 1e-5
    found = attention_maps(models("linformer"), IMAGES, kind="factors")
    assert {name: one.shape for name, one in found.items()} == {"weights": (5, 2, 17, 6), "projection": (5, 2, 6, 17)}
    found = attention_maps(models("nystrom"), IMAGES, kind="factors")  # of the 2022 hybrids, with a convolution of 33
    assert {name: one.shape for name, one in found.items()} == {
        "attention/query": (5, 2, 17, 6), "attention/inverse": (5, 2, 6, 6), "attention/key": (5, 2, 6, 17),
        "convolution/weights": (5, 17, 2, 1, 33), "convolution/queries": (17, 1), "convolution/keys": (17, 33),
    }  # fmt: skip


PYRAMIDS = [
    ("sl_swin", dict(SMALL, dim=(16, 32), depth=(2, 1), num_heads=(2, 2), patch=1, window=4, shift=2), [(2, 64, 64), (2, 64, 64), (2, 16, 16)]),
    ("cvt", dict(SMALL, dim=(8, 8), depth=(1, 1), key_dim=4, filters=(), strides=(2,), kv_stride=2, reduce_stride=2), [(2, 16, 4), (2, 4, 1)]),
    ("sl_pit", dict(SMALL, dim=(16, 32), depth=(1, 1), num_heads=(2, 2), key_dim=8, patch=2), [(2, 17, 17), (2, 5, 5)]),
    ("binary_vit", dict(SMALL, dim=(16, 32), depth=(1, 1), num_heads=(1, 2), mlp_dim=(32, 64), resize=16, patch=2, kv_reduction=(2, 1)), [(1, 64, 16), (2, 16, 16)]),
    ("acc_vit_t", dict(SMALL, dim=(16, 32), depth=(1, 1), num_heads=(2, 2), filters=(8,), strides=(1, 1), window=4, rates=(1, 2)), [(2, 64, 64), (2, 16, 16)]),
    ("sl_cait", dict(SMALL, patch=2, class_depth=2), [(2, 16, 16), (2, 16, 16), (2, 1, 16), (2, 1, 16)]),
]


@pytest.mark.parametrize("preset, options, sizes", PYRAMIDS, ids=[one[0] for one in PYRAMIDS])
def test_every_block_of_other_models(preset, options, sizes):
    model = scattered(keras_vix.build(preset, **options))
    for layer, (heads, tokens, keys) in enumerate(sizes):
        whole = attention_maps(model, IMAGES[:2], layer, "full")
        assert whole.shape == (2, heads, tokens, keys) and np.isfinite(whole).all()
        found = attention_maps(model, IMAGES[:2], layer)
        assert found.shape == (2, heads, keys)
        board = on_grid(model, found, layer)
        assert board.shape[:2] == (2, heads) and board.shape[2] * board.shape[3] in (keys, keys - 1)
        assert np.array_equal(board.reshape(2, heads, -1), found[..., keys - board.shape[2] * board.shape[3] :])
        place = places.places(model)[layer]
        default = 0 if place.front else slice(None)
        assert np.abs(found - whole[:, :, default].reshape(2, heads, -1, keys).mean(2)).max() <= 1e-5
    with pytest.raises(ValueError, match=f"layer=[{len(sizes)}]"):
        attention_maps(model, IMAGES, len(sizes))


def test_class_attention_goes_by_the_pool_s_name():
    model = scattered(keras_vix.build("cait_xxs24", **SMALL, patch=2, scale=0.5, class_scale=0.5))
    assert [place.name for place in places.places(model)] == ["stage0_block0_mixer", "stage0_block1_mixer", "pool/0", "pool/1"]
    last = attention_maps(model, IMAGES, "pool")
    assert last.shape == (5, 2, 17)
    assert np.array_equal(last, attention_maps(model, IMAGES, "pool/1")) and np.array_equal(last, attention_maps(model, IMAGES, -1))
    assert np.abs(last - attention_maps(model, IMAGES, "pool/0")).max() > 1e-4
    assert np.abs(last.sum(-1) - 1.0).max() <= 1e-5
    assert on_grid(model, last).shape == (5, 2, 4, 4)


def test_a_model_from_a_file_has_the_same_maps(tmp_path, models):
    for name in ("nystrom", "linformer_layer"):
        models(name).save(tmp_path / f"{name}.keras")
        again = keras_vix.load(tmp_path / f"{name}.keras")
        assert np.abs(attention_maps(again, IMAGES, kind="full") - attention_maps(models(name), IMAGES, kind="full")).max() <= 1e-6


@pytest.mark.parametrize("name, policy", [("performer", "mixed_float16"), ("lsa", "mixed_float16"), ("vit", "mixed_bfloat16")])
def test_maps_are_float32_under_every_policy(name, policy, models):
    preset, options, _ = MODELS[name]
    keras.config.set_dtype_policy(policy)
    model = keras_vix.build(preset, **options)
    keras.config.set_dtype_policy("float32")
    model.set_weights(models(name).get_weights())
    found = attention_maps(model, IMAGES, 0, "full")
    assert found.dtype == "float32"
    assert np.abs(found.sum(-1) - 1.0).max() <= 1e-5  # 16 bits would be off by a thousandth
    assert np.abs(found - attention_maps(models(name), IMAGES, 0, "full")).max() <= (0.05 if policy == "mixed_bfloat16" else 0.01)


def test_dropout_and_training_have_no_part_in_it():
    model = keras_vix.build("vit", **VIT, dropout=0.5, attention_dropout=0.5)
    assert np.array_equal(attention_maps(model, IMAGES), attention_maps(model, IMAGES))
    assert np.abs(attention_maps(model, IMAGES).sum(-1) - 1.0).max() <= 1e-5


def test_a_model_of_one_s_own():
    x = keras.Input((16, 8))
    y = keras.layers.Dense(8)(x)
    y = keras.layers.Add()([y, Attention(2, name="look")(y)])
    model = keras.Model(x, keras.layers.GlobalAveragePooling1D()(y))
    given = np.random.default_rng(0).standard_normal((3, 16, 8)).astype("float32")
    found = attention_maps(model, given, "look", "full")
    assert found.shape == (3, 2, 16, 16) and np.abs(found.sum(-1) - 1.0).max() <= 1e-5
    with pytest.raises(ValueError, match="tokens of a grid"):
        on_grid(model, found)


def test_a_large_map_is_refused_with_what_to_use_instead(models):
    vit, performer = models("vit"), models("performer")
    size = 5 * 2 * 17 * 17
    assert attention_maps(vit, IMAGES, kind="full", limit=size).shape == (5, 2, 17, 17)
    for kind in ("full", "factors"):
        with pytest.raises(ValueError) as caught:
            attention_maps(vit, IMAGES, kind=kind, limit=size - 1)
        assert 'use kind="row"' in str(caught.value) and "5 images x 2 heads x 17 tokens x 17 keys = 2,890" in str(caught.value)
    with pytest.raises(ValueError, match='use kind="row" or kind="factors"'):
        attention_maps(performer, IMAGES, kind="full", limit=size - 1)
    assert attention_maps(performer, IMAGES, kind="factors", limit=1)["query"].shape == (5, 2, 17, 8)
    assert attention_maps(vit, IMAGES, limit=1).shape == (5, 2, 17)
    assert maps.LIMIT == 2**26


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda m: attention_maps(m("vit"), IMAGES, kind="whole"), "`kind` must be one of row, factors, full"),
        (lambda m: attention_maps(m("vit"), IMAGES, 2), "layer=2"),
        (lambda m: attention_maps(m("vit"), IMAGES, "stage0_block9_mixer"), "Did you mean"),
        (lambda m: attention_maps(m("vit"), IMAGES, query=17), "query=17"),
        (lambda m: attention_maps(m("vit"), IMAGES, query="class"), "query='class'"),
        (lambda m: attention_maps(m("vit"), IMAGES[0]), "(images, 8, 8, 1), raw"),
        (lambda m: attention_maps(m("vit"), IMAGES[:0]), "shape (0, 8, 8, 1)"),
        (lambda m: attention_maps(m("vit"), IMAGES[:, :4]), "shape (5, 4, 8, 1)"),
        (lambda m: attention_maps(m("vit"), IMAGES, batch_size=0), "batch_size=0"),
        (lambda m: attention_maps(m("vit"), IMAGES, limit=0), "limit=0"),
        (lambda m: attention_maps(keras_vix.build("mlp_mixer", **SMALL, patch=2), IMAGES, 0), "TokenMLP mixes tokens without any"),
        (lambda m: attention_maps(keras_vix.build("fnet", **SMALL, patch=2), IMAGES, 0), "FourierMixing mixes tokens without any"),
        (lambda m: attention_maps(keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()]), IMAGES), "0 such layers"),
        (lambda m: attention_maps("vit", IMAGES), "model=str"),
        (lambda m: attention_maps(m("vit"), IMAGES, True), "layer=True"),
        (lambda m: on_grid(m("vit"), np.zeros((2, 12))), "4 x 4 keys"),
    ],
)
def test_what_is_refused(call, words, models):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(models)
    assert words in str(caught.value)
