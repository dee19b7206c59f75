"""Bilinear resizing against a loop over pixels and against Keras."""

import keras
import numpy as np
import pytest

from keras_vix.data.resize import resize


def loop(image, height, width):
    """One channel, one pixel at a time: the triangle filter written down again."""
    def line(values, new):
        scale = len(values) / new
        out = []
        for k in range(new):
            centre, reach = (k + 0.5) * scale, max(scale, 1.0)
            weights = [max(0.0, 1 - abs(i + 0.5 - centre) / reach) for i in range(len(values))]
            out.append(sum(w * v for w, v in zip(weights, values)) / sum(weights))
        return out

    tall = np.array([line(image[:, j], height) for j in range(image.shape[1])]).T
    return np.array([line(tall[i], width) for i in range(height)])


@pytest.mark.parametrize("size", [(3, 4), (14, 5), (7, 9), (1, 1), (16, 16)])
def test_against_a_loop(size):
    x = np.random.default_rng(0).random((2, 7, 9, 2)).astype(np.float32) * 255
    out = resize(x, size)
    assert out.shape == (2, *size, 2) and out.dtype == np.float32
    for n in range(2):
        for channel in range(2):
            np.testing.assert_allclose(out[n, :, :, channel], loop(x[n, :, :, channel], *size), atol=1e-3)


@pytest.mark.parametrize("size", [(4, 6), (20, 24)])
def test_against_keras(size):
    x = np.random.default_rng(1).random((2, 8, 12, 3)).astype(np.float32) * 255
    theirs = keras.ops.image.resize(x, size, antialias=True, data_format="channels_last")
    np.testing.assert_allclose(resize(x, size), keras.ops.convert_to_numpy(theirs), atol=1e-2)


def test_bytes_stay_bytes_and_do_not_wrap_round():
    x = np.full((1, 5, 5, 1), 255, np.uint8)
    out = resize(x, (13, 3))
    assert out.dtype == np.uint8 and (out == 255).all()


def test_its_own_size_changes_nothing():
    x = np.zeros((1, 5, 6, 1), np.uint8)
    assert resize(x, (5, 6)) is x


def test_many_chunks_equal_one_by_one(monkeypatch):
    x = np.random.default_rng(2).integers(0, 256, (7, 6, 6, 1), dtype=np.uint8)
    whole = resize(x, (4, 4))
    monkeypatch.setattr("keras_vix.data.resize.CHUNK", 2)
    assert (resize(x, (4, 4)) == whole).all()
