"""Swaps in every kind of model of the zoo, other images, new heads, and what is refused."""

import keras
import numpy as np
import pytest

from keras_vix import build, swap_mixer
from keras_vix.interop import Report, transfer
from keras_vix.interop.resample import resize_offsets, resize_positions, resize_projection, resize_side_by_side
from keras_vix.interop.transfer import roles
from keras_vix.kernels import KERNELS, Linformer, Nystrom, Performer, Softmax
from keras_vix.layers import Attention, ConvAttention, LeViTAttention, LocalWindowAttention2D, Residual, RotaryEmbedding, SinCosPosition
from keras_vix.parts import PatchEmbedding, Tokens

from ..presets import sampled
from .test_swap import DIM, TOKENS, bare, mixers, predict, same, scatter, values

NARROW = {"dim": 16, "depth": 1, "num_heads": 2}
STAGED = {"dim": (16, 32), "depth": (1, 1), "num_heads": 2}
# name: preset, sizes, what `build` needs for the same model with Nyström, names of the kernels' and windows' own weights
MODELS = {
    "isotropic": ("transformer_global", NARROW | {"patch": 8, "mlp_dim": 32, "pool": "mean"}, {}, ()),
    "side by side": ("transformer_global", NARROW | {"patch": 8, "mlp_dim": 32, "pool": "flatten", "flat_scale": 0.125}, {}, ()),
    "side by side, two layers": ("transformer_global", NARROW | {"patch": 8, "mlp_dim": 32, "pool": "flatten", "flat_scale": 0.125, "head": "mlp"}, {}, ()),
    "vit": ("vit_b16", NARROW | {"patch": 8}, {}, ()),
    "distilled": ("deit_ti_distilled", NARROW | {"patch": 8}, {}, ()),
    "cait": ("cait_xxs24", NARROW | {"patch": 8}, {}, ("mix_scores", "mix_weights", "mix_scores_bias", "mix_weights_bias")),
    "swin": ("swin_t", STAGED | {"depth": (2, 1), "patch": 4, "window": 2, "shift": 1}, {}, ("relative_bias",)),
    "pit": ("pit_ti", STAGED | {"patch": 8, "patch_stride": 4}, {}, ()),
    "t2t": ("t2t_vit_7", NARROW | {"token_width": 8, "strides": (2, 2, 1), "token_features": 4}, {}, ()),
    "rope": ("vit_rope", NARROW | {"patch": 8, "key_dim": 8}, {}, ()),
    "turned by row and column": ("vit_b16", NARROW | {"patch": 8, "position": "rope", "axes": 2}, {}, ()),
    "levit": ("levit", NARROW | {"strides": (2, 2, 2), "key_dim": 8}, {}, ()),
    "cvt": ("cvt", {"dim": 16, "depth": (1, 0, 1), "num_heads": 2, "key_dim": 8, "strides": (8,)}, {"mixer": "conv_attention", "key_dim": 8}, ()),
    "lsa": ("sl_vit", NARROW | {"patch": 8}, {}, ("scale",)),
    "atrous": (
        "acc_vit_t", STAGED | {"filters": (8,), "strides": (2, 2), "window": 2, "rates": (1, 2)}, {"relative_bias": False},
        ("relative_bias1", "relative_bias2"),
    ),
}  # fmt: skip


def made(name, shape=(32, 32, 3), **options):
    preset, sizes, _, _ = MODELS[name]
    return scatter(build(preset, input_shape=shape, classes=5, compile=False, **sizes | options))


def in_blocks(model):
    """The mixers of the blocks, without class attention."""
    return [layer.inner for layer in model.layers if layer.name.endswith("_mixer")]


def images(rows=32, columns=32):
    return np.random.default_rng(0).uniform(0, 255, (2, rows, columns, 3)).astype("float32")


