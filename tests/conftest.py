"""Seeds, and where the real data lies."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest

from keras_vix.tune.leftovers import graphs_released


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same seeds and leaves the global policy as it was, and no graphs."""
    keras.utils.set_random_seed(7)
    policy = keras.config.dtype_policy()
    with graphs_released():
        yield
    keras.config.set_dtype_policy(policy)
    keras.utils.clear_session(free_memory=False)
