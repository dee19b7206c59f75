"""What a trial leaves behind; fifty of them are weighed in tests/slow/test_tune.py."""

import gc
import weakref

import keras
import pytest

from keras_vix import tune
from tests.tune.small import SPACE, WORDS, digits

MODELS = []  # weak references to the model of every trial
ALIVE = []  # how many of the earlier ones there still are when a training begins


class Remember(keras.callbacks.Callback):
    """Counts the models of the trials before."""

    def on_train_begin(self, logs=None):
        ALIVE.append(sum(one() is not None for one in MODELS))
        MODELS.append(weakref.ref(self.model))


@pytest.mark.long
def test_no_model_outlives_its_trial(tmp_path):
    """Histories, callbacks and Keras' own records would keep it, its optimizer and its graphs."""
    tune.search("performer_softmax", digits(), SPACE, max_trials=3, directory=tmp_path, callbacks=[Remember()], verbose=0, **WORDS)
    gc.collect()
    assert ALIVE == [0, 0, 0] and all(one() is None for one in MODELS)
