"""Figures of maps: which pictures, which numbers, which colours."""

import io

import numpy as np
import pytest

import keras_vix
from keras_vix.interpret import attention_maps, on_grid, overlay, plot_attention, plot_maps, rollout

from .test_maps import IMAGES, SMALL, VIT, scattered

pytest.importorskip("matplotlib")
HEAT = np.linspace(0.0, 2.0, 12).reshape(3, 4)


@pytest.fixture(scope="module")
def vit():
    return scattered(keras_vix.build("vit", **VIT))


def pictures(figure):
    """Of each panel with pictures its title and their arrays; the colour bar has none."""
    return [(panel.get_title(), [np.asarray(one.get_array()) for one in panel.get_images()]) for panel in figure.axes if panel.get_images()]


def saved(figure):
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


@pytest.mark.parametrize("image", [IMAGES[0], IMAGES[0, ..., 0], np.repeat(IMAGES[0], 3, -1), IMAGES[0] / 255.0])
def test_an_overlay_shows_the_image_and_the_heat_over_it_in_grey(image):
    figure = overlay(image, HEAT, title="a digit", strength=0.5, unit="share")
    (_, (plain,)), (_, (under, heat)) = pictures(figure)
    expected = IMAGES[0, ..., 0] / 255.0
    assert np.abs((plain if plain.ndim == 2 else plain[..., 0]) - expected).max() <= 1e-6
    assert under.ndim == 2 and np.abs(under - expected).max() <= 1e-5
    assert np.allclose(heat, HEAT)
    over = figure.axes[1].get_images()[1]
    assert over.get_extent() == [-0.5, 7.5, 7.5, -0.5] and over.get_alpha() == 0.5 and over.get_interpolation() == "bilinear"
    assert figure.get_suptitle() == "a digit" and figure.get_supxlabel() == "share"
    assert saved(figure).startswith(b"\x89PNG")


def test_each_column_has_a_scale_that_ends_at_its_99th_percentile():
    small, large = np.full((2, 4, 4), 0.5, "float32"), np.tile(np.arange(16.0).reshape(4, 4), (2, 1, 1))
    figure = plot_maps(IMAGES[:2], {"small": small, "large": large}, labels=["one", "two"])
    over = [one for panel in figure.axes for one in panel.get_images()[1:]]
    assert {one.cmap.name for one in over} == {"inferno"} and {one.norm.vmin for one in over} == {0.0}
    assert [one.norm.vmax for one in over] == pytest.approx([0.5, np.percentile(large, 99)] * 2)
    assert [panel.get_title() for panel in figure.axes[:6]] == ["", "small", "large", "", "", ""]
    assert [panel.get_ylabel() for panel in figure.axes[:6:3]] == ["one", "two"]
    saved(figure)


def test_maps_below_0_have_two_colours_that_meet_there():
    signed = np.random.default_rng(0).standard_normal((2, 4, 4))
    (one,) = plot_maps(IMAGES[:2], {"": signed}).axes[1].get_images()[1:]
    assert one.norm.vmin == -one.norm.vmax == pytest.approx(-np.percentile(np.abs(signed), 99)) and one.cmap.name == "signed"
    assert one.cmap(0.5)[:3] == pytest.approx((0, 0, 0), abs=0.02)


def test_heads_of_a_block_as_multiples_of_the_mean(vit):
    found = pictures(plot_attention(vit, IMAGES[:2], 0))
    assert [title for title, _ in found] == ["", "head 0", "head 1", "mean", "", "", "", ""]
    rows = 16 * on_grid(vit, attention_maps(vit, IMAGES[:2], 0), 0)
    assert np.allclose(found[1][1][1], rows[0, 0], atol=1e-5) and np.allclose(found[6][1][1], rows[1, 1], atol=1e-5)
    assert np.allclose(found[7][1][1], rows[1].mean(0), atol=1e-5)


def test_blocks_and_what_reaches_through_them(vit):
    found = pictures(plot_attention(vit, IMAGES[:1], columns="blocks", query=3, title="words", labels=["a"]))
    assert [title for title, _ in found] == ["", "block 0", "block 1", "rollout"]
    assert np.allclose(found[3][1][1], 16 * on_grid(vit, rollout(vit, IMAGES[:1], query=3))[0], atol=1e-5)
    assert np.allclose(found[2][1][1], 16 * on_grid(vit, attention_maps(vit, IMAGES[:1], 1, query=3).mean(1))[0], atol=1e-5)


def test_blocks_of_a_pyramid_have_grids_of_their_own():
    sizes = dict(dim=(16, 32), depth=(1, 1), num_heads=(2, 2), key_dim=8, patch=2)
    model = keras_vix.build("sl_pit", **SMALL | sizes)
    found = pictures(plot_attention(model, IMAGES[:1], columns="blocks"))
    assert [(title, arrays[-1].shape) for title, arrays in found] == [("", (8, 8)), ("block 0", (4, 4)), ("block 1", (2, 2))]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: overlay(IMAGES[0], np.zeros(4)), "`maps` must be finite"),
        (lambda: overlay(IMAGES[0], HEAT * np.nan), "`maps` must be finite"),
        (lambda: overlay(np.zeros((8, 8, 2)), HEAT), "An image must be"),
        (lambda: overlay(IMAGES[0], HEAT, strength=2.0), "strength=2.0"),
        (lambda: plot_maps(IMAGES[:2], {"a": HEAT[None]}), "shape (1, 3, 4) of 'a'"),
        (lambda: plot_maps(IMAGES[:2], {}), "0 maps"),
        (lambda: plot_attention(keras_vix.build("vit", **VIT), IMAGES, columns="images"), "`columns` must be one of"),
    ],
)
def test_what_is_refused(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert words in str(caught.value)
