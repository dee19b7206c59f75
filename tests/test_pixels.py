"""Odd pixels through whole models: what is not a number shows in its own sample, and in no other."""

import numpy as np
import pytest
from keras import ops

import keras_vix

from .presets import SOME, light, sampled

ODD = (np.nan, np.inf, -np.inf)


@pytest.mark.parametrize("name", sampled(keras_vix.list_models(), sample=SOME))
def test_odd_pixels_stay_in_their_sample(name):
    """One pixel NaN or infinite makes the scores of its sample NaN, not numbers; subnormals and -0.0 are as 0."""
    small = light(name)
    model = keras_vix.build(name, dataset="digits", **small, **({"init": "keras"} if small else {}))  # where a pixel shows at once
    image = np.random.default_rng(0).uniform(20.0, 255.0, (8, 8, 1)).astype("float32")
    batch = np.stack([image] * 7)
    batch[:, 2, 5] = [[0.0], [-0.0], [1e-40], [0.0], *([value] for value in ODD)]
    assert np.signbit(batch[1, 2, 5]) and 0 < batch[2, 2, 5] < np.finfo("float32").tiny
    scores = ops.convert_to_numpy(model(batch, training=False))
    alone = ops.convert_to_numpy(model(np.repeat(batch[:1], 7, axis=0), training=False))  # as many: the same rounding
    assert np.isfinite(scores[:4]).all() and np.isnan(scores[4:]).all()
    assert np.abs(scores[:4] - alone[:4]).max() <= 1e-5 * np.abs(alone[:4]).max()
    moved = batch[:1].copy()
    moved[:, 2, 5] = 255.0
    assert np.abs(ops.convert_to_numpy(model(moved, training=False)) - alone[0]).max() > 1e-4  # the pixel counts
