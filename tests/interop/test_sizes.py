"""A model at another image size: every weight is there, those that depend on the grid resampled, or it is refused."""

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix import build, resize
from keras_vix.interop.resample import resize_offsets, resize_positions, resize_projection, resize_side_by_side, shares
from keras_vix.interop.sites import sites
from keras_vix.layers import LocalWindowAttention2D, SinCosPosition, Tokens
from keras_vix.parts import PatchEmbedding
from keras_vix.zoo import PRESETS

from ..presets import SAMPLE, SOME, light, sampled, shallow
from .test_swap import predict, same, scatter, values

SMALL = {"dim": 16, "depth": 2, "num_heads": 2}
STAGES = {"dim": (8, 16, 32), "depth": (2, 2, 2), "num_heads": 2}
PYRAMID = dict(
    classes=5, depth=(1, 1, 1), dim=(8, 16, 32), num_heads=1, key_dim=8, m=4, strides=(2,), reduce_stride=2, compile=False
)  # fmt: skip
REFUSED = ("mlp_mixer", "hybrid_mlp_mixer")  # perceptrons over the tokens, as wide as there are tokens


def images(*shape):
    return np.random.default_rng(0).uniform(0, 255, (2, *shape)).astype("float32")


def tiny(name):
    return build(name, dataset="digits", compile=False, **{"depth": shallow(name, "digits"), **light(name)})


def windows(model):
    return [(layer.inner.window, layer.inner.shift) for layer in model.layers if hasattr(getattr(layer, "inner", None), "window")]


def fits(name):
    """A preset at twice the height and three times the width, and back at its own size to the last bit."""
    model = tiny(name)
    if name in REFUSED:
        with pytest.raises(ValueError, match="stage0_block0_mixer/mixer/expand/kernel"):
            resize(model, (16, 24, 1))
        return
    new, report = resize(model, (16, 24, 1))
    assert report.new == report.skipped == () and new.input_shape == (None, 16, 24, 1)
    out = predict(new, images(16, 24, 1))
    assert out.shape == (2, 10) and np.isfinite(out).all()
    again, report = resize(model, (8, 8, 1))
    assert report.interpolated == () and same(values(again), values(model))
    assert np.array_equal(predict(again, images(8, 8, 1)), predict(model, images(8, 8, 1)))


@pytest.mark.long
@pytest.mark.parametrize("name", sampled(sorted(SAMPLE | set(REFUSED)), sample=SOME))
def test_a_preset_of_each_family(name):
    fits(name)


def test_every_refused_preset_is_one():
    assert set(REFUSED) <= set(PRESETS)


def test_positions_are_interpolated_and_the_rest_is_copied():
    model = scatter(build("vit_s16", input_shape=(32, 16, 3), classes=5, patch=4, **SMALL))
    new, report = resize(model, (24, 40, 3))
    assert report.interpolated == ("position/table",)
    expected = resize_positions(values(model)["position/table"], (8, 4), (6, 10))
    assert np.array_equal(values(new)["position/table"], expected)
    assert all(np.array_equal(values(new)[role], values(model)[role]) for role in report.copied)
    assert model.input_shape == (None, 32, 16, 3) and new.name == model.name


def test_projections_of_every_stage_follow_its_own_oblong_grid():
    """14 x 28 tokens, then 7 x 14, then 4 x 7; afterwards 28 x 20 and so on."""
    model = scatter(build("cvl", input_shape=(28, 56, 3), **PYRAMID))
    new, report = resize(model, (56, 40, 3))
    roles = [role for role in report.interpolated if role.endswith("/e")]
    assert len(roles) == 3 and report.new == report.skipped == ()
    for role, old, there in zip(roles, [(14, 28), (7, 14), (4, 7)], [(28, 20), (14, 10), (7, 5)]):
        assert np.array_equal(values(new)[role], resize_projection(values(model)[role], old, there))