@pytest.mark.parametrize("name", sampled(MODELS, sample=("isotropic", "distilled", "swin")))
def test_every_kind_of_model(name):
    """Another kernel, and other images, give what `build` and `transfer` give."""
    model, (_, _, extra, own) = made(name), MODELS[name]
    before = values(model)
    options = {"m": 2, "iterations": 4, "convolution": None, "runs": "even"}
    windows = {"relative_bias": False} if any(word.startswith("relative_bias") for word in own) else {}
    new, report = swap_mixer(model, "nystrom", **options, **windows)
    bias = {"qkv_bias": in_blocks(model)[0].qkv_bias} if hasattr(in_blocks(model)[0], "qkv_bias") else {}
    built = made(name, kernel="nystrom", **options, **bias, **extra)
    assert all(type(layer.kernel) is Nystrom for layer in in_blocks(new))
    assert report == transfer(model, built) and same(values(new), values(built))
    assert report.new == () and {role.split("/")[-1] for role in report.skipped} == set(own)
    assert np.array_equal(predict(new, images()), predict(built, images()))

    new, report = swap_mixer(model, input_shape=(48, 32, 3))
    built = made(name, (48, 32, 3))
    assert report == transfer(model, built) and same(values(new), values(built))
    assert report.new == report.skipped == ()
    assert np.array_equal(predict(new, images(48)), predict(built, images(48)))
    assert same(values(model), before)


@pytest.mark.long
def test_both_at_once_with_a_new_head():
    model = made("vit", depth=3)
    new, report = swap_mixer(model, "linformer", m=4, input_shape=(64, 48, 3), classes=7, blocks=slice(1, None))
    assert new.input_shape == (None, 64, 48, 3) and new.output_shape == (None, 7)
    assert report.interpolated == ("position/table",)
    heads = ("head/logits/kernel", "head/logits/bias")
    assert report.skipped == heads and set(report.new) == {
        f"stage0_block{block}_mixer/mixer/kernel/{name}" for block in (1, 2) for name in "ef"
    } | set(heads)
    expected = resize_positions(values(model)["position/table"], (4, 4), (8, 6))
    assert np.array_equal(values(new)["position/table"], expected)
    assert predict(new, images(64, 48)).shape == (2, 7)
    kept, report = swap_mixer(model, classes=5)
    assert report == Report(tuple(roles(model)), (), (), ()) and np.array_equal(predict(kept, images()), predict(model, images()))
    for name in ("distilled", "cait"):
        assert swap_mixer(made(name), classes=3)[0].output_shape == (None, 3)


def test_projections_follow_the_grid():
    """Of a Linformer, one projection of all layers included, in one stage and in two."""
    model = made("vit", kernel="linformer", m=4)
    new, report = swap_mixer(model, input_shape=(48, 64, 3))
    assert set(report.interpolated) == {"position/table"} | {role for role in roles(model) if role[-2:] in ("/e", "/f")}
    for role in report.interpolated[1:]:
        assert np.array_equal(values(new)[role], resize_projection(values(model)[role], (4, 4), (6, 8)))
    new, report = swap_mixer(made("vit", kernel="linformer", m=4, share="layer"), input_shape=(48, 64, 3))
    assert set(report.interpolated) == {"position/table", "projection/e"} and report.new == ()
    new, report = swap_mixer(made("pit", kernel="linformer", m=4), input_shape=(48, 48, 3))
    assert len(report.interpolated) == 5 and report.new == ()


def test_windows_change_their_size():
    model = made("swin")
    new, report = swap_mixer(model, mixer="window", window=4, shift=2)
    assert [(layer.window, layer.shift) for layer in mixers(new)] == [((4, 4), (0, 0)), ((4, 4), (2, 2)), ((4, 4), (0, 0))]
    assert len(report.interpolated) == 3 and report.new == report.skipped == ()
    role = report.interpolated[0]
    assert np.array_equal(values(new)[role], resize_offsets(values(model)[role], (2, 2), (4, 4)))
    new, report = swap_mixer(model, mixer="window", window=(2, 4))
    assert len(report.interpolated) == 3 and report.new == report.skipped == ()
    assert np.array_equal(values(new)[role], resize_offsets(values(model)[role], (2, 2), (2, 4)))
    new, report = swap_mixer(model, mixer="attention")
    assert {type(layer) for layer in mixers(new)} == {Attention} and len(report.skipped) == 3 and report.new == ()
    assert {type(layer.kernel) for layer in mixers(new)} == {Softmax} and predict(new, images()).shape == (2, 5)
    new, report = swap_mixer(model, "performer", mixer="attention", m=4)
    assert {type(layer.kernel) for layer in mixers(new)} == {Performer} and len(report.new) == 6


