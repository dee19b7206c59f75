"""Images that the patch does not divide, and images of several sizes in one batch: what is no image changes nothing."""

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix import build
from keras_vix.data import pad
from keras_vix.mixers import Attention
from keras_vix.parts import Residual

from ..interop.test_swap import scatter
from ..presets import sampled

WHOLE, CUT = (24, 32, 3), (14, 18, 3)  # 6 x 8 tokens; 4 x 5, of which those at the border are partly filled
SIZES = {"classes": 5, "patch": 4, "dim": 16, "depth": 2, "num_heads": 2, "mlp_dim": 24, "embed": "patch", "compile": False}
BARE = SIZES | {"position": "none", "pool": "mean", "pad": True}
# Models whose answer for a cut image is exactly that for the same image in a larger frame.
EXACT = {
    "softmax": {},
    "performer": {"kernel": "performer", "m": 8},
    "relu": {"kernel": "performer", "features": "relu", "m": 8},
    "linformer": {"kernel": "linformer", "m": 6},
    "linformer of every head": {"kernel": "linformer", "m": 6, "share": "none"},
    "linformer of all layers": {"kernel": "linformer", "m": 6, "share": "layer"},
    "lsa": {"kernel": "lsa"},
    "talking heads": {"kernel": "talking_heads", "mix_std": 0.5},
    "sequence pool": {"pool": "sequence"},
    "class token": {"prefix": 1, "pool": "first"},
    "class attention": {"pool": "class_attention", "class_scale": 0.5},
    "distilled": {"prefix": 2, "pool": "prefix", "head": "distilled"},
    "sines": {"position": "sincos"},
    "turned by row and column": {"position": "rope", "axes": 2},
    "windows": {"mixer": "window", "window": 3},
    "shifted windows": {"mixer": "window", "window": 4, "shift": 2},
    "shifted windows of a performer": {"mixer": "window", "window": 4, "shift": 2, "kernel": "performer", "m": 8, "relative_bias": False},
    "neighborhood": {"mixer": "window", "window": 3, "mode": "neighborhood"},
    "atrous": {"mixer": "atrous", "window": 2, "rates": (1, 2), "prefix": 1},
    "two stages": {"mixer": "window", "window": 2, "shift": 1, "dim": (16, 32), "depth": (2, 1), "num_heads": 2, "reduce": "merge"},
    "three stages of odd grids": {"dim": (8, 16, 32), "depth": (1, 1, 1), "num_heads": 2, "reduce": "merge"},
}


def made(shape, **options):
    return scatter(build("transformer_global", input_shape=shape, **BARE | options))


def answers(model, images):
    return keras.ops.convert_to_numpy(model(np.asarray(images, "float32"), training=False))


def images(shape, count=3, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (count, *shape)).astype("float32")


def cut_weights(model, tokens):
    """Weights of a model for the cut image: of Linformer's projections those columns whose tokens are there."""
    return [w[..., tokens] if w.shape[-1:] == (48,) else w for w in model.get_weights()]


def padding_is_nothing(model):
    """Whatever stands where there is no image, and however much of that there is, the answer is the same to the last bit."""
    batch = np.concatenate([pad(images(CUT, 1), WHOLE[:2]), pad(images((24, 3, 3), 1), WHOLE[:2]), images(WHOLE, 1), -np.ones((1, *WHOLE), "float32")])
    expected = answers(model, batch)
    assert np.isfinite(expected).all()
    for value in (-1e9, np.nan):
        assert np.array_equal(answers(model, np.where(batch < 0, np.float32(value), batch)), expected)


@pytest.mark.parametrize("name", sampled(EXACT, sample=[*EXACT][:3]))
def test_a_cut_image_in_a_frame_is_the_cut_image(name):
    whole, cut = made(WHOLE, **EXACT[name]), made(CUT, **EXACT[name])
    tokens = np.arange(48).reshape(6, 8)[:4, :5].ravel()
    cut.set_weights(cut_weights(whole, tokens))
    x = images(CUT)
    expected = answers(cut, x)
    found = answers(whole, pad(x, WHOLE[:2]))
    assert np.abs(found - expected).max() <= 2e-5 * max(1.0, np.abs(expected).max())
    assert np.abs(answers(whole, pad(x, WHOLE[:2])[:, ::-1]) - expected).max() > 1e-3  # the law can fail
    padding_is_nothing(whole)


@pytest.mark.parametrize(
    "options", [{"kernel": "nystrom", "m": 6}, {"pool": "flatten"}, {"position": "learned"}, {"mixer": "levit", "key_dim": 8}], ids=str
)
def test_it_does_not_matter_what_stands_where_there_is_no_image(options):
    padding_is_nothing(made(WHOLE, **options))


@pytest.mark.parametrize("kernel", ["nystrom", "linformer", "talking_heads"])
def test_a_whole_image_is_what_it_was(kernel):
    """Of a size that the patch divides: the same weights, the same answer."""
    options = {"kernel": kernel, "position": "learned", "prefix": 1} | ({"m": 6} if kernel != "talking_heads" else {})
    padded, plain = made(WHOLE, **options), made(WHOLE, **options, pad=False)
    plain.set_weights(padded.get_weights())
    np.testing.assert_allclose(answers(padded, images(WHOLE)), answers(plain, images(WHOLE)), atol=2e-5)