@pytest.mark.long
def test_tables_of_oblong_windows():
    """Windows that a grid of 7 x 14 tokens has clamped on one axis."""
    model = scatter(build("swin_t", input_shape=(28, 56, 3), classes=5, patch=2, compile=False, **STAGES))
    assert windows(model)[-2:] == [((4, 7), (0, 0))] * 2
    new, report = resize(model, (56, 56, 3), window=7)
    assert windows(new) == [((7, 7), (0, 0)), ((7, 7), (3, 3))] * 2 + [((7, 7), (0, 0))] * 2
    role = "stage2_block1_mixer/mixer/relative_bias"
    assert role in report.interpolated and report.new == report.skipped == ()
    assert np.array_equal(values(new)[role], resize_offsets(values(model)[role], (4, 7), (7, 7)))
    smaller, report = resize(model, (28, 28, 3))
    assert windows(smaller)[-1] == ((4, 4), (0, 0)) and len(report.interpolated) == 2


@pytest.mark.long
def test_windows_stay_as_they_are_unless_told():
    model = build("swin_t", input_shape=(32, 32, 3), classes=5, patch=4, compile=False, window=4, shift=2, **STAGES)
    before = windows(model)
    assert windows(resize(model, (64, 48, 3))[0]) == before
    new, _ = resize(model, (64, 48, 3), window=(4, 6))
    assert windows(new)[:2] == [((4, 6), (0, 0)), ((4, 6), (2, 3))]
    still = build("swin_t", input_shape=(32, 32, 3), classes=5, patch=4, compile=False, window=4, shift=0, **STAGES)
    assert {shift for _, shift in windows(resize(still, (64, 64, 3), window=2)[0])} == {(0, 0)}


def test_a_head_that_sees_all_tokens_of_the_last_stage_and_those_in_front():
    model = scatter(build("swin_t", input_shape=(32, 32, 3), classes=5, patch=4, window=2, shift=1, pool="flatten", compile=False, **STAGES))
    new, report = resize(model, (64, 32, 3))
    role = "head/logits/kernel"
    assert role in report.interpolated
    assert np.array_equal(values(new)[role], resize_side_by_side(values(model)[role], (2, 2), (4, 2)))
    front = scatter(build("vit_s16", input_shape=(16, 16, 3), classes=5, patch=4, pool="flatten", compile=False, **SMALL))
    new, report = resize(front, (24, 16, 3))
    kernel, moved = values(front)[role], values(new)[role]
    assert kernel.shape == (17 * 16, 5) and moved.shape == (25 * 16, 5) and np.array_equal(moved[:16], kernel[:16])
    np.testing.assert_allclose(moved[16:].reshape(24, 16, 5).sum(0), kernel[16:].reshape(16, 16, 5).sum(0), atol=1e-4)


def test_a_linformer_of_means_still_takes_means():
    """Each row of the projection keeps its sum, and a constant map gives the same logits at any size."""
    model = build("linformer", input_shape=(16, 16, 3), classes=5, patch=4, m=4, start="pool", position="none", pool="mean", embed="patch", compile=False, **SMALL)
    grey = np.full((1, 16, 16, 3), 70.0, "float32")
    for rows, columns in ((16, 16), (24, 40), (8, 12)):
        new, _ = resize(model, (rows, columns, 3))
        np.testing.assert_allclose(predict(new, np.full((1, rows, columns, 3), 70.0, "float32")), predict(model, grey), atol=1e-5)