def test_runs_of_tokens_become_windows():
    """A table of a run is none of a window, though it has as many rows."""
    model = scatter(
        build("transformer_local_1d", dataset="cifar10", compile=False, **NARROW | {"depth": 2, "pool": "mean"}, patch=4, window=5, shift=0, wrap_rows=False)
    )
    new, report = swap_mixer(model, mixer="window", window=(5, 1), relative_bias=True)
    assert len(report.new) == len(report.skipped) == 2
    assert {type(layer) for layer in mixers(new)} == {LocalWindowAttention2D} and mixers(new)[0].grid == (8, 8)
    new, report = swap_mixer(model, input_shape=(48, 32, 3))
    assert [layer.line["grid"] for layer in mixers(new)] == [(12, 8)] * 2 and len(report.interpolated) == 1


def test_a_bigger_image_in_a_model_of_ones_own():
    """Without a class token, with sines, turned by row and column; a Linformer under its own name."""
    def mine(rows, columns):
        grid = (rows // 4, columns // 4)
        x = SinCosPosition(grid)(Tokens()(PatchEmbedding(DIM, 4)(image := keras.Input((rows, columns, 3)))))
        x = Residual(Attention(2, rope=RotaryEmbedding(2, grid)))(x)
        x = Residual(LocalWindowAttention2D(2, grid=grid, window=2))(x)
        x = Attention(2, kernel=Linformer(3))(x)
        return scatter(keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(x)), name="mine"))

    model = mine(16, 16)
    new, report = swap_mixer(model, input_shape=(24, 32, 3))
    built = mine(24, 32)
    assert transfer(model, built) == report and len(report.interpolated) == 2
    assert np.array_equal(predict(new, images(24, 32)), predict(built, images(24, 32)))
    swapped, report = swap_mixer(model, "performer", features="relu", blocks=0)
    assert mixers(swapped)[0].rope.grid == (4, 4) and mixers(swapped)[0].rope.axes == 2 and report.new == ()


@pytest.mark.long
def test_what_keeps_its_place():
    """Class attention, token transformers and mixers without a kernel stay as they are."""
    cait, _ = swap_mixer(made("cait"), "nystrom", m=4)
    assert {type(layer.attention.kernel) for layer in cait.get_layer("pool").blocks} == {Softmax}
    t2t, _ = swap_mixer(made("t2t"), "linformer", m=4)
    assert {type(layer.kernel) for layer in t2t.layers[2].transformers} == {Performer}
    for name, cls in (("levit", LeViTAttention), ("cvt", ConvAttention)):
        assert {type(layer) for layer in swap_mixer(made(name), "performer", m=4)[0]._flatten_layers() if hasattr(layer, "num_heads")} >= {cls}


