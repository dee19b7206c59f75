"""Every preset under mixed precision."""

import keras
import pytest

from keras_vix.zoo import PRESETS

from ..zoo.test_precision import POLICIES, forward_is_close, sums_are_wide, trains_and_is_saved


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset(name, policy, tmp_path):
    forward_is_close(name, policy)
    trains_and_is_saved(name, policy, tmp_path)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="it reads TensorFlow's graph")
@pytest.mark.parametrize("name", PRESETS)
def test_sums_of_every_preset(name):
    sums_are_wide(name)
