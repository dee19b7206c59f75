"""What a trial leaves behind: on TensorFlow no graph is kept, and a model that lives on still trains."""

import gc
import weakref

import keras
import numpy as np
import pytest

from keras_vix import build
from keras_vix.tune.leftovers import GRADIENTS, cleared, gradients

X, Y = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1)).astype("uint8"), np.arange(32) % 10
tensorflow = pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="a table of TensorFlow's")


def trained():
    model = build("linformer", dataset="digits", dim=8, depth=1, num_heads=1, mlp_dim=8, m=4)
    model.fit(X, Y, batch_size=16, verbose=0)
    return model


def graphs():
    """Every graph of a function that is alive."""
    from tensorflow.python.framework.func_graph import FuncGraph

    gc.collect()
    return weakref.WeakSet(thing for thing in gc.get_objects() if isinstance(thing, FuncGraph))


@pytest.mark.long
@tensorflow
def test_no_graph_outlives_its_model():
    trained()  # fills caches
    before = graphs()
    entries = set(gradients())
    trained()
    assert len(graphs() - before) > 0 and any(name.startswith(GRADIENTS) for name in set(gradients()) - entries), "nothing to clear"
    with cleared():
        trained()
    among = graphs() - before
    with cleared():
        trained()
    assert len(graphs() - before - among) == 0


@pytest.mark.long
@tensorflow
def test_what_was_there_before_stays():
    trained()
    before = dict(gradients())
    assert any(name.startswith(GRADIENTS) for name in before)
    with pytest.raises(RuntimeError), cleared():
        trained()
        raise RuntimeError("a trial that fails is cleared away too")
    assert gradients() == before


@pytest.mark.long
def test_a_model_that_lives_on_can_be_trained_and_asked():
    with cleared():
        model = trained()
    again = model.fit(X, Y, batch_size=16, epochs=2, verbose=0)  # batches of the same size, and of another
    model.fit(X[:24], Y[:24], batch_size=9, verbose=0)
    assert np.isfinite(again.history["loss"]).all() and np.isfinite(model.predict(X, verbose=0)).all()
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["accuracy"] >= 0


def test_without_tensorflow_there_is_nothing_to_take_out(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tensorflow.python.framework.ops", None)
    with cleared():
        assert gradients() == {}
