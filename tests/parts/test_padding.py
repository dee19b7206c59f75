"""Filling up images, and the masks of what is none."""

import keras
import numpy as np
import pytest

from keras_vix.parts import ClassAttentionPool, FlattenPool, MeanPool, PadImage, SequencePool, Withhold


def array(x):
    return keras.ops.convert_to_numpy(x)


def test_an_image_is_filled_at_the_bottom_and_the_right():
    image = np.arange(2 * 5 * 3 * 2, dtype="float32").reshape(2, 5, 3, 2)
    filled, mask = map(array, PadImage((2, 4), (7.0, 9.0), prefix=1)(image))
    assert filled.shape == (2, 6, 4, 2) and np.array_equal(filled[:, :5, :3], image)
    assert (filled[:, 5:] == (7, 9)).all() and (filled[:, :, 3:] == (7, 9)).all()
    assert mask.dtype == bool and mask.shape == (2, 1 + 3) and mask.all()


def test_a_token_is_image_where_one_pixel_is():
    image = np.full((1, 4, 6, 1), -1.0, "float32")
    image[0, 1, 1] = image[0, 2:, 4] = 0
    filled, mask = map(array, PadImage(2, 5.0 * np.ones(1))(image))
    assert mask.tolist() == [[True, False, False, False, False, True]]
    assert filled[0, ..., 0].tolist() == [[5] * 6, [5, 0, 5, 5, 5, 5], [5] * 4 + [0, 5], [5] * 4 + [0, 5]]


def test_shapes_are_known_before_a_call():
    filled, mask = PadImage(4, prefix=2)(keras.Input((9, 13, 3)))
    assert filled.shape == (None, 12, 16, 3) and mask.shape == (None, 2 + 12) and mask.dtype == "bool"
    x, joined = Withhold((3, 5))(keras.Input((15, 4)), keras.Input((15,), dtype="bool"))
    assert x.shape == (None, 15, 4) and joined.shape == (None, 6) and joined.dtype == "bool"


def test_what_is_joined_is_image_where_one_of_four_is():
    mask = np.zeros((1, 3, 5), bool)
    mask[0, 1, 1] = mask[0, 2, 4] = True
    x = np.ones((1, 15, 2), "float32")
    out, joined = map(array, Withhold((3, 5))(x, mask.reshape(1, 15)))
    assert joined.tolist() == [[True, False, False, False, False, True]]
    assert np.array_equal(out[0, :, 0] == 1, mask.ravel())


@pytest.mark.parametrize("pool", [MeanPool(prefix=1), SequencePool(), ClassAttentionPool(2, class_scale=0.5)], ids=lambda p: p.name)
def test_a_pool_of_masked_tokens_is_that_of_the_others(pool):
    x = np.random.default_rng(0).standard_normal((2, 7, 8)).astype("float32")
    mask = np.arange(7)[None] < np.array([[4], [7]])
    whole = array(pool(x, mask=mask))
    np.testing.assert_allclose(whole[0], array(pool(x[:1, :4]))[0], atol=1e-6)
    np.testing.assert_allclose(whole[1], array(pool(x))[1], atol=1e-6)
    spoilt = np.where(mask[..., None], x, 1e4).astype("float32")
    np.testing.assert_allclose(array(pool(spoilt, mask=mask)), whole, atol=1e-6)


def test_tokens_side_by_side_and_none_at_all():
    x = np.ones((1, 3, 2), "float32")
    mask = np.array([[True, False, True]])
    assert array(FlattenPool()(x, mask=mask)).tolist() == [[1, 1, 0, 0, 1, 1]]
    for pool in (MeanPool(), SequencePool()):
        assert not array(pool(x, mask=np.zeros((1, 3), bool))).any()


@pytest.mark.parametrize("arguments, error", [({"patch": 0}, ValueError), ({"patch": 2.5}, TypeError), ({"prefix": -1}, ValueError)])
def test_wrong_arguments(arguments, error):
    with pytest.raises(error):
        PadImage(**arguments)
