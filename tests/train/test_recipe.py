"""Recipes and compiling."""

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.data import POLICIES
from keras_vix.facts import DATASETS
from keras_vix.train import Recipe, SigmoidCrossentropy, SmoothedCrossentropy, compile, recipe
from keras_vix.train.compile import rate


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("name", keras_vix.list_models())
def test_every_recipe_names_a_policy_that_exists(name, dataset):
    for profile in ("default", "reference"):
        assert recipe(name, dataset, profile).augment in {"default", *POLICIES}


def test_the_reference_recipes_are_those_of_the_report():
    swin, performer = (recipe(name, profile="reference") for name in ("transformer_local", "performer_relu"))
    assert (swin.epochs, swin.batch_size, swin.label_smoothing) == (50, 128, 0.1)
    assert (performer.epochs, performer.batch_size, performer.label_smoothing) == (60, 256, 0.0)
    assert {r.schedule for r in (swin, performer)} == {"constant"} and performer.learning_rate == 1e-3


def test_the_cosine_rises_and_falls():
    schedule = rate(Recipe(schedule="cosine", warmup=0.1, learning_rate=2e-3), 100)
    values = [float(schedule(step)) for step in range(101)]
    assert values[0] == 0 and abs(max(values) - 2e-3) <= 1e-9 and np.argmax(values) == 10 and values[-1] <= 1e-9
    assert rate(Recipe(schedule="cosine", learning_rate=2e-3), None) == 2e-3
    assert rate(Recipe(schedule="constant"), 100) == 1e-3


@pytest.mark.parametrize("options", [{"label_smoothing": 0.2}, {"loss": "sigmoid"}])
def test_the_loss_is_the_recipes(options, tmp_path):
    model = keras_vix.build("vit", dataset="digits", dim=8, depth=1, num_heads=1, **options)
    model.save(tmp_path / "a.keras")
    for loss in (model.loss, keras_vix.load(tmp_path / "a.keras").loss):
        assert isinstance(loss, SigmoidCrossentropy if "loss" in options else SmoothedCrossentropy)
        assert getattr(loss, "label_smoothing", None) == options.get("label_smoothing")


def test_weight_decay_spares_biases_norms_and_positions():
    model = keras_vix.build("transformer_local", dataset="digits", learning_rate=1e-12, weight_decay=1.0)
    optimizer = model.optimizer
    spared = {w.path for w in model.trainable_weights if not optimizer._use_weight_decay(w)}
    assert all(w.path in spared for w in model.trainable_weights if w.name in ("bias", "gamma", "beta", "table", "relative_bias"))
    assert not any(w.path in spared for w in model.trainable_weights if w.name == "kernel")


@pytest.mark.long
@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "lion"])
def test_every_optimizer_lowers_the_loss(optimizer):
    data = keras_vix.data.load("digits", limit=100)
    model = keras_vix.build("performer_relu", dataset="digits", depth=1, optimizer=optimizer, learning_rate=1e-3 if optimizer != "sgd" else 0.05)
    losses = model.fit(*data.train, batch_size=32, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def trained(batch_size, **options):
    """Losses and weights after two epochs of the same images in the same order."""
    keras.utils.set_random_seed(0)
    data = keras_vix.data.load("digits", limit=100)
    model = keras_vix.build("performer_relu", dataset="digits", depth=1, optimizer="sgd", learning_rate=0.05, **options)
    x, y = data.train.x[:64], data.train.y[:64]
    losses = model.fit(x, y, batch_size=batch_size, epochs=2, shuffle=False, verbose=0).history["loss"]
    return losses, [np.array(w) for w in model.trainable_weights]


@pytest.mark.long
def test_accumulated_batches_train_as_one():
    (_, whole), (_, parts), (_, small) = trained(32, clip_norm=None), trained(8, clip_norm=None, accumulate=4), trained(8, clip_norm=None)
    assert max(np.abs(a - b).max() for a, b in zip(whole, parts)) <= 1e-5
    assert max(np.abs(a - b).max() for a, b in zip(whole, small)) >= 1e-3


@pytest.mark.long
def test_several_steps_in_one_call_train_as_one_at_a_time():
    (one, _), (four, _) = trained(8), trained(8, steps_per_execution=4)
    np.testing.assert_allclose(one, four, rtol=1e-5)


def test_a_peak_that_follows_the_batch_follows_accumulated_ones():
    whole, parts = recipe("vit_ti16", recipe="deit", batch_size=512), recipe("vit_ti16", recipe="deit", batch_size=128, accumulate=4)
    assert whole.learning_rate == parts.learning_rate > recipe("vit_ti16", recipe="deit", batch_size=128).learning_rate


@pytest.mark.long
def test_mixed_precision_moves_every_weight():
    """Feature maps in float16 underflow, every step is skipped and nothing says so; here they run in float32."""
    keras.config.set_dtype_policy("mixed_float16")
    data = keras_vix.data.load("digits", limit=100)
    for name in ("performer_softmax", "performer_exp", "linformer", "transformer_local"):
        model = keras_vix.build(name, dataset="digits")
        before = [np.array(w) for w in model.trainable_weights]
        model.fit(*data.train, batch_size=32, epochs=1, verbose=0)
        moved = [not np.array_equal(np.array(w), b) for w, b in zip(model.trainable_weights, before)]
        assert np.mean(moved) >= 0.9, name
        assert model.output.dtype == "float32" and float(np.array(model.optimizer.dynamic_scale)) >= 1


@pytest.mark.parametrize(
    "fields, error, words",
    [
        ({"epochs": 0}, ValueError, "epochs=0"),
        ({"batch_size": 2.5}, TypeError, "batch_size=2.5"),
        ({"schedule": "linear"}, ValueError, "constant, cosine"),
        ({"warmup": 1.0}, ValueError, "warmup=1.0"),
        ({"weight_decay": -1}, ValueError, "weight_decay=-1"),
        ({"clip_norm": 0}, ValueError, "clip_norm=0"),
        ({"augment": 3}, TypeError, "augment=3"),
        ({"accumulate": 0}, ValueError, "accumulate=0"),
        ({"steps_per_execution": "auto"}, TypeError, "steps_per_execution='auto'"),
        ({"epoch": 3}, ValueError, "epochs"),
    ],
)
def test_wrong_fields(fields, error, words):
    with pytest.raises(error) as caught:
        recipe("performer_relu", **fields)
    assert words in str(caught.value)


def test_wrong_steps():
    with pytest.raises(ValueError, match="steps"):
        compile(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]), Recipe(), steps=0)


def test_without_steps_the_rate_is_constant_and_lower():
    def found(**arguments):
        return keras_vix.build("performer_relu", dataset="digits", depth=1, **arguments).optimizer._learning_rate

    peak = recipe("performer_relu", "digits").learning_rate
    assert abs(float(found()) - peak / 3) <= 1e-9
    assert abs(float(found(learning_rate=2e-3)) - 2e-3) <= 1e-9
    assert abs(float(found(steps=100)(10)) - peak) <= 1e-9