@pytest.mark.long
def test_it_trains_and_goes_through_a_file(tmp_path):
    model = build("performer_softmax", dataset="digits", steps=40, learning_rate=1e-3, label_smoothing=0.2, depth=1, dim=16, num_heads=2)
    model.save(tmp_path / "small.keras")
    new, report = resize(keras_vix.load(tmp_path / "small.keras"), (16, 24, 1))
    assert new.compiled and new.loss.get_config() == model.loss.get_config()
    assert new.optimizer.get_config() == model.optimizer.get_config() and int(new.optimizer.iterations) == 0
    before = values(new)
    history = new.fit(images(16, 24, 1), np.array([1, 2]), epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all() and set(history) == {"loss", "accuracy", "ce"}
    assert not np.array_equal(values(new)["position/table"], before["position/table"])
    new.save(tmp_path / "large.keras")
    again = keras_vix.load(tmp_path / "large.keras")
    assert np.array_equal(predict(again, images(16, 24, 1)), predict(new, images(16, 24, 1)))
    assert not resize(model, (16, 16, 1), compile=False)[0].compiled


def test_frozen_layers_and_policies_stay():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build("vit", dataset="digits", compile=False, **SMALL)
    keras.config.set_dtype_policy("float32")
    model.get_layer("stage0_block0_mixer").trainable = False
    new, _ = resize(model, (16, 16, 1))
    assert not new.get_layer("stage0_block0_mixer").trainable
    assert new.get_layer("stage0_block1_ffn").inner.dtype_policy.name == "mixed_bfloat16"


def test_where_the_tokens_of_a_layer_stand():
    model = build("cvl", input_shape=(32, 16, 3), **PYRAMID)
    found = sites(model)
    grids = [found[id(layer)].grid for layer in model.layers if layer.name.endswith("_mixer")]
    assert grids == [(16, 8), (8, 4), (4, 2)]
    inner = keras.Sequential([keras.Input((16, 8)), layer := LocalWindowAttention2D(2, grid=(2, 8), window=2)])
    x = Tokens()(PatchEmbedding(8, 4)(image := keras.Input((8, 32, 3))))
    assert sites(keras.Model(image, inner(x)))[id(layer)] == ((2, 8), 0)


def test_shares_of_area():
    np.testing.assert_allclose(shares(4, 6).sum(1), 1)
    np.testing.assert_allclose(shares(4, 6).sum(0), 4 / 6)


@pytest.mark.parametrize(
    "resized, shape, options, words",
    [
        (resize_positions, (15, 2), {}, r"a row for each token. Received: 15 rows, grid=\(4, 4\), prefix=None"),
        (resize_positions, (17, 2), {"prefix": 0}, r"a row for each token. Received: 17 rows, grid=\(4, 4\), prefix=0"),
        (resize_projection, (3, 15), {}, r"a column for each token. Received: 15 columns, grid=\(4, 4\)"),
    ],
)
def test_tables_have_what_belongs_to_each_token(resized, shape, options, words):
    with pytest.raises(ValueError, match=words):
        resized(np.zeros(shape), (4, 4), (6, 6), **options)


def test_tokens_whose_grid_nobody_knows_are_refused():
    """Two cells become one token by a layer that is not of this package: of 4 by 6 cells twelve, like no two by four."""
    image = keras.Input((8, 8, 3))
    x = SinCosPosition((2, 4))(keras.layers.Reshape((-1, 16))(PatchEmbedding(8, 2)(image)))
    model = keras.Model(image, keras.layers.GlobalAveragePooling1D()(x))
    assert resize(model, (16, 16, 3))[0].output_shape == (None, 16)
    with pytest.raises(ValueError, match=r"needs the grid of its tokens. Received: tokens=12, prefix=0, of no grid like \(2, 4\)"):
        resize(model, (8, 12, 3))


WRONG = [
    ({"input_shape": (15, 16, 1)}, ValueError, "`patch` must divide the image"),
    ({"input_shape": (16, 16, 3)}, ValueError, "channels of the model, 1"),
    ({"input_shape": (16, 16)}, ValueError, "(height, width, channels)"),
    ({"input_shape": None}, ValueError, "input_shape=None"),
    ({"input_shape": (16, 0, 1)}, ValueError, "at least 1"),
    ({"input_shape": (16, 1.5, 1)}, TypeError, "must be an integer"),
    ({"input_shape": (16, 16, 1), "window": 4}, ValueError, "a model without"),
    ({"input_shape": (16, 16, 1), "window": 0}, ValueError, "at least 1"),
    ({"input_shape": (16, 16, 1), "compile": 1}, TypeError, "compile=1"),
]


@pytest.mark.parametrize("call, error, words", WRONG, ids=str)
def test_wrong_calls(call, error, words):
    model = build("vit_ti16", dataset="digits", compile=False, patch=2, **SMALL)
    before = values(model)
    with pytest.raises(error) as caught:
        resize(model, **call)
    assert words in str(caught.value) and same(values(model), before)


def test_no_graph_no_resize():
    with pytest.raises(TypeError, match="Keras model"):
        resize("vit", (8, 8, 1))
    with pytest.raises(ValueError, match="1 <= m <= tokens. Received: m=16, tokens=4"):
        resize(build("nystromformer", dataset="digits", compile=False, embed="patch", patch=1, **SMALL), (2, 2, 1))
