"""One seed for everything random, without TensorFlow where it has no part."""

import os
import random
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_vix.train.seeds import set_seed

PROGRAM = """
import sys, keras, keras_vix
from keras_vix.train.seeds import set_seed
{call}(3)
model = keras_vix.build("performer_softmax", dataset="digits", depth=1, m=4, compile=False)
print("tensorflow" in sys.modules, float(abs(keras.ops.convert_to_numpy(model.get_layer("head").weights[0])).sum()))
"""


def test_the_draws_are_those_of_keras():
    found = []
    for seed in (set_seed, keras.utils.set_random_seed):
        seed(3)
        found.append((random.random(), np.random.rand(), np.asarray(keras.layers.Dense(2).kernel_initializer((3, 2))).tolist()))
    assert found[0] == found[1]


@pytest.mark.long
def test_without_tensorflow_beside_jax():
    pytest.importorskip("jax")
    said = []
    for call in ("set_seed", "keras.utils.set_random_seed"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(call=call)], env=os.environ | {"KERAS_BACKEND": "jax"}, capture_output=True, text=True,
        )
        said.append(done.stdout.split())
    (ours, one), (_, other) = said
    assert ours == "False" and one == other
