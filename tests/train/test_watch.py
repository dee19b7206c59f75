"""A training that fails says so, and why; one that does not stays silent."""

import math
import warnings

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.callbacks import Watch
from keras_vix.train.watch import TrainingWarning

DIGITS = keras_vix.data.load("digits", limit=400)
X, Y = DIGITS.train


def small(**options):
    return keras_vix.build("performer_softmax", **{"dataset": "digits", "depth": 1, "m": 8} | options)


def watched(model, x=X, y=Y, epochs=2, batch_size=16, expected=None, **options):
    """The findings of a fit, each of which was warned of once; and the epochs that it went through."""
    watch = Watch(**options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(x, y, epochs=epochs, batch_size=batch_size, verbose=0, callbacks=[watch])
    assert [str(one.message) for one in caught if one.category is TrainingWarning] == watch.findings
    return watch.findings, len(history.epoch)


def dense(units=10):
    """Flattened pixels to logits."""
    inputs = keras.Input((8, 8, 1))
    return inputs, keras.layers.Dense(units, name="first")(keras.layers.Flatten()(inputs))


def compiled(model, optimizer):
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_a_good_training_is_left_alone():
    assert watched(small()) == ([], 2)


def test_an_image_that_is_no_number():
    broken = X.astype("float32")
    broken[7, 3, 3] = math.nan
    (finding,), epochs = watched(small(), broken)
    assert epochs == 1 and "not a number in epoch 1" in finding and "an image that is not a number spoiled it" in finding
    assert "weights (" in finding and "clip_norm" not in finding  # the recipe clips


def test_a_loss_of_the_last_batch_alone():
    """The weights are still finite when only what is computed of them is not."""
    model = compiled(keras.Model(*dense()), "sgd")
    watch = Watch(warn=False)
    watch.set_model(model)
    watch.on_train_begin()
    watch.on_epoch_end(0, {"loss": math.nan})
    assert "All weights are finite" in watch.findings[0] and model.stop_training


def test_a_rate_that_is_too_high():
    inputs, outputs = dense()
    findings, epochs = watched(compiled(keras.Model(inputs, outputs), keras.optimizers.SGD(1e38)), epochs=3)
    assert epochs == 1 and "diverged" in findings[0] and "clip_norm" in findings[0] and "first/kernel" in findings[0]
    findings, epochs = watched(compiled(keras.Model(*dense()), keras.optimizers.SGD(1e38)), epochs=3, stop=False)
    assert epochs == 3 and len(findings) == 1


@pytest.mark.long
def test_a_rate_of_nothing():
    model = small(weight_decay=0.0)
    model.optimizer.learning_rate = 0.0
    (finding,), _ = watched(model, epochs=1)
    assert "The learning rate is 0." in finding and "more) did not change in the first epoch" in finding


def test_a_part_without_gradient():
    inputs, hidden = dense(64)
    outputs = keras.layers.Dense(10, name="last")(0.0 * hidden + keras.layers.Flatten()(inputs))
    (finding,), _ = watched(compiled(keras.Model(inputs, outputs), "adam"), epochs=1)
    assert finding.startswith("The weight first/kernel did not change") and "No gradient" in finding


def test_float16_that_skips_every_step():
    keras.config.set_dtype_policy("mixed_float16")
    inputs, hidden = dense(16)
    model = compiled(keras.Model(inputs, keras.layers.Dense(10, dtype="float32")(hidden * 3e4 * 3e4)), "adam")
    (finding,), _ = watched(model, X / 16, epochs=1, batch_size=8)
    assert "not a number" in finding and "mixed_float16" in finding
    watch = Watch(warn=False)
    watch.set_model(model)
    watch.on_train_begin()
    watch.on_epoch_end(0, {"loss": 1.0})
    assert "did not change in the first epoch. Under mixed_float16" in watch.findings[0]


def test_a_loss_that_stays_at_guessing():
    model = small(learning_rate=1e-5)
    findings, _ = watched(model, np.zeros_like(X), epochs=4)
    (finding,) = findings
    assert f"{math.log(10):.4f}" in finding and "classes" in finding and "pixels from 0 to 255" in finding
    assert watched(small(learning_rate=1e-5), np.zeros_like(X), epochs=2, batch_size=200) == ([], 2)  # too few steps to tell


@pytest.mark.long
def test_weights_that_are_frozen_on_purpose():
    model = small()
    keras_vix.train.finetune(model, new="head/*", frozen_steps=1000, learning_rate=1e-3)
    assert watched(model, epochs=1) == ([], 1)


def test_a_wrong_argument():
    with pytest.raises(TypeError, match="stop='yes'"):
        Watch(stop="yes")
