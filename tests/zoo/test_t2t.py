"""T2T-ViT, its form for small images, and the hybrids R+ViT: tokens, multiply-adds, and what their counts hold."""

import keras
import numpy as np
import pytest

from keras_vix.parts import Residual
from keras_vix.zoo import assemble, configure
from keras_vix.zoo.count import multiply_adds, published_parameters, tokens, trainable_parameters


def outline(name, **options):
    """A model whose weights have shapes and no values."""
    with keras.StatelessScope(initialize_variables=False):
        return assemble(configure(name, init="keras", **options), name)


@pytest.fixture(autouse=True, scope="module")
def forget():
    """Keras remembers weights without values and would give them some at the end of another scope."""
    yield
    keras.utils.clear_session()


def test_the_published_count_holds_sines_and_random_features():
    model = outline("t2t_vit_14")
    assert published_parameters(model, "tables") == 21_545_550 == trainable_parameters(model) + 197 * 384 + 2 * 32 * 64
    model = outline("t2t_vit_t_14")
    assert published_parameters(model, "tables") == trainable_parameters(model) + 197 * 384


def test_the_count_for_small_images_holds_what_is_declared_only():
    model = outline("sl_t2t", dataset="cifar10")
    assert published_parameters(model, "declared") == trainable_parameters(model) + 2 * 576


@pytest.mark.parametrize("name, millions", [("sl_t2t_base", "636.3"), ("sl_t2t_spt", "657.6")])
def test_multiply_adds_for_small_images(name, millions):
    assert f"{multiply_adds(outline(name, dataset='tiny_imagenet')) / 1e6:.1f}" == millions


@pytest.mark.long
def test_tokens_at_the_published_size():
    assert [tokens(outline(name, depth=1)) for name in ("t2t_vit_7", "r_ti16", "r26_s32")] == [197, 50, 50]
    assert [tokens(outline("sl_t2t", dataset=name, depth=1)) for name in ("cifar10", "tiny_imagenet")] == [65, 65]


@pytest.mark.long
@pytest.mark.parametrize("name", ["t2t_vit_7", "sl_t2t", "r26_s32", "r_ti16"])
@pytest.mark.parametrize("side, count", [(8, 65), (28, 50), (32, 65), (64, 65)])
def test_small_images_keep_tokens_enough(name, side, count):
    count = 17 if (name, side) == ("r26_s32", 8) else count
    assert tokens(outline(name, input_shape=(side, side, 3), classes=10, depth=1)) == count


def test_the_normalised_input_joins_twice():
    """`x + drop(y + inner(y))` with `y = norm(x)`, against NumPy."""
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    inner = keras.layers.Dense(4, use_bias=False)
    found = keras.ops.convert_to_numpy(Residual(inner, "double", 1e-5)(x))
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    assert np.abs(found - (x + y + y @ keras.ops.convert_to_numpy(inner.kernel))).max() <= 1e-5
    config = configure("sl_t2t")
    assert (config.norm, config.ffn_norm) == ("double", "pre")