@pytest.mark.long
def test_a_step_of_training_is_that_of_the_cut_images():
    """Losses and weights after two steps, dropped paths apart; nothing that is no image reaches a gradient."""
    whole, cut = made(WHOLE, kernel="performer", m=8), made(CUT, kernel="performer", m=8)
    cut.set_weights(whole.get_weights())
    x, losses = images(CUT), []
    for model, batch in ((whole, pad(x, WHOLE[:2])), (cut, x)):
        model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        losses.append(model.fit(batch, np.arange(3), epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)
    for one, other in zip(whole.get_weights(), cut.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_statistics_are_of_the_image_alone():
    whole, cut = made(WHOLE, mixer="levit", key_dim=8), made(CUT, mixer="levit", key_dim=8)
    cut.set_weights(whole.get_weights())
    whole(pad(images(CUT), WHOLE[:2]), training=True)
    cut(images(CUT), training=True)
    for one, other in zip(whole.non_trainable_weights, cut.non_trainable_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5, err_msg=one.path)


def test_sides_that_the_patch_does_not_divide():
    model = build("vit_s16", input_shape=(50, 33, 3), classes=5, patch=16, pad=True, dim=16, depth=1, num_heads=2)
    assert model.input_shape == (None, 50, 33, 3) and answers(model, images((50, 33, 3))).shape == (3, 5)
    assert keras_vix.describe("vit_s16", input_shape=(50, 33, 3), classes=5, patch=16, pad=True).tokens == 4 * 3 + 1
    for name in ("transformer_local", "swin_t", "cait_xxs24"):
        small = {"dim": 16, "depth": 1, "num_heads": 2} if name != "swin_t" else {"dim": (8, 16), "depth": (1, 1), "num_heads": 2}
        made = build(name, input_shape=(30, 23, 3), classes=5, patch=4, pad=True, compile=False, **small)
        assert np.isfinite(answers(made, images((30, 23, 3)))).all()


def test_it_is_saved_resized_and_swapped(tmp_path):
    model = made((14, 18, 3), position="learned")
    model.save(tmp_path / "model.keras")
    x = images((14, 18, 3))
    assert np.array_equal(answers(keras_vix.load(tmp_path / "model.keras"), x), answers(model, x))
    larger, report = keras_vix.resize(model, (30, 17, 3))
    assert report.interpolated == ("position/table",) and larger.get_layer("tokens").input.shape[1:3] == (8, 5)
    batch = pad(images((9, 9, 3)), (30, 17))
    assert np.array_equal(answers(larger, batch), answers(larger, np.where(batch < 0, -7.0, batch)))
    swapped, _ = keras_vix.swap_mixer(model, "nystrom", m=4)
    assert np.isfinite(answers(swapped, x)).all() and swapped.get_layer("pad").patch == (4, 4)


def test_maps_show_no_padding():
    model = made(WHOLE, prefix=1, pool="first")
    there = np.concatenate([[True], (np.arange(6)[:, None] < 4) & (np.arange(8) < 5)], axis=None)
    weights = keras_vix.attention_maps(model, pad(images(CUT), WHOLE[:2]), 1, "full")
    assert not weights[..., ~there].any()
    np.testing.assert_allclose(weights[..., there].sum(-1), 1, atol=1e-5)


@pytest.mark.long
def test_it_goes_with_mixed_precision_and_checkpoints():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = made(WHOLE, remat=True)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batch = pad([*images(CUT, 2), images((24, 32, 3), 1)[0]], WHOLE[:2])
    assert np.isfinite(model.fit(batch, np.arange(3), verbose=0).history["loss"]).all()
    assert all(layer.remat for layer in model.layers if isinstance(layer, Residual))


class Maskless(Attention):
    """A mixer of one's own that knows no mask."""

    def call(self, x):
        return x


@pytest.mark.parametrize(
    "options, words",
    [
        ({"mixer": "fourier"}, "pad=True needs a mixer that takes a mask. Received: mixer='fourier'"),
        ({"mixer": "token_mlp"}, "mixer='token_mlp'"),
        ({"mixer": "binary_attention"}, "mixer='binary_attention'"),
        ({"mixer": Maskless}, "needs a mixer that takes a mask"),
        ({"mixer": "conv_attention"}, "without convolutions of the grid"),
        ({"mixer": "window", "window": 3, "conv_size": 3}, "without a convolution"),
        ({"kernel": "nystrom", "m": 4, "convolution": 3}, "without a convolution"),
        ({"embed": "conv", "patch": None}, "pad=True needs embed='patch'"),
        ({"embed": "spt"}, "pad=True needs embed='patch'"),
        ({"local": "perception"}, "pad=True needs local='none'"),
        ({"ffn": "binary_mlp"}, "pad=True needs ffn='mlp'"),
        ({"reduce": "conv", "dim": (16, 32), "depth": (1, 1)}, "pad=True needs reduce='merge'"),
        ({"norm_layer": "batch"}, "statistics of one token"),
        ({"patch_norm": "batch"}, "statistics of one token"),
        ({"patch": 5, "patch_stride": 4}, "patch_stride=4"),
        ({"resize": 32}, "resize=32"),
        ({"pad": 1}, "`pad` must be True or False. Received: pad=1"),
    ],
    ids=str,
)
def test_what_is_refused(options, words):
    options = {key: value for key, value in (BARE | options).items() if value is not None}
    with pytest.raises((TypeError, ValueError)) as caught:
        build("transformer_global", input_shape=WHOLE, **options)
    assert words in str(caught.value)


def test_the_error_of_a_side_that_is_not_divided_names_the_choice():
    with pytest.raises(ValueError, match=r"30 is divided by 1, 2, 3, 5, 6, 10, 15, 30. build\(..., pad=True\)"):
        build("transformer_global", input_shape=(30, 32, 3), **SIZES)