def refusals():
    relative = {"grid": (4, 4), "window": 2}
    turned = {"rope": RotaryEmbedding(), "name": "mix"}
    return [
        ({}, {}, ValueError, "One of `kernel`"),
        ({}, {"blocks": 1, "classes": 3}, ValueError, "says where"),
        ({}, {"kernel": "nystrm", "m": 4}, ValueError, "Did you mean 'nystrom'"),
        ({}, {"kernel": 3}, TypeError, "must be a string"),
        ({}, {"mixer": "windows"}, ValueError, "Did you mean 'window'"),
        ({}, {"kernel": "nystrom"}, ValueError, "`m`, the rank, is needed"),
        ({}, {"kernel": "linformer", "share": "kv"}, ValueError, "`m`, the rank, is needed"),
        ({}, {"kernel": "performer"}, ValueError, "`m`, the rank, is needed"),
        ({}, {"kernel": "softmax", "m": 4}, ValueError, "leave it out"),
        ({}, {"m": 4, "classes": 3}, ValueError, "leave it out"),
        ({}, {"kernel": "nystrom", "m": 0}, ValueError, "at least 1"),
        ({}, {"kernel": "nystrom", "m": 17}, ValueError, "1 <= m <= tokens. Received: m=17, tokens=16"),
        ({}, {"kernel": "linformer", "m": 17}, ValueError, "m=17, tokens=16"),
        ({}, {"kernel": "nystrom", "m": 4, "iteration": 3}, ValueError, "Did you mean 'iterations'"),
        ({}, {"kernel": "performer", "m": 4, "features": "softmax"}, ValueError, "positive"),
        ({}, {"kernel": "nystrom", "m": 4, "num_heads": 4}, ValueError, "claimed by neither"),
        ({}, {"kernel": "nystrom", "m": 4, "blocks": 1}, ValueError, "`blocks` must be from -1 to 0"),
        ({}, {"kernel": "nystrom", "m": 4, "blocks": "all"}, TypeError, "`blocks`"),
        ({}, {"kernel": "nystrom", "m": 4, "blocks": slice(1, 1)}, ValueError, "one or more of 1"),
        ({}, {"kernel": "softmax", "seed": -1}, ValueError, "seed"),
        ({}, {"kernel": "softmax", "compile": 1}, TypeError, "compile"),
        ({}, {"mixer": "window", "window": 2}, ValueError, "give grid"),
        ({}, {"mixer": "window", "window": 5, "grid": (4, 4)}, ValueError, "must fit into the grid"),
        ({}, {"mixer": "window", "window": 2, "grid": (5, 4)}, ValueError, "more tokens than there are"),
        ({}, {"mixer": "window", "grid": (3, 5), "window": 2, "shift": 1}, ValueError, "no shift"),
        ({}, {"mixer": "atrous", "grid": (4, 4), "window": 2, "rates": (1, 9)}, ValueError, "rates"),
        ({}, {"kernel": "linformer", "m": 4, "share": "layer", "mixer": "atrous", "window": 2, "grid": (4, 4)}, ValueError, "share='layer'"),
        ({}, {"kernel": "performer", "m": 4, "mixer": "window", "window": 2, "grid": (4, 4), "relative_bias": True}, ValueError, "relative_bias=False"),
        ({}, {"input_shape": (8, 8, 3)}, ValueError, "one image"),
        ({"kernel": Softmax(causal=True)}, {"kernel": "nystrom", "m": 4}, ValueError, "causal"),
        ({"tie_kv": True}, {"mixer": "atrous", "window": 2, "grid": (4, 4)}, ValueError, "tie_kv"),
        ({"kv_heads": 1}, {"mixer": "window", "window": 2, "grid": (4, 4)}, ValueError, "kv_heads"),
        (turned, {"mixer": "window", "window": 2, "grid": (4, 4)}, ValueError, "rope"),
        (LocalWindowAttention2D(2, **relative), {"kernel": "performer", "m": 2}, ValueError, "relative_bias=False"),
        (LocalWindowAttention2D(2, grid=(4, 4), window=3, mode="neighborhood", relative_bias=False), {"kernel": "performer", "m": 2}, ValueError, "neighborhood"),
        (LocalWindowAttention2D(2, conv_size=3, **relative), {"mixer": "attention"}, ValueError, "conv_size"),
        (LeViTAttention(2), {"mixer": "window", "window": 2, "grid": (4, 4)}, ValueError, "no place for"),
        (keras.layers.MultiHeadAttention, {"kernel": "nystrom", "m": 4}, ValueError, "must have an attention layer"),
    ]  # fmt: skip


@pytest.mark.parametrize("case", range(len(refusals())), ids=lambda case: str(refusals()[case][1]))
def test_what_is_refused(case):
    layer, options, error, words = refusals()[case]
    x = keras.Input((TOKENS, DIM))
    if isinstance(layer, dict):
        layer = dict(layer)
        model = bare(layer.pop("kernel", None), **{name: value for name, value in layer.items() if name != "name"})
    elif isinstance(layer, type):
        model = keras.Model(x, layer(2, DIM)(x, x))
    else:
        model = scatter(keras.Model(x, layer(x)))
    before = values(model)
    with pytest.raises(error, match=words) as caught:
        swap_mixer(model, **options)
    assert "\n" not in str(caught.value).strip()
    assert same(values(model), before)


def test_what_is_no_graph_is_refused():
    class Mine(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="functional"):
        swap_mixer(Mine(), "softmax")
    with pytest.raises(ValueError, match="functional"):
        swap_mixer(keras.Sequential([Attention(2)]), "softmax")
    with pytest.raises(TypeError, match="`model` must be a Keras model"):
        swap_mixer("vit", "softmax")
    model = made("vit")
    for shape, words in (((32, 32), "height"), ((32, 32, 1), "channels"), ((30, 32, 3), "must divide")):
        with pytest.raises(ValueError, match=words):
            swap_mixer(model, input_shape=shape)
    with pytest.raises(ValueError, match="classes"):
        swap_mixer(bare(), classes=3)
    with pytest.raises(ValueError, match="classes"):
        swap_mixer(model, classes=0)


def test_settings_that_cannot_be_made_anew_are_refused():
    def mine(y, z):
        return keras.ops.mean(z)

    model = bare()
    model.compile("sgd", loss=mine)
    with pytest.raises(ValueError, match="compile=False"):
        swap_mixer(model, "softmax")
    assert not swap_mixer(model, "softmax", compile=False)[0].compiled


def test_every_kernel_is_a_target():
    for name, cls in KERNELS.items():
        given = {"m": 4} if name in ("performer", "linformer", "nystrom") else {}
        assert type(swap_mixer(bare(), name, **given)[0].get_layer("mix").kernel) is cls
        assert type(swap_mixer(bare(), cls, **given)[0].get_layer("mix").kernel) is cls


def test_a_head_that_sees_all_tokens_says_the_same_of_a_map_that_is_the_same_everywhere():
    rng = np.random.default_rng(0)
    kernel, token = rng.normal(size=(4 * 4 * 3, 5)).astype("float32"), rng.normal(size=3).astype("float32")
    for new in ((8, 8), (6, 4), (3, 3), (4, 4)):
        moved = resize_side_by_side(kernel, (4, 4), new)
        assert moved.shape == (np.prod(new) * 3, 5)
        np.testing.assert_allclose(np.tile(token, np.prod(new)) @ moved, np.tile(token, 16) @ kernel, atol=1e-4)
    assert np.array_equal(resize_side_by_side(kernel, (4, 4), (4, 4)), kernel)
    halves = np.repeat([[1.0, 0.0]], 8, 0).reshape(16, 1)  # a head that looks at the even columns of a row of 16 only
    assert np.array_equal(resize_side_by_side(halves, (1, 16), (1, 8)), np.full((8, 1), 1.0))
    assert resize_side_by_side(kernel, (5, 4), (4, 4)) is None


def test_a_head_of_stages_sees_the_map_of_the_last():
    options = {"classes": 5, "compile": False, "pool": "flatten", "patch": 2, "window": 2, "shift": 0, "mlp_dim": 16, **STAGED}
    model = scatter(build("transformer_local", input_shape=(32, 32, 3), **options))
    new, report = swap_mixer(model, input_shape=(64, 32, 3))
    role = "head/logits/kernel"
    assert report.new == report.skipped == () and role in report.interpolated
    assert np.array_equal(values(new)[role], resize_side_by_side(values(model)[role], (8, 8), (16, 8)))
    report = transfer(model, build("transformer_local", input_shape=(64, 32, 3), **options))  # which knows no graph
    assert report.new == report.skipped == (role,)
